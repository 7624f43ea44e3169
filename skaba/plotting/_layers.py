"""Values that are shown as colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from skaba.plotting._checks import Array
from skaba.plotting._matplotlib import matplotlib

_CATEGORY_NAMES = {1: ["all"], 2: ["low", "high"], 3: ["low", "middle", "high"]}


@dataclass
class Layer:
    """One value per pixel, time step or word of each sample, and its colours.

    Parameters
    ----------
    title : str
        What the values are.
    values : ndarray of shape (n, ...)
    cmap : str or None
        The name of a colour map; None if the values are colours.
    limits : (float, float)
        The values of the first and the last colour.
    label : str
        Written at the colour bar.
    names : sequence of str, default=None
        Names of the values 0, 1, ..., each of which has one colour.
    is_change : bool, default=False
        Whether the values are changes of the samples.
    """

    title: str
    values: Array
    cmap: str | None
    limits: tuple[float, float]
    label: str
    names: Sequence[str] | None = None
    is_change: bool = False

    @cached_property
    def colours(self) -> Any:
        """The matplotlib ScalarMappable from values to colours."""
        cmap = matplotlib().get_cmap(self.cmap, None if self.names is None else len(self.names))
        return matplotlib("cm").ScalarMappable(matplotlib("colors").Normalize(*self.limits), cmap)

    @property
    def shading(self) -> dict[str, Any]:
        """The keyword arguments that give ``imshow`` these colours; empty if the values are colours."""
        return {} if self.cmap is None else {"cmap": self.colours.cmap, "norm": self.colours.norm}

    def leaves_alone(self, index: int) -> bool:
        """Return whether the values are changes and all of one sample's are 0."""
        return self.is_change and not self.values[index].any()

    def add_bar(self, figure: Any, **place: Any) -> None:
        """Add a horizontal colour bar, with arrows if some values exceed the limits."""
        clips = self.values.min() < self.limits[0] or self.values.max() > self.limits[1]
        # Made from the ScalarMappable, not from a picture: words, bars and cells have colours but no picture.
        bar = figure.colorbar(self.colours, extend="both" if clips else "neither", **place)
        bar.set_label(self.label, fontsize="small")
        bar.ax.tick_params(labelsize="x-small")
        if self.names is None:
            bar.ax.locator_params(nbins=3)  # below a narrow panel, more labels would overlap
        else:
            bar.set_ticks(list(range(len(self.names))), labels=self.names)


def attribution_layer(values: Array, share: float = 1.0, label: str = "attribution") -> Layer:
    """Return the layer of signed maps: red above 0, white at 0, blue below."""
    return Layer("attribution", values, "RdBu_r", _signed_limits(values, share), label)


def change_layer(title: str, values: Array, label: str) -> Layer:
    """Return the layer of signed changes: orange above 0, white at 0, purple below."""
    return Layer(title, values, "PuOr_r", _signed_limits(values), label, is_change=True)


def category_layer(values: Array, n_categories: int) -> Layer:
    """Return the layer of categories, the lowest of which is 0."""
    names = _CATEGORY_NAMES.get(n_categories, [str(index) for index in range(n_categories)])
    # Half a unit beyond the numbers, so that each number is in the middle of its colour on the bar.
    return Layer("categories", values, "viridis", (-0.5, n_categories - 0.5), "", names)


def _signed_limits(values: Array, share: float = 1.0) -> tuple[float, float]:
    """Return limits symmetric about 0 that contain a share of the values."""
    # The quantile is 0 where most values are. If all values are 0 the limits must still differ: for equal limits,
    # Normalize returns the first colour, blue, and not the middle, white.
    limit = float(np.quantile(np.abs(values), share)) or float(np.abs(values).max()) or 1.0
    return -limit, limit
