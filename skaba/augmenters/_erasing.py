"""Parts of the augmenters that erase: boxes of places, and the step towards a fill."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from skaba.network import (
    OF_BATCH,
    Fill,
    FromLayer,
    batch_source,
    channel_axis_of,
    check_fill,
    fill_names,
    fill_of,
    to_channels,
)

__all__ = ["FILL_CONSTRAINT", "Fill", "boxes", "erased", "require_places"]

FILL_CONSTRAINT: list[Any] = [Interval(Real, None, None, closed="neither"), StrOptions(set(fill_names(OF_BATCH)))]


def erased(x: Tensor, places: Tensor, fill: Fill, *, strength: float, model: Any, generator: torch.Generator) -> Tensor:
    """Move places of a batch towards a fill, with all their channels.

    Parameters
    ----------
    x : floating-point Tensor of shape (n, ...)
        Left unchanged.
    places : bool Tensor of shape (n, *positions)
        Which are moved.
    fill : float or str
        One of the fills that a batch offers. Statistics are those of each channel (for a table, each feature) over the
        batch, without padding.
    strength : float
        The share of the way, at most 1.
    model : object
        A ``FromLayer`` at an embedding has its channels in the last axis, and may have padding.
    generator : torch.Generator on the CPU

    Returns
    -------
    Tensor of x's shape
    """
    check_fill(fill, OF_BATCH)
    if len(x) == 0:
        return x
    padding = model.padding if isinstance(model, FromLayer) else None
    filling = fill_of(fill, batch_source(x, channel_axis_of(model), padding, generator))
    # At strength 1 the fill itself, since x + (filling - x) is not exact in floating point.
    moved = filling if strength >= 1 else x + strength * (filling - x)
    return torch.where(to_channels(places, x, channel_axis_of(model)), moved, x)


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
