"""Fits on random splits, as long as there is time."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn.model_selection import GroupShuffleSplit, ShuffleSplit, StratifiedShuffleSplit

from skaba.evaluation._folds import Fold, Result, evaluate, make_folds
from skaba.evaluation._task import Task
from skaba.evaluation.worth._arms import Arm
from skaba.evaluation.worth._budget import FEWEST, MOST, Budget


def splitter(task: Task, train_size: float) -> Any:
    """Return what splits the samples once at random: by class if each sample has one, and whole groups if given."""
    sizes = {"n_splits": 1, "train_size": train_size, "random_state": 0}
    if task.groups is not None:
        return GroupShuffleSplit(**sizes)
    return StratifiedShuffleSplit(**sizes) if task.single_label else ShuffleSplit(**sizes)


@dataclass(frozen=True)
class Repeater:
    """Fits arms on the same splits, until the time is over.

    Parameters
    ----------
    task : Task
    cv : splitter
    budget : Budget
    n_jobs : int or None
    bar : tqdm
        Shows the finished fits.
    """

    task: Task
    cv: Any
    budget: Budget
    n_jobs: int | None
    bar: Any

    @property
    def n_workers(self) -> int:
        """The number of fits at the same time."""
        return int(effective_n_jobs(self.n_jobs))

    def fold(self, seed: int) -> Fold:
        """Return the training and the test samples of a seed."""
        return make_folds(self.cv, self.task, seed)[0]

    def once(self, arms: Sequence[Arm], seed: int, reserve: float = 0.0) -> dict[str, Result]:
        """Fit each arm on the split of a seed.

        Parameters
        ----------
        arms : sequence of Arm
        seed : int
        reserve : float, default=0
            No further result is waited for if no more seconds than these are left.

        Returns
        -------
        dict of str to Result
            By arm, those that were there in time, and the first one.
        """
        fold = self.fold(seed)
        tasks = (delayed(_evaluated)(arm.estimator, self.task, fold, seed) for arm in arms)
        found: dict[str, Result] = {}
        # Few fits are begun ahead, and closing the generator drops them, so that the time limit holds.
        parallel = Parallel(n_jobs=self.n_jobs, return_as="generator", pre_dispatch="n_jobs")
        with warnings.catch_warnings(), closing(parallel(tasks)) as results:
            warnings.filterwarnings("ignore", ".*tasks.* not used")  # joblib warns of the dropped fits
            for arm, result in zip(arms, results, strict=False):
                found[arm.name] = result
                self.bar.update()
                if self.budget.left(reserve) < 0:
                    break
        return found

    def rounds(self, arms: Sequence[Arm], first_seed: int, seconds: float) -> dict[str, list[Result]]:
        """Repeat the fits of all arms, at most ``MOST`` times, as long as another round is expected to fit.

        Parameters
        ----------
        arms : sequence of Arm
        first_seed : int
        seconds : float
            The expected time of a round.

        Returns
        -------
        dict of str to list of Result
            By arm, the results of the whole rounds.
        """
        by_name: dict[str, list[Result]] = {arm.name: [] for arm in arms}
        before = self.budget.left()
        for repetition in range(MOST):
            # What was promised is tried, even if it took longer than expected so far.
            if repetition >= FEWEST and self.budget.left() < seconds:
                break
            found = self.once(arms, first_seed + repetition)
            if len(found) < len(arms):
                break
            seconds = (before - self.budget.left()) / (repetition + 1)
            for name, result in found.items():
                by_name[name].append(result)
            if self.budget.left() < 0:
                break
        return by_name


def _evaluated(estimator: Any, task: Task, fold: Fold, seed: int) -> Result:
    """Evaluate an estimator. What its rule for the strength remarks is in the result, so it is not warned of too."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = evaluate(estimator, task, fold, seed, count=False)
    for warning in caught:
        if str(warning.message) != result.remark:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return result


def test_ratio(fold: Fold) -> float:
    """Return the ratio of the smaller to the larger part of a split.

    With the smaller part for the test, this is the ratio of Nadeau and Bengio (2003): two test sets share n_test / n of
    their samples. With the smaller part for training, scores differ by the training sets, which share n_train / n.
    """
    sizes = np.sort([len(part) for part in fold])
    return float(sizes[0] / sizes[1])
