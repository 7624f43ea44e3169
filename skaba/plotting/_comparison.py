"""How methods differ from a reference, pair by pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skaba.plotting._scores import checked_scores

if TYPE_CHECKING:
    from skaba.evaluation import Comparison


class ComparisonDisplay:
    """Paired differences between methods and a reference, with their intervals.

    One row per method, in the order given: the mean difference with its interval, each pair's difference as
    a light dot, and at the right the method's own mean score.

    Parameters
    ----------
    scores : mapping of str to sequence of float
        Scores of the methods and the reference. Those at one position belong together, for example by
        their seed.
    reference : str
        The method that the others are compared with.
    intervals : mapping of str to tuple (float, float)
        Low and high end of the interval of each method's mean difference, method minus reference; see
        :func:`skaba.evaluation.paired_interval`. One of the reference is not drawn, nor one whose ends are NaN.
    score_name : str, default="accuracy"
        Written at the axes.

    Attributes
    ----------
    scores, reference, intervals, score_name
        As given.
    differences_ : dict of str to ndarray of shape (n_pairs,)
        Method minus reference, from the top row to the lowest.
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

    def __init__(
        self,
        scores: Mapping[str, ArrayLike],
        *,
        reference: str,
        intervals: Mapping[str, tuple[float, float]],
        score_name: str = "accuracy",
    ) -> None:
        self.scores = scores
        self.reference = reference
        self.intervals = intervals
        self.score_name = score_name
        self._scores = checked_scores(scores, "method")
        _check_pairs(self._scores, reference)
        _check_intervals(intervals, [method for method in scores if method != reference], reference)

    @classmethod
    def from_comparison(cls, comparison: Comparison, *, ax: Any = None) -> ComparisonDisplay:
        """Plot what :func:`skaba.evaluation.compare` returned, one pair per seed.

        Parameters
        ----------
        comparison : Comparison
        ax : matplotlib Axes, default=None
            By default that of a new figure.

        Returns
        -------
        ComparisonDisplay

        Raises
        ------
        ValueError
            If there is nothing to compare, because fits failed.

        Examples
        --------
        >>> import numpy as np
        >>> from skaba.evaluation import Comparison
        >>> from skaba.plotting import ComparisonDisplay
        >>> scores = {"plain": np.array([0.6, 0.7, 0.8]), "mend_aba": np.array([0.8, 0.8, 0.9])}
        >>> comparison = Comparison(scores, reference="plain", n_folds=1)
        >>> ComparisonDisplay.from_comparison(comparison).differences_["mend_aba"].round(3)
        array([0.2, 0.1, 0.1])
        """
        if not (intervals := comparison.intervals()):
            failures = "; ".join(map(": ".join, comparison.failures.items()))
            raise ValueError(f"There are no differences to plot: {failures}.")
        return cls(
            comparison.by_seed(),
            reference=comparison.reference,
            intervals=intervals,
            score_name=comparison.score_name,
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> ComparisonDisplay:
        """Plot the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            By default that of a new figure.

        Returns
        -------
        ComparisonDisplay
            Itself, with ``ax_``, ``figure_`` and ``differences_``.
        """
        import matplotlib.pyplot as plt  # noqa: PLC0415 (heavy; only who plots should pay for it)

        base = self._scores[self.reference]
        self.differences_ = {name: own - base for name, own in self._scores.items() if name != self.reference}
        if ax is None:
            _, ax = plt.subplots(figsize=(7.0, max(2.6, 1.4 + 0.4 * len(self.differences_))), layout="constrained")
        self.ax_ = ax
        self.figure_ = ax.figure
        for row, (name, differences) in enumerate(self.differences_.items()):
            self._plot_row(row, differences, self.intervals[name])
        ax.axvline(0, color="black", linestyle="--", linewidth=1, zorder=1)
        self._label()
        ax.grid(axis="x", alpha=0.3)
        ax.locator_params(axis="x", nbins=6)
        return self

    def _plot_row(self, row: int, differences: NDArray[np.float64], interval: tuple[float, float]) -> None:
        """Plot a method's pairs, spread over the height of the row, and its mean with the interval."""
        n_pairs = len(differences)
        heights = row + (np.linspace(-0.25, 0.25, n_pairs) if n_pairs > 1 else np.zeros(1))
        self.ax_.plot(differences, heights, "o", color="tab:blue", alpha=0.35, markersize=4, markeredgewidth=0)
        if not np.isnan(interval).any():
            self.ax_.hlines(row, *interval, color="black", linewidth=2)
        self.ax_.plot(differences.mean(), row, "D", color="black", markersize=6)

    def _label(self) -> None:
        """Name the rows at the left, the reference above its line, and write the scores at the right."""
        means = {name: float(values.mean()) for name, values in self._scores.items()}
        form = ".3f" if max(map(abs, means.values())) <= 1 else ".2f"
        names = list(self.differences_)
        rows = range(len(names))
        self.ax_.set_yticks(rows, labels=names)
        self.ax_.set_ylim(len(names) - 0.5, -0.5)
        n_pairs = len(self._scores[self.reference])
        self.ax_.set_xlabel(
            f"difference to {self.reference} in {self.score_name}\n"
            f"dots: {n_pairs} pair{'s' * (n_pairs > 1)}; bars: mean with interval"
        )
        # Axes of their own, so that a title moves out of their way.
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
        raise ValueError(f"The scores must be paired, as many for each method; got {counts}.")


def _check_intervals(intervals: Mapping[str, tuple[float, float]], methods: Sequence[str], reference: str) -> None:
    missing = [name for name in methods if name not in intervals]
    unknown = [name for name in intervals if name not in methods and name != reference]
    if missing or unknown:
        raise ValueError(f"intervals must hold one for each method; missing: {missing}, unknown: {unknown}.")
    for name in methods:
        ends = np.asarray(intervals[name], dtype=np.float64)
        undefined = ends.shape == (2,) and np.isnan(ends).all()
        if not undefined and (ends.shape != (2,) or not np.isfinite(ends).all() or ends[0] > ends[1]):
            raise ValueError(
                f"The interval of {name!r} must be a finite low and high end, or NaN twice; got {intervals[name]!r}."
            )
