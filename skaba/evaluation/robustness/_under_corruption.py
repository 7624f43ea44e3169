"""The score of a fitted estimator on noisy inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skaba._validation import validate_parameters
from skaba.evaluation._checks import SEED, check_parameters
from skaba.evaluation.robustness._corruptions import SEVERITY
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
        Fitted: a skaba estimator, or any that has ``score``. With a Pipeline, X is corrupted before the first step.
    X : array-like of shape (n, ...)
        Floats. Nothing can be added to word ids: add noise at their embedding with :func:`score_under_attack` and
        ``GaussianNoise()``, or occlude words with :func:`occlusion_scores`.
    y : array-like of shape (n, ...)
    corruption : callable
        Such as ``GaussianCorruption()``, ``ShotCorruption()`` or ``ImpulseCorruption()``, whose bounds are the range
        of X, by default [0, 1]; or any callable that takes ``(X, *, severity, generator)``, an array and a
        ``numpy.random.Generator``, and returns an array of X's shape.
    severity : int
        From 1 (weak) to 5 (strong).
    random_state : int, default=0
        Decides the noise, which is the same for all estimators.

    Returns
    -------
    float
        The estimator's score, such as accuracy, macro area under the ROC curve, or R².

    Raises
    ------
    TypeError
        If the estimator has no ``score``, or X is not a single array.
    ValueError
        If a parameter is not allowed, X does not hold floats or exceeds the corruption's bounds, or y does not fit.

    Notes
    -----
    A corrupted copy of X is made; while the noise is drawn, there are a few more copies in double precision.

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
    check_parameters("score_under_corruption", severity=(severity, SEVERITY), random_state=(random_state, SEED))
    values = as_floats(X, y)
    # A copy, because the corruption may work in place on the caller's X.
    corrupted = corruption(values.copy(), severity=severity, generator=np.random.default_rng(int(random_state)))
    if getattr(corrupted, "shape", None) != values.shape:
        got = getattr(corrupted, "shape", type(corrupted).__name__)
        raise ValueError(f"The corruption returned {got} for samples of shape {values.shape}; it must keep the shape.")
    return float(estimator.score(like(X, np.asarray(corrupted)), y))


def check_corruption(corruption: Any) -> None:
    """Raise a ValueError unless a corruption can be called."""
    if isinstance(corruption, type) or not callable(corruption):
        raise ValueError(
            f"corruption={corruption!r} must be an instance or a function of (X, *, severity, generator), for example "
            "GaussianCorruption(bounds=(0, 1))."
        )
    validate_parameters(corruption)
