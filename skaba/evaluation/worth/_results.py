"""The answer: scores, advice and notes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skaba.evaluation._comparison import Comparison
from skaba.evaluation._tables import markdown_table
from skaba.evaluation.worth._arms import FREE, METHOD, OUTSIDER, PLAIN
from skaba.evaluation.worth._gains import IN_POINTS, Gains


@dataclass(frozen=True, eq=False)
class Worth:
    """Whether attribution-based augmentation is worth it. Made by :func:`worth`; ``print`` shows its table.

    Parameters
    ----------
    comparison : Comparison
        The scores of all methods, one per repetition.
    groups : dict of str to str
        The group of each method: ``"plain"``, ``"free rivals"``, ``"ABA"`` or ``"outsiders"``.
    advice : str
        What to do, in one or two sentences.
    notes : list of str, default=[]
        How it was measured, and what was left out.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.evaluation import Comparison, Worth
    >>> scores = {"plain": np.array([0.80, 0.82, 0.78]), "ABA": np.array([0.84, 0.83, 0.83])}
    >>> comparison = Comparison(scores, reference="plain", n_folds=1, score_name="accuracy", test_ratio=1 / 3)
    >>> print(Worth(comparison, {"plain": "plain", "ABA": "ABA"}, advice="Measure more."))
    Measure more.
    <BLANKLINE>
    | | method | accuracy, % | difference to plain, points [95 %] |
    |---|---|---|---|
    | plain | plain | 80.0 | |
    | ABA | ABA | 83.3 | +3.3 [-4.0, +10.6] |
    <BLANKLINE>
    Means over 3 random splits. Intervals: Student's t, wider because splits share samples (Nadeau and Bengio, 2003).
    """

    comparison: Comparison
    groups: dict[str, str]
    advice: str
    notes: list[str] = field(default_factory=list)

    @property
    def in_points(self) -> bool:
        """Whether scores are shown in percent, and their differences in points."""
        return self.comparison.score_name in IN_POINTS

    def table(self) -> str:
        """Return the advice, and below it a Markdown table with notes.

        Returns
        -------
        str
            One row per method, by group: its mean score, the mean difference to plain training with its interval,
            and the mean time of a fit. Accuracy and AUC are in percent, their differences in points.
        """
        gains = Gains(self.comparison, self.groups)
        score, points = self.comparison.score_name, ", points" if self.in_points else ""
        header = ["", "method", f"{score}, %" if points else score, f"difference to {PLAIN}{points} [95 %]"]
        seconds = self.comparison.fit_seconds
        rows = [
            [*self._figures(gains, name), *([_mean(seconds[name])] if seconds else [])]
            for group in (PLAIN, FREE, METHOD, OUTSIDER)
            for name in self.comparison.scores
            if self.groups[name] == group
        ]
        return "\n\n".join(
            [
                self.advice,
                markdown_table([*header, *(["fit, s"] if seconds else [])], rows),
                " ".join(self._all_notes()),
            ]
        )

    def _figures(self, gains: Gains, name: str) -> list[str]:
        if name not in gains.means:
            return [self.groups[name], name, "failed", ""]
        if name == PLAIN or PLAIN not in gains.means:
            return [self.groups[name], name, gains.written(name), ""]
        gain = gains.of(name)
        return [self.groups[name], name, gains.written(name), f"{gain.written(gain.mean)}{gain.interval}"]

    def _all_notes(self) -> list[str]:
        failures = [f"{name}: {failure}." for name, failure in self.comparison.failures.items()]
        return [
            f"Means over {self.comparison.n_seeds} random splits. Intervals: Student's t, wider because splits "
            "share samples (Nadeau and Bengio, 2003).",
            *self.notes,
            *failures,
        ]

    def to_frame(self) -> Any:
        """Return all scores as a pandas data frame.

        Returns
        -------
        pandas.DataFrame
            As :meth:`Comparison.to_frame`, with the column ``group``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        frame = self.comparison.to_frame()
        return frame.assign(group=frame["method"].map(self.groups))

    def __str__(self) -> str:
        return self.table()


def _mean(seconds: Any) -> str:
    return "" if np.isnan(seconds).all() else f"{np.nanmean(seconds):.2g}"
