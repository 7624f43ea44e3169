"""What the pictures of all kinds of sample share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Array = NDArray[Any]
MOST_SAMPLES = 50

_CATEGORY_NAMES = {1: ["all"], 2: ["low", "high"], 3: ["low", "middle", "high"]}


@dataclass
class Panels(ABC):
    """Augmented samples, and how samples of their kind are drawn."""

    samples: Array
    augmented: Array
    attributions: Array | None
    categories: Array | None
    n_categories: int
    labels: ArrayLike | None

    @property
    @abstractmethod
    def size(self) -> tuple[float, float]:
        """Width and height in inches that suit them."""

    @abstractmethod
    def plot(self, figure: Any) -> Array:
        """Plot into an empty figure, and return the axes, one row per sample."""

    @property
    def row_labels(self) -> list[str]:
        """What is written beside the rows."""
        if self.labels is None:
            return [""] * len(self.samples)
        return [f"label {label}" for label in np.asarray(self.labels)]


def as_array(values: Any) -> Array:
    """Return an array, tensor or sequence as an array."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def as_numbers(values: Any, name: str) -> Array:
    """Return values as an array, or say that they are no finite numbers, which have no colour.

    Raises
    ------
    ValueError
    """
    array = as_array(values)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold numbers, but its values are {array.dtype}.")
    n_bad = array.size - int(np.isfinite(array).sum())
    if n_bad:
        raise ValueError(f"{name} holds NaN or infinity in {n_bad} of {array.size} places, which have no colour.")
    return array


def check_count(n_samples: int) -> None:
    """Raise a ValueError unless so many samples make a readable figure."""
    if not 1 <= n_samples <= MOST_SAMPLES:
        raise ValueError(
            f"n_samples={n_samples} cannot be shown; a figure shows from 1 to {MOST_SAMPLES} samples, one beside or "
            "below the other."
        )


def signed_limit(values: Array, share: float = 1.0) -> float:
    """Return a limit for colours about 0 that a share of the values keeps to."""
    return float(np.quantile(np.abs(values), share)) or float(np.abs(values).max()) or 1.0


def category_names(n_categories: int) -> list[str]:
    """Return the categories' names, the lowest first."""
    return _CATEGORY_NAMES.get(n_categories, [str(index) for index in range(n_categories)])


def category_colours(n_categories: int) -> Any:
    """Return a colour map of one colour per category."""
    import matplotlib  # noqa: PLC0415 (heavy; only who plots should pay for it)

    return matplotlib.colormaps["viridis"].resampled(n_categories)


def add_bar(figure: Any, mappable: Any, label: str, ticks: Sequence[str] | None = None, **place: Any) -> None:
    """Add a horizontal colour bar; with names as ticks, one per category."""
    bar = figure.colorbar(mappable, **{"orientation": "horizontal"} if "cax" in place else {}, **place)
    bar.set_label(label, fontsize="small")
    bar.ax.tick_params(labelsize="x-small")
    if ticks is None:
        bar.ax.locator_params(nbins=3)
    else:
        bar.set_ticks(list(range(len(ticks))), labels=ticks)


def say_unchanged(axis: Any) -> None:
    """Write into a picture of a change that there is none."""
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 1.5}
    axis.text(0.5, 0.5, "unchanged", transform=axis.transAxes, ha="center", va="center", size="small", bbox=box)


def set_titles(axes: Array, titles: Iterable[str]) -> None:
    """Write what each column shows above its first row."""
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize="medium")
