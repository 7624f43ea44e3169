"""Whether the estimators of a comparison can be fitted, found out before the first fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.model_selection import ParameterGrid

from skaba._validation import validate_parameters
from skaba.estimators import AugmentedNet
from skaba.evaluation._folds import Task, is_search, seeded

BATCH = 32
"""Samples of a trial, and at least one of each class."""


def check_arms(estimators: Mapping[str, Any], task: Task, train: NDArray[Any]) -> None:
    """Raise a ValueError that names the estimator if one cannot be fitted on these samples.

    Parameters
    ----------
    estimators : mapping of str to estimator
    task : Task
    train : int ndarray
        The training samples of the first fit.
    """
    few = _few(task, train)
    for name, estimator in estimators.items():
        try:
            _try(seeded(estimator, 0), task, few)
        except Exception as error:
            raise ValueError(
                f"estimators[{name!r}] cannot be fitted on these samples. {type(error).__name__}: {error}"
            ) from error


def _try(estimator: Any, task: Task, few: NDArray[Any]) -> None:
    """Check the parameters of an estimator and of all within; train a net on one batch.

    The steps of a Pipeline may need more samples than these, so a net behind them is not tried. Of a search the first
    candidate stands for all; where candidates are drawn, there is none beforehand.
    """
    if is_search(estimator):
        if not hasattr(estimator, "param_grid"):
            return
        estimator = estimator.estimator.set_params(**next(iter(ParameterGrid(estimator.param_grid)), {}))
    for component in (estimator, *estimator.get_params().values()):
        if isinstance(component, BaseEstimator):
            validate_parameters(component)
    if isinstance(estimator, AugmentedNet):
        trial = {"max_epochs": 1, "batch_size": len(few), "callbacks": None, "train_split": None, "verbose": 0}
        estimator.set_params(**trial).fit(*task.part(few))


def _few(task: Task, train: NDArray[Any]) -> NDArray[Any]:
    """Return as many of the training samples as make a batch, each class among them."""
    chosen = np.arange(min(BATCH, len(train)))
    if task.single_label:
        chosen = np.union1d(chosen, np.unique(task.y[train], return_index=True)[1])
    return train[chosen]
