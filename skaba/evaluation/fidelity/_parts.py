"""The samples part by part, as a fitted estimator sees them, and its scores of changed samples."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import is_regressor
from skorch.dataset import get_len
from torch import Tensor, nn

from skaba._samples import check_samples
from skaba._targets import as_array
from skaba.estimators import (
    ABAMultiLabelClassifier,
    AugmentedNet,
    as_seen_by_net,
    find_net,
    known_samples,
    nonlinearity_of,
    over_batches,
    view_of,
)
from skaba.network import FromLayer, asking, channel_axis_of, logits_of, require_floats, rows_of, unwrapped

ROUNDING = 1e-3
"""How far a probability may lie outside [0, 1], because of rounding in half precision."""

PART = 128
"""Samples that are held at once; for a net, its batch size is used instead."""

Task = Literal["classes", "labels", "values"]
"""What a score stands for: a class of several that exclude each other, one of several labels, or a regression's value.
"""

Scorer = Callable[[Tensor, Tensor], Tensor]
"""Takes rows (r, ...) and, per row, the index in the part of the sample it was made from; returns scores
(r, n_outputs)."""


class Part(NamedTuple):
    """Some of the samples.

    Parameters
    ----------
    start : int
        The index of the first sample among all samples.
    x : Tensor of shape (m, ...)
        What is masked: the input, or a layer's output.
    score : callable
        Called within ``asking()``.
    model : nn.Module or None
        The model that an attribution method gets, if the estimator is a network.
    channel_axis : int
        The axis of x that holds channels.
    padding : bool Tensor of shape (m, length) or None
        True where a text has no word.
    """

    start: int
    x: Tensor
    score: Scorer
    model: nn.Module | None
    channel_axis: int
    padding: Tensor | None

    def asking(self) -> AbstractContextManager[None]:
        """Hold a network in evaluation mode, once for any number of calls of ``score``."""
        return nullcontext() if self.model is None else asking(self.model)


@dataclass(frozen=True)
class Parts:
    """All samples of an estimator.

    Parameters
    ----------
    n_samples : int
    each : callable
        Applies a function, which takes a Part and returns a Tensor, to part after part, in order, and joins the
        results into one array.
    task : {"classes", "labels", "values"}, default="classes"
        What a score stands for.
    criterion : callable, default=None
        The loss, for attribution methods that need it.
    """

    n_samples: int
    each: Callable[[Callable[[Part], Tensor]], NDArray[Any]]
    task: Task = "classes"
    criterion: Any = None


def scores_of(estimator: Any, X: Any) -> Parts:
    """Return samples whose scores are logits, or the values closest to them.

    For a skaba estimator, or a Pipeline or search that holds one, they are the network's output, for several labels per
    sample the labels' probabilities; for any other estimator, ``decision_function`` or, without one, ``predict_proba``;
    for an ``nn.Module`` or a function, what it returns.
    """
    estimator = _best(estimator)
    if (net := find_net(estimator)) is not None:
        several = isinstance(net, ABAMultiLabelClassifier)
        return _net_parts(estimator, net, X, nonlinearity_of(net) if several else _as_it_is)
    if isinstance(estimator, nn.Module):
        return _module_parts(estimator, X, _as_it_is)
    # A decision is closer to a logit than a probability is.
    if hasattr(estimator, "decision_function"):
        return _array_parts(_tensor(X), _reader(_both_classes(estimator.decision_function)))
    return _array_parts(_tensor(X), _reader(getattr(estimator, "predict_proba", estimator)))


def probabilities_of(estimator: Any, X: Any) -> Parts:
    """Return samples whose scores are probabilities; for an ``nn.Module`` or a function, the softmax of its logits."""
    estimator = _best(estimator)
    name = type(estimator).__name__
    if hasattr(estimator, "__sklearn_tags__") and is_regressor(estimator):
        raise TypeError(f"A {name} has no probabilities: use perturbation_curves or fidelity.")
    if (net := find_net(estimator)) is not None:
        nonlinearity = nonlinearity_of(net)
        return _net_parts(estimator, net, X, lambda scores: _probabilities(nonlinearity(scores)))
    if isinstance(estimator, nn.Module):
        return _module_parts(estimator, X, _softmax)
    if hasattr(estimator, "predict_proba"):
        return _array_parts(_tensor(X), _reader(estimator.predict_proba, _probabilities))
    if hasattr(estimator, "decision_function"):
        raise TypeError(f"A {name} has no predict_proba: use perturbation_curves or fidelity.")
    return _array_parts(_tensor(X), _reader(estimator, _softmax))


def _best(estimator: Any) -> Any:
    """Return the estimator that a search found, or the estimator itself."""
    if isinstance(estimator, type):
        raise TypeError(f"estimator={estimator.__name__} is a class: pass a fitted instance of it.")
    return getattr(estimator, "best_estimator_", estimator)


def _net_parts(estimator: Any, net: AugmentedNet, X: Any, nonlinearity: Callable[[Tensor], Tensor]) -> Parts:
    """Return samples of a skaba estimator; a part is one of its batches."""
    net.check_is_fitted()
    X = known_samples(net, as_seen_by_net(estimator, X), floats=net.layer is None)

    def each(function: Callable[[Part], Tensor]) -> NDArray[Any]:
        start = 0  # over_batches does not pass the index of a batch's first sample

        def on_batch(inputs: Any, targets: Any) -> Tensor:
            nonlocal start
            model = view_of(net, inputs)
            # The layers below run once per part; every masked variant starts from their output.
            x = model.features() if isinstance(model, FromLayer) else inputs
            require_floats(x)
            padding = model.padding if isinstance(model, FromLayer) else None
            part = Part(start, x, _scorer(model, nonlinearity), model, channel_axis_of(model), padding)
            start += len(x)
            return function(part)

        return over_batches(net, X, None, on_batch)

    several = isinstance(net, ABAMultiLabelClassifier)
    task: Task = "labels" if several else "values" if is_regressor(net) else "classes"
    return Parts(int(get_len(X)), each, task, unwrapped(net.criterion_))


def _module_parts(module: nn.Module, X: Any, nonlinearity: Callable[[Tensor], Tensor]) -> Parts:
    model = cast(nn.Module, unwrapped(module))
    x = _tensor(X)
    parameter = next(model.parameters(), x)  # a module without parameters takes any device and type
    return _array_parts(x.to(parameter.device, parameter.dtype), _scorer(model, nonlinearity), model)


def _array_parts(x: Tensor, score: Scorer, model: nn.Module | None = None) -> Parts:
    def each(function: Callable[[Part], Tensor]) -> NDArray[Any]:
        starts = range(0, len(x), PART)
        parts = (Part(start, x[start : start + PART], score, model, 1, None) for start in starts)
        return np.concatenate([as_array(function(part)) for part in parts])

    return Parts(len(x), each)


def _tensor(X: Any) -> Tensor:
    """Return checked samples; whole numbers become floats."""
    X = check_samples(X, floats=False)
    if not isinstance(X, (np.ndarray, Tensor)):
        raise TypeError(f"X is a {type(X).__name__}; here it must be one array of samples, (n, ...).")
    x = torch.as_tensor(X).detach()
    return x if x.is_floating_point() else x.double()


def _scorer(model: nn.Module, nonlinearity: Callable[[Tensor], Tensor]) -> Scorer:
    def score(rows: Tensor, index: Tensor) -> Tensor:
        with torch.no_grad():
            return nonlinearity(_checked(logits_of(rows_of(model, index)(rows)), len(rows)))

    return score


def _as_it_is(scores: Tensor) -> Tensor:
    return scores


def _reader(function: Any, nonlinearity: Callable[[Tensor], Tensor] = _as_it_is) -> Scorer:
    """Return a scorer that calls a function of arrays."""
    if not callable(function):
        raise TypeError(
            f"estimator={function!r} has no scores: pass a fitted estimator with decision_function or predict_proba, "
            "an nn.Module, or a function of an array (n, ...) that returns scores (n, n_outputs)."
        )

    def score(rows: Tensor, index: Tensor) -> Tensor:
        answer = function(as_array(rows))
        if not isinstance(answer, Tensor):
            answer = np.asarray(answer)
            if answer.dtype.kind not in "fiub":
                raise ValueError(
                    f"The estimator returned {answer.dtype} values; scores must be numbers, one per class."
                )
        return nonlinearity(_checked(torch.as_tensor(answer).detach(), len(rows)))

    return score


def _checked(scores: Tensor, n_rows: int) -> Tensor:
    """Return scores (n, n_outputs) in a precision that NumPy has too, or raise a ValueError."""
    if scores.dim() != 2 or len(scores) != n_rows or not scores.shape[1]:
        raise ValueError(
            f"The estimator returned scores of shape {tuple(scores.shape)} for {n_rows} samples; it must return "
            "(n, n_outputs), one score per class."
        )
    if scores.dtype == torch.bfloat16:
        return scores.float()
    return scores if scores.is_floating_point() else scores.double()


def _both_classes(decision_function: Callable[[NDArray[Any]], Any]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Give a decision between two classes one column per class."""
    # scikit-learn returns one value per sample then: the score of classes_[1].

    def scores(rows: NDArray[Any]) -> NDArray[Any]:
        decision = np.asarray(decision_function(rows))
        return np.stack([-decision, decision], axis=1) if decision.ndim == 1 else decision

    return scores


def _softmax(scores: Tensor) -> Tensor:
    if scores.shape[1] < 2:
        raise ValueError(
            "The estimator returns one score per sample, whose softmax is always 1: return a logit for each of "
            "at least two classes, for example (-score, score), or use perturbation_curves or fidelity."
        )
    return torch.softmax(scores, dim=1)


def _probabilities(values: Tensor) -> Tensor:
    """Return values between 0 and 1 as they are; NaN is refused where scores are read."""
    if (values < -ROUNDING).any() or (values > 1 + ROUNDING).any():
        raise ValueError(
            f"predict_proba returned values from {float(values.min()):.4g} to {float(values.max()):.4g}, which are no "
            "probabilities. Apply the softmax or the sigmoid to logits; skaba's estimators take predict_nonlinearity=."
        )
    return values
