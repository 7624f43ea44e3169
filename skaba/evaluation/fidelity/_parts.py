"""The samples part by part, as a fitted estimator sees them, and its scores of changed ones."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import is_regressor
from skorch.dataset import get_len
from torch import Tensor, nn

from skaba._samples import check_samples
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
"""By so much a probability may lie beyond 0 and 1: what rounding does to half precision."""

PART = 128
"""Samples that are held at once, unless a net has a batch size of its own."""

Task = Literal["classes", "labels", "values"]
"""What a score stands for: one of the classes that exclude each other, a label of its own, or a regression's value."""

Ask = Callable[[Tensor, Tensor], Tensor]
"""Takes rows (r, ...) and the place in the part of the sample that each was made of; returns scores (r, n_outputs)."""


class Part(NamedTuple):
    """Some of the samples.

    Parameters
    ----------
    start : int
        The number of the first.
    x : Tensor of shape (m, ...)
        What is masked: the input, or a layer's output.
    ask : callable
        Called within ``asking()``.
    model : nn.Module or None
        What an attribution method is asked with, if the estimator is a network.
    channel_axis : int
        The axis of x that holds channels.
    padding : bool Tensor of shape (m, length) or None
        True where a text has no word.
    """

    start: int
    x: Tensor
    ask: Ask
    model: nn.Module | None
    channel_axis: int
    padding: Tensor | None

    def asking(self) -> AbstractContextManager[None]:
        """Hold a network as ``ask`` wants it: in evaluation mode, for as many questions as there are."""
        return nullcontext() if self.model is None else asking(self.model)


class Parts(Protocol):
    """All samples of an estimator."""

    @property
    def n_samples(self) -> int:
        """How many there are."""

    @property
    def criterion(self) -> Any:
        """The loss, for a method that asks for it."""

    @property
    def task(self) -> Task:
        """What a score stands for."""

    def each(self, function: Callable[[Part], Tensor]) -> NDArray[Any]:
        """Apply a function to part after part, in order, and join what it returns."""


@dataclass(frozen=True)
class NetParts:
    """Samples of a skaba estimator; a part is a batch of the estimator's own."""

    net: AugmentedNet
    X: Any
    nonlinearity: Callable[[Tensor], Tensor]

    @property
    def n_samples(self) -> int:
        """How many there are."""
        return int(get_len(self.X))

    @property
    def criterion(self) -> Any:
        """The net's loss."""
        return unwrapped(self.net.criterion_)

    @property
    def task(self) -> Task:
        """What a score stands for."""
        if isinstance(self.net, ABAMultiLabelClassifier):
            return "labels"
        return "values" if is_regressor(self.net) else "classes"

    def each(self, function: Callable[[Part], Tensor]) -> NDArray[Any]:
        """Apply a function to part after part."""
        start = 0

        def on_batch(inputs: Any, targets: Any) -> Tensor:
            nonlocal start
            model = view_of(self.net, inputs)
            x = model.features() if isinstance(model, FromLayer) else inputs
            require_floats(x)
            padding = model.padding if isinstance(model, FromLayer) else None
            part = Part(start, x, _asker(model, self.nonlinearity), model, channel_axis_of(model), padding)
            start += len(x)
            return function(part)

        return over_batches(self.net, self.X, None, on_batch)


@dataclass(frozen=True)
class ArrayParts:
    """Samples of any other estimator."""

    x: Tensor
    ask: Ask
    model: nn.Module | None = None

    criterion = None
    task: ClassVar[Task] = "classes"

    @property
    def n_samples(self) -> int:
        """How many there are."""
        return len(self.x)

    def each(self, function: Callable[[Part], Tensor]) -> NDArray[Any]:
        """Apply a function to part after part."""
        results = []
        for start in range(0, len(self.x), PART):
            part = Part(start, self.x[start : start + PART], self.ask, self.model, 1, None)
            results.append(_array(function(part)))
        return np.concatenate(results)


def scores_of(estimator: Any, X: Any) -> Parts:
    """Return samples whose scores are logits, or what comes nearest.

    A skaba estimator, or a Pipeline or search that holds one, answers with its network's output, one of several labels
    per sample with their probabilities; any other with
    ``decision_function`` or, without one, ``predict_proba``; an ``nn.Module`` and a function with what they return.
    """
    estimator = _best(estimator)
    if (net := find_net(estimator)) is not None:
        several = isinstance(net, ABAMultiLabelClassifier)
        return _net_parts(estimator, net, X, nonlinearity_of(net) if several else _as_it_is)
    if isinstance(estimator, nn.Module):
        return _module_parts(estimator, X, _as_it_is)
    if hasattr(estimator, "decision_function"):
        return ArrayParts(_tensor(X), _reader(_both_classes(estimator.decision_function)))
    if hasattr(estimator, "predict_proba"):
        return ArrayParts(_tensor(X), _reader(estimator.predict_proba))
    return ArrayParts(_tensor(X), _reader(_function(estimator)))


