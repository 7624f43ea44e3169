"""The net inside a Pipeline or a search, and X as the net receives it."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone
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
    net = fitted_net(estimator)
    return net, net._check_known(as_seen_by_net(estimator, X))


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
        The output or value that is explained; see there.

    Returns
    -------
    ndarray of the shape of the transformed X, or of the layer's output
        One value per feature that the net receives; in a Pipeline, these are the features after the earlier steps.

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
        The input of the net, augmented; the earlier steps of a Pipeline are not undone.

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


def find_net(estimator: Any) -> AugmentedNet | None:
    """Return the net that an estimator is or ends in, None if there is none; it need not be fitted.

    For a search, it is the net of the best estimator, or before ``fit`` that of the estimator to be tuned.
    """
    last = _unpacked(estimator)[1]
    return last if isinstance(last, AugmentedNet) else None


def fitted_net(estimator: Any) -> AugmentedNet:
    """Return the fitted net that an estimator is or ends in.

    Raises
    ------
    TypeError
        If there is none.
    sklearn.exceptions.NotFittedError
        If the net, or the search around it, is not fitted.
    """
    if isinstance(estimator, BaseSearchCV):
        check_is_fitted(estimator, "best_estimator_", msg="Fit this %(name)s first, with refit=True.")
    last = _unpacked(estimator)[1]
    if not isinstance(last, AugmentedNet):
        inside = "" if last is estimator else f" that ends in {_described(last)}"
        raise TypeError(
            f"Got {_described(estimator)}{inside}, which is not a fitted skaba estimator. Pass a fitted ABAClassifier, "
            "ABAMultiLabelClassifier or ABARegressor, or a Pipeline or search that ends in one."
        )
    last.check_is_fitted()
    return last


def as_seen_by_net(estimator: Any, X: Any) -> Any:
    """Return X after the steps that come before a fitted estimator's net, unchecked."""
    for transformer in _unpacked(estimator)[0]:
        X = transformer.transform(X)
    return X


def with_net(estimator: Any, net: AugmentedNet) -> Any:
    """Return an unfitted copy of an estimator, or of a search's best estimator, with another net."""
    if isinstance(estimator, BaseSearchCV):
        return with_net(estimator.best_estimator_, net)
    if not isinstance(estimator, Pipeline):
        return net
    name, last = estimator.steps[-1]
    return clone(estimator).set_params(**{name: with_net(last, net)})


def sharing(net: AugmentedNet, **attributes: Any) -> AugmentedNet:
    """Return a net that shares all attributes with another one, also its fitted module, except for those given.

    It is for predictions, not for training. Setting an attribute on it does not change the other net.
    """
    # skorch's __setattr__ would register modules and optimisers among the attributes as new ones.
    view = object.__new__(type(net))
    view.__dict__.update({**net.__dict__, **attributes})
    return view


def _unpacked(estimator: Any) -> tuple[list[Pipeline], Any]:
    """Return the pipelines of transformers, the outermost first, and the estimator behind them."""
    # BaseSearchCV, the only common base of scikit-learn's searches, is private there.
    transformers = []
    while isinstance(estimator, (BaseSearchCV, Pipeline)):
        if isinstance(estimator, BaseSearchCV):
            estimator = getattr(estimator, "best_estimator_", estimator.estimator)
            continue
        if len(estimator.steps) > 1:
            transformers.append(estimator[:-1])  # a Pipeline that shares the fitted steps
        estimator = estimator.steps[-1][1]
    return transformers, estimator


def _described(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
