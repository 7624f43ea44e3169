"""Attribution targets: which scalar of a sample a map explains."""

from __future__ import annotations

import copy
from collections.abc import Callable
from numbers import Integral
from typing import Any, ClassVar, Protocol

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import Tensor

Criterion = Callable[[Tensor, Tensor], Tensor]

USUAL_K = 4
"""The papers' k for images, from which a class is drawn unless there are fewer."""


class Score(Protocol):
    """What a target fixed: takes logits, returns the target's value a row."""

    def __call__(self, logits: Tensor, /) -> Tensor:
        """Return the values, shape (m * n,), of logits of shape (m * n, n_outputs).

        Rows come sample after sample and that m times over, so that a method can ask about
        m variants of a batch in one pass.
        """

    def rows(self, index: Tensor) -> Score:
        """Return the score of some of the samples, in the order of the index.

        Only methods that ask about one sample at a time need it; an own target's score may be a
        plain function.
        """


class ClassScore:
    """The logit of one class a sample, chosen once and kept for every pass that follows."""

    def __init__(self, classes: Tensor) -> None:
        self.classes = classes

    def __call__(self, logits: Tensor, /) -> Tensor:
        variants = len(logits) // len(self.classes)
        classes = self.classes if variants == 1 else self.classes.repeat(variants)
        return logits.gather(1, classes.unsqueeze(1)).squeeze(1)

    def rows(self, index: Tensor) -> ClassScore:
        return ClassScore(self.classes.index_select(0, index))


