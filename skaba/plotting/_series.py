"""Augmented series: one row a sample, its channels one below the other."""

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


@dataclass
class Series(Panels):
    """Series such as ECGs, shape (n, channels, length).

    Behind every channel lies a strip that is coloured by what belongs to it at each time.
    """

    channel_names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        n_channels = self.samples.shape[1]
        if self.channel_names is None:
            self.channel_names = [str(index) for index in range(n_channels)]
        if len(self.channel_names) != n_channels:
            raise ValueError(
                f"Got {len(self.channel_names)} channel_names for series of {n_channels} channels; give one for each."
            )

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches that suit them."""
        n_samples, n_channels, _ = self.samples.shape
        return 4.0 * len(self._columns()) + 0.6, n_samples * max(1.7, 0.24 * n_channels + 0.7) + 1.0

    def plot(self, figure: Any) -> Array:
        """Plot into an empty figure, and return the axes, one row a sample."""
        columns = self._columns()
        axes: Array = figure.subplots(len(self.samples), len(columns), squeeze=False, sharex=True, sharey=True)
        set_titles(axes, [column.title for column in columns])
        for own, column in zip(axes.T, columns, strict=True):
            self._draw_column(figure, own, column)
        names = self.channel_names or []
        axes[0, 0].set_yticks([-index for index in range(len(names))], labels=names)
        for axis, label in zip(axes[:, 0], self.row_labels, strict=True):
            axis.tick_params(axis="y", labelsize="x-small")
            axis.set_ylabel(f"{label}\n(strips {self._spacing:.2g} high)".lstrip(), fontsize="small")
        for axis in axes[-1]:
            axis.set_xlabel("time step", fontsize="small")
        return axes

    def _columns(self) -> list[_Column]:
        columns = []
        if self.attributions is not None:
            # A few spikes must not decide the colours of all.
            limit = signed_limit(self.attributions, share=0.99)
            columns.append(_Column("attribution", self.attributions, "RdBu_r", (-limit, limit), "attribution"))
        if self.categories is not None:
            limits, colours = (-0.5, self.n_categories - 0.5), category_colours(self.n_categories)
            names = category_names(self.n_categories)
            columns.append(_Column("categories", self.categories, colours, limits, "", ticks=names))
        change = self.augmented - self.samples
        limit = signed_limit(change)
        title = "augmented (black) over sample (red)"
        return [*columns, _Column(title, change, "PuOr_r", (-limit, limit), "difference", is_change=True)]

    @property
    def _spacing(self) -> float:
        """Distance between channels: most lines fit between their neighbours, whatever a few outliers do."""
        return float(np.quantile(np.ptp(self.samples, axis=-1), 0.9)) or 1.0

    def _lines(self, signals: Array) -> Array:
        """Return the signals in units of the spacing, each about the height of its channel."""
        middle = np.median(self.samples, axis=-1, keepdims=True)
        return (signals - middle) / self._spacing - np.arange(signals.shape[1])[:, None]

    def _draw_column(self, figure: Any, axes: Array, column: _Column) -> None:
        _, n_channels, length = self.samples.shape
        extent = -0.5, length - 0.5, 0.5 - n_channels, 0.5
        low, high = column.limits
        lines = {"crimson": self._lines(self.samples)} if column.is_change else {}
        lines["black"] = self._lines(self.augmented if column.is_change else self.samples)
        for index, axis in enumerate(axes):
            # Colours, not numbers, are averaged where pixels are few: low and high make no middle.
            image = axis.imshow(
                column.strips[index], cmap=column.cmap, vmin=low, vmax=high, extent=extent, aspect="auto", alpha=0.65
            )
            image.set_interpolation_stage("rgba")
            axis.hlines(0.5 - np.arange(1, n_channels), *extent[:2], color="white", linewidth=1)
            for colour, signals in lines.items():
                axis.plot(signals[index].T, color=colour, linewidth=0.7)
            axis.margins(x=0)
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
