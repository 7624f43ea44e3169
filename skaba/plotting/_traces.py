"""Series of several channels, each drawn over a strip of colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from skaba.plotting._checks import Array
from skaba.plotting._layers import Layer

_OPACITY = 0.65  # of the strips, so that the signals stand out
BAR_BELOW_SERIES = {"aspect": 40, "pad": 0.02, "fraction": 0.05, "alpha": _OPACITY}


@dataclass
class Traces:
    """Series such as ECGs, drawn one channel below the other, each over a strip of colours.

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

    samples: Array
    channel_names: Sequence[str] | None = None
    sampling_rate: float | None = None

    def __post_init__(self) -> None:
        n_channels = self.samples.shape[1]
        names = range(n_channels) if self.channel_names is None else self.channel_names
        if len(names) != n_channels:
            raise ValueError(f"Got {len(names)} channel_names for series of {n_channels} channels; give one for each.")
        self.names = [str(name) for name in names]
        rate = self.sampling_rate
        if rate is not None and (isinstance(rate, bool) or not isinstance(rate, Real) or not 0 < rate < np.inf):
            raise ValueError(f"sampling_rate={rate!r} must be a positive number of steps per second.")

    @property
    def height(self) -> float:
        """Height of one sample in inches."""
        return float(max(1.7, 0.24 * self.samples.shape[1] + 0.7))

    @property
    def spacing(self) -> float:
        """Distance between channels: most lines fit between their neighbours, whatever a few outliers do."""
        return float(np.quantile(np.ptp(self.samples, axis=-1), 0.9)) or 1.0

    def draw(self, axis: Any, layer: Layer, index: int, signals: Mapping[str, Array]) -> None:
        """Draw one sample.

        Parameters
        ----------
        axis : matplotlib Axes
        layer : Layer
            What the strips show.
        index : int
            The number of the sample.
        signals : mapping of str to ndarray of shape (n, channels, length)
            The signals that are drawn over the strips, by their colour.
        """
        n_channels, length = self.samples.shape[1:]
        seconds = 1 / (self.sampling_rate or 1)
        extent = -0.5 * seconds, (length - 0.5) * seconds, 0.5 - n_channels, 0.5
        colours = {"cmap": layer.colours.cmap, "norm": layer.colours.norm, "alpha": _OPACITY}
        image = axis.imshow(layer.values[index], extent=extent, aspect="auto", **colours)
        # Where pixels are few, colours are averaged, not values: the mean of low and high is not middle.
        image.set_interpolation_stage("rgba")
        axis.hlines(0.5 - np.arange(1, n_channels), *extent[:2], color="white", linewidth=1)
        middle = np.median(self.samples[index], axis=-1, keepdims=True)
        for colour, values in signals.items():
            lines = (values[index] - middle) / self.spacing - np.arange(n_channels)[:, None]
            axis.plot(np.arange(length) * seconds, lines.T, color=colour, linewidth=0.7)
        axis.margins(x=0)

    def label_time(self, axis: Any) -> None:
        """Write what the x axis shows."""
        axis.set_xlabel("time step" if self.sampling_rate is None else "time (s)", fontsize="small")

    def label_channels(self, axis: Any, title: str = "") -> None:
        """Write the channels' names at the left, and the distance between them."""
        axis.set_yticks([-index for index in range(len(self.names))], labels=self.names)
        axis.tick_params(axis="y", labelsize="x-small")
        axis.set_ylabel(f"{title}\n(strips {self.spacing:.2g} high)".lstrip(), fontsize="small")
