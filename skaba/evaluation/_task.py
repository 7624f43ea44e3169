"""Checks of what a comparison is asked for, before any work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.metrics import check_scoring
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_consistent_length

from skaba._samples import is_missing
from skaba.estimators import AugmentedNet, find_net
from skaba.evaluation._folds import Task
from skaba.evaluation.robustness._under_attack import checked_attacks


def check_estimators(estimators: Any, reference: str | None, scoring: Any) -> None:
    """Raise a TypeError or ValueError unless there are estimators that can be compared with a reference."""
    if not isinstance(estimators, Mapping) or len(estimators) < 2:
        raise ValueError(
            f"estimators={estimators!r} must map names to at least two estimators, for example "
            '{"plain": ..., "MendABA": ...}.'
        )
    for name, estimator in estimators.items():
        _check_estimator(name, estimator)
    if reference is not None and reference not in estimators:
        raise ValueError(f"reference={reference!r} is none of the estimators: {', '.join(map(str, estimators))}.")
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
        raise TypeError(f"estimators[{name!r}]={estimator!r} is no estimator; pass an instance that has fit.")
    if hasattr(estimator, "estimator") and not getattr(estimator, "refit", True):
        raise ValueError(f"estimators[{name!r}] is a search with refit=False, which cannot predict: set refit=True.")


def _check_one_task(estimators: Mapping[str, Any]) -> None:
    """Raise a ValueError if classifiers and regressors, which score different things, are to be subtracted."""
    classifiers = [name for name, estimator in estimators.items() if is_classifier(estimator)]
    regressors = [name for name, estimator in estimators.items() if is_regressor(estimator)]
    if classifiers and regressors:
        raise ValueError(
            f"estimators[{regressors[0]!r}] is a regressor, but estimators[{classifiers[0]!r}] is a classifier: their "
            "own scores, R2 and accuracy, cannot be subtracted. Compare estimators of one task, or pass a scoring= "
            "that suits both, such as 'neg_mean_squared_error'."
        )


def _net_of(estimator: Any) -> AugmentedNet | None:
    """Return the skaba estimator that an estimator, or what a search tunes, is or ends in."""
    return find_net(getattr(estimator, "estimator", estimator))


def check_task(
    estimators: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    cv: Any,
    groups: Any,
    n_seeds: int,
    scoring: str | Callable[..., float] | None,
    attacks: Mapping[str, tuple[Any, float]] | None,
) -> Task:
    """Return what all fits share, or raise a TypeError or ValueError."""
    if not isinstance(n_seeds, Integral) or n_seeds < 1:
        raise ValueError(f"n_seeds={n_seeds!r} must be a positive integer: how often the cross-validation is repeated.")
    if X is None:
        raise ValueError("X=None: there are no samples to compare on.")
    if (isinstance(cv, str) or not hasattr(cv, "split")) and (not isinstance(cv, Integral) or cv < 2):
        raise ValueError(f"cv={cv!r} must be an integer of at least 2, or a splitter such as ShuffleSplit(5).")
    checked = checked_attacks(attacks)
    if checked and not any(_net_of(estimator) is not None for estimator in estimators.values()):
        raise ValueError("attacks need a gradient: give at least one of skaba's estimators, or attacks=None.")
    if isinstance(X, Mapping) and not hasattr(X, "shape"):
        raise TypeError(
            "X is a mapping of several inputs, which has no rows to split: pass skorch.helper.SliceDict(**X)."
        )
    targets = np.asarray(y)
    if targets.ndim == 0:
        raise ValueError(f"y must hold one target per sample, got {y!r}.")
    check_consistent_length(X, targets)
    if np.ma.is_masked(y) or (targets.dtype.kind == "f" and not np.isfinite(targets).all()):
        raise ValueError("y holds masked values, NaN or infinity: drop the samples without a target.")
    single_label = all(map(is_classifier, estimators.values())) and type_of_target(targets) in ("binary", "multiclass")
    return Task(X, targets, single_label, scoring, checked, _checked_groups(groups, len(targets)))


def _checked_groups(groups: Any, n_samples: int) -> NDArray[Any] | None:
    if groups is None:
        return None
    names = np.asarray(groups)
    if names.shape != (n_samples,):
        raise ValueError(f"groups has shape {names.shape} and must hold one group per sample, shape ({n_samples},).")
    missing = np.array([is_missing(name) for name in names], dtype=bool)
    if missing.any():
        raise ValueError(
            f"groups holds None or NaN for {missing.sum()} of {n_samples} samples: every sample needs a group. Give "
            "samples that belong to none a group of their own, or drop them."
        )
    return names
