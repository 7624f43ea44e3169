"""The results of a comparison of methods."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skaba.evaluation._intervals import paired_interval
from skaba.evaluation._tables import frame_of, markdown_table

Values = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Paired scores of several methods. Made by :func:`compare`.

    Parameters
    ----------
    scores : dict of str to ndarray of shape (n_seeds * n_folds,)
        Each method's scores, seed by seed; the values at one position belong to the same seed and fold. NaN where the
        fit failed.
    reference : str
        The method that the others are compared with.
    n_folds : int
        Folds per seed.
    calibration : dict of str to ndarray of shape (n_seeds * n_folds,), default={}
        Expected calibration error, for classifiers with ``predict_proba`` and one class per sample.
    attacked : dict of str to dict of str to ndarray, default={}
        Scores under attack, by attack and then by method, for methods that are skaba estimators.
    score_name : str, default="score"
    fit_seconds : dict of str to ndarray of shape (n_seeds * n_folds,), default={}
        Measured time of each fit. Fits that run at the same time (``n_jobs``) slow each other down.
    operations : dict of str to float, default={}
        Floating-point operations of the first fit of the first seed: those of one epoch times the number of epochs.
        Matrix products, convolutions and attention are counted, for methods that are skaba estimators and not compiled.
    failures : dict of str to str, default={}
        By method, how many of its fits failed, and why the first one failed.
    test_ratio : float, default=0
        For random splits of the same samples: see :func:`paired_interval`.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.evaluation import Comparison
    >>> scores = {"plain": np.array([0.80, 0.82, 0.78]), "ours": np.array([0.84, 0.83, 0.83])}
    >>> print(Comparison(scores, reference="plain", n_folds=1).table())
    | method | mean score | mean difference to plain, 95 % interval |
    |---|---|---|
    | plain | 0.800 | |
    | ours | 0.833 | +0.033 [-0.018, +0.085] |
    <BLANKLINE>
    Means over 3 seeds of 1 fold each. Intervals: Student's t over the seeds.
    """

    scores: Values
    reference: str
    n_folds: int
    calibration: Values = field(default_factory=dict)
    attacked: dict[str, Values] = field(default_factory=dict)
    score_name: str = "score"
    fit_seconds: Values = field(default_factory=dict)
    operations: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    test_ratio: float = 0.0

    @property
    def n_seeds(self) -> int:
        """How often the cross-validation was repeated."""
        return len(self.scores[self.reference]) // self.n_folds

    def differences(self) -> Values:
        """Return the paired differences to the reference, of which :meth:`intervals` makes intervals.

        Returns
        -------
        dict of str to ndarray of shape (n_seeds,)
            One per seed, the mean over its folds: the folds of a seed share training samples, so their
            differences are not independent. Methods with a failed fit are left out; if the reference is one of them,
            all methods are left out.
        """
        units = self.by_seed()
        if self.reference not in units:
            return {}
        return {name: values - units[self.reference] for name, values in units.items() if name != self.reference}

    def by_seed(self) -> Values:
        """Return the mean score of each seed's folds, for the methods whose fits all succeeded.

        Returns
        -------
        dict of str to ndarray of shape (n_seeds,)
        """
        return {
            name: values.reshape(-1, self.n_folds).mean(axis=1)
            for name, values in self.scores.items()
            if not np.isnan(values).any()
        }

    def intervals(self, *, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Return each method's :func:`paired_interval` of the difference to the reference.

        The seeds are the independent repetitions. So an interval is about other seeds, and about other splits if these
        are drawn at random, of the same samples; it is not about other samples.

        Parameters
        ----------
        level : float, default=0.95

        Returns
        -------
        dict of str to (float, float)
            For the methods in :meth:`differences`. (NaN, NaN) if there is a single seed, or if all seeds gave the same
            scores, because neither the splits nor the estimators draw at random.
        """
        undefined = float("nan"), float("nan")
        return {
            name: (
                paired_interval(values, level=level, test_ratio=self.test_ratio)
                if self._is_repeated(name)
                else undefined
            )
            for name, values in self.differences().items()
        }

    def _is_repeated(self, name: str) -> bool:
        """Return whether the scores of a method or of the reference differ between seeds."""
        if self.n_seeds == 1:
            return False
        both = np.stack([self.scores[name], self.scores[self.reference]]).reshape(2, -1, self.n_folds)
        # Equal scores of all seeds would give an interval without width, as if the result were certain.
        return bool(np.ptp(both, axis=1).any())

    def table(self) -> str:
        """Return the comparison as a Markdown table with notes below it.

        Returns
        -------
        str
            One row per method. Every figure is a mean over all seeds and folds: of the score, of the difference to the
            reference, with its 95 % interval, and, if there are any, of the calibration error, of the scores under
            attack and of the time of a fit. Operations are those of one fit, in units of those of the reference.
        """
        columns = {
            f"mean {self.score_name}": _means(self.scores, ".3f"),
            f"mean difference to {self.reference}, 95 % interval": self._gains(),
            **({"ECE": _means(self.calibration, ".3f")} if self.calibration else {}),
            **{attack: _means(values, ".3f") for attack, values in self.attacked.items()},
            **({"fit, s": _means(self.fit_seconds, ".3g")} if self.fit_seconds else {}),
            **self._relative_operations(),
        }
        rows = [[name, *(column.get(name, "") for column in columns.values())] for name in self.scores]
        return "\n\n".join([markdown_table(["method", *columns], rows), " ".join(self._notes())])

    def _gains(self) -> dict[str, str]:
        intervals = self.intervals()
        return {name: f"{values.mean():+.3f}{_written(intervals[name])}" for name, values in self.differences().items()}

    def _relative_operations(self) -> dict[str, dict[str, str]]:
        base = self.operations.get(self.reference, 0)
        return {"operations": {name: f"{count / base:.2f}" for name, count in self.operations.items()}} if base else {}

    def _notes(self) -> Iterable[str]:
        folds = f"{self.n_folds} fold{'s' * (self.n_folds > 1)}"
        if self.n_seeds == 1:
            yield f"Means over {folds} of one seed. There are no intervals: they need several seeds."
        else:
            shared = ", wider because the splits share samples (Nadeau and Bengio, 2003)" if self.test_ratio else ""
            yield f"Means over {self.n_seeds} seeds of {folds} each. Intervals: Student's t over the seeds{shared}."
            if unrepeated := [name for name in self.differences() if not self._is_repeated(name)]:
                yield (
                    f"There is no interval for {', '.join(unrepeated)}: all seeds gave the same scores, so they are "
                    "not repetitions. Use a cv that draws its splits, such as a number of folds."
                )
            if equal := [name for name, (low, high) in self.intervals().items() if high - low < 1e-9]:  # rounding
                yield (
                    f"The interval for {', '.join(equal)} has no width: all seeds have equal differences, which tell "
                    "little about other seeds."
                )
        for name, failure in self.failures.items():
            yield f"{name}: {failure}."

    def to_frame(self) -> Any:
        """Return all figures as a pandas data frame.

        Returns
        -------
        pandas.DataFrame
            One row per method, seed and fold, with the columns ``method``, ``seed``, ``fold``, ``score``, as far as
            they were measured ``ece`` and ``fit_seconds``, and one column per attack. NaN where there is no figure.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from skaba.evaluation import Comparison
        >>> scores = {"plain": np.array([0.80, 0.82]), "ours": np.array([0.84, 0.83])}
        >>> Comparison(scores, reference="plain", n_folds=2).to_frame().shape
        (4, 4)
        """
        measured = {"ece": self.calibration, **self.attacked, "fit_seconds": self.fit_seconds}
        columns = {"score": self.scores, **{title: values for title, values in measured.items() if values}}
        missing = np.full(len(self.scores[self.reference]), np.nan)
        return frame_of(
            [
                {"method": name, "seed": place // self.n_folds, "fold": place % self.n_folds}
                | {title: float(found.get(name, missing)[place]) for title, found in columns.items()}
                for name, values in self.scores.items()
                for place in range(len(values))
            ]
        )


def _means(values_of: Values, form: str) -> dict[str, str]:
    """Return the mean of each method as text; with a failed fit, it could not be compared with the others."""
    return {
        name: "failed" if np.isnan(values).any() else format(values.mean(), form) for name, values in values_of.items()
    }


def _written(interval: tuple[float, float]) -> str:
    return "" if np.isnan(interval).any() else f" [{interval[0]:+.3f}, {interval[1]:+.3f}]"
