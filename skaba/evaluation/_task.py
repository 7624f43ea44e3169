"""Checks of the arguments of a comparison, before the first fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, is_classifier, is_regressor
from sklearn.metrics import check_scoring
from sklearn.model_selection import ParameterGrid
from sklearn.utils import _safe_indexing
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_consistent_length

from skaba._samples import is_missing
from skaba._validation import validate_parameters
from skaba.estimators import AugmentedNet, find_net
from skaba.evaluation._components import is_search, mask_keyword, seeded
from skaba.evaluation.robustness._under_attack import checked_attacks

BATCH = 32
"""Samples of a trial; there are more if 32 do not include each class."""


@dataclass(frozen=True)
class Task:
    """Data and settings that all fits of a comparison share.

    Parameters
    ----------
    X : array-like of n samples
    y : ndarray of shape (n, ...)
    single_label : bool
        Whether each sample has one class.
    scoring : str, callable or None
    attacks : mapping of str to (attack, strength)
    groups : ndarray of shape (n,) or None
    mask : array-like of n masks, or None
    """

    X: Any
    y: NDArray[Any]
    single_label: bool
    scoring: str | Callable[..., float] | None
    attacks: Mapping[str, tuple[Any, float]]
    groups: NDArray[Any] | None = None
    mask: Any = None

    def part(self, index: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        """Return some of the samples and their targets."""
        return _safe_indexing(self.X, index), self.y[index]

    def masks_for(self, estimator: Any, index: NDArray[Any]) -> dict[str, Any]:
        """Return the masks of some samples as keywords of an estimator's ``fit``; none if it does not use masks."""
        keyword = None if self.mask is None else mask_keyword(estimator)
        return {} if keyword is None else {keyword: _safe_indexing(self.mask, index)}


def check_estimators(estimators: Any, reference: str | None, scoring: Any) -> None:
    """Raise a TypeError or ValueError unless the estimators can be compared with the reference."""
    if not isinstance(estimators, Mapping) or len(estimators) < 2:
        raise ValueError(
            f"estimators={estimators!r} must map names to at least two estimators, for example "
            '{"plain": ..., "MendABA": ...}.'
        )
    for name, estimator in estimators.items():
        _check_estimator(name, estimator)
    if reference is not None and reference not in estimators:
        raise ValueError(f"reference={reference!r} is not one of the estimators: {', '.join(map(str, estimators))}.")
    if scoring is not None and not isinstance(scoring, str) and not callable(scoring):
        raise ValueError(f"scoring={scoring!r} must be one score: a name such as 'balanced_accuracy', or a function.")
    if scoring is None:
        _check_one_task(estimators)
    for estimator in estimators.values():
        check_scoring(estimator, scoring)


def _check_estimator(name: Any, estimator: Any) -> None:
    if not isinstance(name, str):
        raise TypeError(f"estimators has the key {name!r}; names must be strings.")
    if isinstance(estimator, type) or not all(hasattr(estimator, has) for has in ("fit", "get_params", "set_params")):
        raise TypeError(f"estimators[{name!r}]={estimator!r} is not an estimator; pass an instance that has fit.")
    if hasattr(estimator, "estimator") and not getattr(estimator, "refit", True):
        raise ValueError(f"estimators[{name!r}] is a search with refit=False, which cannot predict: set refit=True.")


def _check_one_task(estimators: Mapping[str, Any]) -> None:
    """Raise a ValueError if there are classifiers and regressors, whose scores cannot be subtracted."""
    classifiers = [name for name, estimator in estimators.items() if is_classifier(estimator)]
    regressors = [name for name, estimator in estimators.items() if is_regressor(estimator)]
    if classifiers and regressors:
        raise ValueError(
            f"estimators[{regressors[0]!r}] is a regressor, but estimators[{classifiers[0]!r}] is a classifier: R2 "
            "and accuracy cannot be subtracted. Compare estimators of one task, or pass a scoring= that suits both, "
            "such as 'neg_mean_squared_error'."
        )


