"""How augmented samples are drawn: one row per sample, one panel per layer of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from skaba.plotting._checks import Array
from skaba.plotting._layers import MOST_IN_LIMITS, Layer, attribution_layer, category_layer, change_layer
from skaba.plotting._text import LINE, MARGIN, WIDTH, Text
from skaba.plotting._traces import BAR_BELOW_SERIES, Traces


@dataclass
class Panels(ABC):
    """Augmented samples of one kind; parameters as in AugmentationDisplay."""

    samples: Array
    augmented: Array
    attributions: Array | None
    categories: Array | None
    n_categories: int
    labels: ArrayLike | None
    bar_place: ClassVar[dict[str, Any]] = {}
    shares_axes: ClassVar[bool] = False

    @property
    @abstractmethod
    def size(self) -> tuple[float, float]:
        """Width and height of a figure in inches."""

    @abstractmethod
    def layers(self) -> list[Layer]:
        """Return what the panels of each sample show."""

    @abstractmethod
    def draw(self, axis: Any, layer: Layer, index: int) -> None:
        """Draw the panel of one sample."""

    @abstractmethod
    def label(self, axis: Any, label: str) -> None:
        """Write the label of a sample into its first panel."""

    def plot(self, figure: Any) -> Array:
        """Draw into an empty figure, and return the Axes, one row per sample."""
        layers = self.layers()
        axes, places = self._lay_out(figure, layers)
        for column, layer, place in zip(axes.T, layers, places, strict=True):
            for index, axis in enumerate(column):
                self.draw(axis, layer, index)
            if layer.cmap is not None:
                layer.add_bar(figure, **place)
        labels = [""] * len(axes) if self.labels is None else [f"label {label}" for label in np.asarray(self.labels)]
        for axis, label in zip(axes[:, 0], labels, strict=True):
            self.label(axis, label)
        return axes

    def _lay_out(self, figure: Any, layers: Sequence[Layer]) -> tuple[Array, list[dict[str, Any]]]:
        """Make the Axes, one row per sample, and say where the colour bar of each layer goes."""
        shared = {"sharex": self.shares_axes, "sharey": self.shares_axes}
        axes: Array = figure.subplots(len(self.samples), len(layers), squeeze=False, **shared)
        for axis, layer in zip(axes[0], layers, strict=True):
            axis.set_title(layer.title, fontsize="medium")
        return axes, [{"ax": list(column), "location": "bottom", **self.bar_place} for column in axes.T]


@dataclass
class Images(Panels):
    """Images of 1 or 3 channels, shape (n, c, h, w)."""

    bar_place: ClassVar[dict[str, Any]] = {"fraction": 0.06, "pad": 0.03, "aspect": 14}

    @property
    def size(self) -> tuple[float, float]:
        return 1.7 * len(self.layers()) + 0.4, 1.6 * len(self.samples) + 0.9

    def layers(self) -> list[Layer]:
        both = self.samples, self.augmented
        limits = float(min(map(np.min, both))), float(max(map(np.max, both)))
        layers = [_picture("sample", self.samples, limits)]
        if self.attributions is not None:
            layers.append(attribution_layer(self.attributions.sum(axis=1)))
        if self.categories is not None:
            is_grey = self.categories.shape[1] == 1
            layers.append(
                category_layer(self.categories[:, 0], self.n_categories)
                if is_grey
                else _picture("categories", self.categories, (0, self.n_categories - 1))
            )
        layers.append(_picture("augmented", self.augmented, limits))
        return [*layers, change_layer("difference", (self.augmented - self.samples).mean(axis=1), "value")]

    def draw(self, axis: Any, layer: Layer, index: int) -> None:
        colours = {} if layer.cmap is None else {"cmap": layer.colours.cmap, "norm": layer.colours.norm}
        axis.imshow(layer.values[index], **colours)
        axis.set(xticks=[], yticks=[])
        if layer.leaves_alone(index):
            _say_unchanged(axis)

    def label(self, axis: Any, label: str) -> None:
        axis.set_ylabel(label)


@dataclass
class Series(Panels):
    """Series such as ECGs, shape (n, channels, length), over strips of the layers' colours."""

    channel_names: Sequence[str] | None = None
    sampling_rate: float | None = None
    bar_place: ClassVar[dict[str, Any]] = BAR_BELOW_SERIES
    shares_axes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.traces = Traces(self.samples, self.channel_names, self.sampling_rate)

    @property
    def size(self) -> tuple[float, float]:
        return 4.0 * len(self.layers()) + 0.6, len(self.samples) * self.traces.height + 1.0

    def layers(self) -> list[Layer]:
        layers = []
        if self.attributions is not None:
            layers.append(attribution_layer(self.attributions, MOST_IN_LIMITS))
        if self.categories is not None:
            layers.append(category_layer(self.categories, self.n_categories))
        change = self.augmented - self.samples
        return [*layers, change_layer("augmented (black) over sample (red)", change, "difference")]

    def draw(self, axis: Any, layer: Layer, index: int) -> None:
        augmented = {"crimson": self.samples, "black": self.augmented}
        self.traces.draw(axis, layer, index, augmented if layer.is_change else {"black": self.samples})
        if layer.leaves_alone(index):
            _say_unchanged(axis)
        if index == len(self.samples) - 1:
            self.traces.label_time(axis)

    def label(self, axis: Any, label: str) -> None:
        self.traces.label_channels(axis, label)


