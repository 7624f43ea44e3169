"""Attribution maps: one panel per sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from skaba.plotting._panels import Array, signed_limit
from skaba.plotting._series import SHARE_IN_LIMITS
from skaba.plotting._traces import Traces
from skaba.plotting._words import BESIDE, LINE, WIDTH, Text, shades

_MOST_FEATURES = 20
_MOST_COLUMNS = 5
_GREYS = 0.7, 1.0  # an image below its map is light, so that the map's colours are those of the bar
_RED, _BLUE = 0.85, 0.15  # places in the colour map, of bars that speak for and against


@dataclass
class Maps(ABC):
    """Samples, their signed maps, and how samples of their kind are drawn.

    Parameters
    ----------
    samples : ndarray of shape (n, ...)
    values : ndarray
        The maps as they are drawn, one number per pixel, time, word or feature.
    """

    samples: Array
    values: Array
    share_in_limits: ClassVar[float] = 1.0

    @property
    def n_columns(self) -> int:
        """How many panels stand side by side."""
        return 1

    @cached_property
    def limit(self) -> float:
        """The value of the strongest colour, the same for all samples."""
        return signed_limit(self.values, self.share_in_limits)

    @cached_property
    def colours(self) -> Any:
        """What turns values into colours: red above 0, white at 0, blue below."""
        return shades("RdBu_r", -self.limit, self.limit)

    @property
    def clips(self) -> bool:
        """Whether some values exceed the limit."""
        return bool(np.abs(self.values).max() > self.limit)

    @property
    @abstractmethod
    def size(self) -> tuple[float, float]:
        """Width and height in inches that suit them."""

    @property
    def heights(self) -> list[float]:
        """The panels' heights, row by row, in any unit."""
        return [1.0] * -(-len(self.samples) // self.n_columns)

    @abstractmethod
    def draw(self, axis: Any, index: int) -> None:
        """Draw the map of one sample."""


@dataclass
class ImageMaps(Maps):
    """Maps of images, shape (n, h, w), over the images in light grey."""

    @property
    def n_columns(self) -> int:
        return min(len(self.samples), _MOST_COLUMNS)

    @property
    def size(self) -> tuple[float, float]:
        return 2.0 * self.n_columns + 0.4, 2.2 * len(self.heights) + 0.7

    def draw(self, axis: Any, index: int) -> None:
        grey = self.samples[index].mean(axis=0)
        low, high = grey.min(), grey.max()
        light = _GREYS[0] + (grey - low) / ((high - low) or 1) * (_GREYS[1] - _GREYS[0])
        axis.imshow(light, cmap="gray", vmin=0, vmax=1)
        values = self.values[index]
        opacity = np.sqrt(np.abs(values) / self.limit)  # the root, so that weak values have a colour too
        axis.imshow(values, cmap=self.colours.cmap, norm=self.colours.norm, alpha=opacity)
        axis.set(xticks=[], yticks=[])


@dataclass
class SeriesMaps(Maps):
    """Maps of series, shape (n, channels, length), as strips behind the channels."""

    channel_names: Sequence[str] | None = None
    sampling_rate: float | None = None
    share_in_limits: ClassVar[float] = SHARE_IN_LIMITS

    def __post_init__(self) -> None:
        self.traces = Traces(self.samples, self.channel_names, self.sampling_rate)

    @property
    def size(self) -> tuple[float, float]:
        return 7.0, len(self.samples) * (self.traces.height + 0.5) + 0.8

    def draw(self, axis: Any, index: int) -> None:
        lines = {"black": self.traces.lines(self.samples)[index]}
        self.traces.draw(axis, self.values[index], lines, cmap=self.colours.cmap, norm=self.colours.norm)
        self.traces.name_channels(axis)
        axis.tick_params(axis="x", labelsize="x-small")
        axis.set_xlabel(self.traces.time, fontsize="small")


@dataclass
class TextMaps(Maps):
    """Maps of texts, shape (n, length): every word on its colour. Empty words are padding, and count for nothing."""

    def __post_init__(self) -> None:
        self.values = np.where(self.samples == "", 0, self.values)

    def _text(self, index: int, width: float = WIDTH - BESIDE) -> Text:
        return Text(self.samples[index], width)

    @property
    def heights(self) -> list[float]:
        return [self._text(index).n_lines for index in range(len(self.samples))]

    @property
    def size(self) -> tuple[float, float]:
        return WIDTH, LINE * sum(self.heights) + 0.35 * len(self.samples) + 0.9

    def draw(self, axis: Any, index: int) -> None:
        width = axis.get_window_extent().width / axis.get_figure().dpi
        text = self._text(index, width)
        text.draw(axis, self.colours, self.values[index], "")


@dataclass
class TableMaps(Maps):
    """Maps of rows of a table, shape (n, features): one bar per feature, the longest at the top."""

    feature_names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        n_features = self.samples.shape[1]
        names = range(n_features) if self.feature_names is None else self.feature_names
        if len(names) != n_features:
            raise ValueError(f"Got {len(names)} feature_names for {n_features} features; give one for each.")
        self.names = [str(name) for name in names]

    @property
    def n_bars(self) -> int:
        """How many features are drawn."""
        return min(len(self.names), _MOST_FEATURES)

    @property
    def size(self) -> tuple[float, float]:
        return 6.0, len(self.samples) * (0.22 * self.n_bars + 0.9) + 0.2

    def strongest(self, index: int) -> list[tuple[str, float]]:
        """Return the features with the largest values of a sample, each with what it is, and its value."""
        sample, values = self.samples[index], self.values[index]
        order = np.argsort(-np.abs(values), kind="stable")[: self.n_bars]
        return [(f"{self.names[place]} = {sample[place]:.3g}", float(values[place])) for place in order]

    def rest(self) -> str:
        """Say how many features are left out, nothing if all are drawn."""
        n_left = len(self.names) - self.n_bars
        return f"and {n_left} features with less" if n_left else ""

    def draw(self, axis: Any, index: int) -> None:
        names, values = zip(*self.strongest(index), strict=True)
        places = np.arange(len(names))
        cmap = self.colours.cmap
        axis.barh(places, values, color=[cmap(_RED if value > 0 else _BLUE) for value in values])
        axis.axvline(0, color="black", linewidth=0.8)
        axis.set_yticks(places, labels=names, fontsize="small")
        axis.set(xlim=(-1.05 * self.limit, 1.05 * self.limit), ylim=(len(names) - 0.4, -0.6))
        axis.set_xlabel(self.rest(), fontsize="small")
        axis.tick_params(axis="x", labelsize="x-small")
        axis.grid(axis="x", alpha=0.3)
