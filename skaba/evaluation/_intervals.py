"""Confidence intervals of differences between two methods."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from skaba.evaluation._checks import NOT_NEGATIVE, SHARE, check_parameters


def paired_interval(differences: ArrayLike, *, level: float = 0.95, test_ratio: float = 0.0) -> tuple[float, float]:
    """Return Student's t interval of the mean of paired differences.

    Parameters
    ----------
    differences : array-like of shape (n,)
        One per pair, for example the score of a method minus that of the reference with the same seed. The pairs must
        be independent of each other, as seeds are; the folds of one cross-validation are not.
    level : float, default=0.95
        The confidence level.
    test_ratio : float, default=0
        For pairs from repeated random splits of the same samples: the number of test samples divided by that of
        training samples. Such splits share samples, so their differences vary less than those of new samples would;
        the variance of the mean is then s² (1 / n + test_ratio) instead of s² / n (Nadeau and Bengio, 2003).

    Returns
    -------
    tuple of two floats
        Low and high end. A single difference, which tells nothing about the spread, gives NaN twice. Differences that
        are all equal give their value twice.

    Raises
    ------
    ValueError
        If there is no difference, one is not finite, the level is not in (0, 1), or the ratio is negative.

    Warns
    -----
    UserWarning
        If there is a single difference.

    Notes
    -----
    It is exact for normal differences, also if there are few: in simulations it covers the mean in 95 % of cases with
    3, 5 and 9 pairs, where the percentile bootstrap covers it in 77, 86 and 89 %. Three pairs make it wide: 4.3
    standard errors to either side, compared with 2.3 for 9 pairs.

    The interval of equal differences has no width. Such differences come from scores with few distinct values, such as
    the accuracy on a few samples, and tell little about the differences of other seeds.

    References
    ----------
    Student (1908), "The Probable Error of a Mean".

    Nadeau and Bengio (2003), "Inference for the Generalization Error".

    Examples
    --------
    >>> from skaba.evaluation import paired_interval
    >>> low, high = paired_interval([0.02, 0.01, 0.03, 0.02, 0.00, 0.02])
    >>> round(low, 4), round(high, 4)
    (0.0058, 0.0275)
    >>> paired_interval([0.5, 0.5])
    (0.5, 0.5)
    """
    values = np.asarray(differences, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"differences has shape {values.shape} but needs (n,): one per pair, at least one.")
    if not np.isfinite(values).all():
        raise ValueError("differences must be finite: drop the pairs in which a score is missing.")
    check_parameters("paired_interval", level=(level, SHARE), test_ratio=(test_ratio, NOT_NEGATIVE))
    if len(values) == 1:
        warnings.warn("One difference has no interval: it tells nothing about the spread.", stacklevel=2)
        return math.nan, math.nan
    # SciPy's t.interval returns NaN for a scale of 0.
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    scale = values.std(ddof=1) * math.sqrt(1 / len(values) + test_ratio)
    low, high = stats.t.interval(level, len(values) - 1, loc=values.mean(), scale=scale)
    return float(low), float(high)
