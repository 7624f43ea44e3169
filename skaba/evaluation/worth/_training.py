"""Whether plain training was long enough."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass
from typing import Any

from skorch.callbacks import Callback

from skaba.estimators import fitted_net, with_net
from skaba.evaluation._components import clone_with, seeded
from skaba.evaluation._folds import Fold
from skaba.evaluation._task import Task
from skaba.evaluation.rivals._data import net_of

FITTED = 0.9
"""Scores of training samples below it are far from 1, the best score."""
RISE = 0.01
"""The least rise of the held-out score that counts."""


@dataclass(frozen=True)
class Course:
    """What plain training reached.

    Parameters
    ----------
    seconds : float
        The time of training.
    train : float
        The score of the training samples.
    before, after : float
        The held-out score after three quarters of the epochs, and at the end. They are equal if training stopped early.
    """

    seconds: float
    train: float
    before: float
    after: float

    @property
    def is_short(self) -> bool:
        """Whether longer training promises a better score."""
        return self.train < FITTED and self.after - self.before >= RISE


class _Keeper(Callback):
    """Keep the weights that the network has after an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.weights_: Any = None

    def on_epoch_end(self, net: Any, **_: Any) -> None:
        if len(net.history) == self.epoch:
            self.weights_ = copy.deepcopy(net.module_.state_dict())


def watched_training(plain: Any, task: Task, fold: Fold, seed: int) -> Course:
    """Train an estimator once, and score it on the way.

    Parameters
    ----------
    plain : estimator
    task : Task
    fold : tuple of two int ndarrays
        Training and test samples.
    seed : int

    Returns
    -------
    Course
    """
    fresh = seeded(plain, seed)
    net = net_of(fresh)
    if not isinstance(net.callbacks, str):  # "disable" switches all callbacks off
        keeper = "after_three_quarters", _Keeper(round(0.75 * net.max_epochs))
        fresh = with_net(fresh, clone_with(net, {"callbacks": [*(net.callbacks or []), keeper]}))
    (X, y), held_out = (task.part(index) for index in fold)
    start = time.perf_counter()
    fitted = fresh.fit(X, y)
    seconds = time.perf_counter() - start
    train, after = float(fitted.score(X, y)), float(fitted.score(*held_out))
    weights = _kept_weights(fitted_net(fitted))
    if weights is None:
        return Course(seconds, train, after, after)
    # The fit is used for nothing else, so the earlier weights may replace the final ones.
    fitted_net(fitted).module_.load_state_dict(weights)
    return Course(seconds, train, float(fitted.score(*held_out)), after)


def _kept_weights(net: Any) -> Any:
    kept = [callback.weights_ for _, callback in net.callbacks_ if isinstance(callback, _Keeper)]
    return kept[0] if kept else None
