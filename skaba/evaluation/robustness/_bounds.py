"""The lowest and the highest values that an input may take."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Values = TypeVar("Values", NDArray[Any], Tensor)

ROUNDING = 1e-5
"""How far a value may lie outside its bounds, because of rounding in standardised single floats: this share of the
bound, plus this share of the distance between the two."""


def as_bounds(bounds: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return low and high as arrays.

    Raises
    ------
    ValueError
        Unless they are two numbers, or arrays of numbers, with low below high. They may be equal for some features,
        which then cannot change, but not for all.
    """
    error = ValueError(
        f"bounds={bounds!r} must be (low, high) with low < high: numbers, for example (0, 1), or arrays that broadcast "
        "to a sample, for example of shape (n_channels, 1, 1)."
    )
    if not isinstance(bounds, (tuple, list)) or len(bounds) != 2:
        raise error
    low, high = (np.asarray(value) for value in bounds)
    if low.dtype.kind not in "iuf" or high.dtype.kind not in "iuf":
        raise error
    try:
        low, high = np.broadcast_arrays(low.astype(np.float64), high.astype(np.float64))
    except ValueError:
        raise error from None
    if not np.all(low <= high) or np.all(low == high):  # also for NaN
        raise error
    return low, high


def check_broadcasts(name: str, values: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Raise a ValueError unless values broadcast to a sample of a shape."""
    # Values with more axes than a sample also broadcast, but to another shape.
    try:
        fits = np.broadcast_shapes(values.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{name} has values of shape {values.shape}, which do not broadcast to a sample of shape {shape}. Pass one "
            "number, or one per feature; one per channel needs trailing axes of 1, such as (n_channels, 1, 1)."
        )


def check_inside(x: Values, low: Values, high: Values) -> None:
    """Raise a ValueError if a value lies outside its bounds by more than rounding."""
    where: Any = torch.where if isinstance(x, Tensor) else np.where
    width = high - low
    slack = ROUNDING * where(width < math.inf, width, 0.0)  # a bound of 0 alone would allow no rounding
    if not ((x < low - ROUNDING * abs(low) - slack).any() or (x > high + ROUNDING * abs(high) + slack).any()):
        return
    raise ValueError(
        f"x has values from {float(x.min()):.4g} to {float(x.max()):.4g}, some of them outside bounds, which are "
        f"from {float(low.min()):.4g} to {float(high.max()):.4g}. Give the bounds in the units of x, or bounds=None."
    )
