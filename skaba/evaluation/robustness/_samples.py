"""Samples that are changed before the estimator sees them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skaba._samples import check_length, check_samples
from skaba.estimators import find_net


def check_scorable(estimator: Any) -> None:
    """Raise an error unless an estimator has ``score`` and, as far as can be told before any work, is fitted.

    Raises
    ------
    TypeError
        If it has no ``score``, or is a class.
    skorch.exceptions.NotInitializedError
        If it is one of skaba's, or ends in one, and is not fitted.
    sklearn.exceptions.NotFittedError
        If it is one of scikit-learn's and not fitted.
    """
    if isinstance(estimator, type) or not callable(getattr(estimator, "score", None)):
        raise TypeError(f"estimator={estimator!r} is no estimator: pass a fitted one, which has score(X, y).")
    net = find_net(estimator)
    if net is not None:
        net.check_is_fitted()
    elif type(estimator).__module__.startswith("sklearn."):
        check_is_fitted(estimator)


def as_array(X: Any, y: Any) -> NDArray[Any]:
    """Return the samples as an array of finite numbers.

    Raises
    ------
    TypeError
        If X is no single array, such as a mapping of several inputs or a Dataset.
    ValueError
        If X holds no numbers, or NaN or infinity, or y does not have one target a sample.
    """
    values = check_samples(X, floats=False)
    if isinstance(values, Tensor):
        values = (values.float() if values.dtype == torch.bfloat16 else values).detach().cpu().numpy()
    if not isinstance(values, np.ndarray):
        raise TypeError(f"X is a {type(X).__name__}; what changes samples needs them in one array (or frame).")
    check_length(values, y)
    return values


def as_floats(X: Any, y: Any) -> NDArray[Any]:
    """Return the samples as an array of finite floats, or raise as :func:`as_array` does."""
    values = as_array(X, y)
    if values.dtype.kind != "f":
        raise ValueError(
            f"X holds {values.dtype} values; noise needs floats. Give X.astype('float32') with bounds in its units. To "
            "word ids nothing can be added: add noise at their embedding, score_under_attack(estimator, X, y, "
            "GaussianNoise(), strength), or occlude words, occlusion_scores(..., fill=0)."
        )
    return values


def like(X: Any, values: NDArray[Any]) -> Any:
    """Return changed samples as the estimator got them: a frame if X is one, else an array."""
    return type(X)(values, index=X.index, columns=X.columns) if hasattr(X, "iloc") else values
