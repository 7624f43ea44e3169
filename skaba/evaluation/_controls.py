"""Controls: estimators to compare with, to find out whether a gain comes from attribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils._param_validation import StrOptions
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
from skaba.evaluation._checks import POSITIVE, SEED, check_parameters
from skaba.evaluation._components import clone_with, random_map_of
from skaba.evaluation._cost import counted_cost, measured_cost
from skaba.network import FromLayer

N_AUGMENTED = 2000
"""The number of augmented samples on which the size of the changes is measured. A smaller X is augmented several times,
because a single draw is noisy."""


def controls(estimator: Any, X: Any, y: Any, *, cost: float | str = 1.67, random_state: int = 0) -> dict[str, Any]:
    """Return the controls of an estimator that augments with ABA, which show what it gains without attribution.

    Parameters
    ----------
    estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor, Pipeline or search
        Fitted, with an ABA and a strength above 0.
    X : array-like of n samples
        The size of the method's changes is measured on them; for example the training samples.
    y : array-like of shape (n, ...)
    cost : float, "counted" or "measured", default=1.67
        The cost of a training step with the method, in units of a plain step. The default is that of MendABA, by its
        number of operations; that of Challenger is 1.33. ``"counted"`` counts the floating-point operations of an epoch
        of both on X. ``"measured"`` times epochs of both on X, in turns, on this machine: the longer plain training
        then takes as long as the method does. Pass the training samples, and run nothing else meanwhile.
    random_state : int, default=0
        Decides the random draws of the measured changes.

    Returns
    -------
    dict of str to estimator
        Unfitted copies of the estimator, each with one change:

        * ``"random map"``: the method's maps, each shuffled over the features that are not padding
          (:class:`skaba.augmenters.RandomMapABA`); it costs as much as the method;
        * ``"Gaussian noise"``: noise with the root mean square of the method's changes, over all features that
          are not padding;
        * ``"longer plain training"``: no augmentation, ``cost`` times as many epochs, at least one.

    Raises
    ------
    TypeError
        If the estimator does not end in a skaba estimator.
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
    if random_map_of(net.augmenter_) is None or net.strength_ == 0:
        raise ValueError(
            f"augmenter={net.augmenter!r}, strength={net.strength!r}: only an ABA with a strength above 0 has "
            "controls. Fit the estimator with one, such as mend_aba()."
        )
    costs = [*POSITIVE, StrOptions({"counted", "measured"})]
    check_parameters("controls", cost=(cost, costs), random_state=(random_state, SEED))
    size = size_of_changes(estimator, X, y, random_state=random_state)
    if size == 0:
        raise ValueError("The method changed none of these samples: pass more of them, or raise the strength.")
    epochs = max(1, round(_cost(net, cost, as_seen_by_net(estimator, X), y) * net.max_epochs))
    settings: dict[str, dict[str, Any]] = {
        "random map": {"augmenter": random_map_of(net.augmenter_)},
        "Gaussian noise": {"augmenter": GaussianNoise(), "strength": size},
        "longer plain training": {"augmenter": None, "max_epochs": epochs},
    }
    return {name: with_net(estimator, clone_with(net, setting)) for name, setting in settings.items()}


def _cost(net: AugmentedNet, cost: float | str, X: Any, y: Any) -> float:
    """Return the cost of a training step with the method, in units of a plain step."""
    if not isinstance(cost, str):
        return float(cost)
    find = counted_cost if cost == "counted" else measured_cost
    # The trial fits draw from torch's global state, which must not depend on whether the cost was measured.
    with random_state_kept():
        return find(clone(net), clone_with(net, {"augmenter": None}), X, y)


def size_of_changes(estimator: Any, X: Any, y: Any, *, random_state: int = 0) -> float:
    """Return the root mean square of what augmentation adds to the features that are not padding.

    Parameters
    ----------
    estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor, Pipeline or search
        Fitted.
    X : array-like of n samples
    y : array-like of shape (n, ...)
    random_state : int, default=0
        Decides the random draws.

    Returns
    -------
    float
        In the units of the augmented input.

    Raises
    ------
    TypeError
        If the estimator does not end in a skaba estimator.
    ValueError
        If the augmenter returns NaN or infinity, or the samples are only padding.

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
    # A sum of squares is finite only if all of them are, so one test covers all samples.
    if not np.isfinite(sums).all():
        raise ValueError("The augmenter returned NaN or infinity for some samples: such changes have no size.")
    if sums[1] == 0:
        raise ValueError("The samples are only padding: there is nothing that the augmenter could change.")
    return float(np.sqrt(sums[0] / sums[1]))


def _squares_and_counts(net: AugmentedNet, X: Any, y: Any) -> np.ndarray:
    """Return each sample's sum of squared changes, and the number of features that could change."""
    generator = fresh_generator(net)

    def measure(inputs: Any, targets: Any) -> Tensor:
        model, x, x_augmented = augmented_batch(net, inputs, targets, generator)
        free = torch.ones_like(x)  # 1 where a feature can change, 0 at padding
        free = model.without_padding(free) if isinstance(model, FromLayer) else free
        return torch.stack([(x_augmented - x).square().flatten(1).sum(1), free.flatten(1).sum(1)], dim=1).double()

    return over_batches(net, X, y, measure)
