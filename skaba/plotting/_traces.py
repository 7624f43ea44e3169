"""Series of several channels, each drawn over a strip of colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from skaba.plotting._panels import Array


@dataclass
class Traces:
    """Series such as ECGs, shape (n, channels, length), drawn one channel below the other.

    Behind every channel lies a strip that is coloured by what belongs to it at each time.

    Parameters
    ----------
    samples : ndarray of shape (n, channels, length)
        They decide the scale, which is the same for all samples and channels.
    channel_names : sequence of str or None
        By default their numbers.
    sampling_rate : float or None
        Steps per second; None leaves the time axis in steps.

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
        """Height in inches that suits one sample."""
        return float(max(1.7, 0.24 * self.samples.shape[1] + 0.7))

    @property
    def time(self) -> str:
        """What the x axis counts."""
        return "time step" if self.sampling_rate is None else "time (s)"

    @property
    def spacing(self) -> float:
        """Distance between channels: most lines fit between their neighbours, whatever a few outliers do."""
        return float(np.quantile(np.ptp(self.samples, axis=-1), 0.9)) or 1.0

    def lines(self, signals: Array) -> Array:
        """Return signals in units of the spacing, each about the height of its channel."""
        middle = np.median(self.samples, axis=-1, keepdims=True)
        return (signals - middle) / self.spacing - np.arange(signals.shape[1])[:, None]

    def draw(self, axis: Any, strip: Array, lines: Mapping[str, Array], **colours: Any) -> Any:
        """Draw one sample, and return the picture of its strips.

        Parameters
        ----------
        axis : matplotlib Axes
        strip : ndarray of shape (channels, length)
        lines : mapping of str to ndarray of shape (channels, length)
            By their colour.
        **colours
            Of the strips, as ``imshow`` takes them.
        """
        n_channels, length = strip.shape
        seconds = 1 / (self.sampling_rate or 1)
        extent = -0.5 * seconds, (length - 0.5) * seconds, 0.5 - n_channels, 0.5
        image = axis.imshow(strip, extent=extent, aspect="auto", alpha=0.65, **colours)
        # Colours, not numbers, are averaged where pixels are few: low and high make no middle.
        image.set_interpolation_stage("rgba")
        axis.hlines(0.5 - np.arange(1, n_channels), *extent[:2], color="white", linewidth=1)
        for colour, signals in lines.items():
            axis.plot(np.arange(length) * seconds, signals.T, color=colour, linewidth=0.7)
        axis.margins(x=0)
        return image

    def name_channels(self, axis: Any, title: str = "") -> None:
        """Write the channels' names at the left, and what their distance stands for."""
        axis.set_yticks([-index for index in range(len(self.names))], labels=self.names)
        axis.tick_params(axis="y", labelsize="x-small")
        axis.set_ylabel(f"{title}\n(strips {self.spacing:.2g} high)".lstrip(), fontsize="small")
