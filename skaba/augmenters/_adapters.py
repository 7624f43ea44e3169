"""Functions as augmenters: functions with the arguments of an augmenter, and functions of the batch alone."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from skaba._random_state import random_state_kept
from skaba._validation import validate_parameters
from skaba.augmenters._augmenter import Augmenter, require_same_shape
from skaba.augmenters._batch import Batch
from skaba.augmenters._clipping import Mover
from skaba.augmenters.aba._adjustments import AdjustmentSet
from skaba.augmenters.aba._changes import Change
from skaba.augmenters.aba._presets import PRESETS
from skaba.augmenters.aba._selections import Selection
from skaba.network import per_sample


def as_augmenter(component: Any) -> Augmenter:
    """Return an augmenter as it is, and a function as an augmenter.

    Parameters
    ----------
    component : callable
        An :class:`Augmenter`; a function with the arguments of an augmenter; or a function that takes the batch alone,
        such as kornia's. In its call the global random states of Python, NumPy and torch are seeded; they are restored
        afterwards. Such a function is applied at any strength greater than 0.

    Returns
    -------
    Augmenter

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import as_augmenter
    >>> arguments = {"strength": 0.05, "criterion": None, "generator": torch.Generator()}
    >>> as_augmenter(torch.ones_like)(None, torch.zeros(1, 3), None, **arguments)
    tensor([[1., 1., 1.]])
    """
    # A subclass that overrides __call__ expects its __call__ to be used, not plan().
    if isinstance(component, Augmenter) and type(component).__call__ is Augmenter.__call__:
        return component
    return FromFunction(component) if is_augmenter(component) else FromBatchFunction(component)


class FromFunction(Augmenter):
    """A function, or another callable, with the arguments of an augmenter.

    Parameters
    ----------
    function : callable
        It may have the attributes ``default_strength`` and ``strength_unit``, and may return a tuple of the batch and
        new targets.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    @property
    def default_strength(self) -> float:  # type: ignore[override]
        """The attribute of the function, or 1."""
        return float(getattr(self.function, "default_strength", 1.0))

    @property
    def strength_unit(self) -> str:  # type: ignore[override]
        """The attribute of the function."""
        return str(getattr(self.function, "strength_unit", "defined by the function"))

    @property
    def is_attribution_based(self) -> bool:  # type: ignore[override]
        """The attribute of the function; without it, True if the function has no ``default_strength``."""
        # In Compose a function without a default takes the strength of the whole, as an ABA does.
        return bool(getattr(self.function, "is_attribution_based", not hasattr(self.function, "default_strength")))

    def _plan(self, batch: Batch, strength: float) -> tuple[Mover, Any]:
        x = batch.features()
        # A copy, because the function may write into its batch.
        result = self.function(
            batch.model, x.clone(), batch.y, strength=strength, criterion=batch.criterion, generator=batch.generator
        )
        changed, y = result if isinstance(result, tuple) else (result, batch.y)
        return replacing(batch, x, require_same_shape(changed, x, self.function).detach()), y

    def __repr__(self) -> str:
        return repr(self.function)


class FromBatchFunction(Augmenter):
    """A function that takes a batch and returns it augmented.

    Parameters
    ----------
    function : callable
    probability : float, default=1.0
        The probability that a sample is augmented.
    """

    def __init__(self, function: Callable[[Tensor], Any], probability: float = 1.0) -> None:
        self.function = function
        self.probability = probability

    def _plan(self, batch: Batch, strength: float) -> Mover | None:
        if self.probability == 0:
            return None
        x = batch.features()
        with _own_random_state(batch.generator, x.device), torch.no_grad():
            changed = require_same_shape(self.function(x.clone()), x, self.function).to(x)
        if self.probability < 1:  # no draw otherwise, so that results with and without a probability of 1 agree
            chosen = torch.rand(len(x), generator=batch.generator) < self.probability
            changed = torch.where(per_sample(chosen.to(x.device), x), changed, x)
        return replacing(batch, x, changed)

    def __repr__(self) -> str:
        return repr(self.function)


def replacing(batch: Batch, x: Tensor, changed: Tensor) -> Mover:
    """Return a function that replaces the features of a batch by features that were augmented before.

    At a layer the change is added to the layer's output, so that gradients flow to the layers before.

    Parameters
    ----------
    batch : Batch
    x, changed : Tensor of shape (n, ...)
        The features of the batch before and after.
    """
    if batch.x is not None and not batch.is_preview:
        return lambda _: changed
    change = changed - x  # a constant for autograd
    return lambda output: output + change


