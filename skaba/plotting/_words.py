"""Augmented texts: the words of every sample, coloured by what belongs to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from skaba.plotting._panels import Array, Panels, add_bar, signed_limit

_FONT_SIZE = 8
_CHARACTER = 0.61 * _FONT_SIZE / 72  # width in inches of the monospaced font
LINE = 0.21  # height in inches
BESIDE = 1.1  # width in inches that the names of the rows take
WIDTH = 9.0
_MOST_LINES = 12


@dataclass
class Words(Panels):
    """Texts, seen at the embedding: shape (n, length, dimension).

    A text longer than a dozen lines is cut, and the number of words left out is written below.
    """

    words: Array

    def __post_init__(self) -> None:
        if self.samples.ndim != 3 or self.words.shape != self.samples.shape[:2]:
            raise ValueError(
                f"words has shape {self.words.shape}, samples {self.samples.shape}; texts need words of shape "
                "(n, length), empty where there is padding, and samples of shape (n, length, dimension)."
            )

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches that suit them."""
        n_lines = sum(text.n_lines for text in self._texts(WIDTH)) * len(self._rows())
        return WIDTH, LINE * n_lines + 0.35 * len(self.samples) + 0.9

    def plot(self, figure: Any) -> Array:
        """Plot into an empty figure, and return the axes, one row per sample."""
        rows, texts = self._rows(), self._texts(figure.bbox.width / figure.dpi)
        heights = [text.n_lines for text in texts for _ in rows]
        grid = figure.add_gridspec(len(heights) + 1, len(rows), height_ratios=[*heights, 0.7])
        panels = [figure.add_subplot(grid[index, :]) for index in range(len(heights))]
        axes = np.array(panels, dtype=object).reshape(len(texts), len(rows))
        for column, row in enumerate(rows):
            for axis, text, values in zip(axes[:, column], texts, row.values, strict=True):
                unchanged = row.is_change and not values.any()
                text.draw(axis, row.colours, values, "unchanged" if unchanged else row.title)
            add_bar(figure, row.colours, row.bar, cax=figure.add_subplot(grid[-1, column]))
        for axis, label in zip(axes[:, 0], self.row_labels, strict=True):
            axis.set_title(label, loc="left", fontsize="medium")
        return axes

    def _texts(self, width: float) -> list[Text]:
        return [Text(words, width - BESIDE) for words in self.words]

    def _rows(self) -> list[_Row]:
        moved = np.linalg.norm(self.augmented - self.samples, axis=-1)
        colours = shades("Oranges", 0, float(moved.max()) or 1.0)
        last = _Row("moved", moved, colours, "distance moved (norm)", is_change=True)
        if self.attributions is None:
            return [last]
        values = self.attributions.sum(axis=-1)
        limit = signed_limit(values)
        return [_Row("attribution", values, shades("RdBu_r", -limit, limit), "attribution (sum)"), last]


@dataclass
class _Row:
    """One value per word, shape (n, length), and how to colour it."""

    title: str
    values: Array
    colours: Any
    bar: str
    is_change: bool = False


class Text:
    """One sample's words, broken into lines of a width in inches."""

    def __init__(self, words: Array, width: float) -> None:
        n_characters = max(1, int(width / _CHARACTER))
        self.positions = np.flatnonzero(words != "")
        self.words = words[self.positions]
        self.n_characters = n_characters
        self.places = _broken(self.words, n_characters)

    @property
    def n_lines(self) -> int:
        """How many lines it takes, with the one that says what is left out."""
        return min(self.places[-1][0], _MOST_LINES) + 1 if self.places else 1

    def draw(self, axis: Any, colours: Any, values: Array, title: str) -> None:
        """Write the words, each on the colour of its value, and the title at their left."""
        for index, (line, start) in enumerate(self.places):
            if line == _MOST_LINES:
                rest = f"and {len(self.places) - index} more words"
                axis.text(0, -line - 0.5, rest, va="center", size=_FONT_SIZE)
                break
            colour = colours.to_rgba(values[self.positions[index]])
            _draw_word(axis, self.words[index], colour, line, start)
        axis.set(xlim=(0, self.n_characters), ylim=(-self.n_lines, 0), xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        axis.set_ylabel(title if self.places else "no words", rotation=0, ha="right", va="center", fontsize="small")


def _broken(words: Array, n_characters: int) -> list[tuple[int, int]]:
    """Return the line and the first character of every word, one character apart."""
    places, line, start = [], 0, 0
    for word in words:
        if start > 0 and start + len(word) > n_characters:
            line, start = line + 1, 0
        places.append((line, start))
        start += len(word) + 1
    return places


def shades(cmap: str, low: float, high: float) -> Any:
    """Return what turns values into colours, as a colour bar shows them."""
    from matplotlib.cm import ScalarMappable  # noqa: PLC0415 (heavy; only who plots should pay for it)
    from matplotlib.colors import Normalize  # noqa: PLC0415 (as above)

    return ScalarMappable(Normalize(low, high), cmap)


def _draw_word(axis: Any, word: str, colour: tuple[float, ...], line: int, start: int) -> None:
    from matplotlib.patches import Rectangle  # noqa: PLC0415 (as above)

    axis.add_patch(Rectangle((start, -line - 0.93), len(word), 0.86, facecolor=colour, linewidth=0))
    ink = "white" if sum(colour[:3]) < 1.35 else "black"
    middle = start + len(word) / 2, -line - 0.5
    axis.text(*middle, word, ha="center", va="center", color=ink, size=_FONT_SIZE, family="monospace", parse_math=False)
