"""Looks at what is computed: whether it is finite, and how to name it if it is not what it has to be."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def finite(values: Tensor) -> bool:
    """Return whether all values are finite."""
    # A sum is several times as fast as a look at each value; it may itself be too large, but never hides anything.
    return bool(torch.isfinite(values.sum())) or bool(torch.isfinite(values).all())


def finite_samples(values: Tensor) -> Tensor:
    """Return which samples have finite values only: bool, of shape (n,)."""
    return torch.isfinite(values.flatten(1)).all(dim=1)


def described(value: Any) -> str:
    """Describe a value for an error message: a tensor's shape and device, or the type of anything else."""
    if isinstance(value, Tensor):
        return f"a tensor of shape {tuple(value.shape)} on {value.device}"
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__.split('.')[0]}.{kind.__name__}"
    return "None" if value is None else f"a {name}"
