"""How series are drawn: one channel below the other, each over a strip of colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from skaba.plotting._draws import Draws
from skaba.plotting._kinds import Augmentable, Kind, checked_names, say_unchanged
from skaba.plotting._layers import Layer, category_layer, change_layer

_OPACITY = 0.65  # of the strips, so that the signals stand out


@dataclass
class Series(Augmentable):
    """Series such as ECGs.

    Parameters
    ----------
    samples : ndarray of shape (n, channels, length)
        They decide the scale, which is the same for all samples and channels.
    channel_names : sequence of str or None
        By default the channels' numbers.
    sampling_rate : float or None
        Time steps per second; None leaves the time axis in steps.

    Raises
    ------
    ValueError
        If there is not one name per channel, or the sampling rate is not a positive number.
    """

    channel_names: Sequence[str] | None = None
    sampling_rate: float | None = None
    share_in_limits: ClassVar[float] = 0.99  # a few spikes must not decide the colours of all
    bar_place: ClassVar[dict[str, Any]] = {**Kind.bar_place, "alpha": _OPACITY}
    row_bar_place: ClassVar[dict[str, Any]] = bar_place
    shares_axes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        n_channels = self.samples.shape[1]
        what = f"series of {n_channels} channels"
        self.names = checked_names(self.channel_names, n_channels, "channel_names", what)
        rate = self.sampling_rate
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, Real) or not 0 < rate < np.inf):
            raise ValueError(f"sampling_rate={rate!r} must be a positive number of steps per second.")

    @property
    def map_size(self) -> tuple[float, float]:
        return 7.0, len(self.samples) * (self._height + 0.5) + 0.8

    def draw_map(self, axis: Any, layer: Layer, index: int) -> None:
        self.draw(axis, layer, index)
        self.label(axis, "")
        axis.tick_params(axis="x", labelsize="x-small")
        self._label_time(axis)

    def size(self, n_layers: int) -> tuple[float, float]:
        return 4.0 * n_layers + 0.6, len(self.samples) * self._height + 1.0

    def layers(self, draws: Draws) -> list[Layer]:
        layers = [] if draws.attributions is None else [self.map_layer(draws.attributions)]
        if draws.categories is not None:
            layers.append(category_layer(draws.categories, draws.n_categories))
        return [*layers, change_layer("augmented (black) over sample (red)", draws.change, "difference")]

    def draw(self, axis: Any, layer: Layer, index: int) -> None:
        sample, strips = self.samples[index], layer.values[index]
        n_channels, length = sample.shape
        seconds = 1 / (self.sampling_rate or 1)
        # imshow takes left, right, bottom, top: pixels are centred on their time steps, and channel c on height -c.
        extent = -0.5 * seconds, (length - 0.5) * seconds, 0.5 - n_channels, 0.5
        image = axis.imshow(strips, extent=extent, aspect="auto", alpha=_OPACITY, **layer.shading)
        # Where pixels are few, colours are averaged, not values: the mean of low and high is not middle.
        image.set_interpolation_stage("rgba")
        axis.hlines(0.5 - np.arange(1, n_channels), *extent[:2], color="white", linewidth=1)
        lines = {"crimson": sample, "black": sample + strips} if layer.is_change else {"black": sample}
        # The median, because a few high peaks, such as those of heart beats, would move the mean.
        middle = np.median(sample, axis=-1, keepdims=True)
        for colour, signals in lines.items():
            heights = (signals - middle) / self._spacing - np.arange(n_channels)[:, None]
            axis.plot(np.arange(length) * seconds, heights.T, color=colour, linewidth=0.7)
        axis.margins(x=0)  # by default lines leave 5 % free at both ends, where the strips would be missing
        if layer.leaves_alone(index):
            say_unchanged(axis)
        if index == len(self.samples) - 1:
            self._label_time(axis)

    def label(self, axis: Any, label: str) -> None:
        """Write a label and the channels' names at the left, and the distance between channels."""
        axis.set_yticks([-index for index in range(len(self.names))], labels=self.names)
        axis.tick_params(axis="y", labelsize="x-small")
        axis.set_ylabel(f"{label}\n(strips {self._spacing:.2g} high)".lstrip(), fontsize="small")

    def _label_time(self, axis: Any) -> None:
        axis.set_xlabel("time step" if self.sampling_rate is None else "time (s)", fontsize="small")

    @property
    def _height(self) -> float:
        """Height of one sample in inches."""
        return float(max(1.7, 0.24 * self.samples.shape[1] + 0.7))

    @property
    def _spacing(self) -> float:
        """Distance between channels, such that most lines fit between their neighbours; outliers hardly change it."""
        return float(np.quantile(np.ptp(self.samples, axis=-1), 0.9)) or 1.0
