"""How rows of a table are drawn: one bar per feature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skaba.plotting._checks import Array
from skaba.plotting._kinds import Kind, checked_names
from skaba.plotting._layers import Layer

_MOST_FEATURES = 20
_RED, _BLUE = 0.85, 0.15  # places in the colour map


@dataclass
class Table(Kind):
    """Rows of a table, shape (n, features): one bar per feature, the longest at the top."""

    feature_names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        n_features = self.samples.shape[1]
        self.names = checked_names(self.feature_names, n_features, "feature_names", f"{n_features} features")

    @property
    def n_bars(self) -> int:
        """The number of features that are drawn."""
        return min(len(self.names), _MOST_FEATURES)

    @property
    def left_out(self) -> str:
        """How many features are left out; empty if all are drawn."""
        n_left = len(self.names) - self.n_bars
        return f"and {n_left} features with less" if n_left else ""

    @property
    def map_size(self) -> tuple[float, float]:
        return 6.0, len(self.samples) * (0.22 * self.n_bars + 0.9) + 0.2

    def strongest(self, layer: Layer, index: int) -> list[tuple[str, float]]:
        """Return the features with the largest absolute values in a sample, named with its entry, and the values."""
        sample, values = self.samples[index], layer.values[index]
        # "stable": features with equal values keep their order.
        order = np.argsort(-np.abs(values), kind="stable")[: self.n_bars]
        return [(f"{self.names[place]} = {sample[place]:.3g}", float(values[place])) for place in order]

    def draw_map(self, axis: Any, layer: Layer, index: int) -> None:
        names, values = zip(*self.strongest(layer, index), strict=True)
        places, cmap, limit = np.arange(len(names)), layer.colours.cmap, layer.limits[1]
        axis.barh(places, values, color=[cmap(_RED if value > 0 else _BLUE) for value in values])
        axis.axvline(0, color="black", linewidth=0.8)
        axis.set_yticks(places, labels=names, fontsize="small")
        axis.set(xlim=(-1.05 * limit, 1.05 * limit), ylim=(len(names) - 0.4, -0.6))  # the first at the top
        axis.set_xlabel(self.left_out, fontsize="small")
        axis.tick_params(axis="x", labelsize="x-small")
        axis.grid(axis="x", alpha=0.3)

    def explain_colours(self, axes: Array, layer: Layer) -> None:
        """Write the name of the maps below the last panel; bars need no colour bar."""
        axes[-1].set_xlabel("\n".join(filter(None, [self.left_out, layer.label])), fontsize="small")
