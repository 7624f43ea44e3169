"""The net inside a Pipeline or a search, and X as that net takes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skaba.estimators._net import AugmentedNet


def split_pipeline(estimator: Any, X: Any) -> tuple[AugmentedNet, Any]:
    """Return the fitted net that an estimator ends in, and X transformed by the steps before the net.

    It makes all methods of the net available for a Pipeline; for two of them see :func:`attribute` and :func:`augment`.
    The displays of :mod:`skaba.plotting` call it themselves.

    Parameters
    ----------
    estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor, Pipeline or search
        Fitted. A Pipeline must end in one of the three; of a search, such as ``GridSearchCV``, the best
        estimator is taken. They may be nested.
    X : array-like of n samples
        As the estimator's ``predict`` takes it.

    Returns
    -------
    net : ABAClassifier, ABAMultiLabelClassifier or ABARegressor
        The fitted net itself, not a copy.
    X : array-like of n samples
        What the net's ``predict`` takes; an array if X is a data frame.

    Raises
    ------
    TypeError
        If the estimator does not end in one of the three.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    ValueError
        If the net does not take the transformed X, for example because its samples have other axes than
        those of ``fit``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from torch import nn
    >>> from skaba import ABAClassifier
    >>> from skaba.estimators import split_pipeline
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = ABAClassifier(nn.Linear, module__in_features=4, module__out_features=3, augmenter="fgsm",
    ...                     max_epochs=2, verbose=0)
    >>> pipeline = make_pipeline(StandardScaler(), clf).fit(X, y)
    >>> net, X_scaled = split_pipeline(pipeline, X[:5])
    >>> net.attribute(X_scaled, target=2).shape
    (5, 4)
    """
    transformers, net = _unpacked(estimator)
    net.check_is_fitted()
    for transformer in transformers:
        X = transformer.transform(X)
    return net, net._check_known(X)


def attribute(estimator: Any, X: Any, y: Any = None, *, attribution: Any = None, target: Any = None) -> np.ndarray:
    """Return the signed attribution maps of X, also of a Pipeline or a search, which have no such method.

    Parameters
    ----------
    estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor, Pipeline or search
        Fitted; see :func:`split_pipeline`.
    X : array-like of n samples
        As the estimator's ``predict`` takes it.
    y : array-like of shape (n, ...), default=None
        The targets.
    attribution : callable or str, default=None
        The method; see :meth:`skaba.ABAClassifier.attribute`.
    target : callable, str or int, default=None
        What is explained; see there.

    Returns
    -------
    ndarray of the shape of the transformed X, or of the layer's output
        A map over what the net takes: of a Pipeline, that is X after the steps before the net.

    Raises
    ------
    TypeError
        If the estimator does not end in one of the three.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    ValueError
        If X or y is not allowed, or there is no such method or target.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from torch import nn
    >>> from skaba import ABAClassifier
    >>> from skaba.estimators import attribute
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = ABAClassifier(nn.Linear, module__in_features=4, module__out_features=3, max_epochs=2, verbose=0)
    >>> pipeline = make_pipeline(StandardScaler(), clf).fit(X, y)
    >>> attribute(pipeline, X[:5], target=2, attribution="InputXGradient").shape
    (5, 4)
    """
    net, inputs = split_pipeline(estimator, X)
    return net.attribute(inputs, y, attribution=attribution, target=target)


def augment(estimator: Any, X: Any, y: Any = None) -> np.ndarray:
    """Return X as training would see it, also of a Pipeline or a search, which have no such method.

    Parameters
    ----------
    estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor, Pipeline or search
        Fitted; see :func:`split_pipeline`.
    X : array-like of n samples
        As the estimator's ``predict`` takes it.
    y : array-like of shape (n, ...)
        The targets.

    Returns
    -------
    ndarray of the shape of the transformed X, or of the layer's output
        What the net takes, changed; the steps of a Pipeline are not undone.

    Raises
    ------
    TypeError
        If the estimator does not end in one of the three.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    ValueError
        If X or y is not allowed, or a label was not seen in ``fit``.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from torch import nn
    >>> from skaba import ABAClassifier
    >>> from skaba.estimators import augment
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = ABAClassifier(nn.Linear, module__in_features=4, module__out_features=3, augmenter="fgsm",
    ...                     max_epochs=2, verbose=0)
    >>> pipeline = make_pipeline(StandardScaler(), clf).fit(X, y)
    >>> augment(pipeline, X[:5], y[:5]).shape
    (5, 4)
    """
    net, inputs = split_pipeline(estimator, X)
    return net.augment(inputs, y)


def _unpacked(estimator: Any) -> tuple[list[Pipeline], AugmentedNet]:
    """Return the pipelines of transformers, the outermost first, and the net behind them."""
    given, transformers = estimator, []
    while not isinstance(estimator, AugmentedNet):
        if isinstance(estimator, BaseSearchCV):
            check_is_fitted(estimator, "best_estimator_", msg="Fit this %(name)s first, with refit=True.")
            estimator = estimator.best_estimator_
        elif isinstance(estimator, Pipeline):
            if len(estimator.steps) > 1:
                transformers.append(estimator[:-1])
            estimator = estimator.steps[-1][1]
        else:
            raise TypeError(_no_net(given, estimator))
    return transformers, estimator


def _no_net(given: Any, last: Any) -> str:
    inside = "" if last is given else f" that ends in {_described(last)}"
    return (
        f"Got {_described(given)}{inside}, which is not a fitted skaba estimator. Pass a fitted ABAClassifier, "
        "ABAMultiLabelClassifier or ABARegressor, or a Pipeline or search that ends in one."
    )


def _described(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
