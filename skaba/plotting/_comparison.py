"""How methods differ from a reference, pair by pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skaba.evaluation import Comparison
from skaba.plotting._axes_display import AxesDisplay
from skaba.plotting._checks import checked_scores


@dataclass(eq=False, repr=False)
class ComparisonDisplay(AxesDisplay):
    """Paired differences between methods and a reference, with their intervals.

    One row per method, in the order given: the mean difference with its interval, the difference of each pair as
    a light dot, and at the right the method's mean score. :meth:`from_results` makes it from a
    :class:`skaba.evaluation.Comparison`.

    Parameters
    ----------
    scores : mapping of str to sequence of float
        Scores of the methods and of the reference. Scores at the same position form a pair, for example because they
        share a seed.
    reference : str
        The method that the others are compared with.
    intervals : mapping of str to tuple (float, float)
        Low and high end of the interval of each method's mean difference, method minus reference; see
        :func:`skaba.evaluation.paired_interval`. An interval of the reference is not drawn, nor one whose ends are
        NaN.
    score_name : str, default="accuracy"
        Written at the axes.

    Attributes
    ----------
    scores, reference, intervals, score_name
        As given.
    differences_ : dict of str to ndarray of shape (n_pairs,)
        Method minus reference, from the top row to the bottom row.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure or SubFigure

    Raises
    ------
    ValueError
        If the scores are not paired or not finite, the reference is not among them, or an interval is missing,
        unknown, infinite or upside down.

    Examples
    --------
    >>> from skaba.plotting import ComparisonDisplay
    >>> scores = {"plain": [0.6, 0.7, 0.8], "mend_aba": [0.8, 0.8, 0.9]}
    >>> display = ComparisonDisplay(scores, reference="plain", intervals={"mend_aba": (0.1, 0.2)}).plot()
    >>> display.differences_["mend_aba"].round(3)
    array([0.2, 0.1, 0.1])
    """

    scores: Mapping[str, ArrayLike]
    _: KW_ONLY
    reference: str
    intervals: Mapping[str, tuple[float, float]]
    score_name: str = "accuracy"

    def __post_init__(self) -> None:
        self._scores = checked_scores(self.scores, "method")
        _check_pairs(self._scores, self.reference)
        _check_intervals(self.intervals, [name for name in self.scores if name != self.reference], self.reference)

    @classmethod
    def from_results(cls, results: Comparison, *, ax: Any = None) -> ComparisonDisplay:
        """Plot what ``compare`` found, one dot per seed.

        Parameters
        ----------
        results : Comparison
            See :func:`skaba.evaluation.compare`. Methods with a failed fit are left out.
        ax : matplotlib Axes, default=None
            Where to draw; by default the Axes of a new figure.

        Returns
        -------
        ComparisonDisplay

        Raises
        ------
        ValueError
            If there is nothing to compare, because fits failed or the reference is alone.

        Examples
        --------
        >>> import numpy as np
        >>> from skaba.evaluation import Comparison
        >>> from skaba.plotting import ComparisonDisplay
        >>> scores = {"plain": np.array([0.80, 0.82, 0.78]), "ours": np.array([0.84, 0.83, 0.83])}
        >>> display = ComparisonDisplay.from_results(Comparison(scores, reference="plain", n_folds=1))
        >>> display.differences_["ours"].round(3)
        array([0.04, 0.01, 0.05])
        """
        intervals = results.intervals()
        if not intervals:
            reasons = [f"{name}: {failure}" for name, failure in results.failures.items()]
            raise ValueError(f"There are no differences to plot: {'; '.join(reasons) or 'give another method too'}.")
        # The folds of a seed share training samples, so only their mean is an independent value.
        per_seed = {name: values.reshape(-1, results.n_folds).mean(axis=1) for name, values in results.scores.items()}
        scores = {name: values for name, values in per_seed.items() if name in {results.reference, *intervals}}
        display = cls(scores, reference=results.reference, intervals=intervals, score_name=results.score_name)
        return display.plot(ax)

    @property
    def _size(self) -> tuple[float, float]:
        return 7.0, max(2.6, 1.4 + 0.4 * (len(self._scores) - 1))

    def _draw(self) -> None:
        base = self._scores[self.reference]
        self.differences_ = {name: own - base for name, own in self._scores.items() if name != self.reference}
        for row, (name, differences) in enumerate(self.differences_.items()):
            self._draw_row(row, differences, self.intervals[name])
        self.ax_.axvline(0, color="black", linestyle="--", linewidth=1, zorder=1)
        self._label()
        self.ax_.grid(axis="x", alpha=0.3)
        self.ax_.locator_params(axis="x", nbins=6)

    def _draw_row(self, row: int, differences: NDArray[np.float64], interval: tuple[float, float]) -> None:
        """Draw the pairs of a method, spread over the height of the row, and the mean with its interval."""
        n_pairs = len(differences)
        heights = row + (np.linspace(-0.25, 0.25, n_pairs) if n_pairs > 1 else np.zeros(1))
        self.ax_.plot(differences, heights, "o", color="tab:blue", alpha=0.35, markersize=4, markeredgewidth=0)
        if not np.isnan(interval).any():
            self.ax_.hlines(row, *interval, color="black", linewidth=2)
        self.ax_.plot(differences.mean(), row, "D", color="black", markersize=6)

    def _label(self) -> None:
        """Name the rows at the left and the reference at the top, and write the mean scores at the right."""
        means = {name: float(values.mean()) for name, values in self._scores.items()}
        # Values up to 1 are shares; others, such as percentages, need fewer decimals.
        form = ".3f" if max(map(abs, means.values())) <= 1 else ".2f"
        names = list(self.differences_)
        rows = range(len(names))
        self.ax_.set_yticks(rows, labels=names)
        self.ax_.set_ylim(len(names) - 0.5, -0.5)  # from high to low, so that the first row is at the top
        n_pairs = len(self._scores[self.reference])
        self.ax_.set_xlabel(
            f"difference to {self.reference} in {self.score_name}\n"
            f"dots: {n_pairs} pair{'s' * (n_pairs > 1)}; bars: mean with interval"
        )
        # As secondary axes, so that a title of the Axes does not overlap the labels.
        right, top = self.ax_.secondary_yaxis("right"), self.ax_.secondary_xaxis("top")
        right.set_yticks(rows, labels=[format(means[name], form) for name in names])
        right.set_ylabel(f"mean {self.score_name}")
        top.set_xticks([0], labels=[f"{self.reference} ({means[self.reference]:{form}})"])
        for axis in (right, top):
            axis.tick_params(length=0)


def _check_pairs(scores: Mapping[str, NDArray[np.float64]], reference: str) -> None:
    if reference not in scores:
        raise ValueError(f"The reference {reference!r} has no scores; known: {', '.join(map(str, scores))}.")
    if len(scores) < 2:
        raise ValueError(f"There is nothing to compare with {reference!r}: give the scores of another method too.")
    counts = {name: len(values) for name, values in scores.items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"The scores must be paired, the same number for each method; got {counts}.")


def _check_intervals(intervals: Mapping[str, tuple[float, float]], methods: Sequence[str], reference: str) -> None:
    missing = [name for name in methods if name not in intervals]
    unknown = [name for name in intervals if name not in methods and name != reference]
    if missing or unknown:
        raise ValueError(f"intervals must hold one per method; missing: {missing}, unknown: {unknown}.")
    for name in methods:
        ends = np.asarray(intervals[name], dtype=np.float64)
        is_interval = ends.shape == (2,) and np.isfinite(ends).all() and ends[0] <= ends[1]
        is_undefined = ends.shape == (2,) and np.isnan(ends).all()
        if not (is_interval or is_undefined):
            raise ValueError(
                f"The interval of {name!r} must be a finite low and high end, or NaN twice; got {intervals[name]!r}."
            )
