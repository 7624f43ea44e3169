"""How images are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from skaba.plotting._checks import Array
from skaba.plotting._draws import Draws
from skaba.plotting._kinds import Augmentable, say_unchanged
from skaba.plotting._layers import Layer, category_layer, change_layer

_MOST_COLUMNS = 5
_GREYS = 0.7, 1.0  # the image below a map is light, so that the map's colours are those of the bar


@dataclass
class Images(Augmentable):
    """Images of 1 or 3 channels, shape (n, c, h, w)."""

    row_bar_place: ClassVar[dict[str, Any]] = {"fraction": 0.06, "pad": 0.03, "aspect": 14}

    @property
    def n_columns(self) -> int:
        return min(len(self.samples), _MOST_COLUMNS)

    @property
    def map_size(self) -> tuple[float, float]:
        return 2.0 * self.n_columns + 0.4, 2.2 * len(self.heights) + 0.7

    def reduced(self, values: Array) -> Array:
        summed: Array = values.sum(axis=1)
        return summed

    def draw_map(self, axis: Any, layer: Layer, index: int) -> None:
        grey = self.samples[index].mean(axis=0)
        low, high = grey.min(), grey.max()
        # "or 1", here and below: an image of a single value has no range to divide by.
        light = _GREYS[0] + (grey - low) / ((high - low) or 1) * (_GREYS[1] - _GREYS[0])
        # Without vmin and vmax, imshow would stretch the light greys from black to white.
        axis.imshow(light, cmap="gray", vmin=0, vmax=1)
        values = layer.values[index]
        opacity = np.sqrt(np.abs(values) / layer.limits[1])  # the root, so that weak values are visible too
        axis.imshow(values, **layer.shading, alpha=opacity)
        axis.set(xticks=[], yticks=[])

    def size(self, n_layers: int) -> tuple[float, float]:
        return 1.7 * n_layers + 0.4, 1.6 * len(self.samples) + 0.9

    def layers(self, draws: Draws) -> list[Layer]:
        both = draws.samples, draws.augmented
        limits = float(min(images.min() for images in both)), float(max(images.max() for images in both))
        layers = [_picture("sample", draws.samples, limits)]
        if draws.attributions is not None:
            layers.append(self.map_layer(draws.attributions))
        if draws.categories is not None:
            layers.append(_categories(draws.categories, draws.n_categories))
        layers.append(_picture("augmented", draws.augmented, limits))
        return [*layers, change_layer("difference", draws.change.mean(axis=1), "value")]

    def draw(self, axis: Any, layer: Layer, index: int) -> None:
        axis.imshow(layer.values[index], **layer.shading)
        axis.set(xticks=[], yticks=[])
        if layer.leaves_alone(index):
            say_unchanged(axis)

    def label(self, axis: Any, label: str) -> None:
        axis.set_ylabel(label)


def _categories(categories: Array, n_categories: int) -> Layer:
    """Return the layer of categories; those of 3 channels are mixed as colours."""
    if categories.shape[1] == 1:
        return category_layer(categories[:, 0], n_categories)
    return _picture("categories", categories, (0, n_categories - 1))


def _picture(title: str, images: Array, limits: tuple[float, float]) -> Layer:
    """Return the layer of grey images, or of colour images, whose values are scaled to [0, 1]."""
    if images.shape[1] == 1:
        return Layer(title, images[:, 0], "gray", limits, "value")
    # imshow takes the channels last, and clips colours outside [0, 1].
    low, high = limits
    return Layer(title, (np.moveaxis(images, 1, -1) - low) / ((high - low) or 1), None, limits, "")
