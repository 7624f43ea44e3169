"""How texts are drawn: their words, each on a colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skaba.plotting._checks import Array
from skaba.plotting._draws import Draws
from skaba.plotting._kinds import Augmentable, Places
from skaba.plotting._layers import Layer
from skaba.plotting._matplotlib import matplotlib

_WIDTH = 9.0  # inches of a figure
_LINE = 0.21  # height of a line in inches
_MARGIN = 1.1  # inches for the titles at the left
_FONT_SIZE = 8
# Width in inches of a character; those of DejaVu Sans Mono, matplotlib's monospaced font, are 0.602 font sizes wide.
_CHARACTER = 0.61 * _FONT_SIZE / 72
_MOST_LINES = 12
_DARK = 1.35  # colours whose red, green and blue sum to less have white words


@dataclass
class Texts(Augmentable):
    """The words of texts, shape (n, length), empty at padding, which is left out.

    A text longer than a dozen lines is cut, and the number of words left out is written below.
    """

    @property
    def heights(self) -> list[float]:
        return [_Lines(words).n_lines for words in self.samples]

    @property
    def map_size(self) -> tuple[float, float]:
        return self.size(1)

    def reduced(self, values: Array) -> Array:
        summed = values.sum(axis=-1) if values.ndim == 3 else values
        # Maps at padding are not shown, so they must not decide the limits of the colours.
        return np.where(self.samples == "", 0, summed)

    def draw_map(self, axis: Any, layer: Layer, index: int) -> None:
        width = axis.get_window_extent().width / axis.figure.dpi
        _Lines(self.samples[index], width).draw(axis, layer, index, "")

    def size(self, n_layers: int) -> tuple[float, float]:
        return _WIDTH, _LINE * sum(self.heights) * n_layers + 0.35 * len(self.samples) + 0.9

    def layers(self, draws: Draws) -> list[Layer]:
        moved = np.linalg.norm(draws.change, axis=-1)
        limits = 0.0, float(moved.max()) or 1.0
        layers = [] if draws.attributions is None else [self.map_layer(draws.attributions, "attribution (sum)")]
        return [*layers, Layer("moved", moved, "Oranges", limits, "distance moved (norm)", is_change=True)]

    def draw(self, axis: Any, layer: Layer, index: int) -> None:
        title = "unchanged" if layer.leaves_alone(index) else layer.title
        self._lines(axis.figure, index).draw(axis, layer, index, title)

    def label(self, axis: Any, label: str) -> None:
        axis.set_title(label, loc="left", fontsize="medium")

    def _lines(self, figure: Any, index: int) -> _Lines:
        return _Lines(self.samples[index], figure.bbox.width / figure.dpi - _MARGIN)

    def _lay_out(self, figure: Any, layers: Sequence[Layer]) -> tuple[Array, Places]:
        """Make the Axes, one below the other, and below them one per colour bar."""
        heights = [self._lines(figure, index).n_lines for index in range(len(self.samples)) for _ in layers]
        grid = figure.add_gridspec(len(heights) + 1, len(layers), height_ratios=[*heights, 0.7])
        axes = np.array([figure.add_subplot(grid[row, :]) for row in range(len(heights))], dtype=object)
        bars = [figure.add_subplot(grid[-1, column]) for column in range(len(layers))]
        return axes.reshape(-1, len(layers)), [{"cax": bar, "orientation": "horizontal"} for bar in bars]


class _Lines:
    """The words of one text, broken into lines of a width in inches."""

    def __init__(self, words: Array, width: float = _WIDTH - _MARGIN) -> None:
        self.n_characters = max(1, int(width / _CHARACTER))
        self.positions = np.flatnonzero(words != "")
        self.words = words[self.positions]
        self.places: list[tuple[int, int]] = []  # the line and the first character of each word
        line, start = 0, 0
        for word in self.words:
            if start > 0 and start + len(word) > self.n_characters:
                line, start = line + 1, 0
            self.places.append((line, start))
            start += len(word) + 1

    @property
    def n_lines(self) -> int:
        """The number of lines, including the line about the words left out."""
        return min(self.places[-1][0], _MOST_LINES) + 1 if self.places else 1

    def draw(self, axis: Any, layer: Layer, index: int, title: str) -> None:
        """Write the words on the colours of one sample of a layer, and a title at their left."""
        colours = layer.colours.to_rgba(layer.values[index][self.positions])
        for number, (word, colour, (line, start)) in enumerate(zip(self.words, colours, self.places, strict=True)):
            if line == _MOST_LINES:
                n_left = len(self.words) - number
                axis.text(0, -line - 0.5, f"and {n_left} more words", va="center", size=_FONT_SIZE)
                break
            _draw_word(axis, word, colour, line, start)
        axis.set(xlim=(0, self.n_characters), ylim=(-self.n_lines, 0), xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        axis.set_ylabel(title if self.places else "no words", rotation=0, ha="right", va="center", fontsize="small")


def _draw_word(axis: Any, word: str, colour: Array, line: int, start: int) -> None:
    box = matplotlib("patches").Rectangle((start, -line - 0.93), len(word), 0.86, facecolor=colour, linewidth=0)
    axis.add_patch(box)
    style = {"color": "white" if sum(colour[:3]) < _DARK else "black", "size": _FONT_SIZE, "family": "monospace"}
    middle = start + len(word) / 2, -line - 0.5
    # Two dollar signs in a word would otherwise start a formula, and may raise an error.
    axis.text(*middle, word, ha="center", va="center", parse_math=False, **style)
