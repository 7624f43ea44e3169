"""Components of an estimator, by kind."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator


def includes(component: Any, kinds: type | tuple[type, ...]) -> bool:
    """Whether a component, or one that is nested in its parameters, is of one of these kinds."""
    nested = component.get_params().values() if isinstance(component, BaseEstimator) else ()
    return any(isinstance(one, kinds) for one in (component, *nested))
