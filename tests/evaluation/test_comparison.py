"""Comparisons against scikit-learn's own cross-validation, and what their tables say."""

import sys
import warnings
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.decomposition import PCA
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    PredefinedSplit,
    RandomizedSearchCV,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skaba.augmenters import challenger, fgsm, mend_aba
from skaba.evaluation import PGD, Comparison, compare, expected_calibration_error, paired_interval, score_under_attack
from skaba.evaluation._components import is_search, seeded
from skaba.evaluation._task import Task, check_arms
from skaba.losses import ForwardPass, Penalty
from skaba.plotting import ComparisonDisplay
from skaba.training import FlipRate
from tests.evaluation.conftest import table_net

SHALLOW, DEEP = DecisionTreeClassifier(max_depth=1), DecisionTreeClassifier(max_features=1)


class Untouchable(ClassifierMixin, BaseEstimator):
    """Fails if any work is done."""

    def fit(self, X: Any, y: Any) -> Any:
        raise AssertionError("fitted before everything was checked")


def test_scores_are_those_of_repeated_cross_validation(table: Any) -> None:
    found = compare({"shallow": SHALLOW, "deep": DEEP}, *table, cv=3, n_seeds=2)
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
    found = compare({"a": Ridge(), "b": Ridge(100.0)}, X, y, cv=4, n_seeds=1, scoring="r2")
    expected = cross_val_score(Ridge(100.0), X, y, cv=KFold(4, shuffle=True, random_state=0))
    np.testing.assert_allclose(found.scores["b"], expected)
    assert found.calibration == {}
    assert found.score_name == "r2"


def test_one_estimator_under_two_names_has_no_difference(table: Any, classifier: Any) -> None:
    net = classifier(augmenter="fast_aba", max_epochs=1, random_state=None)
    found = compare({"one": net, "two": make_pipeline(net)}, *table, cv=2, n_seeds=2, attacks={"FGSM": (fgsm(), 0.5)})
    assert found.intervals() == {"two": (0.0, 0.0)}
    np.testing.assert_array_equal(found.attacked["FGSM"]["one"], found.attacked["FGSM"]["two"])
    assert not net.initialized_


def test_n_jobs_does_not_change_the_result(table: Any) -> None:
    arms = {"shallow": SHALLOW, "deep": DEEP}
    alone = compare(arms, *table, cv=3, n_seeds=2)
    with joblib.parallel_config(backend="threading"):
        together = compare(arms, *table, cv=3, n_seeds=2, n_jobs=2)
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
    found = compare({"a": SHALLOW, "b": DEEP}, *table, cv=splitter, n_seeds=2)
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
    found = compare(arms, X, names, cv=2, n_seeds=1, attacks={"FGSM": (fgsm(), 0.5)})
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
    found = compare(arms, *table, cv=2, n_seeds=1, scoring="neg_log_loss", attacks=attacks)
    np.testing.assert_array_equal(found.attacked["none"]["a"], found.scores["a"])
    assert (found.attacked["FGSM"]["a"] < found.scores["a"]).all()
    assert (found.scores["a"] < 0).all()


def test_of_a_search_the_best_estimator_is_judged(table: Any, classifier: Any) -> None:
    """By its own score, as the others are, whatever the search looked for."""
    net = classifier(augmenter=None, max_epochs=1)
    search = GridSearchCV(net, {"max_epochs": [2]}, cv=2, scoring="neg_log_loss")
    fixed = clone(net).set_params(max_epochs=2)
    found = compare({"search": search, "fixed": fixed}, *table, cv=2, n_seeds=1, attacks={"FGSM": (fgsm(), 0.5)})
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
    assert (compare(arms, texts, y, cv=2, n_seeds=1).scores["a"] == 1).all()


SCORES = {
    "plain": np.arange(10) / 10,
    "a|b": np.arange(10) / 10 + np.tile([0.1, 0.3], 5),
    "worse": np.arange(10) / 10 - np.linspace(0, 0.2, 10),
}


def test_the_seeds_are_the_independent_pairs() -> None:
    """The folds of one seed share training samples, so they are averaged first."""
    comparison = Comparison(SCORES, reference="plain", n_folds=2)
    np.testing.assert_allclose(comparison.differences()["a|b"], [0.2] * 5)
    expected = paired_interval(comparison.differences()["worse"], level=0.8)
    assert comparison.intervals(level=0.8)["worse"] == expected
    assert list(comparison.intervals()) == ["a|b", "worse"]
    wide, narrow = (Comparison(SCORES, reference="plain", n_folds=n).intervals()["worse"] for n in (5, 1))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_one_seed_has_no_interval_however_many_folds() -> None:
    comparison = Comparison(SCORES, reference="plain", n_folds=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(list(comparison.intervals().values())).all()
        table = comparison.table()
    assert "| worse | 0.350 | -0.100 |" in table
    assert "There are no intervals: they need several seeds." in table
    assert not ComparisonDisplay.from_results(comparison).ax_.collections, "no bars"


def test_seeds_that_change_nothing_are_no_repetitions(table: Any) -> None:
    """Folds that are not drawn, of methods that do not draw: the same figure five times is no certainty."""
    arms = {"weak": LogisticRegression(C=0.01), "strong": LogisticRegression(), "drawn": DEEP}
    found = compare(arms, *table, cv=KFold(3), n_seeds=3)
    assert np.isnan(found.intervals()["strong"]).all()
    assert np.isfinite(found.intervals()["drawn"]).all()
    assert "There is no interval for strong: all seeds gave the same scores" in found.table()
    repeated = compare(arms, *table, cv=3, n_seeds=3)
    assert np.isfinite(repeated.intervals()["strong"]).all()


def test_the_table_says_it_all() -> None:
    comparison = Comparison(
        SCORES,
        reference="plain",
        n_folds=2,
        calibration={"plain": np.array([0.1, 0.2, 0.6])},
        attacked={"PGD": {"worse": np.array([0.25])}},
        score_name="accuracy",
        fit_seconds={"plain": np.array([1.0, 2.0]), "a|b": np.array([2.0, 3.5])},
        operations={"plain": 2e6, "a|b": 3e6},
    )
    low, high = comparison.intervals()["worse"]
    assert comparison.table().splitlines() == [
        "| method | mean accuracy | mean difference to plain, 95 % interval | ECE | PGD | fit, s | operations |",
        "|---|---|---|---|---|---|---|",
        "| plain | 0.450 | | 0.300 | | 1.5 | 1.00 |",
        r"| a\|b | 0.650 | +0.200 [+0.200, +0.200] | | | 2.75 | 1.50 |",
        f"| worse | 0.350 | -0.100 [{low:+.3f}, {high:+.3f}] | | 0.250 | | |",
        "",
        "Means over 5 seeds of 2 folds each. Intervals: Student's t over the seeds. The interval for a|b has no width: "
        "all seeds have equal differences, which tell little about other seeds.",
    ]


def test_differences_that_are_equal_but_for_rounding_are_noted_too() -> None:
    scores = {"plain": np.array([0.8, 0.7]), "ours": np.array([0.9, 0.8])}
    assert "The interval for ours has no width" in Comparison(scores, reference="plain", n_folds=1).table()
    scores["ours"][1] = 0.81
    assert "no width" not in Comparison(scores, reference="plain", n_folds=1).table()


def test_every_row_adds_up() -> None:
    """A median beside a mean difference would not."""
    scores = {"plain": np.array([0.9, 0.91, 0.4]), "ours": np.array([0.914, 0.914, 0.3])}
    lines = Comparison(scores, reference="plain", n_folds=1).table().splitlines()
    plain, ours = (line.split(" | ") for line in lines[2:4])
    assert float(ours[1]) - float(plain[1]) == pytest.approx(float(ours[2].split()[0]), abs=2e-3)


def test_the_frame_has_a_row_per_fit() -> None:
    comparison = Comparison(
        SCORES,
        reference="plain",
        n_folds=2,
        calibration={"plain": np.linspace(0, 1, 10)},
        attacked={"PGD": {"worse": np.linspace(0, 0.5, 10)}},
        fit_seconds={name: np.ones(10) for name in SCORES},
    )
    frame = comparison.to_frame()
    assert frame.columns.tolist() == ["method", "seed", "fold", "score", "ece", "PGD", "fit_seconds"]
    for name, values in SCORES.items():
        own = frame[frame.method == name]
        np.testing.assert_array_equal(own.score, values)
        np.testing.assert_array_equal(2 * own.seed + own.fold, np.arange(10))
    np.testing.assert_array_equal(frame.PGD[frame.method == "worse"], np.linspace(0, 0.5, 10))
    assert frame.ece[frame.method != "plain"].isna().all()


def test_a_frame_without_pandas_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        Comparison(SCORES, reference="plain", n_folds=2).to_frame()


def test_the_plot_shows_what_the_intervals_are_made_of() -> None:
    comparison = Comparison(SCORES, reference="plain", n_folds=2, score_name="accuracy")
    display = ComparisonDisplay.from_results(comparison)
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
        (_arms(c=Untouchable), {}, "not an estimator"),
        (_arms(c="mend_aba"), {}, "not an estimator"),
        (_arms(c=GridSearchCV(Untouchable(), {}, refit=False)), {}, "refit=True"),
        (_arms(), {"reference": "plain"}, "not one of the estimators: a, b"),
        (_arms(), {"cv": GroupKFold(3)}, r"pass compare\(..., groups=...\)"),
        (_arms(), {"groups": np.arange(59)}, r"groups has shape \(59,\)"),
        (_arms(), {"groups": np.full(60, np.nan)}, "groups holds None or NaN for 60 of 60 samples"),
        (_arms(), {"groups": [None, *"ab" * 29, "a"]}, "groups holds None or NaN for 1 of 60 samples"),
        (_arms(c=LogisticRegression(C=-1)), {}, r"estimators\['c'\] cannot be fitted.*'C' parameter"),
        (_arms(c=make_pipeline(PCA(), LogisticRegression(C=-1))), {}, r"estimators\['c'\] cannot be fitted.*'C'"),
        (_arms(c=GridSearchCV(LogisticRegression(C=-1), {})), {}, r"estimators\['c'\] cannot be fitted.*'C'"),
        (_arms(c=Ridge()), {}, r"estimators\['c'\] is a regressor, but estimators\['a'\] is a classifier.*scoring="),
        (_arms(c=make_pipeline(PCA(), Ridge())), {}, r"estimators\['c'\] is a regressor"),
        (_arms(c=GridSearchCV(Ridge(), {})), {}, r"estimators\['c'\] is a regressor"),
        (_arms(), {"n_seeds": 0}, "'n_seeds' parameter of compare .* Got 0"),
        (_arms(), {"n_seeds": [0, 1]}, "'n_seeds' parameter of compare"),
        (_arms(), {"cv": 1}, "cv=1"),
        (_arms(), {"cv": None}, "cv=None"),
        (_arms(), {"cv": 40}, "n_splits=40"),
        (_arms(), {"cv": PredefinedSplit(np.arange(60) % 3)}, "Class 0 is among the test samples"),
        (_arms(), {"scoring": ["accuracy"]}, "one score"),
        (_arms(), {"scoring": "acuracy"}, "scoring"),
        (_arms(), {"attacks": [(fgsm(), 0.1)]}, "must map names"),
        (_arms(), {"attacks": {"FGSM": fgsm()}}, r"\(attack, strength\)"),
        (_arms(), {"attacks": {"FGSM": (None, 0.1)}}, "attack=None"),
        (_arms(), {"attacks": {"FGSM": (fgsm(), -1)}}, "'strength' parameter .* Got -1"),
        (_arms(), {"attacks": {"FGSM": (fgsm, 0.1)}}, "makes an augmenter, first"),
        (_arms(), {"attacks": {"FGSM": ("fsgm", 0.1)}}, "Did you mean"),
        (_arms(), {"attacks": {"PGD": (PGD(n_steps=0), 0.1)}}, "n_steps"),
        (_arms(), {"attacks": {"PGD": (PGD(), 0.1)}}, "at least one of skaba's"),
    ],
)
def test_is_refused_before_any_work(table: Any, estimators: Any, settings: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        compare(estimators, *table, **settings)


def test_a_score_that_suits_both_compares_a_classifier_with_a_regressor(table: Any) -> None:
    result = compare({"tree": SHALLOW, "ridge": Ridge()}, *table, cv=2, n_seeds=2, scoring="neg_mean_squared_error")
    assert np.isfinite(result.differences()["ridge"]).all()


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros((60, 4)), np.zeros(5), "inconsistent"),
        ({"a": np.zeros((60, 4)), "b": np.zeros((60, 4))}, np.arange(60) % 2, "SliceDict"),
        (np.zeros((60, 4)), None, "one target per sample"),
        (np.zeros((60, 4)), np.append(np.ones(59), np.nan), "NaN"),
        (np.zeros((60, 4)), ["alone"] + ["a", "b"] * 29 + ["a"], "Class alone"),
    ],
)
@pytest.mark.filterwarnings("ignore:The least populated class")
def test_data_that_cannot_be_split_are_refused_before_any_work(X: Any, y: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        compare(_arms(), X, y, cv=2)


def test_a_fitted_module_given_as_instance_has_not_seen_the_test_samples(table: Any, classifier: Any) -> None:
    net = classifier(module=table_net(), augmenter=None, max_epochs=1)
    fresh = compare({"a": net, "b": SHALLOW}, *table, cv=2, n_seeds=1)
    fitted = compare({"a": net.fit(*table), "b": SHALLOW}, *table, cv=2, n_seeds=1)
    np.testing.assert_array_equal(fresh.scores["a"], fitted.scores["a"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"module__n_outputs": 2}, "outputs|logits|classes"),
        ({"module": lambda: nn.Linear(7, 3)}, "mat1 and mat2"),
        ({"augmenter": mend_aba(k=9)}, "k=9"),
        ({"strength": -1}, "strength"),
        ({"lr": "fast"}, "'lr' parameter"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda net: net, lambda net: GridSearchCV(net, {"max_epochs": [2]})])
def test_a_net_that_cannot_learn_these_samples_is_named_before_the_first_fit(
    table: Any, classifier: Any, changed: Any, message: str, wrap: Any
) -> None:
    with pytest.raises(ValueError, match=rf"(?s)estimators\['bad'\] cannot be fitted.*({message})"):
        compare(_arms(bad=wrap(classifier(**changed))), *table)


def test_of_a_search_the_first_candidate_is_tried(table: Any, classifier: Any) -> None:
    search = GridSearchCV(classifier(lr="what the search finds"), {"lr": [0.1, 0.2]}, cv=2)
    assert not compare({"search": search, "tree": SHALLOW}, *table, cv=2, n_seeds=1).failures
    with pytest.raises(ValueError, match=r"estimators\['search'\] cannot be fitted.*strenght"):
        compare(_arms(search=GridSearchCV(classifier(), {"strenght": [0.1]})), *table)
    drawn = RandomizedSearchCV(classifier(lr="what the search finds"), {"lr": [0.1]}, n_iter=1, cv=2)
    assert not compare({"search": drawn, "tree": SHALLOW}, *table, cv=2, n_seeds=1).failures


def test_the_trial_leaves_estimators_and_the_random_state_alone(table: Any, classifier: Any) -> None:
    net = classifier(random_state=None)
    task = Task(*table, single_label=True, scoring=None, attacks={})
    before, parameters = torch.get_rng_state(), net.get_params()
    check_arms({"a": net, "b": SHALLOW}, task, np.arange(60))
    assert torch.equal(torch.get_rng_state(), before)
    assert net.get_params().keys() == parameters.keys()
    assert not net.initialized_


def test_a_rule_for_the_strength_does_not_warn_of_the_trial(table: Any, classifier: Any) -> None:
    ruled = classifier(strength=FlipRate(every=2, fitted=0.0, high=50.0))  # a trial has one batch
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not compare({"ruled": ruled, "plain": classifier(augmenter=None)}, *table, cv=2, n_seeds=1).failures


class Moody(ClassifierMixin, BaseEstimator):
    """Fails, or scores NaN, on the folds of a seed."""

    def __init__(self, at: int = 1, nan: bool = False, random_state: int | None = None) -> None:
        self.at = at
        self.nan = nan
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Any:
        if self.random_state == self.at and not self.nan:
            raise RuntimeError("out of memory")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: Any) -> Any:
        return np.zeros(len(X), dtype=int)

    def score(self, X: Any, y: Any) -> float:
        return float("nan") if self.nan and self.random_state == self.at else 0.5


@pytest.mark.parametrize(
    ("moody", "reason"),
    [(Moody(), "RuntimeError: out of memory"), (Moody(nan=True), "the score is nan")],
)
def test_a_fit_that_fails_in_the_middle_costs_nothing_else(table: Any, moody: Any, reason: str) -> None:
    with pytest.warns(FitFailedWarning, match=f"moody: 2 of 6 fits failed, the first at seed 1, fold 0: {reason}"):
        found = compare({"shallow": SHALLOW, "moody": moody, "deep": DEEP}, *table, cv=2, n_seeds=3)
    np.testing.assert_array_equal(found.scores["moody"], [0.5, 0.5, np.nan, np.nan, 0.5, 0.5])
    alone = compare({"shallow": SHALLOW, "deep": DEEP}, *table, cv=2, n_seeds=3)
    assert found.intervals() == alone.intervals()
    assert "| moody | failed | | |" in found.table()
    assert found.table().endswith(f"moody: 2 of 6 fits failed, the first at seed 1, fold 0: {reason}.")
    assert found.to_frame().score.isna().sum() == 2
    assert list(ComparisonDisplay.from_results(found).differences_) == ["deep"]


def test_without_a_reference_there_are_no_differences(table: Any) -> None:
    with pytest.warns(FitFailedWarning, match="moody"):
        found = compare({"moody": Moody(), "deep": DEEP}, *table, cv=2, n_seeds=2)
    assert found.intervals() == found.differences() == {}
    assert "| deep | 0." in found.table()
    with pytest.raises(ValueError, match="no differences to plot: moody"):
        ComparisonDisplay.from_results(found)


def test_that_every_fit_fails_is_an_error(table: Any) -> None:
    with pytest.raises(ValueError, match=r"All fits failed\. a: 2 of 2 .* out of memory; b: 2 of 2"):
        compare({"a": Moody(at=0), "b": Moody(at=0)}, *table, cv=2, n_seeds=1)


def test_groups_are_never_split(table: Any) -> None:
    groups = np.repeat(np.arange(12), 5)
    seen = []

    class Watching(DecisionTreeClassifier):
        def fit(self, X: Any, y: Any, check_input: bool = True) -> Any:
            self.known_ = {tuple(row) for row in X}
            return super().fit(X, y, check_input=check_input)

        def score(self, X: Any, y: Any) -> float:
            rows = [tuple(row) in self.known_ for row in table[0]]
            seen.append([set(groups[np.array(rows)]) & set(groups[~np.array(rows)])])
            return super().score(X, y)

    for cv in (3, GroupKFold(3), GroupShuffleSplit(2)):
        compare({"a": Watching(max_depth=2), "b": SHALLOW}, *table, cv=cv, groups=groups, n_seeds=2)
    assert len(seen) == 16
    assert not any(split for splits in seen for split in splits)


def test_folds_of_groups_are_drawn_anew_and_a_search_gets_the_groups(table: Any) -> None:
    groups = np.repeat(np.arange(12), 5)
    search = GridSearchCV(SHALLOW, {"max_depth": [1, 2]}, cv=GroupKFold(2))
    found = compare({"search": search, "fixed": SHALLOW}, *table, cv=3, groups=groups, n_seeds=2)
    assert not found.failures
    expected = cross_val_score(
        clone(SHALLOW).set_params(random_state=1),
        *table,
        groups=groups,
        cv=StratifiedGroupKFold(3, shuffle=True, random_state=1),
    )
    np.testing.assert_array_equal(found.scores["fixed"][3:], expected)
    regression = compare({"a": Ridge(), "b": Ridge(9.0)}, table[0], table[0][:, 0], cv=3, groups=groups, n_seeds=1)
    assert regression.n_folds == 3


def test_progress_is_shown_if_it_is_asked_for_and_changes_nothing(table: Any, capsys: Any) -> None:
    arms = {"a": SHALLOW, "b": DEEP}
    quiet = compare(arms, *table, cv=2, n_seeds=2)
    assert capsys.readouterr().err == ""
    loud = compare(arms, *table, cv=2, n_seeds=2, progress=True)
    assert "8/8" in capsys.readouterr().err
    np.testing.assert_array_equal(quiet.scores["b"], loud.scores["b"])


