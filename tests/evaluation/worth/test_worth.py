"""The whole measurement, on tiny networks."""

import itertools
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from skaba.augmenters import Mixup
from skaba.evaluation import Worth, worth
from skaba.evaluation._folds import make_folds
from skaba.evaluation._task import Task
from skaba.evaluation.worth import _budget, _repeating
from skaba.training import FlipRate
from tests.evaluation.conftest import table_net

SETTINGS = {"max_epochs": 2, "batch_size": 16, "verbose": 0}


@pytest.fixture(autouse=True)
def _few_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_repeating, "MOST", 3)


@pytest.fixture(scope="module")
def found() -> Worth:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    X = (rng.normal(size=(60, 4)) + y[:, None]).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(_repeating, "MOST", 3)
        warnings.simplefilter("error")  # what the rule for the strength remarks is in the advice only
        return worth(ABAClassifier(table_net, **SETTINGS), X, y)


def test_all_kinds_of_methods_are_compared(found: Worth) -> None:
    assert list(found.groups.values())[:3] == ["plain", "ABA", "ABA"]
    assert set(found.groups.values()) == {"plain", "ABA", "free rivals", "outsiders"}
    assert {name for name, group in found.groups.items() if group == "outsiders"} == {
        "logistic regression", "nearest neighbours", "gradient boosting"
    }  # fmt: skip
    assert sum(group == "free rivals" for group in found.groups.values()) == 3
    assert sum(name.startswith("ABA on top of ") for name in found.groups) == 1
    assert found.comparison.n_seeds == 3
    assert found.comparison.score_name == "accuracy"


def test_scores_are_those_of_random_splits_that_follow_the_seed(found: Worth, table: Any) -> None:
    X, y = table
    for seed, score in enumerate(found.comparison.scores["plain"]):
        ((train, test),) = StratifiedShuffleSplit(1, train_size=0.75, random_state=seed).split(X, y)
        net = ABAClassifier(table_net, augmenter=None, random_state=seed, **SETTINGS)
        assert net.fit(X[train], y[train]).score(X[test], y[test]) == pytest.approx(score)
    assert found.comparison.test_ratio == pytest.approx(1 / 3)


def test_the_table_has_the_advice_first_and_every_method(found: Worth) -> None:
    lines = found.table().splitlines()
    assert lines[0] == found.advice
    for name in found.groups:
        assert any(f" {name} |" in line for line in lines)
    assert "Trained on 45 samples, scored on 15." in lines[-1]
    assert "mend_aba with strength auto" in lines[-1]
    assert "Free rivals were chosen by their scores on other splits (2)" in lines[-1]
    assert str(found) == found.table()


def test_the_reason_of_the_rule_is_noted(found: Worth) -> None:
    assert "ABA: FlipRate() looks once in 12 batches, and there were 6: set every=1." in found.notes


def test_the_frame_has_the_groups(found: Worth) -> None:
    frame = found.to_frame()
    assert len(frame) == 3 * len(found.groups)
    assert dict(zip(frame["method"], frame["group"], strict=True)) == found.groups


@pytest.mark.slow
def test_several_processes_give_the_same_scores(found: Worth, table: Any) -> None:
    again = worth(ABAClassifier(table_net, **SETTINGS), *table, n_jobs=2)
    for name, scores in again.comparison.scores.items():
        np.testing.assert_array_equal(scores, found.comparison.scores[name])


def test_a_short_time_is_refused_after_one_fit(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_repeating, "evaluate", None)  # an error of another kind, if anything more were fitted
    with pytest.raises(ValueError, match=r"minutes=1e-06 is too short.*Give more time, fewer epochs"):
        worth(ABAClassifier(table_net, **SETTINGS), *table, minutes=1e-6)


