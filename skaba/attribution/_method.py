"""What every attribution method has in common."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import StrOptions
from torch import Tensor

from skaba._validation import validate_parameters
from skaba.attribution._asking import Model, asking
from skaba.attribution._targets import Criterion, Score

Target = Callable[..., Score]
"""``target(logits, y, *, criterion, generator)`` fixes what is explained and returns its score."""

Fix = Callable[[Tensor], Score]
"""A target that lacks only the logits: what a method asks once, for the clean batch."""


MODE = StrOptions({"eval", "train"})
"""What a method's parameter ``mode`` may be."""


class About(NamedTuple):
    """What tells a method from the others: the columns of the papers' comparison.

    Parameters
    ----------
    forward, backward : str
        Passes a sample, in the method's own parameters.
    signed : bool
        Whether the map tells features that speak for the target from those against it.
    complete : str, default=""
        Empty, or what the map sums to.
    baseline : bool, default=False
        Whether it compares with an input that stands for "nothing".
    needs : str, default="any model"
        What the network must have or be.
    """

    forward: str
    backward: str
    signed: bool
    complete: str = ""
    baseline: bool = False
    needs: str = "any model"


class AttributionMethod(ABC, BaseEstimator):
    """A model, an input and a target in; a signed map of the input's shape out.

    A subclass writes ``_attribute``. The call around it puts the model into
    evaluation mode and leaves no trace: training flags, buffers, parameter
    gradients, hooks and the global random state are afterwards as before, also
    after an exception.

    Attributes
    ----------
    about : About
        A class attribute: cost, sign and limits, as ``skaba methods`` lists them. An own method needs none.
    mode : {"eval", "train"}
        The mode in which the model is asked: "eval", unless a method has it as a parameter.
    """

    about: ClassVar[About] = About("?", "?", signed=True)
    mode: str = "eval"
    _parameter_constraints: ClassVar[dict[str, Any]] = {}

    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Tensor | None = None,
        *,
        target: Target,
        criterion: Criterion | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Attribute a batch.

        Parameters
        ----------
        model : nn.Module or callable
            Returns logits of shape (n, n_outputs).
        x : floating-point Tensor of shape (n, ...)
            The batch, left unchanged.
        y : Tensor, array-like or None, default=None
            The labels, if the target needs them.
        target : callable
            Which scalar is explained: ``RandomTopClass``, ``TrueClass``,
            ``PredictedClass``, ``FixedClass``, ``Loss``, or a callable with their arguments.
        criterion : callable, default=None
            The loss, for the target ``Loss``.
        generator : torch.Generator on the CPU, default=None
            Decides all that is random; needed if anything is.

        Returns
        -------
        Tensor of x's shape
            The signed map, detached.

        Raises
        ------
        TypeError
            If x is no floating-point tensor, or the target is none.
        ValueError
            If a parameter is not allowed, the method does not fit the model, or an own method returns anything
            but a finite tensor of x's shape.
        """
        require_floats(x)
        if self._parameter_constraints:
            validate_parameters(self)
        fix = fixed(target, as_labels(y, x.device), criterion, generator)
        with asking(model, self.mode, generator):
            return checked_map(self._attribute(model, x.detach(), fix, generator), x, self).to(x.dtype)

    @abstractmethod
    def _attribute(self, model: Model, x: Tensor, fix: Fix, generator: torch.Generator | None) -> Tensor:
        """Return the map of a detached batch; the model is in evaluation mode already."""


def require_floats(x: Tensor) -> None:
    """Raise a TypeError if x has no gradient to speak of."""
    if not isinstance(x, Tensor):
        raise TypeError(f"Attribution takes a torch.Tensor as x, got a {type(x).__name__}: pass torch.as_tensor(x).")
    if not x.is_floating_point():
        raise TypeError(
            f"Attribution needs a floating-point input, got {x.dtype}. Scale images to floats; "
            "for word ids attribute at the embedding's output (layer='embedding')."
        )


def as_labels(y: Any, device: torch.device) -> Tensor | None:
    """Return labels, of which lists and arrays are taken too, as a tensor.

    Raises
    ------
    ValueError
        If they are no numbers.
    """
    if y is None or isinstance(y, Tensor):
        return y
    try:
        return torch.as_tensor(y, device=device)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"y must hold numbers, class indices or targets; got a {type(y).__name__}: {error}") from error


def fixed(target: Target, y: Tensor | None, criterion: Criterion | None, generator: torch.Generator | None) -> Fix:
    """Return a target that lacks only the logits."""

    def fix(logits: Tensor) -> Score:
        try:
            score = target(logits.detach(), y, criterion=criterion, generator=generator)
        except TypeError as error:
            _require_signature(target, error)
            raise
        if callable(score):
            return score
        raise TypeError(
            f"target={target!r} returned a {type(score).__name__}; it must return a score, a function that takes "
            "logits (n, n_outputs) and returns one value per row, shape (n,)."
        )

    return fix


def _require_signature(target: Any, error: TypeError) -> None:
    """Raise a TypeError if a target cannot be called as one, and so failed; not if it failed inside."""
    if isinstance(target, type):
        raise TypeError(f"target={target.__name__} is a class: pass an instance, {target.__name__}(...).") from error
    try:
        inspect.signature(target).bind(None, None, criterion=None, generator=None)
    except (TypeError, ValueError) as unfit:
        raise TypeError(
            f"target={target!r} must be callable as target(logits, y, *, criterion, generator) and return a score, a "
            f"function from logits to one value per row; it is not: {unfit}."
        ) from error


def checked_map(map_: Any, x: Tensor, method: Any) -> Tensor:
    """Return a map if it is one: what every method's result has to pass, an own function's too.

    Parameters
    ----------
    map_ : object
        What the method returned.
    x : Tensor of shape (n, ...)
        What it was asked about.
    method : callable
        Named in the errors.

    Returns
    -------
    Tensor of x's shape

    Raises
    ------
    ValueError
        If it is no tensor, has another shape than x, or holds NaN or infinity.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import checked_map
    >>> checked_map(torch.ones(2), torch.ones(2, 3), "An own method")
    Traceback (most recent call last):
    ...
    ValueError: 'An own method' returned a tensor of shape (2,) for a batch of shape (2, 3); it must return a ...
    """
    if not isinstance(map_, Tensor) or map_.shape != x.shape:
        got = f"a tensor of shape {tuple(map_.shape)}" if isinstance(map_, Tensor) else f"a {type(map_).__name__}"
        raise ValueError(
            f"{method!r} returned {got} for a batch of shape {tuple(x.shape)}; it must return a torch.Tensor of that "
            "shape."
        )
    # A sum shows at once that all is finite; it may also overflow, so a look at each value decides.
    if not map_.detach().sum().isfinite() and not (finite := map_.detach().isfinite()).all():
        bad = ~finite.reshape(len(x), -1).all(1)
        raise ValueError(
            f"{method!r} returned a map with NaN or infinity for {int(bad.sum())} of {len(bad)} samples, the first of "
            f"them sample {int(bad.nonzero()[0])} of the batch: it ranks nothing. If the model's output is not finite "
            "either, training has diverged: lower lr, or scale X."
        )
    return map_


def broadcast(name: str, value: Any, x: Tensor) -> Tensor:
    """Return a baseline or a fill, one number or an array, as a tensor that broadcasts against x.

    Raises
    ------
    ValueError
        If it does not.
    """
    tensor = torch.as_tensor(value, dtype=x.dtype, device=x.device)
    try:
        tensor.expand_as(x)
    except RuntimeError:
        raise ValueError(
            f"{name} has shape {tuple(tensor.shape)}, which does not broadcast against a batch of shape "
            f"{tuple(x.shape)}: pass a number, or an array of shape {tuple(x.shape[1:])}."
        ) from None
    return tensor


def repeat(x: Tensor, times: int) -> Tensor:
    """Stack a batch several times over: sample after sample, then all of them again."""
    return x.repeat(times, *[1] * (x.dim() - 1))


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """Give values of shape (n,) the trailing axes that let them broadcast over samples."""
    return values.reshape(-1, *[1] * (like.dim() - 1))


def generator_on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """Return a generator for a device: itself, or one that it seeds there, since each is bound to its own."""
    if generator.device.type == device.type:
        return generator
    return torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=generator)))


def normal_like(x: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal noise of x's shape on x's device."""
    return torch.randn(x.shape, generator=generator_on(x.device, generator), device=x.device, dtype=x.dtype)
