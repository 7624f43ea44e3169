"""The units that are masked, and their order."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from skaba.evaluation.fidelity._parts import Part
from skaba.network import Regions, positions, to_channels


class Units(Regions):
    """The regions that are masked one after the other, of each sample of a part. Padding is never masked."""

    __slots__ = ()

    def counts(self, n_samples: int) -> Tensor:
        """Return how many units of each sample can be masked."""
        if self.real is None:
            return torch.full((n_samples,), self.n_regions, device=self.of_site.device)
        return self.real_units().sum(dim=1)

    def real_units(self) -> Tensor:
        """Return which units hold more than padding."""
        return self.sums(self.real.double()) > 0  # type: ignore[union-attr]


def units_of(part: Part, unit: str, window: int) -> Units:
    """Return the units of a part.

    Parameters
    ----------
    part : Part
    unit : {"position", "feature"}
    window : int
        The number of sites along each axis that make one unit; the channel axis is not divided into windows.
    """
    x, per_feature = part.x, unit == "feature"
    if window > 1 and x.dim() == 2:
        raise ValueError(
            f"window={window} joins neighbours, but the columns of a table, X of shape {tuple(x.shape)}, have none: "
            "set window=1. A series needs a channel axis, (n, channels, length)."
        )
    if x.dim() > 2 and window > max(along := positions(x, part.channel_axis)):
        raise ValueError(
            f"window={window} is larger than the samples, which have {' x '.join(map(str, along))} positions: each "
            "would be a single unit, and nothing could be ranked. Set a smaller window."
        )
    sites = x.shape[1:] if per_feature else positions(x, part.channel_axis)
    channels = part.channel_axis % x.dim() - 1 if per_feature and x.dim() > 2 else None
    # Row-major numbers, axis by axis: the last windows along an axis may be smaller.
    number = torch.zeros((), dtype=torch.long, device=x.device)
    for axis, size in enumerate(sites):
        width = 1 if axis == channels else window
        number = number.unsqueeze(-1) * math.ceil(size / width) + torch.arange(size, device=x.device) // width
    real = None
    if part.padding is not None:
        words = ~part.padding
        real = (words.unsqueeze(-1).expand_as(x) if per_feature else words).flatten(1)
    return Units(number.flatten(), sites, real)


def importances(maps: Tensor, part: Part, units: Units, reduction: str) -> Tensor:
    """Return the importance of each unit, (m, n_units), in double precision.

    Parameters
    ----------
    maps : Tensor of x's shape, or of x's shape without its channels
    part : Part
    units : Units
    reduction : {"sum", "abs"}
        How a map is added up over the channels and over the sites of a unit.
    """
    # In single precision, sums over many sites could tie or swap units of nearly equal importance.
    x, values = part.x, maps.double()
    if reduction == "abs":
        values = values.abs()
    if values.shape == x.shape and x.dim() > 2 and units.sites != x.shape[1:]:
        values = values.sum(dim=part.channel_axis)
    if values.shape[1:] != units.sites:
        allowed = dict.fromkeys((tuple(x.shape[1:]), tuple(units.sites)))
        raise ValueError(
            f"The map of a sample has shape {tuple(values.shape[1:])}, but the sample has {tuple(x.shape[1:])}; the "
            f"map must have shape {' or '.join(map(str, allowed))}."
        )
    # A method may have attributed padding; it must not count in a window that also holds words.
    values = values.flatten(1)
    return units.sums(values if units.real is None else values * units.real)


class Ranked(NamedTuple):
    """The importances of the units of a part's samples, or the binary masks of the units.

    Parameters
    ----------
    units : Units
    values : double Tensor of shape (m, n_units)
        The importance of each unit; for masks, how many of its sites are marked.
    full : double Tensor of shape (m, n_units) or None
        For masks, how many sites of each unit could be marked; else None.
    """

    units: Units
    values: Tensor
    full: Tensor | None

    @property
    def counts(self) -> Tensor:
        """How many units of each sample can be masked, (m,)."""
        return self.units.counts(len(self.values))


def ranked_by(maps: Tensor, masks: Tensor | None, part: Part, units: Units, reduction: str) -> Ranked:
    """Return the importances of the units by the maps, or by masks of the same shape if there are any."""
    if masks is None:
        return Ranked(units, importances(maps, part, units, reduction), None)
    full = importances(torch.ones_like(masks), part, units, reduction)
    return Ranked(units, importances(masks, part, units, reduction), full)


def as_masks(maps: Tensor) -> Tensor | None:
    """Return the maps of all samples as booleans, True where they mark, if they are binary masks; otherwise None.

    They are binary masks if no sample's map has more than two values; the larger value marks. A map with a single value
    marks all sites or none: its value is compared with the two values of the other samples. Maps of one or two sites,
    which always have so few values, are masks only if all values are 0 or 1.
    """
    if ((maps == 0) | (maps == 1)).all():
        return maps == 1 if (maps == 1).any() else None
    values = maps.double().flatten(1)
    low, high = values.amin(dim=1, keepdim=True), values.amax(dim=1, keepdim=True)
    varies = low < high
    if values.shape[1] <= 2 or not varies.any() or not ((values == low) | (values == high)).all():
        return None
    middle = low / 2 + high / 2  # halved first: the sum of two large values would overflow
    middle = torch.where(varies, middle, middle[varies].mean())
    return (values > middle).view(maps.shape)


def ranks(values: Tensor, units: Units, rng: np.random.Generator) -> Tensor:
    """Return the rank of each unit by falling importance, (m, n_units); padding comes last.

    Units of equal importance come in random order.
    """
    if units.real is not None:
        values = values.masked_fill(~units.real_units(), -math.inf)
    # Drawn for all samples, tied or not, so that ties of one sample do not change the draws of the next.
    noise = torch.as_tensor(rng.random(values.shape), device=values.device)
    order = _falling(values)
    ordered = values.gather(1, order)
    # Only samples with ties are sorted a second time: shuffled first, then stably, so that equal values stay shuffled.
    tied = (ordered[:, 1:] == ordered[:, :-1]).any(dim=1).nonzero().squeeze(1)
    shuffled = noise[tied].argsort(dim=1)
    again = values[tied].gather(1, shuffled).argsort(dim=1, descending=True, stable=True)
    order[tied] = shuffled.gather(1, again)
    # The inverse of the order: order[r] is the unit of rank r.
    places = torch.arange(values.shape[1], device=values.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places)


def _falling(values: Tensor) -> Tensor:
    """Return the order from high to low; equal values come in any order."""
    if values.device.type != "cpu":
        return values.argsort(dim=1, descending=True)
    return torch.from_numpy(np.argsort(-values.numpy(), axis=1))  # half of the time that torch takes


def is_constant(values: Tensor, units: Units) -> Tensor:
    """Return which samples have several units, all of the same importance, (m,)."""
    real = torch.ones_like(values, dtype=torch.bool) if units.real is None else units.real_units()
    low = values.masked_fill(~real, math.inf).amin(dim=1)
    high = values.masked_fill(~real, -math.inf).amax(dim=1)
    return (low == high) & (real.sum(dim=1) > 1)


def places(rank: Tensor, units: Units) -> Tensor:
    """Return the rank of every site's unit, (m, n_sites); padding is ranked behind all others.

    Ranks are floats, which are compared fastest; whole numbers are exact up to 16 million units.
    """
    place = rank.float()[:, units.of_site]
    return place if units.real is None else place.masked_fill(~units.real, units.n_regions)


def broadcastable(values: Tensor, units: Units, part: Part) -> Tensor:
    """Give values (r, n_sites) a shape that broadcasts over rows of x's shape."""
    spread = values.reshape(-1, *units.sites)
    return spread if units.sites == part.x.shape[1:] else to_channels(spread, part.x, part.channel_axis)
