"""Whether plain training was long enough."""

from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaba.evaluation._task import Task
from skaba.evaluation.worth._training import watched_training


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_the_scores_on_the_way_are_those_of_shorter_training(table: Any, classifier: Any, in_pipeline: bool) -> None:
    X, y = table
    train, test = np.arange(40), np.arange(40, 60)

    def made(epochs: int) -> Any:
        net = classifier(augmenter=None, max_epochs=epochs, random_state=5)
        return make_pipeline(StandardScaler(), net) if in_pipeline else net

    course = watched_training(made(8), Task(X, y, True, None, {}), (train, test), 5)
    short, long = (clone(made(epochs)).fit(X[train], y[train]) for epochs in (6, 8))
    assert course.before == short.score(X[test], y[test])
    assert course.after == long.score(X[test], y[test])
    assert course.train == long.score(X[train], y[train])
    assert course.seconds > 0


def test_without_callbacks_nothing_rises(table: Any, classifier: Any) -> None:
    net = classifier(augmenter=None, callbacks="disable")
    course = watched_training(net, Task(*table, True, None, {}), (np.arange(40), np.arange(40, 60)), 0)
    assert course.before == course.after
    assert not course.is_short
