"""Differences between the methods of a comparison, with their intervals, as text in points."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from skaba.evaluation._comparison import Comparison
from skaba.evaluation.worth._arms import PLAIN

IN_POINTS = ("accuracy", "macro AUC")
"""Scores that are shown in percent, and their differences in points."""
ROUNDING = 1e-9


@dataclass(frozen=True)
class Gain:
    """The mean difference of two methods' scores, and its interval.

    Parameters
    ----------
    mean, low, high : float
        Of the score, which is not in percent.
    in_points : bool
        Whether the text is in points.
    """

    mean: float
    low: float
    high: float
    in_points: bool

    # An interval without width comes from scores with few distinct values, and shows nothing.
    @property
    def is_above(self) -> bool:
        """Whether the interval lies above 0."""
        return self.low > 0 and self.high - self.low > ROUNDING

    @property
    def is_below(self) -> bool:
        """Whether the interval lies below 0."""
        return self.high < 0 and self.high - self.low > ROUNDING

    @property
    def unit(self) -> str:
        """`` points``, or nothing."""
        return " points" if self.in_points else ""

    def written(self, value: float, *, sign: bool = True) -> str:
        """Return a difference of scores as text, without its unit."""
        shown, digits = (100 * value, 1) if self.in_points else (value, 3)
        # Adding 0 turns -0 into 0.
        return format(round(shown, digits) + 0.0, f"{'+' * sign}.{digits}f")

    @property
    def interval(self) -> str:
        """The interval as text; empty if there is none, or it has no width."""
        if math.isnan(self.low) or self.high - self.low <= ROUNDING:
            return ""
        return f" [{self.written(self.low)}, {self.written(self.high)}]"

    def __str__(self) -> str:
        return f"{self.written(self.mean)}{self.unit}{self.interval}"


class Gains:
    """The gains of methods over each other, for methods whose fits all succeeded.

    Parameters
    ----------
    comparison : Comparison
    groups : mapping of str to str
        The group of each method.
    """

    def __init__(self, comparison: Comparison, groups: Mapping[str, str]) -> None:
        self.comparison = comparison
        self.means = {name: float(values.mean()) for name, values in comparison.by_seed().items()}
        self.groups = groups
        self.in_points = comparison.score_name in IN_POINTS

    def of(self, name: str, over: str = PLAIN) -> Gain:
        """Return the gain of a method over another one."""
        # The comparison subtracts and corrects for shared samples; only what it subtracts changes.
        against = replace(self.comparison, reference=over)
        low, high = against.intervals()[name]
        return Gain(float(against.differences()[name].mean()), low, high, self.in_points)

    def members(self, *groups: str) -> list[str]:
        """Return the methods of some groups."""
        return [name for name in self.means if self.groups[name] in groups]

    def best(self, names: Iterable[str]) -> str | None:
        """Return the method with the highest mean score; None if there is no method."""
        return max(names, key=self.means.__getitem__, default=None)

    def beats(self, name: str, others: Iterable[str]) -> bool:
        """Return whether the intervals of a method's gains over all other methods lie above 0."""
        return all(self.of(name, other).is_above for other in others)

    def written(self, name: str) -> str:
        """Return the mean score of a method as text, in percent if that suits it."""
        return f"{100 * self.means[name]:.1f}" if self.in_points else f"{self.means[name]:.3f}"
