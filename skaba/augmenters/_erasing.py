"""Boxes of places, and the values that replace them: what augmenters that erase have in common."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from skaba._validation import unknown_name
from skaba.network import FromLayer, blur, channel_axis_of, normal_like, positions, to_channels

Fill = float | str

FILLS = ("zero", "mean", "min", "max", "random", "blur")
"""Fills that have a name; any number is one too."""

FILL_CONSTRAINT: list[Any] = [Interval(Real, None, None, closed="neither"), StrOptions(set(FILLS))]


def erased(x: Tensor, places: Tensor, fill: Fill, *, strength: float, model: Any, generator: torch.Generator) -> Tensor:
    """Move places of a batch towards a fill, with all their channels.

    Parameters
    ----------
    x : floating-point Tensor of shape (n, ...)
        Left unchanged.
    places : bool Tensor of shape (n, *positions)
        Which are moved.
    fill : float, or one of ``FILLS``
        Statistics are those of the batch, of each channel (of a table, each feature), without padding.
    strength : float
        The share of the way, at most 1.
    model : object
        A view of a network from an embedding tells that channels are the last axis, and what is padding.
    generator : torch.Generator on the CPU

    Returns
    -------
    Tensor of x's shape
    """
    if len(x) == 0:
        return x
    filling = _filling(x, fill, model, generator)
    moved = filling if strength >= 1 else x + strength * (filling - x)
    return torch.where(to_channels(places, x, channel_axis_of(model)), moved, x)


def _filling(x: Tensor, fill: Fill, model: Any, generator: torch.Generator) -> Tensor:
    """Return what replaces x: a tensor that broadcasts to its shape."""
    if fill == "zero":
        fill = 0.0
    if not isinstance(fill, str):
        return torch.full((), fill, dtype=x.dtype, device=x.device)
    if fill not in FILLS:
        raise ValueError(unknown_name("fill", fill, FILLS))
    channel_axis = channel_axis_of(model)
    if fill == "blur":
        require_places('fill="blur"', x)
        return blur(x, channel_axis, min(positions(x, channel_axis)) / 8)
    values = _at_places(x, channel_axis, model)
    if fill in ("min", "max"):
        return _along(values.amin(dim=0) if fill == "min" else values.amax(dim=0), x, channel_axis)
    mean = _along(values.mean(dim=0), x, channel_axis)
    if fill == "mean":
        return mean
    return mean + _along(values.std(dim=0, correction=0), x, channel_axis) * normal_like(x, generator)


def _at_places(x: Tensor, channel_axis: int, model: Any) -> Tensor:
    """Return the channels of all places that are no padding, (n_places, channels); of a table, x itself."""
    if x.dim() == 2:
        return x
    values = x.movedim(channel_axis, -1).flatten(0, -2)
    padding = model.padding if isinstance(model, FromLayer) else None
    return values if padding is None or padding.all() else values[~padding.flatten()]


def _along(values: Tensor, x: Tensor, channel_axis: int) -> Tensor:
    """Let a value a channel, or of a table a feature, broadcast to x's shape."""
    shape = [1] * x.dim()
    shape[channel_axis] = len(values)
    return values.reshape(shape)


def boxes(start: Tensor, size: Tensor, places: Sequence[int]) -> Tensor:
    """Return which places lie in each sample's box.

    Parameters
    ----------
    start, size : int64 Tensor of shape (n, n_axes)
        A box of size 0 has no places.
    places : sequence of n_axes int
        The lengths of the axes.

    Returns
    -------
    bool Tensor of shape (n, *places)
    """
    inside = torch.ones(len(start), *[1] * len(places), dtype=torch.bool, device=start.device)
    for axis, length in enumerate(places):
        at = torch.arange(length, device=start.device)
        first, end = start[:, axis, None], (start + size)[:, axis, None]
        along = [len(start), *(length if other == axis else 1 for other in range(len(places)))]
        inside = inside & ((at >= first) & (at < end)).reshape(along)
    return inside


def require_places(who: str, x: Tensor) -> None:
    """Raise a ValueError unless samples have one or two axes of neighbouring places."""
    if x.dim() not in (3, 4):
        raise ValueError(
            f"{who} needs images or series, (n, channels, height, width) or (n, channels, length), or texts at their "
            f"embedding, got shape {tuple(x.shape)}. A table's features have no neighbours."
        )
