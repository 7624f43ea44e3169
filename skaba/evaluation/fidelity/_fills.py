"""What stands in place of a masked unit."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaba._validation import unknown_name
from skaba.attribution._spatial import blur, positions
from skaba.evaluation.fidelity._parts import Part, Parts

FILLS = ("zero", "mean", "random", "blur")

Filler = Callable[[Part], Tensor]
"""Returns the fill of a part: of x's shape, or broadcasting over x with a first axis of 1."""


def check_fill(fill: Any) -> None:
    """Raise a ValueError unless there is such a fill."""
    if isinstance(fill, str):
        if fill not in FILLS:
            raise ValueError(unknown_name("fill", fill, FILLS))
    elif not isinstance(fill, Real) or not np.isfinite(float(fill)):
        raise ValueError(f"fill={fill!r} must be a finite number or one of {', '.join(FILLS)}.")


def filler(fill: str | float, parts: Parts, rng: np.random.Generator) -> Filler:
    """Return what makes a fill; "mean" and "random" go through all samples first."""
    if fill == "blur":
        return _blurred
    if not isinstance(fill, str) or fill == "zero":
        value = 0.0 if isinstance(fill, str) else float(fill)
        return lambda part: part.x.new_full((1,) * part.x.dim(), value)
    moments = parts.each(_moments)  # (n, 2, channels), or of a table (n, 2, features)
    mean = moments[:, 0].mean(axis=0)
    if fill == "mean":
        return lambda part: _to_x(torch.as_tensor(mean), part)
    deviation = np.sqrt(np.maximum(moments[:, 1].mean(axis=0) - mean**2, 0))

    def noise(part: Part) -> Tensor:
        normal = rng.standard_normal(tuple(part.x.shape))
        drawn = torch.as_tensor(normal, device=part.x.device).to(part.x.dtype)
        return _to_x(torch.as_tensor(mean), part) + _to_x(torch.as_tensor(deviation), part) * drawn

    return noise


def _moments(part: Part) -> Tensor:
    """Return every sample's mean and mean square, of each channel over its positions."""
    values = part.x.double()
    values = values.movedim(part.channels, 1).flatten(2) if values.dim() > 2 else values.unsqueeze(2)
    weights = values.new_ones(len(values), 1, values.shape[2])
    if part.padding is not None:
        weights = (~part.padding).double().unsqueeze(1)
    total = weights.sum(dim=2).clamp(min=1)
    return torch.stack([(weights * power).sum(dim=2) / total for power in (values, values**2)], dim=1)


def _to_x(values: Tensor, part: Part) -> Tensor:
    """Give a value a channel (a table: a feature) the axes that let it broadcast over x."""
    x = part.x
    values = values.to(x.device, x.dtype)
    if x.dim() == 2:
        return values[None]
    shape = [1] * x.dim()
    shape[part.channels] = len(values)
    return values.reshape(shape)


def _blurred(part: Part) -> Tensor:
    x = part.x
    if x.dim() == 2:
        raise ValueError(f'fill="blur" needs neighbours, which a table, X of shape {tuple(x.shape)}, has not: "mean".')
    return blur(x, part.channels, min(positions(x, part.channels)) / 8)
