"""What an experiment found, as data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.utils import Bunch

from skaba.evaluation import paired_interval
from skaba.experiment._milestones import LATE

if TYPE_CHECKING:
    import pandas as pd


class Difference(NamedTuple):
    """A mean paired difference in points.

    Parameters
    ----------
    mean : float
    low, high : float
        Student's 95 % interval over the seeds: NaN if there is a single seed.
    p : float
        Of Wilcoxon's signed-rank test: NaN if there is a single seed.
    """

    mean: float
    low: float
    high: float
    p: float

    @classmethod
    def of(cls, paired: NDArray[Any]) -> Difference:
        """Return the mean of paired differences, and what the seeds say about it."""
        if len(paired) == 1:
            return cls(float(paired[0]), math.nan, math.nan, math.nan)
        return cls(float(paired.mean()), *paired_interval(paired), _signed_rank(paired.round(9)))

    @property
    def is_equal(self) -> bool:
        """Whether all seeds have the same difference, up to rounding. This tells little about other seeds."""
        return self.high - self.low < 1e-9

    @property
    def shown(self) -> int:
        """The sign that the interval shows: 1, -1, or 0 if it includes 0, has no width, or does not exist."""
        return 0 if self.is_equal else int(self.low > 0) - int(self.high < 0)


def _signed_rank(paired: NDArray[Any]) -> float:
    """Return the p-value of Wilcoxon's signed-rank test."""
    changed = paired[paired != 0]  # as Wilcoxon did; equal scores do not count
    if not len(changed):
        return 1.0
    # The exact distribution holds only without ties, and SciPy chooses by the number of samples only.
    has_ties = len(np.unique(np.abs(changed))) < len(changed)
    return float(stats.wilcoxon(changed, method="approx" if has_ties else "exact").pvalue)


# A Bunch is a dict, so json can write it.
class Results(Bunch):
    """Results of a finished experiment.

    Parameters
    ----------
    learning_rate : float
        Tuned on plain training.
    tuned : dict of str to float
        The tuned value of every arm, see :class:`Fit`; the median where it differs between fits.
    fits : dict of str to list of dict
        The reported fits of every arm, in the order of their seeds. Each is flat: the fields of :class:`Fit`, then
        what was measured.
    chosen : dict of str to str
        The arms with the best validation scores: "rival", "method", and "both", the two together.

    Examples
    --------
    >>> from skaba.experiment import read_results
    >>> experiment, results = read_results("experiments/results/e4_digits-cpu")
    >>> frame = results.to_frame()
    >>> scores = frame.groupby("arm")["test"].median()
    >>> print(f"{len(frame)} fits; plain {scores['plain']:.3f}, MendABA {scores['MendABA']:.3f}")
    110 fits; plain 0.902, MendABA 0.914
    """

    def to_frame(self) -> pd.DataFrame:
        """Return the reported fits as a table.

        Returns
        -------
        pandas.DataFrame
            One row per fit, with a column for each field of :class:`Fit` and for each thing measured. What was not
            measured on a fit is NaN.
        """
        import pandas as pd  # noqa: PLC0415 (only who asks for a frame should pay for it)

        return pd.DataFrame([fit for fits in self.fits.values() for fit in fits])

    def scores(self, arm: str, what: str = "test") -> NDArray[Any]:
        """Return the scores of an arm in percent, one per seed.

        Parameters
        ----------
        arm : str
        what : str, default="test"
            What was measured, such as "valid".

        Returns
        -------
        ndarray of shape (n_seeds,)
        """
        return 100 * np.array([fit[what] for fit in self.fits[arm]])

    def measured(self, arm: str) -> set[str]:
        """Return what was measured on every fit of an arm, together with the fields of :class:`Fit`."""
        return set.intersection(*(set(fit) for fit in self.fits[arm]))

    def difference(self, arm: str, other: str) -> Difference:
        """Return how much better an arm is than another, in points.

        Parameters
        ----------
        arm, other : str

        Returns
        -------
        Difference
            Of the test scores, paired by seed.
        """
        return Difference.of(self.scores(arm) - self.scores(other))

    def late_rise(self, arm: str) -> float:
        """Return by how many points the mean validation score rose in the last quarter of the epochs."""
        if LATE not in self.measured(arm):
            return 0.0
        return float((self.scores(arm, "valid") - self.scores(arm, LATE)).mean())
