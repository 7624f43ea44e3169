"""What a gain by attribution has to be compared with."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from torch import Tensor

from skaba._random_state import random_state_kept
from skaba.augmenters import GaussianNoise
from skaba.estimators import (
    AugmentedNet,
    as_seen_by_net,
    augmented_batch,
    fitted_net,
    fresh_generator,
    over_batches,
    sharing,
    with_net,
)
from skaba.evaluation._cost import counted_cost, measured_cost
from skaba.network import FromLayer

N_AUGMENTED = 2000
"""Samples are augmented so often in all to measure the size of the changes, as a single draw is noisy."""


def controls(estimator: Any, X: Any, y: Any, *, cost: float | str = 1.67, random_state: int = 0) -> dict[str, Any]:
    """Return the controls of an estimator that augments with ABA: what it would gain without attribution.

    Parameters
    ----------
    estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor or Pipeline that ends in one
        Fitted, with an ABA and a strength above 0.
    X : array-like of n samples
        To measure the size of the method's changes on, such as the training samples.
    y : array-like of shape (n, ...)
    cost : float, "counted" or "measured", default=1.67
        What a step of the method costs, in plain steps. The default is MendABA's by count of operations;
        Challenger's is 1.33. ``"counted"`` counts the floating-point operations of an epoch of either on X.
        ``"measured"`` times epochs of both on X, in turns, on this machine: the longer plain training
        then takes as long as the method does. Pass the training samples, and let nothing else run meanwhile.
    random_state : int, default=0
        Decides the draws that are measured.

    Returns
    -------
    dict of str to estimator
        Unfitted, and otherwise as the estimator is:

        * ``"random map"``: the method's own maps, each shuffled over the features that are no padding
          (:class:`skaba.augmenters.RandomMapABA`); it costs what the method costs;
        * ``"Gaussian noise"``: with the root mean square of the method's own changes, of all features that
          are no padding;
        * ``"longer plain training"``: no augmentation, ``cost`` times as many epochs, at least one.

    Raises
    ------
    TypeError
        If the estimator is none of skaba's.
    ValueError
        If it does not augment with ABA, or if a parameter is not allowed.

    Notes
    -----
    Schedules of the learning rate that count epochs are not stretched with ``cost``.

    References
    ----------
    Bishop (1995), "Training with Noise is Equivalent to Tikhonov Regularization", for the noise.

    Examples
    --------
    >>> from skaba import ABAClassifier
    >>> from skaba.datasets import load_digits
    >>> from skaba.evaluation import controls
    >>> from skaba.modules import ConvNet
    >>> digits = load_digits("tiny")
    >>> clf = ABAClassifier(ConvNet, strength=0.3, max_epochs=3, random_state=0, verbose=0)
    >>> others = controls(clf.fit(digits.X_train, digits.y_train), digits.X_train, digits.y_train)
    >>> list(others)
    ['random map', 'Gaussian noise', 'longer plain training']
    >>> 0 < others["Gaussian noise"].strength < 0.3
    True
    >>> others["longer plain training"].max_epochs
    5
    """
    net = fitted_net(estimator)
    _check(net, cost, random_state)
    size = size_of_changes(estimator, X, y, random_state=random_state)
    if size == 0:
        raise ValueError("The method changed none of these samples: pass more of them, or raise the strength.")
    epochs = max(1, round(_cost(net, cost, as_seen_by_net(estimator, X), y) * net.max_epochs))
    settings: dict[str, dict[str, Any]] = {
        "random map": {"augmenter": net.augmenter_.random_map()},
        "Gaussian noise": {"augmenter": GaussianNoise(), "strength": size},
        "longer plain training": {"augmenter": None, "max_epochs": epochs},
    }
    return {name: with_net(estimator, _clone_with(net, setting)) for name, setting in settings.items()}


def _cost(net: AugmentedNet, cost: float | str, X: Any, y: Any) -> float:
    """Return what a step of the method costs, in plain steps."""
    if not isinstance(cost, str):
        return float(cost)
    find = counted_cost if cost == "counted" else measured_cost
    with random_state_kept():
        return find(clone(net), _clone_with(net, {"augmenter": None}), X, y)


def _check(net: AugmentedNet, cost: float | str, random_state: int) -> None:
    if not hasattr(net.augmenter_, "random_map") or net.strength_ == 0:
        raise ValueError(
            f"augmenter={net.augmenter!r}, strength={net.strength!r}: controls are those of an ABA at a strength above "
            "0. Fit the estimator with one, such as mend_aba()."
        )
    if cost not in ("counted", "measured") and (not isinstance(cost, Real) or not 0 < float(cost) < math.inf):
        raise ValueError(
            f"cost={cost!r} must be a positive number, the method's cost in plain training steps, or 'counted' or "
            "'measured'."
        )
    if not isinstance(random_state, Integral) or random_state < 0:
        raise ValueError(f"random_state={random_state!r} must be a non-negative integer.")


def _clone_with(net: AugmentedNet, setting: dict[str, Any]) -> AugmentedNet:
    """Return an unfitted clone with another augmenter, without what was set for the old one."""
    parameters = clone(net).get_params(deep=False)
    kept = {name: value for name, value in parameters.items() if not name.startswith("augmenter__")}
    return type(net)(**{**kept, **setting})


def size_of_changes(estimator: Any, X: Any, y: Any, *, random_state: int = 0) -> float:
    """Return the root mean square of what augmentation adds to the features that are no padding.

    Parameters
    ----------
    estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor or Pipeline that ends in one
        Fitted.
    X : array-like of n samples
    y : array-like of shape (n, ...)
    random_state : int, default=0
        Decides the draws.

    Returns
    -------
    float
        In the units of what is augmented.

    Raises
    ------
    TypeError
        If the estimator is none of skaba's.
    ValueError
        If the augmenter returns NaN or infinity, or the samples are padding alone.

    Examples
    --------
    >>> from skaba import ABAClassifier
    >>> from skaba.datasets import load_digits
    >>> from skaba.evaluation import size_of_changes
    >>> from skaba.modules import ConvNet
    >>> digits = load_digits("tiny")
    >>> clf = ABAClassifier(ConvNet, augmenter="fgsm", strength=0.3, max_epochs=1, random_state=0, verbose=0)
    >>> round(size_of_changes(clf.fit(digits.X_train, digits.y_train), digits.X_train, digits.y_train), 4)
    0.3
    """
    net, X = fitted_net(estimator), as_seen_by_net(estimator, X)
    seeds = np.random.RandomState(random_state).randint(2**31 - 1, size=max(1, N_AUGMENTED // len(X)))
    sums = sum(_squares_and_counts(sharing(net, random_state=int(seed)), X, y).sum(axis=0) for seed in seeds)
    if not np.isfinite(sums).all():
        raise ValueError("The augmenter returned NaN or infinity for some samples: there is no size of such changes.")
    if sums[1] == 0:
        raise ValueError("The samples are padding alone: there is nothing that the augmenter could change.")
    return float(np.sqrt(sums[0] / sums[1]))


def _squares_and_counts(net: AugmentedNet, X: Any, y: Any) -> np.ndarray:
    """Return each sample's sum of squared changes, and how many features could change."""
    generator = fresh_generator(net)

    def measure(inputs: Any, targets: Any) -> Tensor:
        model, x, x_augmented = augmented_batch(net, inputs, targets, generator)
        free = torch.ones_like(x)
        free = model.without_padding(free) if isinstance(model, FromLayer) else free
        return torch.stack([(x_augmented - x).square().flatten(1).sum(1), free.flatten(1).sum(1)], dim=1).double()

    return over_batches(net, X, y, measure)
