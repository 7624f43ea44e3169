"""Helpers for tensors: shapes, random draws on any device, checks of values."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def finite(values: Tensor) -> bool:
    """Return whether all values are finite."""
    # A sum is several times as fast as a test of each value. It may overflow, but NaN and infinity always show in it.
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())


def finite_samples(values: Tensor) -> Tensor:
    """Return which samples have only finite values: bool, of shape (n,)."""
    return torch.isfinite(values.flatten(1)).all(dim=1)


def described(value: Any) -> str:
    """Describe a value for an error message: a tensor's shape and device, or the type of anything else."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} on {value.device}"
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.split('.')[0]}.{kind.__name__}"
    return "None" if value is None else f"a {name}"


def require_floats(x: Tensor) -> None:
    """Raise a TypeError unless x is a floating-point tensor, which can have a gradient."""
    if not isinstance(x, Tensor):
        raise TypeError(f"Attribution takes a torch.Tensor as x, got a {type(x).__name__}: pass torch.as_tensor(x).")
    if not x.is_floating_point():
        raise TypeError(
            f"Attribution needs a floating-point input, got {x.dtype}. Scale images to floats; "
            "for word ids attribute at the embedding's output (layer='embedding')."
        )


def broadcast(name: str, value: Any, x: Tensor) -> Tensor:
    """Return a number or an array, such as a baseline or a fill, as a tensor that broadcasts against x.

    Raises
    ------
    ValueError
        If it does not broadcast.
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
    """Repeat a batch as a whole: all samples in order, then all of them again."""
    return x.repeat(times, *[1] * (x.dim() - 1))


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """Add trailing axes to values of shape (n,), so that they broadcast over samples."""
    return values.reshape(-1, *[1] * (like.dim() - 1))


def generator_on(device: torch.device, generator: torch.Generator) -> torch.Generator:
    """Return the given generator, or for another device a new one that is seeded from it."""
    # torch refuses a generator of another type of device.
    if generator.device.type == device.type:
        return generator
    return torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=generator)))


def normal_like(x: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal noise of x's shape on x's device."""
    return torch.randn(x.shape, generator=generator_on(x.device, generator), device=x.device, dtype=x.dtype)


def require_generator(generator: torch.Generator | None, who: object) -> torch.Generator:
    """Return the generator, or raise a ValueError if there is none: skaba never draws from the global state."""
    if generator is None:
        raise ValueError(f"{type(who).__name__} draws at random: pass generator=torch.Generator().manual_seed(0).")
    return generator
