"""Attribution maps as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch

import numpy as np
import torch
from rich.text import Text
from torch.nn import functional

from skaba.plotting._checks import Array
from skaba.plotting._images import Images
from skaba.plotting._kinds import Kind
from skaba.plotting._layers import Layer
from skaba.plotting._series import Series
from skaba.plotting._table import Table
from skaba.plotting._texts import Texts

_BAR = 24  # characters of the longest bar
_CELLS = 32  # columns of cells at most; two characters each, since a character is about twice as high as wide
_MOST_WORDS = 5
_DARK = 345  # colours whose red, green and blue sum to less have white letters


@singledispatch
def as_text(kind: Kind, layer: Layer, index: int) -> Text:
    """Return the map of one sample as coloured text that also shows the signs without colours.

    Parameters
    ----------
    kind : Kind
        The samples.
    layer : Layer
        Their maps.
    index : int
        The number of the sample.

    Returns
    -------
    rich.text.Text
    """
    raise NotImplementedError(type(kind).__name__)


@as_text.register
def _of_text(texts: Texts, layer: Layer, index: int) -> Text:
    known = np.flatnonzero(texts.samples[index] != "")
    words, values = texts.samples[index][known], layer.values[index][known]
    styled = [Text(str(word), style=_style(layer, value)) for word, value in zip(words, values, strict=True)]
    order = np.argsort(-np.abs(values), kind="stable")[:_MOST_WORDS]
    strongest = ", ".join(f"{words[place]} {values[place]:+.2g}" for place in order if values[place])
    return Text(" ").join(styled).append(f"\nstrongest: {strongest or 'none'}\n")


@as_text.register
def _of_table(table: Table, layer: Layer, index: int) -> Text:
    rows = table.strongest(layer, index)
    width = max(len(name) for name, _ in rows)
    text = Text()
    for name, value in rows:
        bar = "█" * max(1 if value else 0, round(_BAR * abs(value) / layer.limits[1]))
        text.append(f"{name:>{width}} {value:+9.2g} ").append(f"{bar}\n", style="red" if value > 0 else "blue")
    return text.append(f"{table.left_out}\n") if table.left_out else text


@as_text.register
def _of_image(images: Images, layer: Layer, index: int) -> Text:
    values = torch.as_tensor(layer.values[index])
    step = -(-max(values.shape) // _CELLS)
    # Without ceil_mode, the last rows and columns would be left out if they do not fill a window.
    means = functional.avg_pool2d(values[None, None].double(), step, ceil_mode=True)[0, 0].numpy()
    return _cells(layer, means, [""] * len(means))


@as_text.register
def _of_series(series: Series, layer: Layer, index: int) -> Text:
    values = layer.values[index]
    starts = np.linspace(0, values.shape[1], min(values.shape[1], _CELLS), endpoint=False).astype(int)
    means = np.add.reduceat(values, starts, axis=1) / np.diff(starts, append=values.shape[1])
    width = max(map(len, series.names))
    return _cells(layer, means, [f"{name:>{width}} " for name in series.names])


def _cells(layer: Layer, values: Array, names: Sequence[str]) -> Text:
    """Return one coloured cell per value, with its sign where it is strong and twice where it is very strong."""
    limit = float(np.abs(values).max()) or 1.0  # means are smaller than the map's own values
    text = Text()
    for name, row in zip(names, values, strict=True):
        text.append(name)
        for value in row:
            n_signs = int(3 * abs(value) / limit * 0.999)  # 0.999: the largest value has 2 signs, not 3
            text.append(("+" if value > 0 else "-") * n_signs + " " * (2 - n_signs), style=_style(layer, value))
        text.append("\n")
    return text


def _style(layer: Layer, value: float) -> str:
    """Return the rich style of a value: black or white letters on the value's colour."""
    red, green, blue, _ = (round(255 * part) for part in layer.colours.to_rgba(value))
    ink = "white" if red + green + blue < _DARK else "black"
    return f"{ink} on #{red:02x}{green:02x}{blue:02x}"
