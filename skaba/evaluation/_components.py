"""Parts of estimators: their kinds, their random states, and the controls of their augmenters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.base import BaseEstimator, clone
from sklearn.pipeline import Pipeline

from skaba.augmenters import as_augmenter
from skaba.estimators import AugmentedNet, uses_masks


def includes(component: Any, kinds: type | tuple[type, ...]) -> bool:
    """Return whether a component, or one nested in its parameters, is of one of these kinds."""
    nested = component.get_params().values() if isinstance(component, BaseEstimator) else ()
    return any(isinstance(one, kinds) for one in (component, *nested))


def is_search(estimator: Any) -> bool:
    """Return whether an estimator tunes another estimator by cross-validation."""
    # By its parameters, because searches of other libraries share no base class with scikit-learn's.
    # LogisticRegressionCV has cv and refit too, but no estimator inside.
    return all(hasattr(estimator, name) for name in ("cv", "refit", "estimator"))


def seeded(estimator: Any, seed: int) -> Any:
    """Return a clone with every ``random_state`` set, also those of nested estimators."""
    fresh = clone(estimator)  # the caller's estimator must keep its own random_state
    names = [name for name in fresh.get_params() if name == "random_state" or name.endswith("__random_state")]
    return fresh.set_params(**dict.fromkeys(names, seed))


def mask_keyword(estimator: Any) -> str | None:
    """Return the keyword by which ``fit`` passes masks to the net in an estimator; None if the net does not use masks.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
    """
    prefix = ""
    searched = getattr(estimator, "param_grid", {})
    grids = searched if isinstance(searched, list) else [searched]
    while not isinstance(estimator, AugmentedNet):
        if is_search(estimator):
            estimator = estimator.estimator
        elif isinstance(estimator, Pipeline):
            name, estimator = estimator.steps[-1]
            prefix += f"{name}__"
        else:
            return None
    searches_penalties = any(f"{prefix}penalty" in grid for grid in grids)
    return f"{prefix}mask" if searches_penalties or uses_masks(estimator) else None


def random_map_of(augmenter: Any) -> Any:
    """Return the control of an augmenter that shuffles its maps, None for augmenters without maps."""
    return augmenter.random_map() if hasattr(augmenter, "random_map") else None


def has_unit_of_input(augmenter: Any) -> bool:
    """Return whether an augmenter's strength is in the units of the input, so that it suits attacks too."""
    return augmenter is None or as_augmenter(augmenter).is_attribution_based


def clone_with(net: AugmentedNet, settings: Mapping[str, Any]) -> AugmentedNet:
    """Return an unfitted clone with other settings, without the parameters that were set for its augmenter."""
    # augmenter__* belong to the replaced augmenter; another one would refuse them.
    parameters = clone(net).get_params(deep=False)
    kept = {name: value for name, value in parameters.items() if not name.startswith("augmenter__")}
    return type(net)(**{**kept, **settings})
