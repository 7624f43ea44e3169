"""The skaba estimator inside what a user hands over."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone
from sklearn.pipeline import Pipeline

from skaba.estimators._net import AugmentedNet


def find_net(estimator: Any) -> AugmentedNet | None:
    """Return the skaba estimator that an estimator is, or ends in; None if there is none."""
    while isinstance(estimator, Pipeline):
        estimator = estimator.steps[-1][1]
    return estimator if isinstance(estimator, AugmentedNet) else None


def fitted_net(estimator: Any) -> AugmentedNet:
    """Return the fitted skaba estimator that an estimator is, or ends in.

    Raises
    ------
    TypeError
        If there is none.
    skorch.exceptions.NotInitializedError
        If it is not fitted.
    """
    net = find_net(estimator)
    if net is None:
        raise TypeError(
            f"A {type(estimator).__name__} is no skaba estimator: pass a fitted ABAClassifier, "
            "ABAMultiLabelClassifier or ABARegressor, or a Pipeline that ends in one. Of a search pass its "
            "best_estimator_."
        )
    net.check_is_fitted()
    return net


def as_seen_by_net(estimator: Any, X: Any) -> Any:
    """Return X after the steps of a Pipeline that come before its net."""
    while isinstance(estimator, Pipeline):
        if len(estimator.steps) > 1:
            X = estimator[:-1].transform(X)
        estimator = estimator.steps[-1][1]
    return X


def with_net(estimator: Any, net: AugmentedNet) -> Any:
    """Return an unfitted estimator with another net in place of its own."""
    if not isinstance(estimator, Pipeline):
        return net
    name, last = estimator.steps[-1]
    return clone(estimator).set_params(**{name: with_net(last, net)})


def sharing(net: AugmentedNet, **attributes: Any) -> AugmentedNet:
    """Return a net that shares all with another, its fitted module too, but for some attributes.

    It is for asking, not for training. Setting an attribute on it leaves the other alone, which
    ``set_params`` on the net itself would not.
    """
    view = object.__new__(type(net))
    view.__dict__.update({**net.__dict__, **attributes})
    return view
