"""The loss as an attribution target."""

from __future__ import annotations

import copy

import torch
from torch import Generator, Tensor

from skaba.attribution._targets import Criterion, Labels, Score, TargetBase, require_one_each
from skaba.network import repeat


class Loss(TargetBase):
    """The sample's loss under the model's criterion.

    This is the only target that fits every task: single-label, multi-label and regression. A map of the loss has the
    opposite sign of a map of the true class: features with high values are evidence against the label.

    Notes
    -----
    A criterion with an attribute ``reduction`` is called with ``reduction="none"``, so that there is one loss per
    sample: the mean over several outputs, or with ``reduction="sum"`` their sum. A criterion without that attribute is
    assumed to be a mean over the batch. The score raises a ValueError, or a TypeError, if the criterion cannot be
    called with the logits and y.

    References
    ----------
    Kinkel (2023), section 4.1.3 for PTB-XL and table A.2 for FastABA-CE, both with cross-entropy; Goodfellow
    et al. (2015), "Explaining and Harnessing Adversarial Examples", for FGSM.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import Loss
    >>> logits = torch.tensor([[0.0, 0.0], [0.0, 100.0]])
    >>> score = Loss()(logits, torch.tensor([0, 1]), criterion=torch.nn.CrossEntropyLoss())
    >>> score(logits)
    tensor([0.6931, 0.0000])
    """

    def _score(self, logits: Tensor, y: Labels, criterion: Criterion | None, generator: Generator | None) -> Score:
        if y is None or criterion is None:
            missing = "y" if y is None else "criterion"
            raise ValueError(f"The target Loss() needs {missing}: pass it, or use PredictedClass().")
        require_one_each(y, logits)
        return LossScore(criterion, _matching(y, logits))


def _matching(y: Tensor, logits: Tensor) -> Tensor:
    """Return y unchanged if it holds class indices, else in the logits' shape.

    A criterion would broadcast (n,) and (n, 1) to (n, n) without an error.
    """
    if y.numel() == logits.numel():
        return y.reshape(logits.shape) if y.is_floating_point() else y.reshape(logits.shape).to(logits.dtype)
    if not y.is_floating_point():
        return y
    raise ValueError(
        f"The module returned {tuple(logits.shape)}, but y holds targets of shape {tuple(y.shape)}. Make the "
        "module's output as wide as y."
    )


class LossScore:
    """The loss of each sample under its label."""

    def __init__(self, criterion: Criterion, y: Tensor) -> None:
        self.criterion = criterion
        self.y = y

    def rows(self, index: Tensor) -> LossScore:
        return LossScore(self.criterion, self.y.index_select(0, index))

    def __call__(self, logits: Tensor, /) -> Tensor:
        repeats = len(logits) // len(self.y)
        y = self.y if repeats == 1 else repeat(self.y, repeats)
        try:
            return self._losses(logits, y)
        except torch.OutOfMemoryError:  # a RuntimeError too, but not the criterion's fault
            raise
        except (TypeError, ValueError, IndexError, RuntimeError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                f"The target Loss() explains criterion(logits, y), but {_name(self.criterion)} fails for logits of "
                f"shape {tuple(logits.shape)} and y of shape {tuple(y.shape)} and dtype {y.dtype}: {error}. Use a "
                "criterion that takes these two, or another target: PredictedClass(), or a function that scores by "
                "your loss."
            ) from error

    def _losses(self, logits: Tensor, y: Tensor) -> Tensor:
        reduction = getattr(self.criterion, "reduction", None)
        if reduction not in ("mean", "sum", "none"):
            return self._of_a_mean(logits, y)
        # A shallow copy shares class weights and submodules, and the user's criterion keeps its reduction.
        unreduced = copy.copy(self.criterion)
        unreduced.reduction = "none"  # type: ignore[attr-defined]
        losses = unreduced(logits, y)
        if losses.dim() == 0:  # the criterion does not read its attribute
            return self._of_a_mean(logits, y)
        losses = losses.reshape(len(logits), -1)
        return losses.sum(dim=1) if reduction == "sum" else losses.mean(dim=1)

    def _of_a_mean(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return the loss of each row under a criterion that returns only the mean over a batch."""
        # For a gradient the mean is enough: n times the mean is the sum of the losses and has the same gradient. Row by
        # row would take n calls of the criterion.
        if logits.requires_grad:
            return self.criterion(logits, y).expand(len(logits))
        rows = zip(logits.split(1), y.split(1), strict=True)  # type: ignore[no-untyped-call]
        return torch.stack([self.criterion(*row).mean() for row in rows])


def _name(criterion: Criterion) -> str:
    return getattr(criterion, "__name__", type(criterion).__name__)