def is_augmenter(function: Any) -> bool:
    """Return whether something can be called with the arguments of an augmenter."""
    return isinstance(function, Augmenter) or bool(_accepts(function, 3, "strength", "criterion", "generator"))


def require_augmenter(name: str, component: Any) -> None:
    """Check that something can augment a batch.

    Parameters
    ----------
    name : str
        What the user calls it, such as ``"augmenter"``.
    component : object

    Raises
    ------
    ValueError
        If it is neither an augmenter nor a function of a batch.
    """
    makes = isinstance(component, type) or any(component is factory for factory in PRESETS.values())
    takes_batch = callable(component) and (is_augmenter(component) or _accepts(component, 1) is not False)
    if takes_batch and not makes:
        return
    part = _part_of(component)
    if part is not None:
        shown, made = (component.__name__, "()") if isinstance(component, type) else (repr(component), "")
        raise ValueError(
            f"{name}={shown} is not an augmenter: it {part.does}. Make one with it, ABA({part.name}={shown}{made})."
        )
    if makes:
        raise ValueError(f"{name}={component.__name__} makes an augmenter: call it, {component.__name__}().")
    raise ValueError(
        f"{name}={component!r} must be an augmenter, such as mend_aba() or FPA(), a function that takes a batch and "
        "returns it augmented, or callable as augmenter(model, x, y, *, strength, criterion, generator)."
    )


def require_inner(name: str, component: Any) -> None:
    """Check that something can augment a batch inside another augmenter, and its parameters."""
    if isinstance(component, str):
        raise ValueError(f'{name}={component!r} is a name: make the augmenter, for example preset("{component}").')
    require_augmenter(name, component)
    if getattr(component, "needs_index", False):
        raise ValueError(
            f"{name}={component!r} uses the gradient of the training step itself, which another augmenter cannot give "
            "it: use it alone, as augmenter=, or use an augmenter that computes its own maps, such as fast_aba()."
        )
    validate_parameters(component)


def _accepts(function: Any, n_positional: int, *keywords: str) -> bool | None:
    """Return whether a function takes these arguments, by position and by name; None if that is not known."""
    try:
        # The signature of a module's __call__ is (*args, **kwargs).
        signature = inspect.signature(function.forward if isinstance(function, nn.Module) else function)
    except (TypeError, ValueError):  # a built-in function, or nothing that can be called
        return None
    if any(each.kind is each.VAR_POSITIONAL for each in signature.parameters.values()):
        return None
    try:
        signature.bind(*[None] * n_positional, **dict.fromkeys(keywords))
    except TypeError:
        return False
    return True


class _Part(NamedTuple):
    """A part of an ABA that may be taken for an augmenter."""

    name: str
    does: str


def _part_of(component: Any) -> _Part | None:
    """Return which part of an ABA a component is; for a class, which part its instances are."""
    is_class = isinstance(component, type)
    # The None stands for self.
    called = partial(component.__call__, None) if is_class else component
    if _accepts(called, 3, "target", "criterion", "generator"):
        return _Part("attribution", "computes maps")
    if _accepts(called, 2, "criterion", "generator"):
        return _Part("target", "chooses what maps explain")
    kind = component if is_class else type(component)
    return next((part for base, part in _PARTS.items() if issubclass(kind, base)), None)


_PARTS = {
    Selection: _Part("selection", "sorts features into categories"),
    AdjustmentSet: _Part("adjustments", "determines how categories move"),
    Change: _Part("change", "turns steps into changes"),
}


@contextmanager
def _own_random_state(generator: torch.Generator, device: torch.device) -> Iterator[None]:
    """Seed the global random states by a generator for the time of the block, and restore them after it."""
    seed = int(torch.randint(2**31 - 1, (), generator=generator))
    python, numpy = random.getstate(), np.random.get_state()
    cuda = [device] if device.type == "cuda" else []
    with random_state_kept(cuda):
        try:
            random.seed(seed)
            np.random.seed(seed)
            torch.default_generator.manual_seed(seed)  # not torch.manual_seed, which seeds every GPU too
            for each in cuda:
                with torch.cuda.device(each):
                    torch.cuda.manual_seed(seed)
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
