"""Label smoothing for several labels per sample."""

from __future__ import annotations

from numbers import Real

from torch import Tensor, nn
from torch.nn import functional


class SmoothBCEWithLogitsLoss(nn.BCEWithLogitsLoss):
    """Binary cross-entropy with smoothed labels: a target y becomes ``y * (1 - s) + s / 2``.

    torch has label smoothing for classes that exclude each other only, in ``CrossEntropyLoss``.

    Parameters
    ----------
    weight, reduction, pos_weight
        As in torch's ``BCEWithLogitsLoss``.
    label_smoothing : float, default=0.1
        The s, from 0 to 1: 0 changes no label, 1 makes all targets one half.

    References
    ----------
    Szegedy et al. (2016), "Rethinking the Inception Architecture for Computer Vision", section 7, with two classes
    per label.

    Examples
    --------
    >>> from skaba import ABAMultiLabelClassifier
    >>> from skaba.losses import SmoothBCEWithLogitsLoss
    >>> from skaba.modules import FCN
    >>> clf = ABAMultiLabelClassifier(FCN, criterion=SmoothBCEWithLogitsLoss, criterion__label_smoothing=0.2)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
        label_smoothing: float = 0.1,
    ) -> None:
        if not isinstance(label_smoothing, Real) or not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing={label_smoothing!r} must be a number from 0 to 1, for example 0.1.")
        super().__init__(weight=weight, reduction=reduction, pos_weight=pos_weight)
        self.label_smoothing: float = label_smoothing

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss.

        Parameters
        ----------
        input : Tensor of shape (n, n_labels)
            Logits.
        target : Tensor of shape (n, n_labels)
            Zeros and ones, or shares.

        Returns
        -------
        Tensor
        """
        smooth = target * (1 - self.label_smoothing) + self.label_smoothing / 2
        return functional.binary_cross_entropy_with_logits(
            input, smooth, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )
