"""Comparisons against scikit-learn's own cross-validation, and what their tables say."""

from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    PredefinedSplit,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skaba.augmenters import fgsm
from skaba.evaluation import PGD, Comparison, compare, expected_calibration_error, paired_interval, score_under_attack
from skaba.evaluation._folds import seeded
from tests.evaluation.conftest import table_net

SHALLOW, DEEP = DecisionTreeClassifier(max_depth=1), DecisionTreeClassifier(max_features=1)


class Untouchable(ClassifierMixin, BaseEstimator):
    """Fails if any work is done."""

    def fit(self, X: Any, y: Any) -> Any:
        raise AssertionError("fitted before everything was checked")


def test_scores_are_those_of_repeated_cross_validation(table: Any) -> None:
    found = compare({"shallow": SHALLOW, "deep": DEEP}, *table, cv=3, seeds=2)
    for name, estimator in (("shallow", SHALLOW), ("deep", DEEP)):
        expected = [
            cross_val_score(
                clone(estimator).set_params(random_state=seed),
                *table,
                cv=StratifiedKFold(3, shuffle=True, random_state=seed),
            )
            for seed in range(2)
        ]
        np.testing.assert_allclose(found.scores[name], np.concatenate(expected))


def test_regression_takes_plain_folds_and_has_no_calibration(table: Any) -> None:
    X, y = table[0], table[0] @ [1.0, 2.0, 0.0, -1.0]
    found = compare({"a": Ridge(), "b": Ridge(100.0)}, X, y, cv=4, seeds=1, scoring="r2")
    expected = cross_val_score(Ridge(100.0), X, y, cv=KFold(4, shuffle=True, random_state=0))
    np.testing.assert_allclose(found.scores["b"], expected)
    assert found.calibration == {}
    assert found.score_name == "r2"


def test_one_estimator_under_two_names_has_no_difference(table: Any, classifier: Any) -> None:
    net = classifier(augmenter="fast_aba", max_epochs=1, random_state=None)
    found = compare({"one": net, "two": make_pipeline(net)}, *table, cv=2, seeds=1, attacks={"FGSM": (fgsm(), 0.5)})
    assert found.intervals() == {"two": (0.0, 0.0)}
    np.testing.assert_array_equal(found.attacked["FGSM"]["one"], found.attacked["FGSM"]["two"])
    assert not net.initialized_


def test_n_jobs_does_not_change_the_result(table: Any) -> None:
    arms = {"shallow": SHALLOW, "deep": DEEP}
    alone = compare(arms, *table, cv=3, seeds=2)
    with joblib.parallel_config(backend="threading"):
        together = compare(arms, *table, cv=3, seeds=2, n_jobs=2)
    for name in arms:
        np.testing.assert_array_equal(alone.scores[name], together.scores[name])


def test_every_random_state_is_set_wherever_it_is(classifier: Any) -> None:
    pipeline = make_pipeline(PCA(2), classifier(random_state=None))
    for search in (GridSearchCV(pipeline, {}), RandomizedSearchCV(pipeline, {})):
        found = seeded(search, 7).get_params()
        assert found["estimator__pca__random_state"] == found["estimator__abaclassifier__random_state"] == 7
        assert found.get("random_state", 7) == 7
        assert pipeline[-1].random_state is None


def test_a_splitter_gets_the_seed_and_stays_as_it_was(table: Any) -> None:
    splitter = ShuffleSplit(2, random_state=None)
    found = compare({"a": SHALLOW, "b": DEEP}, *table, cv=splitter, seeds=2)
    expected = cross_val_score(clone(SHALLOW).set_params(random_state=1), *table, cv=ShuffleSplit(2, random_state=1))
    np.testing.assert_allclose(found.scores["a"][2:], expected)
    assert splitter.random_state is None


def test_calibration_and_attacks_are_those_of_each_fold(table: Any, classifier: Any) -> None:
    X, names = table[0], np.array(["c", "a", "b"])[table[1]]
    arms = {
        "net": make_pipeline(StandardScaler(), classifier(augmenter=None, max_epochs=1)),
        "linear": LogisticRegression(),
        "no probabilities": LinearSVC(),
    }
    found = compare(arms, X, names, cv=2, seeds=1, attacks={"FGSM": (fgsm(), 0.5)})
    assert list(found.calibration) == ["net", "linear"]
    assert list(found.attacked["FGSM"]) == ["net"]
    for fold, (train, test) in enumerate(StratifiedKFold(2, shuffle=True, random_state=0).split(X, names)):
        net = clone(arms["net"]).fit(X[train], names[train])
        index = np.searchsorted(["a", "b", "c"], names[test])
        expected = expected_calibration_error(index, net.predict_proba(X[test]))
        assert found.calibration["net"][fold] == pytest.approx(expected, abs=1e-6)
        assert found.attacked["FGSM"]["net"][fold] == score_under_attack(net, X[test], names[test], fgsm(), 0.5)


def test_the_score_under_attack_is_the_scoring(table: Any, classifier: Any) -> None:
    arms = {"a": classifier(max_epochs=1, augmenter=None), "b": classifier(max_epochs=2, augmenter=None)}
    attacks = {"none": (fgsm(), 0), "FGSM": (fgsm(), 0.5)}
    found = compare(arms, *table, cv=2, seeds=1, scoring="neg_log_loss", attacks=attacks)
    np.testing.assert_array_equal(found.attacked["none"]["a"], found.scores["a"])
    assert (found.attacked["FGSM"]["a"] < found.scores["a"]).all()
    assert (found.scores["a"] < 0).all()


def test_of_a_search_the_best_estimator_is_judged(table: Any, classifier: Any) -> None:
    """By its own score, as the others are, whatever the search looked for."""
    net = classifier(augmenter=None, max_epochs=1)
    search = GridSearchCV(net, {"max_epochs": [2]}, cv=2, scoring="neg_log_loss")
    fixed = clone(net).set_params(max_epochs=2)
    found = compare({"search": search, "fixed": fixed}, *table, cv=2, seeds=1, attacks={"FGSM": (fgsm(), 0.5)})
    np.testing.assert_array_equal(found.scores["search"], found.scores["fixed"])
    np.testing.assert_array_equal(found.attacked["FGSM"]["search"], found.attacked["FGSM"]["fixed"])


def test_texts_in_a_list_are_split() -> None:
    class Length(BaseEstimator):
        def fit(self, X: Any, y: Any = None) -> Any:
            return self

        def transform(self, X: Any) -> Any:
            return np.array([[len(text)] for text in X])

    texts, y = ["a" * (1 + i % 2) for i in range(12)], np.arange(12) % 2
    arms = {name: make_pipeline(Length(), DecisionTreeClassifier()) for name in "ab"}
    assert (compare(arms, texts, y, cv=2, seeds=1).scores["a"] == 1).all()


SCORES = {
    "plain": np.arange(10) / 10,
    "a|b": np.arange(10) / 10 + np.tile([0.1, 0.3], 5),
    "worse": np.arange(10) / 10 - np.linspace(0, 0.2, 10),
}


def test_from_five_seeds_on_folds_are_averaged() -> None:
    few = Comparison(SCORES, reference="plain", n_folds=5)
    many = Comparison(SCORES, reference="plain", n_folds=2)
    np.testing.assert_allclose(few.differences()["a|b"], np.tile([0.1, 0.3], 5))
    np.testing.assert_allclose(many.differences()["a|b"], [0.2] * 5)
    for comparison in (few, many):
        expected = paired_interval(comparison.differences()["worse"], level=0.8, random_state=2)
        assert comparison.intervals(level=0.8, random_state=2)["worse"] == expected
        assert list(comparison.intervals()) == ["a|b", "worse"]


def test_the_table_says_it_all() -> None:
    comparison = Comparison(
        SCORES,
        reference="plain",
        n_folds=2,
        calibration={"plain": np.array([0.1, 0.2, 0.6])},
        attacked={"PGD": {"worse": np.array([0.25])}},
        score_name="accuracy",
    )
    low, high = comparison.intervals()["worse"]
    assert comparison.table().splitlines() == [
        "| method | accuracy | difference to plain, 95 % interval | ECE | PGD |",
        "|---|---|---|---|---|",
        "| plain | 0.450 | | 0.200 | |",
        r"| a\|b | 0.650 | +0.200 [+0.200, +0.200] | | |",
        f"| worse | {np.median(SCORES['worse']):.3f} | -0.100 [{low:+.3f}, {high:+.3f}] | | 0.250 |",
    ]


def test_the_plot_shows_what_the_intervals_are_made_of() -> None:
    comparison = Comparison(SCORES, reference="plain", n_folds=2, score_name="accuracy")
    display = comparison.plot()
    assert list(display.differences_) == ["a|b", "worse"]
    for name, differences in comparison.differences().items():
        np.testing.assert_allclose(display.differences_[name], differences)
    assert "accuracy" in display.ax_.get_xlabel()


def _arms(**changed: Any) -> dict[str, Any]:
    return {"a": Untouchable(), "b": Untouchable(), **changed}


@pytest.mark.parametrize(
    ("estimators", "settings", "message"),
    [
        ({"a": Untouchable()}, {}, "at least two"),
        ([Untouchable(), Untouchable()], {}, "at least two"),
        ({1: Untouchable(), "b": Untouchable()}, {}, "names must be strings"),
        (_arms(c=Untouchable), {}, "no estimator"),
        (_arms(c="mend_aba"), {}, "no estimator"),
        (_arms(c=GridSearchCV(Untouchable(), {}, refit=False)), {}, "refit=True"),
        (_arms(), {"reference": "plain"}, "none of the estimators: a, b"),
        (_arms(), {"seeds": 0}, "seeds=0"),
        (_arms(), {"seeds": [0, 1]}, "seeds="),
        (_arms(), {"cv": 1}, "cv=1"),
        (_arms(), {"cv": None}, "cv=None"),
        (_arms(), {"cv": 40}, "n_splits=40"),
        (_arms(), {"cv": PredefinedSplit(np.arange(60) % 3)}, "Class 0 is among the test samples"),
        (_arms(), {"scoring": ["accuracy"]}, "one score"),
        (_arms(), {"scoring": "acuracy"}, "scoring"),
        (_arms(), {"attacks": [(fgsm(), 0.1)]}, "must map names"),
        (_arms(), {"attacks": {"FGSM": fgsm()}}, r"\(attack, strength\)"),
        (_arms(), {"attacks": {"FGSM": (None, 0.1)}}, "attack=None"),
        (_arms(), {"attacks": {"FGSM": (fgsm(), -1)}}, "strength=-1"),
        (_arms(), {"attacks": {"FGSM": (fgsm, 0.1)}}, "called first"),
        (_arms(), {"attacks": {"FGSM": ("fsgm", 0.1)}}, "Did you mean"),
        (_arms(), {"attacks": {"PGD": (PGD(n_steps=0), 0.1)}}, "n_steps"),
        (_arms(), {"attacks": {"PGD": (PGD(), 0.1)}}, "at least one of skaba's"),
    ],
)
def test_is_refused_before_any_work(table: Any, estimators: Any, settings: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        compare(estimators, *table, **settings)


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((60, 4)), np.zeros(5), "inconsistent"),
        ({"a": np.zeros((60, 4)), "b": np.zeros((60, 4))}, np.arange(60) % 2, "SliceDict"),
        (np.zeros((60, 4)), None, "one target a sample"),
        (np.zeros((60, 4)), ["alone"] + ["a", "b"] * 29 + ["a"], "Class alone"),
    ],
)
@pytest.mark.filterwarnings("ignore:The least populated class")
def test_data_that_cannot_be_split_are_refused_before_any_work(X: Any, y: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        compare(_arms(), X, y, cv=2)


def test_a_fitted_module_given_as_instance_has_not_seen_the_test_samples(table: Any, classifier: Any) -> None:
    net = classifier(module=table_net(), augmenter=None, max_epochs=1)
    fresh = compare({"a": net, "b": SHALLOW}, *table, cv=2, seeds=1)
    fitted = compare({"a": net.fit(*table), "b": SHALLOW}, *table, cv=2, seeds=1)
    np.testing.assert_array_equal(fresh.scores["a"], fitted.scores["a"])