def check_task(
    estimators: Mapping[str, Any], X: Any, y: Any, cv: Any, groups: Any, mask: Any, scoring: Any, attacks: Any
) -> Task:
    """Return the data and settings of all fits, or raise a TypeError or ValueError."""
    if X is None:
        raise ValueError("X=None: there are no samples to compare on.")
    # str has a method split, too.
    if (isinstance(cv, str) or not hasattr(cv, "split")) and (not isinstance(cv, Integral) or cv < 2):
        raise ValueError(f"cv={cv!r} must be an integer of at least 2, or a splitter such as ShuffleSplit(5).")
    checked = checked_attacks(attacks)
    if checked and not any(map(find_net, estimators.values())):
        raise ValueError("attacks need a gradient: give at least one of skaba's estimators, or attacks=None.")
    # A SliceDict, which can be indexed by rows, is a mapping with a shape.
    if isinstance(X, Mapping) and not hasattr(X, "shape"):
        raise TypeError(
            "X is a mapping of several inputs, which has no rows to split: pass skorch.helper.SliceDict(**X)."
        )
    targets = np.asarray(y)
    if targets.ndim == 0:
        raise ValueError(f"y must hold one target per sample, got {y!r}.")
    check_consistent_length(X, targets)
    # y itself, because np.asarray drops the mask.
    if np.ma.is_masked(y) or (targets.dtype.kind == "f" and not np.isfinite(targets).all()):
        raise ValueError("y holds masked values, NaN or infinity: drop the samples without a target.")
    single_label = all(map(is_classifier, estimators.values())) and type_of_target(targets) in ("binary", "multiclass")
    if mask is not None:
        check_consistent_length(X, mask)
        if not any(map(mask_keyword, estimators.values())):
            raise ValueError("mask is given, but no estimator uses it: give one a penalty=, or pass mask=None.")
    return Task(X, targets, single_label, scoring, checked, _checked_groups(groups, len(targets)), mask)


def _checked_groups(groups: Any, n_samples: int) -> NDArray[Any] | None:
    if groups is None:
        return None
    names = np.asarray(groups)
    if names.shape != (n_samples,):
        raise ValueError(f"groups has shape {names.shape} and must hold one group per sample, shape ({n_samples},).")
    missing = np.array([is_missing(name) for name in names], dtype=bool)
    if missing.any():
        raise ValueError(
            f"groups holds None or NaN for {missing.sum()} of {n_samples} samples: every sample needs a group. Put "
            "each of these samples into a new group, or drop it."
        )
    return names


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
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # those of one step on one batch are not about the fits
                _try(seeded(estimator, 0), task, few)  # a clone, with a generator that is not the global one
        except Exception as error:  # third-party estimators may raise anything
            raise ValueError(
                f"estimators[{name!r}] cannot be fitted on these samples. {type(error).__name__}: {error}"
            ) from error


def _try(estimator: Any, task: Task, few: NDArray[Any]) -> None:
    """Check the parameters of an estimator and of those nested in it; train a net on one batch.

    The steps of a Pipeline may need more samples than these, so a net behind them is not trained. For a search, the
    first candidate is tried; if candidates are drawn at random, none is known beforehand.
    """
    if is_search(estimator):
        if not hasattr(estimator, "param_grid"):
            return
        estimator = estimator.estimator.set_params(**next(iter(ParameterGrid(estimator.param_grid)), {}))
    for component in (estimator, *estimator.get_params().values()):
        if isinstance(component, BaseEstimator):
            validate_parameters(component)
    # One batch of all samples: without a validation split, and without callbacks, which may write files.
    if isinstance(estimator, AugmentedNet):
        trial = {"max_epochs": 1, "batch_size": len(few), "callbacks": None, "train_split": None, "verbose": 0}
        estimator.set_params(**trial).fit(*task.part(few), **task.masks_for(estimator, few))


def _few(task: Task, train: NDArray[Any]) -> NDArray[Any]:
    """Return the first batch of training samples, and one more sample of each class that it lacks."""
    chosen = np.arange(min(BATCH, len(train)))
    if task.single_label:
        chosen = np.union1d(chosen, np.unique(task.y[train], return_index=True)[1])
    return train[chosen]
