"""Whether a classifier is right as often as it claims."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def expected_calibration_error(y: ArrayLike, probabilities: ArrayLike, *, n_bins: int = 15) -> float:
    """Return the mean gap between a classifier's confidence and its accuracy.

    Samples are put into bins by confidence, the probability of the predicted class. A bin's gap is
    ``|accuracy - mean confidence|``; the error is the mean of the gaps, weighted by the bins' samples.

    Parameters
    ----------
    y : array-like of shape (n,)
        The true classes as column numbers of ``probabilities``.
        ``np.searchsorted(clf.classes_, labels)`` makes them of labels.
    probabilities : array-like of shape (n, n_classes)
        As ``predict_proba`` returns them; every row sums to 1.
    n_bins : int, default=15
        Bins of equal width over [0, 1], closed on the right.

    Returns
    -------
    float
        From 0 (perfect calibration) to 1.

    Raises
    ------
    ValueError
        If y holds no column numbers, the probabilities are none of classes that exclude each other,
        or ``n_bins`` is no positive integer.

    Notes
    -----
    With few samples the error is above 0 for a perfectly calibrated classifier too, for a bin's accuracy
    is then a rough estimate. Compare classifiers on the same samples and bins.

    References
    ----------
    Guo et al. (2017), "On Calibration of Modern Neural Networks", equations 2 to 5.

    Examples
    --------
    Ten predictions at 80 %, of which seven are right:

    >>> from skaba.evaluation import expected_calibration_error
    >>> y = [0] * 7 + [1] * 3
    >>> round(expected_calibration_error(y, [[0.8, 0.2]] * 10), 6)
    0.1
    """
    p, classes = _check(y, probabilities, n_bins)
    confidence = p.max(axis=1)
    correct = p.argmax(axis=1) == classes
    bins = np.searchsorted(np.linspace(0, 1, n_bins + 1)[1:-1], confidence)
    gaps = np.bincount(bins, weights=correct - confidence, minlength=n_bins)
    return float(np.abs(gaps).sum() / len(classes))


def _check(y: ArrayLike, probabilities: ArrayLike, n_bins: int) -> tuple[NDArray[Any], NDArray[Any]]:
    if not isinstance(n_bins, Integral) or n_bins < 1:
        raise ValueError(f"n_bins={n_bins!r} must be a positive integer.")
    p, classes = np.asarray(probabilities, dtype=np.float64), np.asarray(y)
    if classes.ndim != 1:
        raise ValueError(
            f"y has shape {classes.shape}; calibration is that of one class a sample, y of shape (n,). For several "
            "labels ask label by label: y[:, i] with np.column_stack([1 - p[:, i], p[:, i]])."
        )
    if p.ndim != 2 or p.shape[1] < 2 or len(p) == 0:
        raise ValueError(
            f"probabilities has shape {p.shape} and must have (n, n_classes), one column a class and at least one "
            "row. Of two classes pass both columns, np.column_stack([1 - p, p])."
        )
    if len(p) != len(classes):
        raise ValueError(f"y has {len(classes)} samples, but probabilities has {len(p)}.")
    if not np.all(p >= 0) or not np.allclose(p.sum(axis=1), 1, atol=1e-3):
        raise ValueError(
            "probabilities must be non-negative rows that sum to 1. Of logits take the softmax; of several labels "
            "a sample ask label by label, np.column_stack([1 - p[:, i], p[:, i]])."
        )
    if classes.dtype.kind not in "biu" or classes.min() < 0 or classes.max() >= p.shape[1]:
        raise ValueError(
            f"y must hold column numbers of probabilities, integers from 0 to {p.shape[1] - 1}; got {classes.dtype} "
            f"values such as {classes[:3].tolist()}. Of labels make them with np.searchsorted(clf.classes_, y)."
        )
    return p, classes
