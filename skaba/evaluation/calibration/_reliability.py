"""Calibration: the accuracy of a classifier in bins of its confidence, and single numbers for its probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import StrOptions

from skaba.evaluation._checks import COUNT, check_parameters
from skaba.evaluation.calibration._predictions import check_predictions


@dataclass(frozen=True, eq=False)
class ReliabilityCurve:
    """Accuracy and confidence in bins of confidence. Made by :func:`reliability_curve`.

    Parameters
    ----------
    edges : ndarray of shape (n_bins + 1,)
        Edges of the bins, ascending.
    counts : ndarray of shape (n_bins,)
        Samples in each bin.
    accuracy, confidence : ndarray of shape (n_bins,)
        Share of correct predictions, and mean probability of the predicted class; NaN in empty bins.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    accuracy: NDArray[np.float64]
    confidence: NDArray[np.float64]

    @property
    def error(self) -> float:
        """The expected calibration error: the mean of ``|accuracy - confidence|``, weighted by the samples."""
        filled = self.counts > 0
        gaps = np.abs(self.accuracy - self.confidence)[filled]
        return float(np.average(gaps, weights=self.counts[filled]))


def reliability_curve(
    y: ArrayLike, probabilities: ArrayLike, *, n_bins: int = 15, strategy: str = "uniform"
) -> ReliabilityCurve:
    """Return a classifier's accuracy and confidence in bins of confidence.

    The confidence is the probability of the predicted class.

    Parameters
    ----------
    y : array-like of shape (n,)
        The true classes, as column numbers of ``probabilities``: ``np.searchsorted(clf.classes_, labels)``.
    probabilities : array-like of shape (n, n_classes)
        As ``predict_proba`` returns them; every row sums to 1.
    n_bins : int, default=15
        Bins, closed on the right.
    strategy : "uniform" or "quantile", default="uniform"
        ``"uniform"``: bins of equal width over [0, 1]. ``"quantile"``: adaptive bins between quantiles of the
        confidences, with about the same number of samples each; equal confidences share a bin.

    Returns
    -------
    ReliabilityCurve

    Raises
    ------
    ValueError
        If y does not hold column numbers, a row of probabilities does not sum to 1, or a parameter is not allowed.

    References
    ----------
    As :func:`expected_calibration_error`.

    Examples
    --------
    >>> from skaba.evaluation.calibration import reliability_curve
    >>> curve = reliability_curve([0, 0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]], n_bins=2)
    >>> curve.counts.tolist(), float(curve.accuracy[1]), round(float(curve.confidence[1]), 6)
    ([0, 4], 0.75, 0.75)
    """
    strategies = StrOptions({"uniform", "quantile"})
    check_parameters("reliability_curve", n_bins=(n_bins, COUNT), strategy=(strategy, [strategies]))
    classes, p = check_predictions(y, probabilities)
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == classes
    shares = np.linspace(0, 1, int(n_bins) + 1)
    edges = shares if strategy == "uniform" else np.quantile(confidence, shares)
    # Inner edges only, so that the outer bins also take values that rounding puts outside of [0, 1].
    bins = np.searchsorted(edges[1:-1], confidence)
    counts = np.bincount(bins, minlength=len(edges) - 1)
    with np.errstate(invalid="ignore"):  # 0 / 0 in empty bins
        accuracy = np.bincount(bins, weights=correct, minlength=len(counts)) / counts
        mean = np.bincount(bins, weights=confidence, minlength=len(counts)) / counts
    return ReliabilityCurve(edges, counts, accuracy, mean)


def expected_calibration_error(
    y: ArrayLike, probabilities: ArrayLike, *, n_bins: int = 15, strategy: str = "uniform"
) -> float:
    """Return the mean gap between a classifier's confidence and its accuracy.

    Samples are put into bins by confidence, the probability of the predicted class. A bin's gap is
    ``|accuracy - mean confidence|``; the error is the mean of the gaps, weighted by the bins' samples.

    Parameters
    ----------
    y : array-like of shape (n,)
        The true classes, as column numbers of ``probabilities``: ``np.searchsorted(clf.classes_, labels)``.
    probabilities : array-like of shape (n, n_classes)
        As ``predict_proba`` returns them; every row sums to 1.
    n_bins : int, default=15
        Bins, closed on the right.
    strategy : "uniform" or "quantile", default="uniform"
        ``"uniform"``: bins of equal width over [0, 1]. ``"quantile"``: adaptive bins between quantiles of the
        confidences, with about the same number of samples each; equal confidences share a bin.

    Returns
    -------
    float
        From 0 (perfect calibration) to 1.

    Raises
    ------
    ValueError
        If y does not hold column numbers, a row of probabilities does not sum to 1, or a parameter is not allowed.

    Notes
    -----
    With few samples, the error is above 0 for a perfectly calibrated classifier too, because the accuracy of a bin
    is then a rough estimate. Compare classifiers on the same samples and bins. A network that is almost always
    confident fills few bins of equal width; adaptive bins are finer where its samples are.

    References
    ----------
    Guo et al. (2017), "On Calibration of Modern Neural Networks", equations 2 to 5; Nguyen and O'Connor (2015),
    "Posterior Calibration and Exploratory Analysis for Natural Language Processing Models", for adaptive bins.

    Examples
    --------
    Ten predictions with a confidence of 80 %, seven of them right:

    >>> from skaba.evaluation.calibration import expected_calibration_error
    >>> y = [0] * 7 + [1] * 3
    >>> round(expected_calibration_error(y, [[0.8, 0.2]] * 10), 6)
    0.1
    """
    return reliability_curve(y, probabilities, n_bins=n_bins, strategy=strategy).error


def brier_score(y: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the mean squared distance between predicted probabilities and true classes.

    ``mean over samples of sum over classes of (p_k - [y = k]) ** 2``.

    Parameters
    ----------
    y : array-like of shape (n,)
        The true classes, as column numbers of ``probabilities``: ``np.searchsorted(clf.classes_, labels)``.
    probabilities : array-like of shape (n, n_classes)
        As ``predict_proba`` returns them; every row sums to 1.

    Returns
    -------
    float
        From 0 (certain and right) to 2 (certain and wrong). For two classes, it is twice the default value of
        scikit-learn's ``brier_score_loss``; for more classes, which scikit-learn accepts since version 1.7, it is the
        same.

    Raises
    ------
    ValueError
        If y does not hold column numbers, or a row of probabilities does not sum to 1.

    Notes
    -----
    Unlike the calibration error, it is a proper score: only the true probabilities have the lowest mean. It
    falls with better calibration and with better discrimination.

    References
    ----------
    Brier (1950), "Verification of Forecasts Expressed in Terms of Probability".

    Examples
    --------
    >>> from sklearn.metrics import brier_score_loss
    >>> from skaba.evaluation.calibration import brier_score
    >>> round(brier_score([0, 1], [[0.8, 0.2], [0.4, 0.6]]), 6)
    0.2
    >>> round(2 * float(brier_score_loss([0, 1], [0.2, 0.6])), 6)
    0.2
    """
    classes, p = check_predictions(y, probabilities)
    # Without a one-hot matrix: the term of the true class is replaced in the sum of squares.
    p_true = p[np.arange(len(p)), classes]
    return float(np.mean((p**2).sum(axis=1) - p_true**2 + (1 - p_true) ** 2))
