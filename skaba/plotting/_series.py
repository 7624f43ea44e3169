"""Augmented series: one row per sample, its channels one below the other."""

from __future__ import annotations

from collections.abc import Sequence
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
from skaba.plotting._traces import Traces

# A few spikes must not decide the colours of all.
SHARE_IN_LIMITS = 0.99


@dataclass
class Series(Panels):
    """Series such as ECGs, shape (n, channels, length), on strips of what belongs to each time."""

    channel_names: Sequence[str] | None = None
    sampling_rate: float | None = None

    def __post_init__(self) -> None:
        self.traces = Traces(self.samples, self.channel_names, self.sampling_rate)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches that suit them."""
        return 4.0 * len(self._columns()) + 0.6, len(self.samples) * self.traces.height + 1.0

    def plot(self, figure: Any) -> Array:
        """Plot into an empty figure, and return the axes, one row per sample."""
        columns = self._columns()
        axes: Array = figure.subplots(len(self.samples), len(columns), squeeze=False, sharex=True, sharey=True)
        set_titles(axes, [column.title for column in columns])
        for own, column in zip(axes.T, columns, strict=True):
            self._draw_column(figure, own, column)
        for axis, label in zip(axes[:, 0], self.row_labels, strict=True):
            self.traces.name_channels(axis, label)
        for axis in axes[-1]:
            axis.set_xlabel(self.traces.time, fontsize="small")
        return axes

    def _columns(self) -> list[_Column]:
        columns = []
        if self.attributions is not None:
            limit = signed_limit(self.attributions, SHARE_IN_LIMITS)
            columns.append(_Column("attribution", self.attributions, "RdBu_r", (-limit, limit), "attribution"))
        if self.categories is not None:
            limits, colours = (-0.5, self.n_categories - 0.5), category_colours(self.n_categories)
            names = category_names(self.n_categories)
            columns.append(_Column("categories", self.categories, colours, limits, "", ticks=names))
        change = self.augmented - self.samples
        limit = signed_limit(change)
        title = "augmented (black) over sample (red)"
        return [*columns, _Column(title, change, "PuOr_r", (-limit, limit), "difference", is_change=True)]

    def _draw_column(self, figure: Any, axes: Array, column: _Column) -> None:
        low, high = column.limits
        lines = {"crimson": self.traces.lines(self.samples)} if column.is_change else {}
        lines["black"] = self.traces.lines(self.augmented if column.is_change else self.samples)
        for index, axis in enumerate(axes):
            own = {colour: signals[index] for colour, signals in lines.items()}
            image = self.traces.draw(axis, column.strips[index], own, cmap=column.cmap, vmin=low, vmax=high)
            if column.is_change and not column.strips[index].any():
                say_unchanged(axis)
        place = {"ax": list(axes), "location": "bottom", "aspect": 40, "pad": 0.02, "fraction": 0.05}
        clipped = np.abs(column.strips).max() > high
        add_bar(figure, image, column.bar, column.ticks, extend="both" if clipped else "neither", **place)


@dataclass
class _Column:
    """Strips of shape (n, channels, length) behind the signals, and how to colour them."""

    title: str
    strips: Array
    cmap: Any
    limits: tuple[float, float]
    bar: str
    ticks: list[str] | None = None
    is_change: bool = False
