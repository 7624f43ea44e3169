"""How well a fitted estimator does on inputs that noise has changed."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skaba._validation import validate_parameters
from skaba.evaluation.robustness._corruptions import check_severity
from skaba.evaluation.robustness._samples import as_floats, check_scorable, like


def score_under_corruption(
    estimator: Any,
    X: Any,
    y: Any,
    corruption: Callable[..., NDArray[Any]],
    severity: int,
    *,
    random_state: int = 0,
) -> float:
    """Return the score of a fitted estimator on corrupted inputs.

    Parameters
    ----------
    estimator : estimator
        Fitted; skaba's, or any that has ``score``. A Pipeline gets X corrupted, before its steps.
    X : array-like of shape (n, ...)
        Floats. To word ids nothing can be added: add noise at their embedding by :func:`score_under_attack` with
        ``GaussianNoise()``, or occlude words by :func:`occlusion_scores`.
    y : array-like of shape (n, ...)
    corruption : callable
        Such as ``GaussianCorruption()``, ``ShotCorruption()`` or ``ImpulseCorruption()``, which need to know the range
        of X, by default [0, 1]. Anything called ``corruption(X, severity=..., generator=...)`` with an array and a
        ``numpy.random.Generator`` that returns an array of X's shape will do.
    severity : int
        From 1 (weak) to 5 (strong).
    random_state : int, default=0
        Decides the noise: all estimators get the same.

    Returns
    -------
    float
        The estimator's own score, such as accuracy, macro area under the ROC curve, or R².

    Raises
    ------
    TypeError
        If the estimator has no ``score``, or X is no single array.
    ValueError
        If a parameter is not allowed, X holds no floats or leaves the corruption's bounds, or y does not fit.

    Notes
    -----
    A corrupted copy of X is made, and while it is drawn a few more in double precision.

    References
    ----------
    Hendrycks and Dietterich (2019), "Benchmarking Neural Network Robustness to Common Corruptions and
    Perturbations".

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skaba.evaluation.robustness import GaussianCorruption, score_under_corruption
    >>> X, y = load_digits(return_X_y=True)
    >>> knn, noise = KNeighborsClassifier().fit(X[:1000], y[:1000]), GaussianCorruption(bounds=(0, 16))
    >>> mild, strong = (score_under_corruption(knn, X[1000:], y[1000:], noise, severity) for severity in (1, 5))
    >>> mild > strong
    True
    """
    check_scorable(estimator)
    check_corruption(corruption)
    check_severity(severity)
    check_random_state(random_state)
    values = as_floats(X, y)
    corrupted = corruption(values.copy(), severity=severity, generator=np.random.default_rng(int(random_state)))
    if getattr(corrupted, "shape", None) != values.shape:
        got = getattr(corrupted, "shape", type(corrupted).__name__)
        raise ValueError(f"The corruption returned {got} for samples of shape {values.shape}; it must keep the shape.")
    return float(estimator.score(like(X, np.asarray(corrupted)), y))


def check_corruption(corruption: Any) -> None:
    """Raise a ValueError unless there is something to corrupt with."""
    if isinstance(corruption, type) or not callable(corruption):
        raise ValueError(
            f"corruption={corruption!r} must be an instance or a function of (X, *, severity, generator), for example "
            "GaussianCorruption(bounds=(0, 1))."
        )
    validate_parameters(corruption)


def check_random_state(random_state: Any) -> None:
    """Raise a ValueError unless a seed is one."""
    if not isinstance(random_state, Integral) or random_state < 0:
        raise ValueError(f"random_state={random_state!r} must be a non-negative integer.")
