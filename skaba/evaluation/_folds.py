"""One fit of a comparison: a method, a seed and a fold."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils import _safe_indexing

from skaba.evaluation._nets import find_net
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
    """

    X: Any
    y: NDArray[Any]
    single_label: bool
    scoring: str | Callable[..., float] | None
    attacks: Mapping[str, tuple[Any, float]]


@dataclass(frozen=True)
class Result:
    """What one fit gives."""

    score: float
    calibration: float | None = None
    attacked: dict[str, float] = field(default_factory=dict)


def make_folds(cv: Any, task: Task, seed: int) -> list[Fold]:
    """Return the training and test samples of a seed's folds.

    Raises
    ------
    ValueError
        If a class is in a fold's test samples alone.
    """
    folds = list(_splitter(cv, task, seed).split(np.zeros(len(task.y)) if isinstance(cv, Integral) else task.X, task.y))
    for train, test in folds if task.single_label else ():
        unseen = np.setdiff1d(task.y[test], task.y[train])
        if len(unseen):
            raise ValueError(
                f"Class {unseen[0]!s} is among the test samples of a fold, but not among its training samples. "
                "Each class needs at least two samples; add some, or choose another cv."
            )
    return folds


def _splitter(cv: Any, task: Task, seed: int) -> Any:
    if isinstance(cv, Integral):
        kind = StratifiedKFold if task.single_label else KFold
        return kind(int(cv), shuffle=True, random_state=seed)
    seeded = copy.copy(cv)
    if hasattr(seeded, "random_state"):
        seeded.random_state = seed
    return seeded


def evaluate(estimator: Any, task: Task, train: NDArray[Any], test: NDArray[Any], seed: int) -> Result:
    """Fit a clone of an estimator on the training samples of a fold, and judge it on the others.

    Parameters
    ----------
    estimator : estimator
        Of a search, the best estimator is judged.
    task : Task
    train, test : int ndarray
    seed : int

    Returns
    -------
    Result
    """
    fitted = seeded(estimator, seed).fit(_safe_indexing(task.X, train), task.y[train])
    fitted = getattr(fitted, "best_estimator_", fitted)
    X, y = _safe_indexing(task.X, test), task.y[test]
    score = check_scoring(fitted, task.scoring)
    calibrated = task.single_label and hasattr(fitted, "predict_proba")
    attacks = task.attacks if find_net(fitted) is not None else {}
    return Result(
        score=float(score(fitted, X, y)),
        calibration=_calibration_error(fitted, X, y) if calibrated else None,
        attacked={name: float(score(*under_attack(fitted, X, y, *attack), y)) for name, attack in attacks.items()},
    )


def seeded(estimator: Any, seed: int) -> Any:
    """Return a clone with every ``random_state`` set, also of the estimators within."""
    fresh = clone(estimator)
    names = [name for name in fresh.get_params() if name == "random_state" or name.endswith("__random_state")]
    return fresh.set_params(**dict.fromkeys(names, seed))


def _calibration_error(fitted: Any, X: Any, y: NDArray[Any]) -> float:
    return expected_calibration_error(column_numbers(fitted, y), fitted.predict_proba(X))
