"""Checks of predictions that are to be judged by what came true."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skaba._targets import check_targets


def check_predictions(y: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return the true classes as column numbers, and the probabilities.

    Raises
    ------
    ValueError
        If y holds no column numbers, or the probabilities are none of classes that exclude each other.
    """
    p, classes = np.asarray(probabilities, dtype=np.float64), np.asarray(y)
    _check_single_label(classes)
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
    return classes.astype(np.int64), p


def column_numbers(estimator: Any, y: Any) -> NDArray[np.int64]:
    """Return where the probabilities of labels stand in what a fitted classifier predicts.

    Raises
    ------
    ValueError
        If y holds no labels of the classifier's, or several a sample.
    """
    labels, classes = check_targets(y), np.asarray(estimator.classes_)
    _check_single_label(labels)
    order = np.argsort(classes)  # they need not be sorted
    try:
        columns = order[np.searchsorted(classes, labels, sorter=order).clip(max=len(classes) - 1)]
    except TypeError as error:
        raise ValueError(f"y holds labels of another type than in fit. Known: {classes.tolist()}.") from error
    unseen = np.unique(labels[classes[columns] != labels])
    if len(unseen):
        raise ValueError(f"y holds labels that were not seen in fit: {unseen[:5].tolist()}. Known: {classes.tolist()}.")
    return np.asarray(columns, dtype=np.int64)


def _check_single_label(y: NDArray[Any]) -> None:
    if y.ndim != 1:
        raise ValueError(
            f"y has shape {y.shape}; calibration is that of one class a sample, y of shape (n,). For several "
            "labels ask label by label: y[:, i] with np.column_stack([1 - p[:, i], p[:, i]])."
        )
