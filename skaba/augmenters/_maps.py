"""What a map has to be before features are sorted by it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def require_map(attribution: Any, x: Tensor, method: Any) -> Tensor:
    """Return the map that a method made of a batch, detached, if it is one.

    Parameters
    ----------
    attribution : Tensor of x's shape
    x : Tensor of shape (n, ...)
    method : callable
        Is named if something is wrong.

    Raises
    ------
    ValueError
        If the map is no tensor of x's shape on x's device, or holds NaN or infinity.
    """
    if not isinstance(attribution, Tensor) or attribution.shape != x.shape or attribution.device != x.device:
        raise ValueError(
            f"attribution={method!r} returned {described(attribution)} for a batch of shape {tuple(x.shape)} on "
            f"{x.device}; a map must be a torch.Tensor of the batch's shape, on its device."
        )
    map_: Tensor = attribution.detach()
    if not finite(map_):
        n_bad = int((~finite_samples(map_)).sum())
        raise ValueError(
            f"The maps of attribution={method!r} hold NaN or infinity, in {n_bad} of {len(x)} samples, so no feature "
            "is lower than another. If training has diverged, lower lr or scale X; if X is finite and the loss is, "
            "look into the method."
        )
    return map_


def finite(values: Tensor) -> bool:
    """Return whether all values are finite."""
    # A sum is several times as fast as a look at each value; it may itself be too large, but never hides anything.
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())


def finite_samples(values: Tensor) -> Tensor:
    """Return which samples have finite values only: bool, of shape (n,)."""
    return torch.isfinite(values.flatten(1)).all(dim=1)


def described(value: Any) -> str:
    """Return in a few words what was given in a tensor's stead, or the tensor's shape and device."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} on {value.device}"
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.split('.')[0]}.{kind.__name__}"
    return "None" if value is None else f"a {name}"