def probabilities_of(estimator: Any, X: Any) -> Parts:
    """Return samples whose scores are probabilities; of an ``nn.Module`` or a function the softmax of its logits."""
    estimator = _best(estimator)
    if hasattr(estimator, "__sklearn_tags__") and is_regressor(estimator):
        raise TypeError(f"A {type(estimator).__name__} has no probabilities: use perturbation_curves or fidelity.")
    if (net := find_net(estimator)) is not None:
        nonlinearity = nonlinearity_of(net)
        return _net_parts(estimator, net, X, lambda scores: _probabilities(nonlinearity(scores)))
    if isinstance(estimator, nn.Module):
        return _module_parts(estimator, X, _softmax)
    if hasattr(estimator, "predict_proba"):
        own = _reader(estimator.predict_proba)
        return ArrayParts(_tensor(X), lambda rows, index: _probabilities(own(rows, index)))
    if hasattr(estimator, "decision_function"):
        raise TypeError(f"A {type(estimator).__name__} has no predict_proba: use perturbation_curves or fidelity.")
    ask = _reader(_function(estimator))
    return ArrayParts(_tensor(X), lambda rows, index: _softmax(ask(rows, index)))


def _best(estimator: Any) -> Any:
    """Return the estimator that a search found, or the estimator itself."""
    if isinstance(estimator, type):
        raise TypeError(f"estimator={estimator.__name__} is a class: pass a fitted instance of it.")
    return getattr(estimator, "best_estimator_", estimator)


def _net_parts(estimator: Any, net: AugmentedNet, X: Any, nonlinearity: Callable[[Tensor], Tensor]) -> NetParts:
    net.check_is_fitted()
    X = known_samples(net, as_seen_by_net(estimator, X), floats=net.layer is None)
    return NetParts(net, X, nonlinearity)


def _module_parts(module: nn.Module, X: Any, nonlinearity: Callable[[Tensor], Tensor]) -> ArrayParts:
    model = cast(nn.Module, unwrapped(module))
    x = _tensor(X)
    parameter = next(model.parameters(), x)
    return ArrayParts(x.to(parameter.device, parameter.dtype), _asker(model, nonlinearity), model)


def _tensor(X: Any) -> Tensor:
    """Return checked samples; whole numbers become floats."""
    X = check_samples(X, floats=False)
    if not isinstance(X, (np.ndarray, Tensor)):
        raise TypeError(f"X is a {type(X).__name__}; here it must be one array of samples, (n, ...).")
    x = torch.as_tensor(X).detach()
    return x if x.is_floating_point() else x.double()


def _asker(model: nn.Module, nonlinearity: Callable[[Tensor], Tensor]) -> Ask:
    def ask(rows: Tensor, index: Tensor) -> Tensor:
        with torch.no_grad():
            return nonlinearity(_checked(logits_of(rows_of(model, index)(rows)), len(rows)))

    return ask


def _reader(function: Callable[[NDArray[Any]], Any]) -> Ask:
    """Return what asks a function of arrays."""

    def ask(rows: Tensor, index: Tensor) -> Tensor:
        answer = function(_array(rows))
        if isinstance(answer, Tensor):
            return _checked(answer.detach(), len(rows))
        scores = np.asarray(answer)
        if scores.dtype.kind not in "fiub":
            raise ValueError(f"The estimator returned {scores.dtype} values; scores must be numbers, one a class.")
        return _checked(torch.as_tensor(scores), len(rows))

    return ask


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


def _array(values: Tensor) -> NDArray[Any]:
    """Return values as an array; NumPy has no bfloat16."""
    return (values.float() if values.dtype == torch.bfloat16 else values).cpu().numpy()


def _both_classes(decision_function: Callable[[NDArray[Any]], Any]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Give a decision between two classes a column for each."""

    def scores(rows: NDArray[Any]) -> NDArray[Any]:
        decision = np.asarray(decision_function(rows))
        return np.stack([-decision, decision], axis=1) if decision.ndim == 1 else decision

    return scores


def _function(estimator: Any) -> Callable[[NDArray[Any]], Any]:
    if not callable(estimator):
        raise TypeError(
            f"estimator={estimator!r} has no scores: pass a fitted estimator with decision_function or predict_proba, "
            "an nn.Module, or a function of an array (n, ...) that returns scores (n, n_outputs)."
        )
    return cast(Callable[[NDArray[Any]], Any], estimator)


def _softmax(scores: Tensor) -> Tensor:
    if scores.shape[1] < 2:
        raise ValueError(
            "The estimator returns one score per sample, whose softmax is 1 whatever it is: return a logit for each of "
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


def _as_it_is(scores: Tensor) -> Tensor:
    return scores