def test_only_whole_rounds_are_reported(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock takes a second, so that the time ends in the middle of a round."""
    monkeypatch.setattr(_repeating, "MOST", 10)
    clock = itertools.count()
    monkeypatch.setattr(_budget, "monotonic", lambda: float(next(clock)))
    short = worth(ABAClassifier(table_net, **SETTINGS), *table, minutes=60 / 60)
    assert 2 <= short.comparison.n_seeds < 10
    assert {len(scores) for scores in short.comparison.scores.values()} == {short.comparison.n_seeds}
    # One look follows each fit, and few others.
    assert next(clock) < 60 + 5


def test_rivals_are_chosen_on_splits_that_are_not_reported(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate, seeds = _repeating.evaluate, []
    monkeypatch.setattr(
        _repeating, "evaluate", lambda *given, **more: seeds.append(given[3]) or evaluate(*given, **more)
    )
    given = worth(ABAClassifier(table_net, strength=0.1, **SETTINGS), *table, random_state=4)
    n_free, n_outsiders, n_arms = 3, 3, len(given.groups)
    assert seeds == [14] * (1 + n_outsiders + n_free) + [15] * n_free + [4] * n_arms + [5] * n_arms + [6] * n_arms


def test_too_few_repetitions_are_an_error(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fits seem to take no time until the first repetition, which then takes all of it."""
    once, now = _repeating.Repeater.once, [0.0]

    def slow(self: Any, arms: Any, seed: int, reserve: float = 0.0) -> Any:
        now[0] += 1000.0 * (seed == 0)
        return once(self, arms, seed, reserve)

    monkeypatch.setattr(_budget, "monotonic", lambda: now[0])
    monkeypatch.setattr(_repeating.Repeater, "once", slow)
    with pytest.raises(ValueError, match="minutes=1 is too short"):
        worth(ABAClassifier(table_net, **SETTINGS), *table, minutes=1)


def test_the_users_aba_and_strength_are_judged_in_a_pipeline(table: Any) -> None:
    net = ABAClassifier(table_net, augmenter="fast_aba", augmenter__share=0.5, strength=0.3, **SETTINGS)
    given = worth(make_pipeline(StandardScaler(), net), *table)
    assert "fast_aba with strength 0.3" in given.table()
    # A number suits mixup too, which changes the targets.
    assert any(name.startswith("ABA on top of") for name in given.groups)


@pytest.mark.parametrize("kind", ["labels", "regression"])
def test_other_tasks(kind: str, table: Any) -> None:
    X, y = table
    targets: Any = np.stack([y == 0, y == 1, X[:, 0] > 0], axis=1).astype(np.float32)
    if kind == "labels":
        net: Any = ABAMultiLabelClassifier(table_net, **SETTINGS)
    else:
        net, targets = (
            ABARegressor(nn.Linear, module__in_features=4, module__out_features=1, **SETTINGS),
            X @ [1, 2, 0, 1],
        )
    given = worth(net, X, targets.astype(np.float32))
    assert given.comparison.score_name == ("macro AUC" if kind == "labels" else "R²")
    assert given.in_points == (kind == "labels")
    assert {"plain", "ABA", "random map"} <= given.comparison.by_seed().keys()


def test_groups_stay_together(table: Any) -> None:
    X, y = table
    groups = np.arange(60) // 6
    task = Task(X, y, True, None, {}, groups)
    for seed in range(5):
        ((train, test),) = make_folds(_repeating.splitter(task, 0.5), task, seed)
        assert len(train) == len(test) == 30
        assert not set(groups[train]) & set(groups[test])


def test_groups_that_leave_a_class_without_training_samples_are_refused(table: Any) -> None:
    """Before any fit, although only some of the splits do so."""
    with pytest.raises(ValueError, match="is among the test samples of a fold, but not among its training samples"):
        worth(ABAClassifier(table_net, **SETTINGS), *table, groups=table[1] * 10 + np.arange(60) % 2)


def test_a_method_that_fails_is_reported(table: Any) -> None:
    class Breaking(nn.Sequential):
        """Cannot predict the test samples with dropout."""

        def __init__(self, dropout: float = 0.0) -> None:
            super().__init__(nn.Linear(4, 8), nn.Dropout(dropout), nn.Linear(8, 3))
            self.fails = dropout > 0

        def forward(self, x: Any) -> Any:
            if self.fails and len(x) == 15:
                raise RuntimeError("no dropout here")
            return super().forward(x)

    given = worth(ABAClassifier(Breaking, **SETTINGS), *table)
    assert "dropout failed before the first repetition: RuntimeError: no dropout here." in given.table()
    assert "dropout" not in given.groups


def test_failures_in_the_repetitions_are_kept(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = _repeating.evaluate

    def failing(estimator: Any, task: Any, fold: Any, seed: int, **more: Any) -> Any:
        result = evaluate(estimator, task, fold, seed, **more)
        mapped = "RandomMap" in str(getattr(estimator, "augmenter", ""))
        return _repeating.Result(failure="it broke") if seed == 1 and mapped else result

    monkeypatch.setattr(_repeating, "evaluate", failing)
    warnings.filterwarnings("ignore", "FlipRate")  # a replaced result has no remark
    with pytest.warns(FitFailedWarning, match="random map: 1 of 3 fits failed"):
        given = worth(ABAClassifier(table_net, **SETTINGS), *table)
    assert given.advice == "There is no advice, because fits failed: random map."
    assert "random map: 1 of 3 fits failed, the first at seed 1" in given.table()
    assert "| random map | failed | |" in given.table()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"minutes": 0}, "'minutes' parameter of worth"),
        ({"train_size": 1.0}, "'train_size' parameter of worth"),
        ({"random_state": -1}, "'random_state' parameter of worth"),
        ({"groups": [1, 2]}, "groups has shape"),
    ],
)
def test_bad_parameters_are_refused(parameters: Any, message: str, table: Any) -> None:
    with pytest.raises(ValueError, match=message):
        worth(ABAClassifier(table_net, **SETTINGS), *table, **parameters)


def test_an_augmenter_that_is_no_aba_is_refused(table: Any) -> None:
    with pytest.raises(ValueError, match=r"augmenter=Mixup\(\) is not an ABA"):
        worth(ABAClassifier(table_net, augmenter=Mixup(), **SETTINGS), *table)


def test_a_rule_of_the_user_is_kept(table: Any) -> None:
    net = ABAClassifier(table_net, strength=FlipRate(0.3, every=1), **SETTINGS)
    assert "with strength FlipRate(every=1, target=0.3)" in worth(net, *table).table()
