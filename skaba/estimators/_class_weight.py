"""Weights of classes in the loss."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn


def class_weights(
    class_weight: Any, labels: NDArray[Any], balanced: Callable[[], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Return one weight per class.

    Parameters
    ----------
    class_weight : "balanced" or dict
        Weights by label; a label that is not named has weight 1.
    labels : ndarray of shape (n_classes,)
    balanced : callable
        Returns the weights for ``"balanced"``. They are computed only if they are needed.

    Returns
    -------
    ndarray of shape (n_classes,)

    Raises
    ------
    ValueError
        If a label is unknown, or a weight is not a finite number of at least 0.
    """
    if not isinstance(class_weight, Mapping):
        return balanced()
    known = labels.tolist()
    unknown = [label for label in class_weight if label not in known]
    if unknown:
        raise ValueError(f"class_weight names {unknown}, which are not labels of y. Known: {known}.")
    for label, weight in class_weight.items():
        if not isinstance(weight, Real) or not 0 <= float(weight) < math.inf:
            raise ValueError(f"class_weight[{label!r}]={weight!r} must be a finite number of at least 0.")
    weights = np.array([float(class_weight.get(label, 1)) for label in known])
    if not weights.any():
        raise ValueError(f"class_weight={dict(class_weight)} is 0 for every label, so there is nothing to train on.")
    return weights


def required_targets(class_weight: Any, targets: NDArray[Any] | None) -> NDArray[Any]:
    """Return the targets, or raise a ValueError if a Dataset hides them."""
    if targets is None:
        raise ValueError(
            f"class_weight={class_weight!r} needs the targets, which this Dataset hides: pass y beside it."
        )
    return targets


def check_takes_pos_weight(criterion: Any, given: Mapping[str, Any]) -> None:
    """Raise a ValueError if a criterion cannot be given weights of labels.

    Parameters
    ----------
    criterion : nn.Module class or instance
    given : mapping
        The criterion's arguments that the user set.
    """
    # skorch makes an instance anew from its class if there are arguments, and drops those that it was made with.
    if isinstance(criterion, nn.Module):
        kind = type(criterion).__name__
        raise ValueError(
            f"class_weight cannot be given to a criterion that is an instance: pass criterion={kind} and its arguments "
            "as criterion__..., or make it with pos_weight= and set class_weight=None."
        )
    if "pos_weight" in given:
        raise ValueError("class_weight and criterion__pos_weight both weigh the labels: set one of them to None.")
    if "pos_weight" not in inspect.signature(criterion).parameters:
        raise ValueError(
            f"class_weight needs a criterion that takes pos_weight=, such as BCEWithLogitsLoss; got {criterion!r}."
        )
