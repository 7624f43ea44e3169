"""What replaces values that are erased or masked: one vocabulary of fills for augmenters and for fidelity.

A new fill is one function and one row of ``FILLS``. The row says what the function needs in addition to the samples;
every caller that offers this can use the fill.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from skaba._validation import unknown_name
from skaba.network._spatial import blur, positions
from skaba.network._tensors import normal_like

Fill = float | str
"""A finite number, or the name of a fill."""


class Regions(NamedTuple):
    """Sites of a sample that are masked together.

    Parameters
    ----------
    of_site : int64 Tensor of shape (n_sites,)
        The region that each site belongs to. Sites are positions, or single features.
    sites : torch.Size
        The shape of a sample's sites.
    real : bool Tensor of shape (n, n_sites) or None
        False at padding.
    """

    of_site: Tensor
    sites: torch.Size
    real: Tensor | None

    @property
    def n_regions(self) -> int:
        """The number of regions per sample, those of padding included."""
        return int(self.of_site[-1]) + 1

    def sums(self, values: Tensor) -> Tensor:
        """Add up values (n, n_sites) within the regions."""
        if len(self.of_site) == self.n_regions:  # each site is a region, as by default: nothing to add up
            return values
        return values.new_zeros(len(values), self.n_regions).index_add_(1, self.of_site, values)


@dataclass(frozen=True)
class FillSource:
    """What a fill is computed from.

    Parameters
    ----------
    x : floating-point Tensor of shape (n, ...)
        The samples.
    channel_axis : int
        The axis of x that holds channels, 1 or -1.
    padding : bool Tensor of shape (n, length) or None
        True at padding, which counts in no mean.
    statistic : callable
        Takes "mean", "deviation", "min" or "max"; returns one value per channel, for a table per feature.
    normal : callable
        Takes x; returns standard normal noise of its shape.
    regions : Regions, default=None
    """

    x: Tensor
    channel_axis: int
    padding: Tensor | None
    statistic: Callable[[str], Tensor]
    normal: Callable[[Tensor], Tensor]
    regions: Regions | None = None

    def per_channel(self, name: str) -> Tensor:
        """Return a statistic in a shape that broadcasts to x."""
        values = self.statistic(name).to(self.x.device, self.x.dtype)
        shape = [1] * self.x.dim()
        shape[self.channel_axis] = len(values)
        return values.reshape(shape)


def _random(source: FillSource) -> Tensor:
    return source.per_channel("mean") + source.per_channel("deviation") * source.normal(source.x)


def _blurred(source: FillSource) -> Tensor:
    _require_positions("blur", source.x)
    return blur(source.x, source.channel_axis, min(positions(source.x, source.channel_axis)) / 8)


def _sample_mean(source: FillSource) -> Tensor:
    x = source.x
    _require_positions("sample_mean", x)
    mean = channel_moments(x, source.channel_axis, source.padding)[:, 0].to(x.dtype)
    return mean.reshape(*mean.shape, *[1] * (x.dim() - 2)).movedim(1, source.channel_axis)


def _region_mean(source: FillSource) -> Tensor:
    x = source.x
    regions: Any = source.regions  # there are some: the fill is refused where none are offered
    if regions.n_regions == len(regions.of_site):
        raise ValueError(
            'fill="region_mean" fills a region with its own mean, which changes nothing in regions of a single '
            "position: set window to the side of the regions."
        )
    per_feature = regions.sites == x.shape[1:]
    by_channel = x.unsqueeze(1) if per_feature else x.movedim(source.channel_axis, 1)
    # In double precision, because sums over many sites lose digits in single precision.
    values = by_channel.flatten(2).double()  # (n, channels or 1, n_sites)
    weights = values.new_ones(len(values), values.shape[2]) if regions.real is None else regions.real.double()
    totals = regions.sums((values * weights.unsqueeze(1)).flatten(0, 1)).reshape(*values.shape[:2], -1)
    means = totals / regions.sums(weights).clamp(min=1).unsqueeze(1)
    filled: Tensor = means[..., regions.of_site].reshape(by_channel.shape).to(x.dtype)
    return filled.squeeze(1) if per_feature else filled.movedim(1, source.channel_axis)


class NamedFill(NamedTuple):
    """A fill, and what it needs in addition to the samples: "moments", "extremes" or "regions"."""

    compute: Callable[[FillSource], Tensor]
    needs: str = ""


FILLS = {
    "zero": NamedFill(lambda source: source.x.new_zeros((1,) * source.x.dim())),
    "mean": NamedFill(lambda source: source.per_channel("mean"), "moments"),
    "min": NamedFill(lambda source: source.per_channel("min"), "extremes"),
    "max": NamedFill(lambda source: source.per_channel("max"), "extremes"),
    "random": NamedFill(_random, "moments"),
    "blur": NamedFill(_blurred),
    "sample_mean": NamedFill(_sample_mean),
    "region_mean": NamedFill(_region_mean, "regions"),
}
"""The fills by name; padding counts in no statistic.