@dataclass
class Words(Panels):
    """Texts at their embedding, shape (n, length, dimension): the words on the layers' colours."""

    words: Array

    def __post_init__(self) -> None:
        if self.samples.ndim != 3 or self.words.shape != self.samples.shape[:2]:
            raise ValueError(
                f"words has shape {self.words.shape}, samples {self.samples.shape}; texts need words of shape "
                "(n, length), empty where there is padding, and samples of shape (n, length, dimension)."
            )

    @property
    def size(self) -> tuple[float, float]:
        n_lines = sum(Text(words).n_lines for words in self.words) * len(self.layers())
        return WIDTH, LINE * n_lines + 0.35 * len(self.samples) + 0.9

    def layers(self) -> list[Layer]:
        moved = np.linalg.norm(self.augmented - self.samples, axis=-1)
        limits = 0.0, float(moved.max()) or 1.0
        last = Layer("moved", moved, "Oranges", limits, "distance moved (norm)", is_change=True)
        if self.attributions is None:
            return [last]
        return [attribution_layer(self.attributions.sum(axis=-1), label="attribution (sum)"), last]

    def draw(self, axis: Any, layer: Layer, index: int) -> None:
        title = "unchanged" if layer.leaves_alone(index) else layer.title
        self._text(axis.figure, index).draw(axis, layer, index, title)

    def label(self, axis: Any, label: str) -> None:
        axis.set_title(label, loc="left", fontsize="medium")

    def _text(self, figure: Any, index: int) -> Text:
        return Text(self.words[index], figure.bbox.width / figure.dpi - MARGIN)

    def _lay_out(self, figure: Any, layers: Sequence[Layer]) -> tuple[Array, list[dict[str, Any]]]:
        """Make the Axes, one below the other, and below them one per colour bar."""
        heights = [self._text(figure, index).n_lines for index in range(len(self.words)) for _ in layers]
        grid = figure.add_gridspec(len(heights) + 1, len(layers), height_ratios=[*heights, 0.7])
        axes = np.array([figure.add_subplot(grid[row, :]) for row in range(len(heights))], dtype=object)
        bars = [figure.add_subplot(grid[-1, column]) for column in range(len(layers))]
        return axes.reshape(-1, len(layers)), [{"cax": bar, "orientation": "horizontal"} for bar in bars]


def _picture(title: str, images: Array, limits: tuple[float, float]) -> Layer:
    """Return the layer of grey images, or of colour images, whose values are scaled to [0, 1]."""
    if images.shape[1] == 1:
        return Layer(title, images[:, 0], "gray", limits, "value")
    low, high = limits
    return Layer(title, (np.moveaxis(images, 1, -1) - low) / ((high - low) or 1), None, limits, "")


def _say_unchanged(axis: Any) -> None:
    """Write into the picture of a change that there is none."""
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 1.5}
    axis.text(0.5, 0.5, "unchanged", transform=axis.transAxes, ha="center", va="center", size="small", bbox=box)
