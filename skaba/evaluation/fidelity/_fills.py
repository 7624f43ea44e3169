"""What stands in place of a masked unit."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaba._validation import unknown_name
from skaba.evaluation.fidelity._parts import Part, Parts
from skaba.evaluation.fidelity._units import Units
from skaba.network import blur, positions

FILLS = ("zero", "mean", "sample_mean", "region_mean", "random", "blur")

Filler = Callable[[Part, Units], Tensor]
"""Returns the fill of a part and its units: of x's shape, or broadcasting over x with a first axis of 1."""


def check_fill(fill: Any) -> None:
    """Raise a ValueError unless there is such a fill."""
    if isinstance(fill, str):
        if fill not in FILLS:
            raise ValueError(unknown_name("fill", fill, FILLS))
    elif not isinstance(fill, Real) or not np.isfinite(float(fill)):
        raise ValueError(f"fill={fill!r} must be a finite number or one of {', '.join(FILLS)}.")


def filler(fill: str | float, parts: Parts, rng: np.random.Generator) -> Filler:
    """Return what makes a fill; "mean" and "random" go through all samples first."""
    own = {"blur": _blurred, "sample_mean": _sample_mean, "region_mean": _region_mean}
    if isinstance(fill, str) and fill in own:
        return own[fill]
    if not isinstance(fill, str) or fill == "zero":
        value = 0.0 if isinstance(fill, str) else float(fill)
        return lambda part, units: part.x.new_full((1,) * part.x.dim(), value)
    moments = parts.each(_moments)  # (n, 2, channels), or of a table (n, 2, features)
    mean = moments[:, 0].mean(axis=0)
    if fill == "mean":
        return lambda part, units: _to_x(torch.as_tensor(mean), part)
    deviation = np.sqrt(np.maximum(moments[:, 1].mean(axis=0) - mean**2, 0))

    def noise(part: Part, units: Units) -> Tensor:
        normal = rng.standard_normal(tuple(part.x.shape))
        drawn = torch.as_tensor(normal, device=part.x.device).to(part.x.dtype)
        return _to_x(torch.as_tensor(mean), part) + _to_x(torch.as_tensor(deviation), part) * drawn

    return noise


def _moments(part: Part) -> Tensor:
    """Return every sample's mean and mean square, of each channel over its positions."""
    values = part.x.double()
    values = values.movedim(part.channel_axis, 1).flatten(2) if values.dim() > 2 else values.unsqueeze(2)
    weights = values.new_ones(len(values), 1, values.shape[2])
    if part.padding is not None:
        weights = (~part.padding).double().unsqueeze(1)
    total = weights.sum(dim=2).clamp(min=1)
    return torch.stack([(weights * power).sum(dim=2) / total for power in (values, values**2)], dim=1)


def _to_x(values: Tensor, part: Part) -> Tensor:
    """Give a value per channel (of a table: per feature) the axes that let it broadcast over x."""
    x = part.x
    values = values.to(x.device, x.dtype)
    if x.dim() == 2:
        return values[None]
    shape = [1] * x.dim()
    shape[part.channel_axis] = len(values)
    return values.reshape(shape)


def _sample_mean(part: Part, units: Units) -> Tensor:
    """Return the mean of each channel over the sample's own positions."""
    x = part.x
    if x.dim() == 2:
        raise ValueError(
            f'fill="sample_mean" averages over positions; a table, X of shape {tuple(x.shape)}, has none. Use "mean".'
        )
    mean = _moments(part)[:, 0].to(x.dtype)
    return mean.reshape(*mean.shape, *[1] * (x.dim() - 2)).movedim(1, part.channel_axis)


def _region_mean(part: Part, units: Units) -> Tensor:
    """Return the mean of each channel over the unit that a value belongs to."""
    x = part.x
    if units.n_units == len(units.of_site):
        raise ValueError(
            'fill="region_mean" fills a unit with its own mean, which leaves units of a single position as they are: '
            "set window to the side of the regions."
        )
    per_feature = units.sites == x.shape[1:]
    by_channel = x.unsqueeze(1) if per_feature else x.movedim(part.channel_axis, 1)
    values = by_channel.flatten(2).double()  # (m, channels or 1, n_sites)
    weights = values.new_ones(len(values), values.shape[2]) if units.real is None else units.real.double()
    total = units.sums((values * weights.unsqueeze(1)).flatten(0, 1)).reshape(*values.shape[:2], units.n_units)
    mean = total / units.sums(weights).clamp(min=1).unsqueeze(1)
    filled: Tensor = mean[..., units.of_site].reshape(by_channel.shape).to(x.dtype)
    return filled.squeeze(1) if per_feature else filled.movedim(1, part.channel_axis)


def _blurred(part: Part, units: Units) -> Tensor:
    x = part.x
    if x.dim() == 2:
        raise ValueError(f'fill="blur" needs neighbours, which a table, X of shape {tuple(x.shape)}, has not: "mean".')
    return blur(x, part.channel_axis, min(positions(x, part.channel_axis)) / 8)