* zero: the number 0
* mean, min, max: the channel's statistic over all samples that are known, the batch or the data set; for a table, the
  feature's
* random: normal noise with the channel's mean and standard deviation
* blur: the sample smoothed by a Gaussian whose standard deviation is an eighth of its shortest spatial axis
* sample_mean: the mean of the channel over the sample
* region_mean: the mean of the channel over the masked region, which must be larger than a position
"""

OF_BATCH = "moments", "extremes"
"""What :func:`batch_source` offers."""


def fill_names(offered: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of the fills that need no more than what is offered."""
    return tuple(name for name, fill in FILLS.items() if fill.needs in ("", *offered))


def check_fill(fill: Any, offered: tuple[str, ...]) -> None:
    """Raise a ValueError unless a fill is a finite number or has one of the :func:`fill_names`."""
    names = fill_names(offered)
    if fill in names if isinstance(fill, str) else isinstance(fill, Real) and np.isfinite(float(fill)):
        return
    raise ValueError(unknown_name("fill", fill, names) + " A fill may also be a finite number.")


def fill_of(fill: Fill, source: FillSource) -> Tensor:
    """Return what replaces x.

    Parameters
    ----------
    fill : float or str
        Checked by :func:`check_fill`.
    source : FillSource

    Returns
    -------
    Tensor
        It broadcasts to x.

    Raises
    ------
    ValueError
        If x has no positions, or the regions are single positions, and the fill needs more.
    """
    if isinstance(fill, str):
        return FILLS[fill].compute(source)
    return source.x.new_full((1,) * source.x.dim(), float(fill))


def batch_source(x: Tensor, channel_axis: int, padding: Tensor | None, generator: torch.Generator) -> FillSource:
    """Return the source of fills whose statistics are those of a batch, without padding.

    Parameters
    ----------
    x : floating-point Tensor of shape (n, ...)
    channel_axis : int
    padding : bool Tensor of shape (n, length) or None
        If everything is padding, everything counts.
    generator : torch.Generator
        Decides the noise.
    """
    values = x
    if x.dim() > 2:
        values = x.movedim(channel_axis, -1).flatten(0, -2)
        if padding is not None and not padding.all():  # the mean of no values would be NaN
            values = values[~padding.flatten()]
    # Functions, so that only the statistics that the fill needs are computed.
    statistics: dict[str, Callable[[], Tensor]] = {
        "mean": lambda: values.mean(dim=0),
        "deviation": lambda: values.std(dim=0, correction=0),  # 0, not NaN, for one value
        "min": lambda: values.amin(dim=0),
        "max": lambda: values.amax(dim=0),
    }
    return FillSource(
        x, channel_axis, padding, lambda name: statistics[name](), lambda like: normal_like(like, generator)
    )


def channel_moments(x: Tensor, channel_axis: int, padding: Tensor | None) -> Tensor:
    """Return the mean and the mean square of each sample's channels over its positions, without padding.

    Returns
    -------
    double Tensor of shape (n, 2, n_channels)
        For a table, whose features have no positions, the features and their squares: (n, 2, n_features).
    """
    # In double precision, because the variance is later computed as a difference of two means.
    values = x.double()
    values = values.movedim(channel_axis, 1).flatten(2) if values.dim() > 2 else values.unsqueeze(2)
    weights = values.new_ones(len(values), 1, values.shape[2])  # 0 at padding
    if padding is not None:
        weights = (~padding).double().unsqueeze(1)
    total = weights.sum(dim=2).clamp(min=1)  # a sample that is padding alone has the mean 0
    return torch.stack([(weights * power).sum(dim=2) / total for power in (values, values**2)], dim=1)


def _require_positions(name: str, x: Tensor) -> None:
    if x.dim() == 2:
        raise ValueError(
            f'fill="{name}" needs samples with positions, such as images or series, but x has shape {tuple(x.shape)}. '
            'A table\'s features have no neighbours: use fill="mean".'
        )
