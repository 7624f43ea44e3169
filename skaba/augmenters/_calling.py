"""Calling whatever augments: augmenters, and functions of a batch alone, such as kornia's."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skaba._random_state import random_state_kept
from skaba._validation import validate_parameters
from skaba.augmenters._adjustments import AdjustmentSet
from skaba.augmenters._changes import Change
from skaba.augmenters._presets import PRESETS
from skaba.augmenters._selections import Selection
from skaba.network import described, finite, finite_samples, per_sample

NO_UNIT = "none: at 0 nothing is augmented"
"""The unit of a strength that only switches augmentation on."""


def augmented_by(
    augmentation: Callable[..., Any],
    model: Any,
    x: Tensor,
    y: Tensor | None,
    *,
    strength: float,
    criterion: Any,
    generator: torch.Generator,
    probability: float = 1.0,
) -> Tensor:
    """Augment a batch with an augmenter, or with a function that takes the batch alone.

    Such a function is called on the whole batch. It draws from Python's, NumPy's and torch's global random
    states, which are seeded for the call and put back.

    Parameters
    ----------
    augmentation : callable
    model, x, y, criterion, generator
        As an augmenter takes them.
    strength : float
        In the augmenter's own unit. A function of a batch ignores it, except that 0 switches it off.
    probability : float, default=1.0
        How likely a sample is augmented.

    Returns
    -------
    Tensor of x's shape
        Detached.

    Raises
    ------
    ValueError
        If something else comes back, or NaN or infinity where the batch had none.

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import augmented_by
    >>> asked = {"strength": 0.05, "criterion": None, "generator": torch.Generator()}
    >>> augmented_by(torch.ones_like, None, torch.zeros(1, 3), None, **asked)
    tensor([[1., 1., 1.]])
    """
    x = x.detach()
    if strength == 0 or probability == 0 or len(x) == 0:
        return x
    if is_augmenter(augmentation):
        asked: dict[str, Any] = {"strength": strength, "criterion": criterion, "generator": generator}
        changed = _checked(augmentation(model, x.clone(), y, **asked), x, augmentation).detach()
    else:
        with _own_random_state(generator, x.device), torch.no_grad():
            changed = _checked(augmentation(x.clone()), x, augmentation).to(x)
    if probability >= 1:
        return changed
    chosen = torch.rand(len(x), generator=generator) < probability
    return torch.where(per_sample(chosen.to(x.device), x), changed, x)


def default_strength(augmenter: Any) -> float:
    """Return the strength of an augmenter if the user sets none.

    Parameters
    ----------
    augmenter : callable

    Returns
    -------
    float
        Its ``default_strength``, in its own unit, which its ``strength_unit`` names; 1 for what has none, such as a
        function of a batch.

    Examples
    --------
    >>> from skaba.augmenters import FPA, default_strength, mend_aba
    >>> default_strength(mend_aba()), default_strength(FPA()), default_strength(lambda batch: batch)
    (0.1, 1.0, 1.0)
    """
    return float(getattr(augmenter, "default_strength", 1.0))


def is_augmenter(function: Any) -> bool:
    """Return whether something can be called with the arguments of an augmenter."""
    signature = _signature(function)
    # A function of anything, (*args, **kwargs), takes a batch alone.
    if signature is None or any(each.kind is each.VAR_POSITIONAL for each in signature.parameters.values()):
        return False
    return _takes(function, 3, "strength", "criterion", "generator")


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
    makes = isinstance(component, type) or component in PRESETS.values()
    takes_batch = callable(component) and (
        _signature(component) is None or is_augmenter(component) or _takes(component, 1)
    )
    if takes_batch and not makes:
        return
    part = _part_of(component)
    if part is not None:
        shown, made = (component.__name__, "()") if isinstance(component, type) else (repr(component), "")
        raise ValueError(
            f"{name}={shown} is no augmenter: it {PARTS[part][0]}. Make one with it, ABA({part}={shown}{made})."
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
    if getattr(component, "reuse", None) is not None:
        raise ValueError(
            f"{name} has reuse={component.reuse!r}, which takes the gradient of an estimator's own step and cannot get "
            "at it inside another augmenter: set reuse=None, or use it as augmenter= by itself."
        )
    validate_parameters(component)


def _signature(function: Any) -> inspect.Signature | None:
    """Return how something is called; None if nobody knows, as of some built-in functions."""
    try:
        return inspect.signature(function.forward if isinstance(function, nn.Module) else function)
    except (TypeError, ValueError):
        return None


def _takes(function: Any, n_positional: int, *keywords: str) -> bool:
    """Return whether something is known to take so many arguments, and others by name."""
    signature = _signature(function)
    if signature is None:
        return False
    try:
        signature.bind(*[None] * n_positional, **dict.fromkeys(keywords))
    except TypeError:
        return False
    return True


def _draws_maps(component: Any) -> bool:
    return _takes(_as_called(component), 3, "target", "criterion", "generator")


def _is_target(component: Any) -> bool:
    return _takes(_as_called(component), 2, "criterion", "generator")


def _is(kind: type) -> Callable[[Any], bool]:
    return lambda component: (
        isinstance(component, kind) or (isinstance(component, type) and issubclass(component, kind))
    )


def _as_called(component: Any) -> Any:
    """Return what is called in place of an instance of a class, None if instances cannot be; anything else as it is."""
    if not isinstance(component, type):
        return component
    call: Any = next((vars(kind)["__call__"] for kind in component.__mro__ if "__call__" in vars(kind)), None)
    signature = _signature(call)
    # A method of anything, (*args, **kwargs), such as a module's, says nothing.
    if signature is None or any(each.kind is each.VAR_POSITIONAL for each in signature.parameters.values()):
        return None
    return partial(call, None)


def _part_of(component: Any) -> str | None:
    """Return which part of an ABA something is, or the instances of a class are."""
    return next((part for part, (_, is_one) in PARTS.items() if is_one(component)), None)


PARTS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "attribution": ("draws maps", _draws_maps),
    "target": ("says what maps explain", _is_target),
    "selection": ("sorts features into categories", _is(Selection)),
    "adjustments": ("says how categories move", _is(AdjustmentSet)),
    "change": ("says what a step does to a feature", _is(Change)),
}
"""Parts of an ABA that may be taken for an augmenter: what each does, and how it is told."""


def _checked(result: Any, x: Tensor, augmentation: Any) -> Tensor:
    if not isinstance(result, Tensor) or result.shape != x.shape:
        raise ValueError(
            f"{augmentation!r} returned {described(result)} for a batch of shape {tuple(x.shape)}; it must keep the "
            "shape."
        )
    if not finite(result) and finite(x):
        n_bad = int((~finite_samples(result)).sum())
        raise ValueError(f"{augmentation!r} returned NaN or infinity, in {n_bad} of {len(x)} samples.")
    return result


@contextmanager
def _own_random_state(generator: torch.Generator, device: torch.device) -> Iterator[None]:
    """Let a generator decide what is drawn from the global random states in the block; put them back after it."""
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
