"""Checks of predicted probabilities and true classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skaba._samples import check_mask
from skaba._targets import check_targets

ROUNDING = 1e-6
"""How far a probability may lie outside [0, 1], because of rounding in float32."""


def check_predictions(y: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return the true classes as column numbers, and the probabilities.

    Raises
    ------
    ValueError
        If y does not hold column numbers, or a row of probabilities does not sum to 1.
    """
    check_mask(y, "y")
    check_mask(probabilities, "probabilities")
    p, classes = np.asarray(probabilities), np.asarray(y)
    _check_single_label(classes)
    if p.dtype.kind not in "biuf":
        raise ValueError(f"probabilities holds {p.dtype} values and must hold numbers from 0 to 1.")
    p = p.astype(np.float64)
    if p.ndim != 2 or p.shape[1] < 2 or len(p) == 0:
        raise ValueError(
            f"probabilities has shape {p.shape} and must have (n, n_classes), one column per class and at least "
            "one row. For two classes pass both columns, np.column_stack([1 - p, p])."
        )
    if len(p) != len(classes):
        raise ValueError(f"y has {len(classes)} samples, but probabilities has {len(p)}.")
    if not np.isfinite(p).all():
        bad = ~np.isfinite(p).all(axis=1)
        raise ValueError(
            f"probabilities holds NaN or infinity in {bad.sum()} of {len(p)} rows, the first of them row "
            f"{bad.argmax()}. Fix the classifier, or drop these samples."
        )
    if p.min() < -ROUNDING or p.max() > 1 + ROUNDING or not np.allclose(p.sum(axis=1), 1, atol=1e-3):
        raise ValueError(
            f"probabilities holds values from {p.min():.4g} to {p.max():.4g} and must hold rows of values from 0 to 1 "
            "that sum to 1. Apply the softmax to logits. For several labels per sample, check one label at a time, "
            "np.column_stack([1 - p[:, i], p[:, i]])."
        )
    if classes.dtype.kind not in "biu" or classes.min() < 0 or classes.max() >= p.shape[1]:
        raise ValueError(
            f"y must hold column numbers of probabilities, integers from 0 to {p.shape[1] - 1}; got {classes.dtype} "
            f"values such as {classes[:3].tolist()}. For labels use np.searchsorted(clf.classes_, y)."
        )
    return classes.astype(np.int64), p


def column_numbers(estimator: Any, y: Any) -> NDArray[np.int64]:
    """Return the column of ``predict_proba`` of a fitted classifier for each label in y.

    Parameters
    ----------
    estimator : classifier
        Fitted, with ``classes_``.
    y : array-like of shape (n,)

    Returns
    -------
    ndarray of shape (n,), int64

    Raises
    ------
    ValueError
        If y holds labels that the classifier does not know, or several per sample.
    """
    labels, classes = check_targets(y), np.asarray(estimator.classes_)
    _check_single_label(labels)
    order = np.argsort(classes)  # given classes= of a net need not be sorted, as searchsorted needs them
    # A label above all classes would be at len(classes); clipped, it is found to differ from its class below.
    try:
        columns = order[np.searchsorted(classes, labels, sorter=order).clip(max=len(classes) - 1)]
    except TypeError as error:  # text cannot be compared with numbers
        raise ValueError(f"y holds labels of another type than in fit. Known: {classes.tolist()}.") from error
    unseen = np.unique(labels[classes[columns] != labels])
    if len(unseen):
        raise ValueError(f"y holds labels that were not seen in fit: {unseen[:5].tolist()}. Known: {classes.tolist()}.")
    return np.asarray(columns, dtype=np.int64)


def _check_single_label(y: NDArray[Any]) -> None:
    if y.ndim != 1:
        raise ValueError(
            f"y has shape {y.shape}; calibration needs one class per sample, y of shape (n,). For several labels per "
            "sample, check one label at a time: y[:, i] with np.column_stack([1 - p[:, i], p[:, i]])."
        )
