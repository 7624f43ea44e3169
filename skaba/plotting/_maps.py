"""How attribution maps are drawn: one panel per sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from skaba.plotting._checks import Array
from skaba.plotting._layers import MOST_IN_LIMITS, Layer, attribution_layer
from skaba.plotting._text import LINE, WIDTH, Text
from skaba.plotting._traces import BAR_BELOW_SERIES, Traces

_MOST_FEATURES = 20
_MOST_COLUMNS = 5
_GREYS = 0.7, 1.0  # the image below a map is light, so that the map's colours are those of the bar
_RED, _BLUE = 0.85, 0.15  # places in the colour map


@dataclass
class Maps(ABC):
    """Samples of one kind, and their signed maps.

    Parameters
    ----------
    samples : ndarray of shape (n, ...)
    values : ndarray of the samples' shape; of texts also (n, length, dimension)
        The maps.
    name : str
        What the maps are.
    """

    samples: Array
    values: Array
    name: str
    share_in_limits: ClassVar[float] = 1.0
    bar_place: ClassVar[dict[str, Any]] = {"aspect": 40, "pad": 0.02, "fraction": 0.05}

    def __post_init__(self) -> None:
        if self.values.shape != self.samples.shape:
            raise ValueError(
                f"attributions has shape {self.values.shape}, but samples {self.samples.shape}; the shapes must be "
                "the same."
            )

    @cached_property
    def layer(self) -> Layer:
        """The maps as they are drawn: one value per pixel, time step, word or feature."""
        return attribution_layer(self.values, self.share_in_limits, self.name)

    @property
    def n_columns(self) -> int:
        """The number of panels side by side."""
        return 1

    @property
    def heights(self) -> list[float]:
        """The heights of the rows of panels, in any unit."""
        return [1.0] * -(-len(self.samples) // self.n_columns)

    @property
    @abstractmethod
    def size(self) -> tuple[float, float]:
        """Width and height of a figure in inches."""

    @abstractmethod
    def draw(self, axis: Any, index: int) -> None:
        """Draw the map of one sample."""

    def explain_colours(self, axes: Array) -> None:
        """Add what the colours mean below all panels."""
        self.layer.add_bar(axes[0].figure, ax=list(axes), location="bottom", **self.bar_place)


@dataclass
class ImageMaps(Maps):
    """Maps of images, over the images in light grey; they are summed over the channels."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.values = self.values.sum(axis=1)

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
        values, colours = self.values[index], self.layer.colours
        opacity = np.sqrt(np.abs(values) / self.layer.limits[1])  # the root, so that weak values are visible too
        axis.imshow(values, cmap=colours.cmap, norm=colours.norm, alpha=opacity)
        axis.set(xticks=[], yticks=[])


@dataclass
class SeriesMaps(Maps):
    """Maps of series, as strips behind the channels."""

    channel_names: Sequence[str] | None = None
    sampling_rate: float | None = None
    share_in_limits: ClassVar[float] = MOST_IN_LIMITS
    bar_place: ClassVar[dict[str, Any]] = BAR_BELOW_SERIES

    def __post_init__(self) -> None:
        super().__post_init__()
        self.traces = Traces(self.samples, self.channel_names, self.sampling_rate)

    @property
    def size(self) -> tuple[float, float]:
        return 7.0, len(self.samples) * (self.traces.height + 0.5) + 0.8

    def draw(self, axis: Any, index: int) -> None:
        self.traces.draw(axis, self.layer, index, {"black": self.samples})
        self.traces.label_channels(axis)
        axis.tick_params(axis="x", labelsize="x-small")
        self.traces.label_time(axis)


@dataclass
class TextMaps(Maps):
    """Maps of texts, each word on its colour; they are summed over the dimensions. Empty words are padding."""

    def __post_init__(self) -> None:
        if self.values.ndim == 3:
            self.values = self.values.sum(axis=-1)
        super().__post_init__()
        self.values = np.where(self.samples == "", 0, self.values)

    @property
    def heights(self) -> list[float]:
        return [Text(words).n_lines for words in self.samples]

    @property
    def size(self) -> tuple[float, float]:
        return WIDTH, LINE * sum(self.heights) + 0.35 * len(self.samples) + 0.9

    def draw(self, axis: Any, index: int) -> None:
        width = axis.get_window_extent().width / axis.figure.dpi
        Text(self.samples[index], width).draw(axis, self.layer, index, "")


@dataclass
class TableMaps(Maps):
    """Maps of rows of a table: one bar per feature, the longest at the top."""

    feature_names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        n_features = self.samples.shape[1]
        names = range(n_features) if self.feature_names is None else self.feature_names
        if len(names) != n_features:
            raise ValueError(f"Got {len(names)} feature_names for {n_features} features; give one for each.")
        self.names = [str(name) for name in names]

    @property
    def n_bars(self) -> int:
        """The number of features that are drawn."""
        return min(len(self.names), _MOST_FEATURES)

    @property
    def size(self) -> tuple[float, float]:
        return 6.0, len(self.samples) * (0.22 * self.n_bars + 0.9) + 0.2

    def strongest(self, index: int) -> list[tuple[str, float]]:
        """Return the features with the largest absolute values in a sample: name, the sample's entry, and value."""
        sample, values = self.samples[index], self.values[index]
        order = np.argsort(-np.abs(values), kind="stable")[: self.n_bars]
        return [(f"{self.names[place]} = {sample[place]:.3g}", float(values[place])) for place in order]

    def left_out(self) -> str:
        """Say how many features are left out; empty if all are drawn."""
        n_left = len(self.names) - self.n_bars
        return f"and {n_left} features with less" if n_left else ""

    def draw(self, axis: Any, index: int) -> None:
        names, values = zip(*self.strongest(index), strict=True)
        places, cmap, limit = np.arange(len(names)), self.layer.colours.cmap, self.layer.limits[1]
        axis.barh(places, values, color=[cmap(_RED if value > 0 else _BLUE) for value in values])
        axis.axvline(0, color="black", linewidth=0.8)
        axis.set_yticks(places, labels=names, fontsize="small")
        axis.set(xlim=(-1.05 * limit, 1.05 * limit), ylim=(len(names) - 0.4, -0.6))
        axis.set_xlabel(self.left_out(), fontsize="small")
        axis.tick_params(axis="x", labelsize="x-small")
        axis.grid(axis="x", alpha=0.3)

    def explain_colours(self, axes: Array) -> None:
        axes[-1].set_xlabel("\n".join(filter(None, [self.left_out(), self.name])), fontsize="small")
