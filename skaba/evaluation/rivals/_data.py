"""The kind of data that an estimator learns from, which decides which rivals suit it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.pipeline import Pipeline
from skorch.utils import is_dataset

from skaba.estimators import ABAMultiLabelClassifier, ABARegressor, AugmentedNet, find_net
from skaba.evaluation._components import is_search

KINDS = {2: "table", 3: "series", 4: "images"}
"""By the number of axes of a batch of floats."""


@dataclass(frozen=True)
class Data:
    """The samples that a net receives, as far as rivals depend on them.

    Parameters
    ----------
    kind : {"words", "images", "series", "table"}
    shape : tuple of int
        The shape of a sample.
    is_unit : bool
        Whether all features are in [0, 1].
    task : {"classes", "labels", "regression"}
        One class per sample, several labels per sample, or real targets.
    n_outputs : int
        The number of columns of y; 1 for a flat y.
    """

    kind: str
    shape: tuple[int, ...]
    is_unit: bool
    task: str
    n_outputs: int


def net_of(estimator: Any) -> AugmentedNet:
    """Return the net of an estimator or a Pipeline; raise a TypeError if there is none, or it is tuned by a search."""
    net = None if is_search(estimator) else find_net(estimator)
    if net is None:
        raise TypeError(
            f"estimator={estimator!r} must be an ABAClassifier, ABAMultiLabelClassifier or ABARegressor, or a Pipeline "
            "that ends in one. Of a fitted search, pass best_estimator_."
        )
    return net


def data_of(estimator: Any, X: Any, y: Any) -> Data:
    """Describe the samples that the net of an estimator receives.

    Parameters
    ----------
    estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor or Pipeline
        The steps of a Pipeline before the net are fitted, on a copy.
    X : array-like of n samples
    y : array-like of shape (n, ...)

    Returns
    -------
    Data

    Raises
    ------
    TypeError
        If the estimator has no net, or the samples are not an array.
    ValueError
        If the samples are of no known kind.
    """
    net = net_of(estimator)
    x = _array(_as_net_input(estimator, X, y))
    columns = np.shape(y)[1:]
    task = "regression" if isinstance(net, ABARegressor) else "classes"
    return Data(
        kind=_kind(x, net),
        shape=x.shape[1:],
        is_unit=bool(x.min() >= 0 and x.max() <= 1),
        task="labels" if isinstance(net, ABAMultiLabelClassifier) else task,
        n_outputs=columns[0] if columns else 1,
    )


def _as_net_input(estimator: Any, X: Any, y: Any) -> Any:
    while isinstance(estimator, Pipeline):
        if len(estimator.steps) > 1:
            X = clone(estimator[:-1]).fit_transform(X, y)
        estimator = estimator.steps[-1][1]
    return X


def _array(X: Any) -> Any:
    if isinstance(X, Mapping) or is_dataset(X):
        raise TypeError(f"X is a {type(X).__name__}; rivals are found for an array of samples: pass one.")
    x = np.asarray(X)
    if x.dtype.kind not in "biuf" or x.size == 0:
        raise ValueError(f"X must hold numbers, got an array of shape {x.shape} and dtype {x.dtype}.")
    return x


def _kind(x: Any, net: AugmentedNet) -> str:
    if x.dtype.kind in "iu" and x.ndim == 2 and net.layer is not None:
        return "words"
    if x.ndim not in KINDS:
        raise ValueError(
            f"X has shape {x.shape}; rivals are known for images (n, channels, height, width), series (n, channels, "
            "time), tables (n, features), and word ids (n, length) with layer=."
        )
    return KINDS[x.ndim]
