"""What training costs: counted in operations, and measured in seconds."""

from __future__ import annotations

import copy
import time
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from torch.utils.flop_counter import FlopCounterMode

from skaba.estimators._net import AugmentedNet

TURNS = 5
"""Epochs of each kind that are timed, one after the other: bursts of other work hardly move their median."""


def operations_of_epoch(net: AugmentedNet, X: Any, y: Any) -> float:
    """Count the floating-point operations of one training epoch, on a copy of a fitted net.

    Counted are products of matrices, convolutions and attention, forward and backward, as PyTorch's own counter
    does; sorting and sums of single values are not.

    Parameters
    ----------
    net : AugmentedNet
        Fitted. It is left as it is.
    X : array-like of n samples
        As the net sees them.
    y : array-like of shape (n, ...)

    Returns
    -------
    float
    """
    counter = FlopCounterMode(display=False)
    trained = copy.deepcopy(net).set_params(callbacks=None, max_epochs=1, verbose=0)
    with torch.random.fork_rng(), counter:
        trained.partial_fit(X, y)
    return float(counter.get_total_flops())


def operations_of_fit(net: AugmentedNet, X: Any, y: Any) -> float:
    """Count the floating-point operations of the fit of a fitted net; see :func:`operations_of_epoch`."""
    return operations_of_epoch(net, X, y) * len(net.history)


def measured_cost(net: AugmentedNet, X: Any, y: Any) -> float:
    """Return the time of an epoch of a net's training, in units of plain training's.

    Parameters
    ----------
    net : AugmentedNet
    X : array-like of n samples
        As the net sees them.
    y : array-like of shape (n, ...)

    Returns
    -------
    float
    """
    own = clone(net).set_params(callbacks=None, max_epochs=1, verbose=0)
    plain = clone(own).set_params(augmenter=None)
    with torch.random.fork_rng():
        nets = [own.fit(X, y), plain.fit(X, y)]  # the first epoch is slow, so none is timed
        seconds = np.array([[_epoch(net, X, y) for net in nets] for _ in range(TURNS)])
    return float(np.median(seconds[:, 0] / seconds[:, 1]))


def _epoch(net: AugmentedNet, X: Any, y: Any) -> float:
    start = time.perf_counter()
    net.partial_fit(X, y)
    return time.perf_counter() - start
