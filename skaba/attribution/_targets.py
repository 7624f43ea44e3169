"""Attribution targets: the scalar of a sample that a map explains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

import torch
from sklearn.base import BaseEstimator
from torch import Generator, Tensor

from skaba._validation import validate_parameters
from skaba.attribution._constraints import COUNT_OR_NONE, at_least
from skaba.network import require_generator

Criterion = Callable[[Tensor, Tensor], Tensor]
Labels = Tensor | None

USUAL_K = 4
"""The papers' k for images, from which a class is drawn unless there are fewer."""


class Score(Protocol):
    """The result of a target: a function that takes logits and returns the target's value per row."""

    def __call__(self, logits: Tensor, /) -> Tensor:
        """Return the values, shape (m * n,), of logits of shape (m * n, n_outputs).

        The rows are the n samples in order, m times over, so that a method can run
        m variants of a batch in one pass.
        """

    def rows(self, index: Tensor) -> Score:
        """Return the score of some of the samples, in the order of the index.

        Only methods that explain samples one by one or in parts need it; the score of your target may be a plain
        function.
        """


class ClassScore:
    """The logit of one class per sample; the classes stay the same in every pass."""

    def __init__(self, classes: Tensor) -> None:
        self.classes = classes

    def __call__(self, logits: Tensor, /) -> Tensor:
        # Training explains one variant at every step, so the common case makes no copy.
        variants = len(logits) // len(self.classes)
        classes = self.classes if variants == 1 else self.classes.repeat(variants)
        return logits.gather(1, classes.unsqueeze(1)).squeeze(1)

    def rows(self, index: Tensor) -> ClassScore:
        return ClassScore(self.classes.index_select(0, index))


class TargetBase(ABC, BaseEstimator):
    """Base class of skaba's targets. A subclass writes ``_score``."""

    def __call__(
        self,
        logits: Tensor,
        y: Tensor | None,
        *,
        criterion: Criterion | None = None,
        generator: Generator | None = None,
    ) -> Score:
        """Choose what is explained in each sample.

        Parameters
        ----------
        logits : Tensor of shape (n, n_outputs)
        y : Tensor or None
            The labels; needed by ``TrueClass`` and ``Loss``.
        criterion : callable, default=None
            The loss, ``criterion(logits, y)``; needed by ``Loss``.
        generator : torch.Generator on the CPU, default=None
            Decides what is drawn; needed by ``RandomTopClass``.

        Returns
        -------
        Score
            A function from logits to the target's value per sample, shape (n,).

        Raises
        ------
        ValueError
            If something that the target needs is missing, or it does not fit the logits or the labels.
        """
        return self._score(logits, y, criterion, generator)

    @abstractmethod
    def _score(self, logits: Tensor, y: Labels, criterion: Criterion | None, generator: Generator | None) -> Score:
        """Return the score."""


