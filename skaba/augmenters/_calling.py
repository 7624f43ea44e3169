"""Calling whatever augments: augmenters, and functions of a batch alone, such as kornia's."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skaba._random_state import random_state_kept
from skaba._validation import validate_parameters
from skaba.attribution._method import per_sample
from skaba.augmenters._presets import PRESETS


def augmented_by(
    augmentation: Callable[..., Any],
    model: Any,
    x: Tensor,
    y: Tensor | None,
    *,
    strength: float,
    criterion: Any,
    generator: torch.Generator,
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
        An augmenter's own; for a function the probability, at most 1, that a sample is augmented.

    Returns
    -------
    Tensor of x's shape
        Detached.

    Raises
    ------
    ValueError
        If something else comes back.
    """
    if is_augmenter(augmentation):
        asked: dict[str, Any] = {"strength": strength, "criterion": criterion, "generator": generator}
        return _checked(augmentation(model, x.detach().clone(), y, **asked), x, augmentation).detach()
    if strength == 0 or len(x) == 0:
        return x.detach()
    with _own_random_state(generator, x.device), torch.no_grad():
        changed = _checked(augmentation(x.detach().clone()), x, augmentation).to(x)
    if strength >= 1:
        return changed
    chosen = torch.rand(len(x), generator=generator) < strength
    return torch.where(per_sample(chosen.to(x.device), x), changed, x.detach())


def is_augmenter(function: Any) -> bool:
    """Return whether something can be called with the arguments of an augmenter."""
    called = function.forward if isinstance(function, nn.Module) else function
    try:
        signature = inspect.signature(called)
        signature.bind(None, None, None, strength=1, criterion=None, generator=None)
    except (TypeError, ValueError):  # a ValueError: some built-in functions have no signature
        return False
    # A function of anything, (*args, **kwargs), takes a batch alone.
    return all(parameter.kind is not parameter.VAR_POSITIONAL for parameter in signature.parameters.values())


def require_usable(name: str, component: Any) -> None:
    """Raise a ValueError unless something can augment inside another augmenter; check its parameters too."""
    if isinstance(component, str):
        raise ValueError(f'{name}={component!r} is a name: make the augmenter, for example preset("{component}").')
    if isinstance(component, type) or component in PRESETS.values():
        raise ValueError(f"{name}={component.__name__} makes an augmenter: call it, {component.__name__}().")
    if not callable(component):
        raise ValueError(
            f"{name}={component!r} cannot be called. Pass an augmenter, such as FPA() or mend_aba(), or a function "
            "that takes a batch and returns it augmented."
        )
    if getattr(component, "reuse", None) is not None:
        raise ValueError(
            f"{name} has reuse={component.reuse!r}, which takes the gradient of an estimator's own step and cannot get "
            "at it inside another augmenter: set reuse=None, or use it as augmenter= by itself."
        )
    validate_parameters(component)


def _checked(result: Any, x: Tensor, augmentation: Any) -> Tensor:
    if isinstance(result, Tensor) and result.shape == x.shape:
        return result
    got = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
    raise ValueError(f"{augmentation!r} returned {got} for a batch of shape {tuple(x.shape)}; it must keep the shape.")


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
