"""The score of a saved estimator, as far as its labels are known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from skaba import ABAClassifier
from skaba.estimators import find_net


def score_or_reason(estimator: Any, X: Any, y: NDArray[Any]) -> tuple[float | None, str]:
    """Return an estimator's score, or None and why there is none.

    Weights alone do not tell which label a logit stands for.

    Parameters
    ----------
    estimator : estimator
        Fitted, or with loaded weights.
    X : array-like of n samples
    y : ndarray of shape (n, ...)
    """
    net = find_net(estimator)
    if isinstance(net, ABAClassifier) and not hasattr(net, "classes_"):
        n_classes = estimator.predict_proba(X[:1]).shape[1]
        if not _are_columns(y, n_classes):
            return None, (
                f"y holds labels such as {np.unique(y)[:3].tolist()}, and weights alone do not tell which of the "
                f"{n_classes} logits is whose. Let the function give the estimator classes=[...], or write y as column "
                f"numbers from 0 to {n_classes - 1}, 0 among them."
            )
    return float(estimator.score(X, y)), ""


def _are_columns(y: NDArray[Any], n_classes: int) -> bool:
    """Whether labels are column numbers; without a 0 among them they may as well count from 1."""
    if y.dtype.kind not in "biuf":
        return False
    return bool(y.min() == 0 and y.max() < n_classes and np.all(y == np.floor(y)))
