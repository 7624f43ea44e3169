"""One fit of a comparison: a method, a seed and a fold."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold
from sklearn.utils import _safe_indexing

from skaba.estimators import as_seen_by_net, find_net
from skaba.evaluation._cost import operations_of_fit
from skaba.evaluation.calibration import expected_calibration_error
from skaba.evaluation.calibration._predictions import column_numbers
from skaba.evaluation.robustness._under_attack import under_attack

Fold = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Task:
    """What is the same for all fits of a comparison.

    Parameters
    ----------
    X : array-like of n samples
    y : ndarray of shape (n, ...)
    single_label : bool
        Whether each sample has one class.
    scoring : str, callable or None
    attacks : mapping of str to (attack, strength)
    groups : ndarray of shape (n,) or None
    """

    X: Any
    y: NDArray[Any]
    single_label: bool
    scoring: str | Callable[..., float] | None
    attacks: Mapping[str, tuple[Any, float]]
    groups: NDArray[Any] | None = None

    def part(self, index: NDArray[Any]) -> tuple[Any, NDArray[Any]]:
        """Return some of the samples and their targets."""
        return _safe_indexing(self.X, index), self.y[index]


@dataclass(frozen=True)
class Result:
    """What one fit gives; ``failure`` says why it gave nothing."""

    score: float = np.nan
    calibration: float | None = None
    attacked: dict[str, float] = field(default_factory=dict)
    seconds: float = np.nan
    operations: float | None = None
    failure: str = ""


def make_folds(cv: Any, task: Task, seed: int) -> list[Fold]:
    """Return the training and test samples of a seed's folds.

    Raises
    ------
    ValueError
        If the splitter needs groups and there are none, or a class is in a fold's test samples alone.
    """
    X = np.zeros(len(task.y)) if isinstance(cv, Integral) else task.X
    try:
        folds = list(_splitter(cv, task, seed).split(X, task.y, task.groups))
    except (TypeError, ValueError) as error:
        if task.groups is None and "groups" in str(error):
            raise ValueError(f"cv={cv!r} splits by groups: pass compare(..., groups=...), one per sample.") from error
        raise
    for train, test in folds if task.single_label else ():
        unseen = np.setdiff1d(task.y[test], task.y[train])
        if len(unseen):
            raise ValueError(
                f"Class {unseen[0]!s} is among the test samples of a fold, but not among its training samples. "
                "Each class needs at least two samples, or groups; add some, or choose another cv."
            )
    return folds


def _splitter(cv: Any, task: Task, seed: int) -> Any:
    if isinstance(cv, Integral):
        if task.groups is None:
            kind = StratifiedKFold if task.single_label else KFold
        else:
            kind = StratifiedGroupKFold if task.single_label else GroupKFold
        return kind(int(cv), shuffle=True, random_state=seed)
    seeded = copy.copy(cv)
    if hasattr(seeded, "random_state"):
        seeded.random_state = seed
    return seeded


def evaluate(estimator: Any, task: Task, fold: Fold, seed: int, *, count: bool) -> Result:
    """Fit a clone of an estimator on the training samples of a fold, and judge it on the others.

    Parameters
    ----------
    estimator : estimator
        Of a search, the best estimator is judged.
    task : Task
    fold : tuple of two int ndarrays
        Training and test samples.
    seed : int
    count : bool
        Whether the operations of the fit are counted.

    Returns
    -------
    Result
        Of a fit that failed, the reason.
    """
    try:
        return _evaluated(estimator, task, fold, seed, count)
    except Exception as error:  # noqa: BLE001 - the fits of the other methods are not to be lost
        return Result(failure=f"{type(error).__name__}: {error}")


def _evaluated(estimator: Any, task: Task, fold: Fold, seed: int, count: bool) -> Result:
    train, test = fold
    own = seeded(estimator, seed)
    grouped = {"groups": task.groups[train]} if task.groups is not None and is_search(own) else {}
    start = time.perf_counter()
    fitted = own.fit(*task.part(train), **grouped)
    seconds = time.perf_counter() - start
    fitted = getattr(fitted, "best_estimator_", fitted)
    X, y = task.part(test)
    score = check_scoring(fitted, task.scoring)
    value = float(score(fitted, X, y))
    if not np.isfinite(value):
        return Result(failure=f"the score is {value}")
    calibrated = task.single_label and hasattr(fitted, "predict_proba")
    attacks = task.attacks if find_net(fitted) is not None else {}
    return Result(
        score=value,
        calibration=_calibration_error(fitted, X, y) if calibrated else None,
        attacked={name: float(score(*under_attack(fitted, X, y, *attack), y)) for name, attack in attacks.items()},
        seconds=seconds,
        operations=_operations(fitted, *task.part(train)) if count else None,
    )


def seeded(estimator: Any, seed: int) -> Any:
    """Return a clone with every ``random_state`` set, also of the estimators within."""
    fresh = clone(estimator)
    names = [name for name in fresh.get_params() if name == "random_state" or name.endswith("__random_state")]
    return fresh.set_params(**dict.fromkeys(names, seed))


def _calibration_error(fitted: Any, X: Any, y: NDArray[Any]) -> float:
    return expected_calibration_error(column_numbers(fitted, y), fitted.predict_proba(X))


def _operations(fitted: Any, X: Any, y: NDArray[Any]) -> float | None:
    net = find_net(fitted)
    return None if net is None or net.compile else operations_of_fit(net, as_seen_by_net(fitted, X), y)


def is_search(estimator: Any) -> bool:
    """Whether an estimator tunes another by folds of its own."""
    return hasattr(estimator, "cv") and hasattr(estimator, "refit")