class RandomTopClass(TargetBase):
    """The logit of a class drawn at random from the k that the model ranks highest.

    A new class is drawn for every sample in every call.

    Parameters
    ----------
    k : int, default=None
        How many of the highest logits take part, at least 1 and at most the number of classes. ``k=1`` is the
        predicted class. None means 4, or all classes if there are fewer.

    References
    ----------
    Tomani and Cremers (2022), "CHALLENGER: Training with Attribution Maps", arXiv 2205.15094; Kinkel
    (2023), sections 3.6.1 and 3.8, and table A.2, with k = 4 for images and k = 6 for text.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import RandomTopClass
    >>> logits = torch.tensor([[0.0, 5.0, 1.0], [3.0, 0.0, 1.0]])
    >>> score = RandomTopClass(k=1)(logits, None, generator=torch.Generator())
    >>> score(logits)
    tensor([5., 3.])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"k": COUNT_OR_NONE}

    def __init__(self, k: int | None = None) -> None:
        self.k = k

    def _score(self, logits: Tensor, y: Labels, criterion: Criterion | None, generator: Generator | None) -> Score:
        _require_classes(self, logits, y)
        n_classes = logits.shape[1]
        if n_classes == 1 and self.k != 1:
            raise ValueError(
                "The model returns a single logit per sample; to draw among classes it must return logits of shape "
                "(n, n_classes), one per class."
            )
        k = min(USUAL_K, n_classes) if self.k is None else self.k
        if k > n_classes:
            raise ValueError(
                f"RandomTopClass(k={k}) draws among more classes than the model has: it returns {n_classes} logits "
                f"per sample. Set k to at most {n_classes}, for example augmenter__target__k={n_classes} on the "
                "estimator, or to None."
            )
        # Drawn on the CPU, so that the same seed gives the same classes on every device.
        rank = torch.randint(k, (len(logits), 1), generator=require_generator(generator, self))
        top = logits.topk(k, dim=1).indices
        return ClassScore(top.gather(1, rank.to(logits.device)).squeeze(1))


class TrueClass(TargetBase):
    """The logit of each sample's label.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import TrueClass
    >>> logits = torch.tensor([[0.0, 5.0], [3.0, 0.0]])
    >>> TrueClass()(logits, torch.tensor([0, 1]))(logits)
    tensor([0., 0.])
    """

    def _score(self, logits: Tensor, y: Labels, criterion: Criterion | None, generator: Generator | None) -> Score:
        _require_classes(self, logits, y)
        if y is None:
            raise ValueError("TrueClass needs the labels: pass y, or use PredictedClass().")
        require_one_each(y, logits)
        _require_known(y, logits)
        return ClassScore(y.long())


class PredictedClass(TargetBase):
    """The highest logit of each sample.

    For a multi-label model, this is the logit of the likeliest label; for a regression, the highest output (with one
    output, the prediction itself).

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import PredictedClass
    >>> logits = torch.tensor([[0.0, 5.0], [3.0, 0.0]])
    >>> PredictedClass()(logits, None)(logits)
    tensor([5., 3.])
    """

    def _score(self, logits: Tensor, y: Labels, criterion: Criterion | None, generator: Generator | None) -> Score:
        _require_two_dimensions(logits)
        return ClassScore(logits.argmax(dim=1))


class FixedClass(TargetBase):
    """The logit of one class, the same for every sample: one of many labels, or one output of a regression.

    Parameters
    ----------
    index : int
        Index of the output that is explained, counted from 0; for a classifier the index of
        the class in ``classes_``.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import FixedClass
    >>> logits = torch.tensor([[0.0, 5.0, 1.0], [3.0, 0.0, 2.0]])
    >>> FixedClass(2)(logits, None)(logits)
    tensor([1., 2.])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"index": at_least(0)}

    def __init__(self, index: int) -> None:
        self.index = index

    def _score(self, logits: Tensor, y: Labels, criterion: Criterion | None, generator: Generator | None) -> Score:
        validate_parameters(self)
        _require_two_dimensions(logits)
        if self.index >= logits.shape[1]:
            raise ValueError(
                f"FixedClass({self.index}) explains an output that the model does not have: it returns "
                f"{logits.shape[1]} per sample. Set index to at most {logits.shape[1] - 1}; it counts from 0."
            )
        return ClassScore(torch.full((len(logits),), int(self.index), device=logits.device))


def _require_two_dimensions(logits: Tensor) -> None:
    if logits.dim() != 2:
        raise ValueError(f"The model must return logits of shape (n, n_outputs); it returned {tuple(logits.shape)}.")


def require_one_each(y: Tensor, logits: Tensor) -> None:
    """Raise a ValueError unless there is one label per sample."""
    if len(y) != len(logits):
        raise ValueError(f"The batch has {len(logits)} samples, but y has {len(y)} targets; pass one per sample.")


def _require_known(y: Tensor, logits: Tensor) -> None:
    if not len(y):
        return
    n_classes, lowest, highest = logits.shape[1], int(y.min()), int(y.max())
    if lowest < 0 or highest >= n_classes:
        raise ValueError(
            f"y holds labels from {lowest} to {highest}, but the model returns {n_classes} logits per sample: a label "
            f"must be the index of its class, 0 to {n_classes - 1}."
        )


def _require_classes(target: BaseEstimator, logits: Tensor, y: Tensor | None) -> None:
    _require_two_dimensions(logits)
    if y is not None and (y.is_floating_point() or y.dim() > 1):
        raise ValueError(
            f"{type(target).__name__} picks one class per sample, but y has shape {tuple(y.shape)} and dtype "
            f"{y.dtype}: a multi-label or regression target. Use Loss() as target."
        )
