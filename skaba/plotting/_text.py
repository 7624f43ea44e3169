"""The words of a text, each on a colour."""

from __future__ import annotations

from typing import Any

import numpy as np

from skaba.plotting._checks import Array
from skaba.plotting._layers import Layer
from skaba.plotting._matplotlib import matplotlib

WIDTH = 9.0  # inches of a figure of texts
LINE = 0.21  # height of a line in inches
MARGIN = 1.1  # inches for the titles at the left
_FONT_SIZE = 8
_CHARACTER = 0.61 * _FONT_SIZE / 72  # width in inches of a character in the monospaced font
_MOST_LINES = 12
_DARK = 1.35  # colours whose red, green and blue sum to less have white words


class Text:
    """The words of one sample, broken into lines.

    A text longer than a dozen lines is cut, and the number of words left out is written below.

    Parameters
    ----------
    words : ndarray of str of shape (length,)
        Empty at padding, which is left out.
    width : float
        Width of the lines in inches.
    """

    def __init__(self, words: Array, width: float = WIDTH - MARGIN) -> None:
        self.n_characters = max(1, int(width / _CHARACTER))
        self.positions = np.flatnonzero(words != "")
        self.words = words[self.positions]
        self.places = self._places()

    def _places(self) -> list[tuple[int, int]]:
        """Return the line and the first character of each word; words are one character apart."""
        places, line, start = [], 0, 0
        for word in self.words:
            if start > 0 and start + len(word) > self.n_characters:
                line, start = line + 1, 0
            places.append((line, start))
            start += len(word) + 1
        return places

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
    axis.text(*middle, word, ha="center", va="center", parse_math=False, **style)
