"""Checks of the arguments and of the result of a method."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from skaba.attribution._targets import Criterion, Score
from skaba.network import Model, answer

Target = Callable[..., Score]
"""``target(logits, y, *, criterion, generator)`` chooses what is explained and returns its score."""

BoundTarget = Callable[[Tensor], Score]
"""A target with all arguments but the logits: a method calls it once, with the logits of the clean batch."""


def as_labels(y: Any, device: torch.device) -> Tensor | None:
    """Return labels, which may be a list or an array, as a tensor.

    Raises
    ------
    ValueError
        If they are not numbers.
    """
    if y is None or isinstance(y, Tensor):
        return y
    try:
        return torch.as_tensor(y, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"y must hold numbers, class indices or targets; got a {type(y).__name__}: {error}") from error


@dataclass(frozen=True)
class Bound:
    """A target that needs only the logits. Other methods can be called with it as their target."""

    target: Target
    y: Tensor | None
    criterion: Criterion | None
    generator: torch.Generator | None

    def __call__(self, logits: Tensor, *_: Any, **__: Any) -> Score:
        try:
            score = self.target(logits.detach(), self.y, criterion=self.criterion, generator=self.generator)
        except TypeError as error:
            require_form(self.target, TARGET, error)
            raise
        if callable(score):
            return score
        raise TypeError(
            f"target={self.target!r} returned a {type(score).__name__}; it must return a score, a function that takes "
            "logits (n, n_outputs) and returns one value per row, shape (n,)."
        )

    def rows(self, index: Tensor) -> Bound:
        """Return the target of some of the samples."""
        y = None if self.y is None else self.y[index]
        return Bound(rows_of_target(self.target, index), y, self.criterion, self.generator)


class Chosen:
    """A target whose score does not depend on the logits, because it was chosen on other inputs."""

    def __init__(self, score: Score) -> None:
        self.score = score

    def __call__(self, *_: Any, **__: Any) -> Score:
        return self.score

    def rows(self, index: Tensor) -> Chosen:
        """Return the target of some of the rows; a score without ``rows`` is that of all of them."""
        return Chosen(self.score.rows(index) if hasattr(self.score, "rows") else self.score)


def score_on(target: BoundTarget, model: Model, x: Tensor) -> Score:
    """Return the target's score of a batch, which stays the same in the passes that follow."""
    with torch.no_grad():
        return target(answer(model, x))


def rows_of_target(target: Target, index: Tensor) -> Target:
    """Return the target of some of the samples: a target that holds one value per sample is cut, others are not."""
    cut: Target = target.rows(index) if hasattr(target, "rows") else target
    return cut


class Form(NamedTuple):
    """The arguments with which skaba calls a target or a method of the user's."""

    name: str
    positional: tuple[str, ...]
    keywords: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join((*self.positional, '*', *self.keywords))})"


TARGET = Form("target", ("logits", "y"), ("criterion", "generator"))
METHOD = Form("attribution", ("model", "x", "y"), ("target", "criterion", "generator"))


def require_form(function: Any, form: Form, error: TypeError) -> None:
    """Raise a TypeError if a call failed because the function takes other arguments, not if it failed later."""
    if isinstance(function, type):
        name = function.__name__
        raise TypeError(f"{form.name}={name} is a class: pass an instance, {name}(...).") from error
    # A TypeError alone does not tell whether the call or the function's code raised it.
    try:
        inspect.signature(function).bind(*form.positional, **dict.fromkeys(form.keywords))
    except (TypeError, ValueError) as unfit:
        raise TypeError(f"{form.name}={function!r} must be callable as {form}; it is not: {unfit}.") from error


def checked_map(map_: Any, x: Tensor, method: Any) -> Tensor:
    """Return a method's result if it is a map of x: a finite, real tensor of x's shape.

    Raises
    ------
    ValueError
        If it is not; the message names the method.
    """
    if not isinstance(map_, Tensor) or map_.shape != x.shape:
        got = f"a tensor of shape {tuple(map_.shape)}" if isinstance(map_, Tensor) else f"a {type(map_).__name__}"
        raise ValueError(
            f"{_named(method)} returned {got} for a batch of shape {tuple(x.shape)}; it must return a torch.Tensor of "
            "that shape."
        )
    if map_.dtype == torch.bool or map_.is_complex():
        raise ValueError(
            f"{_named(method)} returned a map of {map_.dtype}; it must hold real numbers, such as map.to(x.dtype) of "
            "bools or map.abs() of complex numbers."
        )
    # The sum is several times as fast as a test of each value. It may overflow, so only then the values are tested.
    if not map_.detach().sum().isfinite() and not (finite := map_.detach().isfinite()).all():
        bad = ~finite.reshape(len(x), -1).all(1)
        raise ValueError(
            f"{_named(method)} returned a map with NaN or infinity for {int(bad.sum())} of {len(bad)} samples, the "
            f"first of them sample {int(bad.nonzero()[0])} of the batch: it ranks nothing. If the model's output is "
            "not finite either, training has diverged: lower lr, or scale X."
        )
    return map_


def _named(method: Any) -> str:
    try:
        return repr(method)
    except AttributeError:  # scikit-learn's repr reads all parameters, and this method does not store one of them
        return type(method).__name__
