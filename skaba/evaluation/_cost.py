"""The cost of training, counted in operations or measured in seconds."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from torch.utils.flop_counter import FlopCounterMode

from skaba._random_state import random_state_kept
from skaba.estimators import AugmentedNet

TURNS = 5
"""Epochs that are timed per net, in turns: bursts of other work hardly change the median of their ratios."""


def operations_of_epoch(net: AugmentedNet, X: Any, y: Any, mask: Any = None) -> float:
    """Count the floating-point operations of one training epoch, on a copy of a fitted net.

    PyTorch's counter counts matrix products, convolutions and attention, forward and backward. It does not count
    sorting and elementwise operations.

    Parameters
    ----------
    net : AugmentedNet
        Fitted. It is not changed.
    X : array-like of n samples
        The input of the net.
    y : array-like of shape (n, ...)
    mask : array-like of n masks, default=None

    Returns
    -------
    float
    """
    counter = FlopCounterMode(display=False)
    # A deep copy, because another epoch would change the weights and the history of the fitted net.
    (trained,) = _brief(copy.deepcopy(net))
    with random_state_kept(), _without_advice(), counter:  # one more epoch must not move the global random state
        trained.partial_fit(X, y, mask=mask)
    return float(counter.get_total_flops())


def operations_of_fit(net: AugmentedNet, X: Any, y: Any, mask: Any = None) -> float:
    """Count the floating-point operations of the fit of a fitted net; see :func:`operations_of_epoch`."""
    # Not max_epochs: callbacks such as EarlyStopping may have ended the fit before.
    return operations_of_epoch(net, X, y, mask) * len(net.history)


def counted_cost(method: AugmentedNet, plain: AugmentedNet, X: Any, y: Any) -> float:
    """Return the operations of a training epoch of one net, in units of those of another net.

    Parameters
    ----------
    method, plain : AugmentedNet
        Unfitted.
    X : array-like of n samples
        The input of the nets.
    y : array-like of shape (n, ...)

    Returns
    -------
    float
    """
    with _without_advice():
        counts = [operations_of_epoch(net.fit(X, y), X, y) for net in _brief(method, plain)]
    if not counts[1]:
        raise ValueError("None of the network's operations can be counted: use cost='measured'.")
    return counts[0] / counts[1]


def measured_cost(method: AugmentedNet, plain: AugmentedNet, X: Any, y: Any) -> float:
    """Return the time of a training epoch of one net, in units of that of another net; see :func:`counted_cost`.

    The two take turns, and the median of the ratios is returned.
    """
    with _without_advice():
        nets = [net.fit(X, y) for net in _brief(method, plain)]  # the first epoch is slow, so it is not timed
        # In turns, so that a machine that slows down meanwhile slows both down.
        seconds = np.array([[_epoch(net, X, y) for net in nets] for _ in range(TURNS)])
    return float(np.median(seconds[:, 0] / seconds[:, 1]))


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence what fits say about their training, which would be about trials of one epoch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def _brief(*nets: AugmentedNet) -> list[AugmentedNet]:
    """Return the nets set to train for one epoch, without callbacks and output."""
    return [net.set_params(callbacks=None, max_epochs=1, verbose=0) for net in nets]


def _epoch(net: AugmentedNet, X: Any, y: Any) -> float:
    start = time.perf_counter()
    net.partial_fit(X, y)
    return time.perf_counter() - start
