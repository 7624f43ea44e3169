"""One fit of a comparison: one method, seed and fold."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import check_scoring
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

from skaba.estimators import as_seen_by_net, find_net
from skaba.evaluation._components import is_search, seeded
from skaba.evaluation._cost import operations_of_fit
from skaba.evaluation._task import Task
from skaba.evaluation.calibration import expected_calibration_error
from skaba.evaluation.calibration._predictions import column_numbers
from skaba.evaluation.robustness._under_attack import under_attack

Fold = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Result:
    """The results of one fit; ``failure`` says why there are none.

    ``remark`` is what a rule for the strength said about missing its target.
    """

    score: float = np.nan
    calibration: float | None = None
    attacked: dict[str, float] = field(default_factory=dict)
    seconds: float = np.nan
    operations: float | None = None
    remark: str = ""
    failure: str = ""


def make_folds(cv: Any, task: Task, seed: int) -> list[Fold]:
    """Return the training and the test samples of the folds of a seed.

    Raises
    ------
    ValueError
        If the splitter needs groups and there are none, or a class is only among the test samples of a fold.
    """
    # Only the length of X matters to scikit-learn's folds, but X itself may be of a kind that they do not index.
    X = np.zeros(len(task.y)) if isinstance(cv, Integral) else task.X
    try:
        folds = list(_splitter(cv, task, seed).split(X, task.y, task.groups))
    except (TypeError, ValueError) as error:  # scikit-learn's message does not tell where to pass groups
        if task.groups is None and "groups" in str(error):
            raise ValueError(f"cv={cv!r} splits by groups: pass compare(..., groups=...), one per sample.") from error
        raise
    # scikit-learn's stratified splitters only warn of classes that are too small.
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
    seeded = copy.copy(cv)  # sklearn.base.clone refuses splitters, which are not estimators
    if hasattr(seeded, "random_state"):
        seeded.random_state = seed
    return seeded


def evaluate(estimator: Any, task: Task, fold: Fold, seed: int, *, count: bool) -> Result:
    """Fit a clone of an estimator on the training samples of a fold, and judge it on the others.

    Parameters
    ----------
    estimator : estimator
        For a search, its best estimator is judged.
    task : Task
    fold : tuple of two int ndarrays
        Training and test samples.
    seed : int
    count : bool
        Whether to count the operations of the fit.

    Returns
    -------
    Result
        If the fit failed, the reason alone.
    """
    try:
        return _evaluated(estimator, task, fold, seed, count)
    except Exception as error:  # noqa: BLE001 - the other fits must not be lost
        return Result(failure=f"{type(error).__name__}: {error}")


def _evaluated(estimator: Any, task: Task, fold: Fold, seed: int, count: bool) -> Result:
    train, test = fold
    fresh = seeded(estimator, seed)
    # Only a search splits again; other estimators need not accept groups.
    grouped = {"groups": task.groups[train]} if task.groups is not None and is_search(fresh) else {}
    masks = task.masks_for(fresh, train)
    start = time.perf_counter()
    fitted = fresh.fit(*task.part(train), **grouped, **masks)
    seconds = time.perf_counter() - start
    # A search's score would be its own scoring, which may be another one than that of the other estimators.
    fitted = getattr(fitted, "best_estimator_", fitted)
    X, y = task.part(test)
    score = check_scoring(fitted, task.scoring)
    value = float(score(fitted, X, y))
    # A failure has a reason, which the table can show; NaN alone has none.
    if not np.isfinite(value):
        return Result(failure=f"the score is {value}")
    calibration = None
    if task.single_label and hasattr(fitted, "predict_proba"):
        calibration = expected_calibration_error(column_numbers(fitted, y), fitted.predict_proba(X))
    attacks = task.attacks if find_net(fitted) is not None else {}
    return Result(
        score=value,
        calibration=calibration,
        attacked={name: float(score(*under_attack(fitted, X, y, *attack), y)) for name, attack in attacks.items()},
        seconds=seconds,
        operations=_operations(fitted, *task.part(train), *masks.values()) if count else None,
        remark=_remark(fitted),
    )


def _remark(fitted: Any) -> str:
    net = find_net(fitted)
    if net is None or net.augmenter_ is None or not hasattr(net.rule_, "remark"):
        return ""
    return net.rule_.remark() or ""


def _operations(fitted: Any, X: Any, y: NDArray[Any], mask: Any = None) -> float | None:
    net = find_net(fitted)
    # A compiled module runs kernels that PyTorch's counter does not see.
    return None if net is None or net.compile else operations_of_fit(net, as_seen_by_net(fitted, X), y, mask)
