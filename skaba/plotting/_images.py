"""Augmented images: one row per sample, one column per picture of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skaba.plotting._panels import (
    Array,
    Panels,
    add_bar,
    category_colours,
    category_names,
    say_unchanged,
    set_titles,
    signed_limit,
)


class Images(Panels):
    """Images of 1 or 3 channels, shape (n, c, h, w)."""

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches that suit them."""
        return 1.7 * len(self._columns()) + 0.4, 1.6 * len(self.samples) + 0.9

    def plot(self, figure: Any) -> Array:
        """Plot into an empty figure, and return the axes, one row per sample."""
        columns = self._columns()
        axes: Array = figure.subplots(len(self.samples), len(columns), squeeze=False)
        set_titles(axes, [column.title for column in columns])
        for own, column in zip(axes.T, columns, strict=True):
            _draw_column(figure, own, column)
        for axis, label in zip(axes[:, 0], self.row_labels, strict=True):
            axis.set_ylabel(label)
        return axes

    def _columns(self) -> list[_Column]:
        lowest = float(min(self.samples.min(), self.augmented.min()))
        highest = float(max(self.samples.max(), self.augmented.max()))
        columns = [_picture_column("sample", self.samples, lowest, highest)]
        if self.attributions is not None:
            columns.append(_signed_column("attribution", self.attributions.sum(axis=1), "RdBu_r", "attribution"))
        if self.categories is not None:
            columns.append(_category_column(self.categories, self.n_categories))
        columns.append(_picture_column("augmented", self.augmented, lowest, highest))
        difference = (self.augmented - self.samples).mean(axis=1)
        return [*columns, _signed_column("difference", difference, "PuOr_r", "value", is_change=True)]


@dataclass
class _Column:
    """Pictures of shape (n, h, w) or (n, h, w, 3), and how to colour them."""

    title: str
    pictures: Array
    cmap: Any
    limits: tuple[float, float]
    bar: str
    ticks: list[str] | None = None
    is_change: bool = False


def _as_pictures(images: Array, lowest: float, highest: float) -> Array:
    """Drop the channel of grey images; put colours last and onto [0, 1]."""
    if images.shape[1] == 1:
        return images[:, 0]
    pictures: Array = np.moveaxis(images, 1, -1)
    return (pictures - lowest) / ((highest - lowest) or 1)


def _picture_column(title: str, images: Array, lowest: float, highest: float) -> _Column:
    return _Column(title, _as_pictures(images, lowest, highest), "gray", (lowest, highest), "value")


def _signed_column(title: str, pictures: Array, cmap: str, bar: str, is_change: bool = False) -> _Column:
    limit = signed_limit(pictures)
    return _Column(title, pictures, cmap, (-limit, limit), bar, is_change=is_change)


def _category_column(categories: Array, n_categories: int) -> _Column:
    pictures = _as_pictures(categories, 0, n_categories - 1)
    limits = -0.5, n_categories - 0.5
    return _Column(
        "categories", pictures, category_colours(n_categories), limits, "", ticks=category_names(n_categories)
    )


def _draw_column(figure: Any, axes: Array, column: _Column) -> None:
    for axis, picture in zip(axes, column.pictures, strict=True):
        image = axis.imshow(picture, cmap=column.cmap, vmin=column.limits[0], vmax=column.limits[1])
        axis.set(xticks=[], yticks=[])
        if column.is_change and not picture.any():
            say_unchanged(axis)
    if column.pictures.ndim == 4:  # colours speak for themselves
        return
    place = {"ax": list(axes), "location": "bottom", "fraction": 0.06, "pad": 0.03, "aspect": 14}
    add_bar(figure, image, column.bar, column.ticks, **place)
