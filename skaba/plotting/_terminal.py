"""Attribution maps in a terminal, for those who have no other screen."""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch
from typing import Any

import numpy as np
from rich.text import Text

from skaba.plotting._maps import ImageMaps, Maps, SeriesMaps, TableMaps, TextMaps
from skaba.plotting._panels import Array

_BAR = 24  # characters of the longest bar
_CELLS = 32  # columns of cells at most, two characters each
_MOST_WORDS = 5
_WHITE, _BLACK = "white", "black"


@singledispatch
def in_words(maps: Maps, index: int) -> Text:
    """Return the map of one sample as text with colours; its signs can be read without them.

    Parameters
    ----------
    maps : Maps
    index : int

    Returns
    -------
    rich.text.Text
    """
    raise NotImplementedError(type(maps).__name__)


@in_words.register
def _of_text(maps: TextMaps, index: int) -> Text:
    known = np.flatnonzero(maps.samples[index] != "")
    words, values = maps.samples[index][known], maps.values[index][known]
    styled = [Text(str(word), style=_style(maps, value)) for word, value in zip(words, values, strict=True)]
    text = Text(" ").join(styled)
    order = np.argsort(-np.abs(values), kind="stable")[:_MOST_WORDS]
    strongest = ", ".join(f"{words[place]} {values[place]:+.2g}" for place in order if values[place])
    return text.append(f"\nstrongest: {strongest or 'none'}\n")


@in_words.register
def _of_table(maps: TableMaps, index: int) -> Text:
    rows = maps.strongest(index)
    width = max(len(name) for name, _ in rows)
    text = Text()
    for name, value in rows:
        bar = "█" * max(1 if value else 0, round(_BAR * abs(value) / maps.limit))
        text.append(f"{name:>{width}} {value:+9.2g} ").append(f"{bar}\n", style="red" if value > 0 else "blue")
    return text.append(f"{maps.rest()}\n") if maps.rest() else text


@in_words.register
def _of_image(maps: ImageMaps, index: int) -> Text:
    values = maps.values[index]
    step = -(-max(values.shape) // _CELLS)
    rows = _averaged(values, range(0, values.shape[0], step), range(0, values.shape[1], step))
    return _cells(maps, rows, [""] * len(rows))


@in_words.register
def _of_series(maps: SeriesMaps, index: int) -> Text:
    values = maps.values[index]
    starts = np.linspace(0, values.shape[1], min(values.shape[1], _CELLS), endpoint=False).astype(int)
    width = max(map(len, maps.traces.names))
    names = [f"{name:>{width}} " for name in maps.traces.names]
    return _cells(maps, _averaged(values, range(len(values)), starts), names)


def _averaged(values: Array, rows: Iterable[int], columns: Iterable[int]) -> Array:
    """Return the means over the blocks that start at these rows and columns."""
    ones = np.ones_like(values)
    starts = np.asarray(rows), np.asarray(columns)
    total, counts = (np.add.reduceat(np.add.reduceat(part, starts[0]), starts[1], axis=1) for part in (values, ones))
    means: Array = total / counts
    return means


def _cells(maps: Maps, values: Array, names: list[str]) -> Text:
    """Return one coloured cell per value, with its sign where it is strong and twice where it is very strong."""
    limit = float(np.abs(values).max()) or 1.0  # means over blocks are smaller than the map's own values
    text = Text()
    for name, row in zip(names, values, strict=True):
        text.append(name)
        for value in row:
            n_signs = int(3 * abs(value) / limit * 0.999)
            text.append(("+" if value > 0 else "-") * n_signs + " " * (2 - n_signs), style=_style(maps, value))
        text.append("\n")
    return text


def _style(maps: Maps, value: Any) -> str:
    """Return rich's style for a value: its colour behind black or white letters."""
    red, green, blue, _ = (round(255 * part) for part in maps.colours.to_rgba(value))
    ink = _WHITE if red + green + blue < 345 else _BLACK
    return f"{ink} on #{red:02x}{green:02x}{blue:02x}"
