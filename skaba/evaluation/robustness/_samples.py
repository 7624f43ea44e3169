"""Samples that are changed before the estimator sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skaba._samples import check_length, check_samples
from skaba._targets import as_array as tensor_as_array
from skaba.estimators import find_net


def check_scorable(estimator: Any) -> None:
    """Raise an error unless an estimator has ``score`` and is fitted, as far as this can be found out beforehand.

    Raises
    ------
    TypeError
        If it has no ``score``, or is a class.
    skorch.exceptions.NotInitializedError
        If it is a skaba estimator, or ends in one, and is not fitted.
    sklearn.exceptions.NotFittedError
        If it is an estimator of scikit-learn's and not fitted.
    """
    if isinstance(estimator, type) or not callable(getattr(estimator, "score", None)):
        raise TypeError(f"estimator={estimator!r} is not an estimator: pass a fitted one, which has score(X, y).")
    net = find_net(estimator)
    if net is not None:
        net.check_is_fitted()
    # check_is_fitted looks for attributes that end in "_", which estimators of other libraries need not have.
    elif type(estimator).__module__.startswith("sklearn."):
        check_is_fitted(estimator)


def as_array(X: Any, y: Any) -> NDArray[Any]:
    """Return the samples as an array of finite numbers.

    Raises
    ------
    TypeError
        If X is not a single array, for example a mapping of several inputs or a Dataset.
    ValueError
        If X does not hold finite numbers, or y does not have one target per sample.
    """
    values = check_samples(X, floats=False)
    if isinstance(values, Tensor):
        values = tensor_as_array(values)
    if not isinstance(values, np.ndarray):
        raise TypeError(f"X is a {type(X).__name__}; to be changed, the samples must be one array (or frame).")
    check_length(values, y)
    return values


def as_floats(X: Any, y: Any) -> NDArray[Any]:
    """Return the samples as an array of finite floats, or raise as :func:`as_array` does."""
    values = as_array(X, y)
    if values.dtype.kind != "f":
        raise ValueError(
            f"X holds {values.dtype} values; noise needs floats. Pass X.astype('float32') with bounds in its units. "
            "Nothing can be added to word ids: add noise at their embedding, score_under_attack(estimator, X, y, "
            "GaussianNoise(), strength), or occlude words, occlusion_scores(..., fill=0)."
        )
    return values


def like(X: Any, values: NDArray[Any]) -> Any:
    """Return changed samples as the estimator got them: a frame if X is one, else an array."""
    return type(X)(values, index=X.index, columns=X.columns) if hasattr(X, "iloc") else values
