"""What an experiment found, as data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from skaba.evaluation import paired_interval

if TYPE_CHECKING:
    import pandas as pd


# A Bunch is a dict, so json can write it.
class Results(Bunch):
    """Results of a finished experiment.

    Parameters
    ----------
    learning_rate : float
        Tuned on plain training.
    strengths : dict of str to float
        The strength of every arm; the median where it differs between fits.
    fits : dict of str to list of dict
        The reported fits of every arm, in the order of their seeds. Each is flat: the fields of :class:`Fit`, then
        what was measured.

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

    def difference(self, arm: str, other: str) -> tuple[float, float, float]:
        """Return how much better an arm is than another, in points.

        Parameters
        ----------
        arm, other : str

        Returns
        -------
        mean, low, high : float
            The mean paired difference of the test scores, and Student's 95 % interval over the seeds: NaN if there
            is a single seed.
        """
        paired = self.scores(arm) - self.scores(other)
        interval = paired_interval(paired) if len(paired) > 1 else (math.nan, math.nan)
        return (float(paired.mean()), *interval)