class RandomTopClass(BaseEstimator):
    """The score of a class drawn at random from the k that the model ranks highest.

    A fresh class is drawn for every sample at every call.

    Parameters
    ----------
    k : int, default=None
        How many of the highest logits take part, at least 1 and at most the number of classes. ``k=1`` is the
        predicted class. None means 4, or all classes if there are fewer.

    References
    ----------
    Tomani and Cremers (2021), "CHALLENGER: Training with Attribution Maps"; Kinkel
    (2023), section 4.1.3, with k = 4 for images and k = 6 for text.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import RandomTopClass
    >>> logits = torch.tensor([[0.0, 5.0, 1.0], [3.0, 0.0, 1.0]])
    >>> score = RandomTopClass(k=1)(logits, None, generator=torch.Generator())
    >>> score(logits)
    tensor([5., 3.])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"k": [Interval(Integral, 1, None, closed="left"), None]}

    def __init__(self, k: int | None = None) -> None:
        self.k = k

    def __call__(
        self,
        logits: Tensor,
        y: Tensor | None,
        *,
        criterion: Criterion | None = None,
        generator: torch.Generator | None = None,
    ) -> Score:
        """Choose a class for each sample.

        Parameters
        ----------
        logits : Tensor of shape (n, n_classes)
        y : Tensor or None
            Not used, but a multi-label or regression target is refused.
        criterion : callable, default=None
            Not used.
        generator : torch.Generator on the CPU
            Decides the draw.

        Returns
        -------
        Score
            A function from logits to the chosen class's score, shape (n,).

        Raises
        ------
        ValueError
            If k exceeds the number of classes, or the task has no classes to draw from.
        """
        _require_classes(self, logits, y)
        n_classes = logits.shape[1]
        if n_classes == 1 and self.k != 1:
            raise ValueError("The model returns a single logit per sample; it must return one for each class.")
        k = min(USUAL_K, n_classes) if self.k is None else self.k
        if k > n_classes:
            raise ValueError(
                f"RandomTopClass(k={k}) draws among more classes than the model has: it returns {n_classes} logits "
                f"per sample. Set k to at most {n_classes}, for example augmenter__target__k={n_classes} on the "
                "estimator, or to None."
            )
        generator = require_generator(generator, self)
        rank = torch.randint(k, (len(logits), 1), generator=generator)
        top = logits.topk(k, dim=1).indices
        return ClassScore(top.gather(1, rank.to(logits.device)).squeeze(1))


class TrueClass(BaseEstimator):
    """The score of the sample's own label.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import TrueClass
    >>> logits = torch.tensor([[0.0, 5.0], [3.0, 0.0]])
    >>> TrueClass()(logits, torch.tensor([0, 1]))(logits)
    tensor([0., 0.])
    """

    def __call__(
        self,
        logits: Tensor,
        y: Tensor | None,
        *,
        criterion: Criterion | None = None,
        generator: torch.Generator | None = None,
    ) -> Score:
        """Return the score of each sample's label.

        Parameters
        ----------
        logits : Tensor of shape (n, n_classes)
        y : int64 Tensor of shape (n,)
        criterion, generator
            Not used.

        Returns
        -------
        Score
            A function from logits to the label's score, shape (n,).

        Raises
        ------
        ValueError
            If there are no labels, or they are no class indices.
        """
        _require_classes(self, logits, y)
        if y is None:
            raise ValueError("TrueClass needs the labels: pass y, or use PredictedClass().")
        _require_one_each(y, logits)
        return ClassScore(y)


class PredictedClass(BaseEstimator):
    """The score of the class that the model ranks highest.

    Of a multi-label model it is the label with the highest logit, of a regression
    the highest output (with one output: the prediction itself).

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import PredictedClass
    >>> logits = torch.tensor([[0.0, 5.0], [3.0, 0.0]])
    >>> PredictedClass()(logits, None)(logits)
    tensor([5., 3.])
    """

    def __call__(
        self,
        logits: Tensor,
        y: Tensor | None,
        *,
        criterion: Criterion | None = None,
        generator: torch.Generator | None = None,
    ) -> Score:
        """Return the score of each sample's predicted class.

        Parameters
        ----------
        logits : Tensor of shape (n, n_classes)
        y, criterion, generator
            Not used.

        Returns
        -------
        Score
            A function from logits to the predicted class's score, shape (n,).
        """
        _require_two_dimensions(logits)
        return ClassScore(logits.argmax(dim=1))


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
    Kinkel (2023), section 4.1.3: cross-entropy for FastABA-CE and PTB-XL; Goodfellow
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
            If y or the criterion is missing, or y is not as wide as the logits.
        """
        if y is None or criterion is None:
            missing = "y" if y is None else "criterion"
            raise ValueError(f"The target Loss() needs {missing}: pass it, or use PredictedClass().")
        _require_one_each(y, logits)
        return LossScore(criterion, _matching(y, logits))


def _matching(y: Tensor, logits: Tensor) -> Tensor:
    """Return y in the logits' shape if it holds floats: (n,) against (n, 1) would broadcast to (n, n)."""
    if not y.is_floating_point() or y.shape == logits.shape:
        return y
    if y.numel() == logits.numel():
        return y.reshape(logits.shape)
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


def require_generator(generator: torch.Generator | None, who: object) -> torch.Generator:
    """Return the generator, or say that one is needed: nothing here draws from the global state."""
    if generator is None:
        raise ValueError(f"{type(who).__name__} draws at random: pass generator=torch.Generator().manual_seed(0).")
    return generator


def _require_two_dimensions(logits: Tensor) -> None:
    if logits.dim() != 2:
        raise ValueError(f"The model must return logits of shape (n, n_outputs); it returned {tuple(logits.shape)}.")


def _require_one_each(y: Tensor, logits: Tensor) -> None:
    if len(y) != len(logits):
        raise ValueError(f"The batch has {len(logits)} samples, but y has {len(y)} targets; pass one a sample.")


def _require_classes(target: BaseEstimator, logits: Tensor, y: Tensor | None) -> None:
    _require_two_dimensions(logits)
    if y is not None and (y.is_floating_point() or y.dim() > 1):
        raise ValueError(
            f"{type(target).__name__} picks one class a sample, but y has shape {tuple(y.shape)} and dtype "
            f"{y.dtype}: a multi-label or regression target. Use Loss() as target."
        )
