"""What samples of every kind have in common when they are drawn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from skaba.plotting._checks import Array
from skaba.plotting._draws import Draws
from skaba.plotting._layers import Layer, attribution_layer

Places = list[dict[str, Any]]


@dataclass
class Kind(ABC):
    """Samples of one kind, which can be drawn with an attribution map each.

    Parameters
    ----------
    samples : ndarray of shape (n, ...)
    """

    samples: Array
    share_in_limits: ClassVar[float] = 1.0  # of the maps' values
    bar_place: ClassVar[dict[str, Any]] = {"aspect": 40, "pad": 0.02, "fraction": 0.05}

    def map_layer(self, attributions: Array, name: str = "attribution") -> Layer:
        """Return the layer of attribution maps."""
        return attribution_layer(self.reduced(attributions), self.share_in_limits, name)

    def reduced(self, values: Array) -> Array:
        """Return one value per pixel, time step, word or feature."""
        return values

    @property
    def n_columns(self) -> int:
        """The number of maps side by side."""
        return 1

    @property
    def heights(self) -> list[float]:
        """The heights of the rows of maps, in any unit."""
        return [1.0] * -(-len(self.samples) // self.n_columns)

    @property
    @abstractmethod
    def map_size(self) -> tuple[float, float]:
        """Width and height in inches of a figure of maps."""

    @abstractmethod
    def draw_map(self, axis: Any, layer: Layer, index: int) -> None:
        """Draw one sample with its map."""

    def explain_colours(self, axes: Array, layer: Layer) -> None:
        """Add the colour bar of maps below all panels."""
        layer.add_bar(axes[0].figure, ax=list(axes), location="bottom", **self.bar_place)


class Augmentable(Kind):
    """Samples of a kind that can also be drawn augmented: one row per sample, one panel per layer."""

    shares_axes: ClassVar[bool] = False
    row_bar_place: ClassVar[dict[str, Any]] = Kind.bar_place

    @abstractmethod
    def size(self, n_layers: int) -> tuple[float, float]:
        """Return width and height in inches of a figure of rows."""

    @abstractmethod
    def layers(self, draws: Draws) -> list[Layer]:
        """Return the layers that show what augmentation did."""

    @abstractmethod
    def draw(self, axis: Any, layer: Layer, index: int) -> None:
        """Draw one sample on a layer."""

    @abstractmethod
    def label(self, axis: Any, label: str) -> None:
        """Write the label of a sample into its first panel."""

    def plot(self, figure: Any, layers: Sequence[Layer], labels: Sequence[str]) -> Array:
        """Draw into an empty figure, and return the Axes, one row per sample."""
        axes, places = self._lay_out(figure, layers)
        for column, layer, place in zip(axes.T, layers, places, strict=True):
            for index, axis in enumerate(column):
                self.draw(axis, layer, index)
            if layer.cmap is not None:
                layer.add_bar(figure, **place)
        for axis, label in zip(axes[:, 0], labels, strict=True):
            self.label(axis, label)
        return axes

    def _lay_out(self, figure: Any, layers: Sequence[Layer]) -> tuple[Array, Places]:
        """Make the Axes, one row per sample, and say where the colour bar of each layer goes."""
        shared = {"sharex": self.shares_axes, "sharey": self.shares_axes}
        # Without squeeze=False, a single sample or layer would lose its axis of the array.
        axes: Array = figure.subplots(len(self.samples), len(layers), squeeze=False, **shared)
        for axis, layer in zip(axes[0], layers, strict=True):
            axis.set_title(layer.title, fontsize="medium")
        return axes, [{"ax": list(column), "location": "bottom", **self.row_bar_place} for column in axes.T]


def say_unchanged(axis: Any) -> None:
    """Write into the picture of a change that there is none."""
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 1.5}
    axis.text(0.5, 0.5, "unchanged", transform=axis.transAxes, ha="center", va="center", size="small", bbox=box)


def checked_names(names: Sequence[str] | None, n: int, parameter: str, what: str) -> list[str]:
    """Return n names as text, by default the numbers from 0 to n - 1; raise a ValueError if there are not n."""
    names = names if names is not None else [str(index) for index in range(n)]
    if len(names) != n:
        raise ValueError(f"Got {len(names)} {parameter} for {what}; give one for each.")
    return [str(name) for name in names]
