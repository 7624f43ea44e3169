"""The loss as an attribution target."""

from __future__ import annotations

import copy

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skaba.attribution._targets import Criterion, Score, require_one_each


class Loss(BaseEstimator):
    """The sample's loss under the model's own criterion.

    The one target that fits every task: single-label, multi-label and regression. A
    map of the loss has the opposite sign of a map of the true class: what is high
    there speaks against the label.

    Notes
    -----
    A criterion with a ``reduction`` is asked for its unreduced values, so every sample
    has a loss of its own (over several outputs their mean, or with
    ``reduction="sum"`` their sum). A criterion without that attribute is taken to be a
    mean over the batch.

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

    def __call__(
        self,
        logits: Tensor,
        y: Tensor | None,
        *,
        criterion: Criterion | None = None,
        generator: torch.Generator | None = None,
    ) -> Score:
        """Return the loss of each sample.

        Parameters
        ----------
        logits : Tensor of shape (n, n_outputs)
        y : Tensor of shape (n,) or (n, n_outputs)
        criterion : callable
            The loss, ``criterion(logits, y)``.
        generator
            Not used.

        Returns
        -------
        Score
            A function from logits to the loss, shape (n,).

        Raises
        ------
        ValueError
            If y or the criterion is missing, or y is not as wide as the logits. The score raises one, or a
            TypeError, if the criterion cannot be called with the logits and y.
        """
        if y is None or criterion is None:
            missing = "y" if y is None else "criterion"
            raise ValueError(f"The target Loss() needs {missing}: pass it, or use PredictedClass().")
        require_one_each(y, logits)
        return LossScore(criterion, _matching(y, logits))


def _matching(y: Tensor, logits: Tensor) -> Tensor:
    """Return y as it is if it holds class indices, else in the logits' shape.

    (n,) against (n, 1) would broadcast to (n, n) without a word.
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
    """The loss of each sample under its own label."""

    def __init__(self, criterion: Criterion, y: Tensor) -> None:
        self.criterion = criterion
        self.y = y

    def rows(self, index: Tensor) -> LossScore:
        return LossScore(self.criterion, self.y.index_select(0, index))

    def __call__(self, logits: Tensor, /) -> Tensor:
        repeats = len(logits) // len(self.y)
        y = self.y if repeats == 1 else self.y.repeat(repeats, *[1] * (self.y.dim() - 1))
        try:
            return self._losses(logits, y)
        except torch.OutOfMemoryError:
            raise
        except (TypeError, ValueError, IndexError, RuntimeError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(
                f"The target Loss() explains criterion(logits, y), but {_name(self.criterion)} fails for logits of "
                f"shape {tuple(logits.shape)} and y of shape {tuple(y.shape)} and dtype {y.dtype}: {error}. Use a "
                "criterion that takes these two, or another target: PredictedClass(), or a function of your own whose "
                "score is your loss."
            ) from error

    def _losses(self, logits: Tensor, y: Tensor) -> Tensor:
        reduction = getattr(self.criterion, "reduction", None)
        if reduction not in ("mean", "sum", "none"):
            return self._of_a_mean(logits, y)
        unreduced = copy.copy(self.criterion)
        unreduced.reduction = "none"  # type: ignore[attr-defined]
        losses = unreduced(logits, y)
        if losses.dim() == 0:  # it does not read its own reduction
            return self._of_a_mean(logits, y)
        losses = losses.reshape(len(logits), -1)
        return losses.sum(dim=1) if reduction == "sum" else losses.mean(dim=1)

    def _of_a_mean(self, logits: Tensor, y: Tensor) -> Tensor:
        """Return each row's loss under a criterion that tells only the mean over a batch."""
        if logits.requires_grad:  # the sum of these is the sum of the losses, and so are its gradients
            return self.criterion(logits, y).expand(len(logits))
        rows = zip(logits.split(1), y.split(1), strict=True)  # type: ignore[no-untyped-call]
        return torch.stack([self.criterion(*row).mean() for row in rows])


def _name(criterion: Criterion) -> str:
    return getattr(criterion, "__name__", type(criterion).__name__)
