"""Attribution targets: which scalar of a sample a map explains."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any, ClassVar, Protocol

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import Tensor

from skaba._validation import validate_parameters
from skaba.network import require_generator

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
            If there are no labels, or one is not the index of an output.
        """
        _require_classes(self, logits, y)
        if y is None:
            raise ValueError("TrueClass needs the labels: pass y, or use PredictedClass().")
        require_one_each(y, logits)
        _require_known(y, logits)
        return ClassScore(y.long())


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


class FixedClass(BaseEstimator):
    """The score of one class, the same for every sample: one label of many, one output of a regression.

    Parameters
    ----------
    index : int
        Which of the model's outputs is explained, counted from 0; for a classifier the place of
        the class in ``classes_``.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import FixedClass
    >>> logits = torch.tensor([[0.0, 5.0, 1.0], [3.0, 0.0, 2.0]])
    >>> FixedClass(2)(logits, None)(logits)
    tensor([1., 2.])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"index": [Interval(Integral, 0, None, closed="left")]}

    def __init__(self, index: int) -> None:
        self.index = index

    def __call__(
        self,
        logits: Tensor,
        y: Tensor | None,
        *,
        criterion: Criterion | None = None,
        generator: torch.Generator | None = None,
    ) -> Score:
        """Return the score of the class.

        Parameters
        ----------
        logits : Tensor of shape (n, n_outputs)
        y, criterion, generator
            Not used.

        Returns
        -------
        Score
            A function from logits to the class's score, shape (n,).

        Raises
        ------
        ValueError
            If the model has no output with this index.
        """
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
