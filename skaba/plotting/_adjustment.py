"""How well a network does with each adjustment alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skaba.augmenters import ADJUSTMENTS, group_of
from skaba.plotting._axes_display import AxesDisplay
from skaba.plotting._checks import checked_scores

_SIGNS = {-1: "\u2212", 0: "0", 1: "+"}  # the minus sign is as wide as the plus, unlike a hyphen
_COLOURS = {"delta": "tab:blue", "neutral": "dimgrey", "epsilon": "tab:red"}  # in the order from left to right
_PLAIN = 0  # the adjustment that changes nothing
_ASIDE = 0.3  # published scores are drawn this far to the right, so that they do not hide ours


@dataclass(eq=False, repr=False)
class AdjustmentDisplay(AxesDisplay):
    """The scores of networks that were trained with one of the paper's 27 adjustments each.

    A point is the mean score of an adjustment, its bar one standard deviation. The adjustments are ordered by
    group (Delta, Neutral, Epsilon), then by index; each is written from the lowest category to the highest. A solid
    line marks the mean of each group, and a dashed line marks plain training, which is adjustment 0.

    Parameters
    ----------
    scores : mapping of int to sequence of float
        The scores per adjustment, by its index from 0 to 26. Some adjustments may be missing.
    published : mapping of int to float, default=None
        Mean scores from another source, drawn next to the points.
    score_name : str, default="accuracy"
        Label of the y axis.

    Attributes
    ----------
    scores, published, score_name
        As given.
    indices_ : list of int
        The adjustments from left to right.
    group_means_ : dict of str to float
        The mean of each group: the mean over its adjustments' mean scores. Adjustment 0 belongs to Neutral.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure or SubFigure

    Raises
    ------
    ValueError
        If there are no scores, some are not finite, or an index is not from 0 to 26.

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

    scores: Mapping[int, ArrayLike]
    _: KW_ONLY
    published: Mapping[int, float] | None = None
    score_name: str = "accuracy"

    def __post_init__(self) -> None:
        self._scores = checked_scores(self.scores, "adjustment")
        self._published = dict(self.published or {})
        _check_indices([*self._scores, *self._published])
        if not np.isfinite(list(self._published.values())).all():
            raise ValueError(f"The published scores must be finite; leave out what is missing. Got {self.published!r}.")

    @property
    def _size(self) -> tuple[float, float]:
        return max(6.0, 3.4 + 0.27 * len({*self._scores, *self._published})), 4.4

    def _draw(self) -> None:
        known = {*self._scores, *self._published}
        groups = {group: sorted(i for i in known if group_of(ADJUSTMENTS[i]) == group) for group in _COLOURS}
        places = _places(groups)
        self.indices_ = list(places)
        self.group_means_: dict[str, float] = {}
        for group, indices in groups.items():
            self._draw_group(group, {index: places[index] for index in indices if index in self._scores})
        self._draw_references(places)
        self.ax_.set_xticks(list(places.values()), labels=[_triple(index) for index in places], rotation=90)
        self.ax_.set(xlabel="adjustment (low, middle, high)", ylabel=self.score_name)
        # Outside the Axes, because the points of 27 adjustments may lie anywhere in it.
        self.ax_.legend(
            title=f"mean ± standard deviation of {self._counts()} scores,\nlines: means of groups",
            loc="center left",
            bbox_to_anchor=(1.01, 0.5),
            fontsize="small",
            title_fontsize="small",
        )
        self.ax_.grid(axis="y", alpha=0.3)

    def _draw_group(self, group: str, places: dict[int, float]) -> None:
        """Draw the points of a group, and behind them a line at their mean."""
        if not places:
            return
        x, scores = list(places.values()), [self._scores[index] for index in places]
        means, deviations = [values.mean() for values in scores], [values.std() for values in scores]
        style = {"fmt": "o", "markersize": 5, "capsize": 3, "elinewidth": 1}
        self.ax_.errorbar(x, means, deviations, color=_COLOURS[group], label=group.capitalize(), **style)
        mean = self.group_means_[group] = float(np.mean(means))
        self.ax_.hlines(mean, min(x) - 0.5, max(x) + 0.5, color=_COLOURS[group], alpha=0.5, linewidth=2, zorder=1)

    def _draw_references(self, places: dict[int, float]) -> None:
        """Draw plain training and the published scores."""
        if _PLAIN in self._scores:
            plain = float(self._scores[_PLAIN].mean())
            self.ax_.axhline(plain, color="black", linestyle="--", linewidth=1, zorder=1, label="plain training")
        if self._published:
            x = [places[index] + _ASIDE for index in self._published]
            style = {"linestyle": "", "marker": "D", "markersize": 4, "color": "black", "fillstyle": "none"}
            self.ax_.plot(x, list(self._published.values()), label="published", **style)

    def _counts(self) -> str:
        """Return the number of scores behind a point, or its range."""
        counts = [len(values) for values in self._scores.values()]
        low, high = min(counts), max(counts)
        return str(low) if low == high else f"{low} to {high}"


def _places(groups: Mapping[str, Sequence[int]]) -> dict[int, float]:
    """Return the x coordinate of each adjustment: one apart, and two apart between groups."""
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
