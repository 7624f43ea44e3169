"""Whether augmentation is worth it, at a glance."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from skaba.evaluation import Worth
from skaba.plotting._axes_display import AxesDisplay

# From the palette of Okabe and Ito, which colour-blind readers can tell apart; the markers differ too.
STYLES = {"free rivals": ("#0072B2", "s"), "ABA": ("#D55E00", "o"), "outsiders": ("#555555", "^")}
MARGIN = 0.15
"""The room at both sides, as a share of the width of what is drawn."""
WIDTH = 78
"""Characters of a line of the title."""


@dataclass(eq=False, repr=False)
class WorthDisplay(AxesDisplay):
    """The gain of each method over plain training, with its interval, grouped and under the advice.

    One row per method: free rivals, ABA with its control and combinations, and outsiders. A filled marker shows an
    interval that lies to one side of 0. Gains of outsiders that lie far below 0 are written at the left edge.
    :meth:`from_results` draws what :func:`skaba.evaluation.worth` found.

    Parameters
    ----------
    worth : Worth

    Attributes
    ----------
    worth : Worth
    methods_ : list of str
        The methods, from the top row to the bottom row.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure or SubFigure

    Raises
    ------
    ValueError
        If there is no method to compare with plain training.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.evaluation import Comparison, Worth
    >>> from skaba.plotting import WorthDisplay
    >>> scores = {"plain": np.array([0.80, 0.82, 0.78]), "ABA": np.array([0.84, 0.83, 0.83])}
    >>> comparison = Comparison(scores, reference="plain", n_folds=1, score_name="accuracy")
    >>> worth = Worth(comparison, {"plain": "plain", "ABA": "ABA"}, advice="Measure more.")
    >>> WorthDisplay.from_results(worth).methods_
    ['ABA']
    """

    worth: Worth

    def __post_init__(self) -> None:
        gains = self.worth.comparison.differences()
        self.methods_ = [name for group in STYLES for name in gains if self.worth.groups[name] == group]
        if not self.methods_:
            reasons = [f"{name}: {failure}" for name, failure in self.worth.comparison.failures.items()]
            raise ValueError(f"There is no method to compare with plain training. {'; '.join(reasons)}".strip())

    @classmethod
    def from_results(cls, results: Worth, *, ax: Any = None) -> WorthDisplay:
        """Plot what ``worth`` found.

        Parameters
        ----------
        results : Worth
            See :func:`skaba.evaluation.worth`. Methods with a failed fit are left out.
        ax : matplotlib Axes, default=None
            Where to draw; by default the Axes of a new figure.

        Returns
        -------
        WorthDisplay

        Raises
        ------
        ValueError
            If there is no method to compare with plain training.
        """
        return cls(results).plot(ax)

    @property
    def _size(self) -> tuple[float, float]:
        return 8.0, 2.0 + 0.38 * len(self.methods_)

    def _draw(self) -> None:
        scale = 100 if self.worth.in_points else 1
        means = {name: scale * float(values.mean()) for name, values in self.worth.comparison.differences().items()}
        intervals = {name: scale * np.array(ends) for name, ends in self.worth.comparison.intervals().items()}
        # An outsider far below plain training would leave no room for what matters.
        shown = [name for name in self.methods_ if self.worth.groups[name] != "outsiders" or means[name] > 0]
        ends = [0.0, *(means[name] for name in shown), *(end for name in shown for end in intervals[name])]
        left, right = np.nanmin(ends), np.nanmax(ends)
        room = MARGIN * (right - left) or 1.0
        self.ax_.set_xlim(left - room, right + room)
        self.ax_.axvline(0, color="black", linestyle="--", linewidth=1, zorder=1)
        for row, name in enumerate(self.methods_):
            self._draw_row(row, STYLES[self.worth.groups[name]], means[name], intervals[name])
        self._label(scale)

    def _draw_row(self, row: int, style: tuple[str, str], mean: float, interval: Any) -> None:
        """Draw a gain with its interval, or write it at the left edge if it lies beyond."""
        colour, marker = style
        if not np.isnan(interval).any():
            # A line and not hlines, whose place the legend would not avoid.
            self.ax_.plot(interval, [row, row], color=colour, linewidth=2)
        edge = self.ax_.get_xlim()[0]
        if mean < edge:
            self.ax_.text(edge, row - 0.1, f" < {mean:.3g}", color=colour, fontsize="small")
            return
        is_shown = bool((interval > 0).all() or (interval < 0).all())
        fill = colour if is_shown else "white"
        self.ax_.plot(mean, row, marker, color=colour, markerfacecolor=fill, markersize=8)

    def _label(self, scale: int) -> None:
        """Name the rows and write their mean scores at the right; the advice is the title."""
        comparison, form = self.worth.comparison, ".1f" if scale == 100 else ".3f"
        means = {name: format(scale * values.mean(), form) for name, values in comparison.by_seed().items()}
        rows = range(len(self.methods_))
        self.ax_.set_yticks(rows, labels=self.methods_)
        self.ax_.set_ylim(len(self.methods_) - 0.5, -0.5)
        unit = "points, " if scale == 100 else ""
        self.ax_.set_xlabel(
            f"gain over plain training ({unit}{comparison.score_name}; plain {means[comparison.reference]})\n"
            f"mean of {comparison.n_seeds} random splits with 95 % interval; filled: the interval excludes 0"
        )
        right = self.ax_.secondary_yaxis("right")
        right.set_yticks(rows, labels=[means[name] for name in self.methods_])
        right.tick_params(length=0)
        right.set_ylabel(comparison.score_name + (", %" if scale == 100 else ""))
        self.ax_.set_title(textwrap.fill(self.worth.advice, WIDTH), fontsize="small", loc="left")
        self.ax_.grid(axis="x", alpha=0.3)
        for group in dict.fromkeys(self.worth.groups[name] for name in self.methods_):
            colour, marker = STYLES[group]
            self.ax_.plot([], [], marker, color=colour, markersize=8, label=group)
        self.ax_.legend(fontsize="small")