def test_times_are_measured_and_operations_are_counted(table: Any, classifier: Any) -> None:
    plain = classifier(augmenter=None, max_epochs=2)
    arms = {
        "plain": plain,
        "longer": clone(plain).set_params(max_epochs=6),
        "ABA": make_pipeline(StandardScaler(), classifier(augmenter=challenger(k=2), max_epochs=2)),
        "tree": SHALLOW,
    }
    found = compare(arms, *table, cv=2, n_seeds=1)
    assert set(found.operations) == {"plain", "longer", "ABA"}
    assert found.operations["longer"] == 3 * found.operations["plain"]
    assert 1 < found.operations["ABA"] / found.operations["plain"] < 2
    # One epoch of 30 samples, 4 - 8 - 3: forward, and backward to the weights and to the hidden layer.
    assert found.operations["plain"] == 2 * 30 * 2 * ((4 * 8 + 8 * 3) + (4 * 8 + 8 * 3) + 8 * 3)
    assert all(len(seconds) == 2 and (seconds > 0).all() for seconds in found.fit_seconds.values())


# --- masks


class Numbered(Penalty):
    """Fails unless each sample comes with its own mask: its first feature's value says which feature is irrelevant."""

    def _of_samples(self, forward_pass: ForwardPass) -> torch.Tensor:
        features = forward_pass.features
        assert torch.equal((~forward_pass.mask).long().argmax(1), features[:, 0].round().long())
        return features.sum(1) * 0


def numbered(table: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    X, y = table[0].copy(), table[1]
    X[:, 0] = np.arange(len(X)) % X.shape[1]
    return X, y, np.arange(X.shape[1]) != X[:, :1]


def test_masks_are_split_with_x_and_given_to_those_who_use_them(table: Any, classifier: Any) -> None:
    X, y, mask = numbered(table)
    right = classifier(augmenter=None, penalty=Numbered())
    pipeline = Pipeline([("same", FunctionTransformer()), ("net", clone(right))])
    estimators = {
        "plain": classifier(augmenter=None),
        "right": right,
        "pipeline": pipeline,
        "search": GridSearchCV(clone(right), {"penalty__weight": [1.0, 2.0]}, cv=2, error_score="raise"),
        "penalties": GridSearchCV(pipeline, {"net__penalty": [Numbered()]}, cv=2, error_score="raise"),
        "other": LogisticRegression(),
    }
    found = compare(estimators, X, y, cv=2, n_seeds=1, mask=mask)
    assert not found.failures
    for name in ("right", "pipeline"):
        assert np.array_equal(found.scores[name], found.scores["plain"])
    assert found.operations["right"] >= found.operations["plain"]


def test_masks_that_nobody_uses_or_that_do_not_fit_are_refused(table: Any, classifier: Any) -> None:
    X, y, mask = numbered(table)
    plain = {"plain": classifier(augmenter=None), "other": classifier(augmenter=None)}
    with pytest.raises(ValueError, match="no estimator uses it: give one a penalty="):
        compare(plain, X, y, mask=mask)
    right = {**plain, "right": classifier(augmenter=None, penalty=Numbered())}
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        compare(right, X, y, mask=mask[:-1])
    with pytest.raises(ValueError, match=r"estimators\['right'\] cannot be fitted.*mask holds int64 values"):
        compare(right, X, y, mask=mask.astype(int))


def test_an_estimator_that_tunes_itself_is_not_taken_for_a_search(table: Any) -> None:
    X, y = table
    own = LogisticRegressionCV()
    assert not is_search(own)
    assert is_search(GridSearchCV(LogisticRegression(), {"C": [1.0]}))
    found = compare({"own": own, "other": LogisticRegression()}, X, y, cv=2, n_seeds=1, groups=np.arange(len(X)) % 9)
    assert not found.failures


def test_intervals_of_random_splits_are_wider() -> None:
    scores = {"plain": np.array([0.80, 0.82, 0.78]), "ours": np.array([0.84, 0.83, 0.83])}
    found = Comparison(scores, reference="plain", n_folds=1, test_ratio=0.5)
    assert found.intervals()["ours"] == paired_interval(scores["ours"] - scores["plain"], test_ratio=0.5)
    assert "wider because the splits share samples" in found.table()
    assert "wider" not in Comparison(scores, reference="plain", n_folds=1).table()
