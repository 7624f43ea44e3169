"""How well a network does with each adjustment alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skaba.augmenters import ADJUSTMENTS, group_of
from skaba.plotting._scores import checked_scores, span

_SIGNS = {-1: "\u2212", 0: "0", 1: "+"}
_COLOURS = {"delta": "tab:blue", "neutral": "dimgrey", "epsilon": "tab:red"}  # also the order, from left to right
_PLAIN = 0
_ASIDE = 0.3


class AdjustmentDisplay:
    """The score that each of the paper's 27 adjustments reaches when it is trained with alone.

    Adjustments stand in their groups, Delta, Neutral and Epsilon, each written from the lowest category
    to the highest. Within a group they are in the order of their indices.

    Parameters
    ----------
    scores : mapping of int to sequence of float
        Scores of the adjustments' runs, by index, 0 to 26. Some may be missing.
    published : mapping of int to float, default=None
        Mean scores of another source, drawn beside.
    score_name : str, default="accuracy"
        Label of the y axis.

    Attributes
    ----------
    scores, published, score_name
        As given.
    indices_ : list of int
        The adjustments from left to right.
    group_means_ : dict of str to float
        Mean over the adjustments of each group, of their mean scores. Neutral has adjustment 0 among it.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure or SubFigure

    Raises
    ------
    ValueError
        If there are no scores, some are not finite, or an index is not 0 to 26.

    References
    ----------
    Kinkel (2023), tables 3.1 and A.1.

    Examples
    --------
    >>> from skaba.plotting import AdjustmentDisplay
    >>> display = AdjustmentDisplay({0: [0.6, 0.7], 3: [0.8, 0.9], 4: [0.7, 0.7]}).plot()
    >>> [tick.get_text() for tick in display.ax_.get_xticklabels()]
    ['(0,0,−)', '(0,0,0)', '(0,0,+)']
    """

    def __init__(
        self,
        scores: Mapping[int, ArrayLike],
        *,
        published: Mapping[int, float] | None = None,
        score_name: str = "accuracy",
    ) -> None:
        self.scores = scores
        self.published = published
        self.score_name = score_name
        self._scores = checked_scores(scores, "adjustment")
        self._published = {} if published is None else dict(published)
        _check_indices([*self._scores, *self._published])
        if not np.isfinite(list(self._published.values())).all():
            raise ValueError(f"The published scores must be finite; leave out what is missing. Got {published!r}.")

    def plot(self, ax: Any = None) -> AdjustmentDisplay:
        """Plot means with bars of one standard deviation.

        The mean of each group is a line, that of plain training, which is adjustment 0, a dashed one.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            By default that of a new figure.

        Returns
        -------
        AdjustmentDisplay
            Itself, with ``ax_``, ``figure_``, ``indices_`` and ``group_means_``.
        """
        import matplotlib.pyplot as plt  # noqa: PLC0415 (heavy; only who plots should pay for it)

        known = {*self._scores, *self._published}
        groups = {group: sorted(i for i in known if group_of(ADJUSTMENTS[i]) == group) for group in _COLOURS}
        self.indices_ = [index for group in groups.values() for index in group]
        if ax is None:
            _, ax = plt.subplots(figsize=(max(6.0, 3.4 + 0.27 * len(self.indices_)), 4.4), layout="constrained")
        self.ax_ = ax
        self.figure_ = ax.figure
        self.group_means_: dict[str, float] = {}
        places = _places(groups)
        for group, indices in groups.items():
            self._plot_group(group, [index for index in indices if index in self._scores], places)
        self._plot_references(places)
        labels = [_triple(index) for index in self.indices_]
        ax.set_xticks([places[index] for index in self.indices_], labels=labels, rotation=90)
        ax.set(xlabel="adjustment (low, middle, high)", ylabel=self.score_name)
        counts = span([len(values) for values in self._scores.values()])
        ax.legend(title=f"mean ± standard deviation of {counts} scores,\nlines: means of groups", **_BESIDE)
        ax.grid(axis="y", alpha=0.3)
        return self

    def _plot_group(self, group: str, indices: list[int], places: dict[int, float]) -> None:
        """Plot the adjustments of a group, and their mean as a line behind them."""
        if not indices:
            return
        means = [self._scores[index].mean() for index in indices]
        deviations = [self._scores[index].std() for index in indices]
        x = [places[index] for index in indices]
        style = {"fmt": "o", "markersize": 5, "capsize": 3, "elinewidth": 1}
        self.ax_.errorbar(x, means, deviations, color=_COLOURS[group], label=group.capitalize(), **style)
        mean = self.group_means_[group] = float(np.mean(means))
        self.ax_.hlines(mean, min(x) - 0.5, max(x) + 0.5, color=_COLOURS[group], alpha=0.5, linewidth=2, zorder=1)

    def _plot_references(self, places: dict[int, float]) -> None:
        if _PLAIN in self._scores:
            plain = float(self._scores[_PLAIN].mean())
            self.ax_.axhline(plain, color="black", linestyle="--", linewidth=1, zorder=1, label="plain training")
        if self._published:
            x = [places[index] + _ASIDE for index in self._published]
            style = {"linestyle": "", "marker": "D", "markersize": 4, "color": "black", "fillstyle": "none"}
            self.ax_.plot(x, list(self._published.values()), label="published", **style)


_BESIDE: dict[str, Any] = {
    "loc": "center left",
    "bbox_to_anchor": (1.01, 0.5),
    "fontsize": "small",
    "title_fontsize": "small",
}


def _places(groups: Mapping[str, Sequence[int]]) -> dict[int, float]:
    """Return where each adjustment stands: one apart, groups two apart."""
    places: dict[int, float] = {}
    for indices in groups.values():
        start = max(places.values(), default=-2.0) + 2
        places.update({index: start + step for step, index in enumerate(indices)})
    return places


def _triple(index: int) -> str:
    return f"({','.join(_SIGNS[int(change)] for change in ADJUSTMENTS[index])})"


def _check_indices(indices: Sequence[Any]) -> None:
    wrong = [index for index in indices if index not in range(len(ADJUSTMENTS))]
    if wrong:
        raise ValueError(f"There are no adjustments {wrong}; the indices are integers from 0 to 26.")
