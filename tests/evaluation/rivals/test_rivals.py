"""Estimators for a comparison: rivals and outsiders, at their defaults or tuned, alone or with ABA."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV

from skaba.augmenters import CutMix, Mixup, mend_aba
from skaba.evaluation import compare, find_rivals, rivals
from tests.evaluation.rivals.nets import (
    CASES,
    IMAGES,
    LABELS,
    SERIES,
    TABLE,
    WORDS,
    image_classifier,
    series_classifier,
    table_classifier,
    text_classifier,
)

OUTSIDERS = {
    "table": ["logistic regression", "nearest neighbours", "gradient boosting"],
    "images": ["logistic regression", "nearest neighbours"],
    "series": ["logistic regression", "nearest neighbours"],
    "words": ["TF-IDF and linear SVM"],
    "several labels": ["logistic regression", "nearest neighbours", "gradient boosting"],
    "regression": ["ridge regression", "nearest neighbours", "gradient boosting"],
    "pipeline": ["logistic regression", "nearest neighbours", "gradient boosting"],
}


@pytest.mark.parametrize("case", CASES)
def test_all_are_compared(case: str) -> None:
    estimator, X, y = CASES[case]
    arms = rivals(estimator, X, y)
    assert list(arms) == [rival.name for rival in find_rivals(estimator, X, y)] + OUTSIDERS[case]
    result = compare({"plain": estimator, **arms}, X, y, cv=2, n_seeds=1)
    assert not result.failures
    assert set(result.scores) == {"plain", *arms}


@pytest.mark.parametrize("case", ["table", "words", "several labels", "pipeline", "regression"])
def test_with_folds_each_is_searched_on_its_grid(case: str) -> None:
    estimator, X, y = CASES[case]
    values = {rival.name: list(rival.values) for rival in find_rivals(estimator, X, y)}
    for name, search in rivals(estimator, X, y, cv=2).items():
        assert isinstance(search, GridSearchCV)
        ((parameter, grid),) = search.param_grid.items()
        assert grid == values.get(name, grid)
        fitted = search.fit(X, y)
        assert [row[parameter] for row in fitted.cv_results_["params"]] == grid
        assert fitted.best_estimator_.get_params()[parameter] == fitted.best_params_[parameter]


def test_outsiders_learn_what_can_be_learned() -> None:
    for case in CASES:
        arms = rivals(*CASES[case])
        for name in OUTSIDERS[case] if case not in ("images", "series") else ():
            assert arms[name].fit(*CASES[case][1:]).score(*CASES[case][1:]) > 0.6, (case, name)


def test_of_several_labels_the_score_is_the_macro_auc_as_that_of_the_net() -> None:
    estimator, X, y = CASES["several labels"]
    arms = rivals(estimator, X, y)
    outsider = arms["logistic regression"].fit(X, y)
    expected = roc_auc_score(y, outsider.decision_function(X), average="macro")
    assert outsider.score(X, y) == pytest.approx(expected)
    neighbours = arms["nearest neighbours"].fit(X, y)
    assert neighbours.score(X, y) == pytest.approx(roc_auc_score(y, neighbours.predict_proba(X), average="macro"))


def test_tf_idf_does_not_count_padding() -> None:
    estimator, X, y = CASES["words"]
    svm = rivals(estimator, X, y)["TF-IDF and linear SVM"].fit(X, y)
    assert 0 not in svm[0].vocabulary_
    padded = np.pad(X, ((0, 0), (0, 5)))
    np.testing.assert_array_equal(svm.decision_function(padded), svm.decision_function(X))


def test_outsiders_of_a_pipeline_stand_behind_its_steps() -> None:
    estimator, X, y = CASES["pipeline"]
    outsider = rivals(estimator, X, y)["logistic regression"].fit(X, y)
    assert [name for name, _ in outsider.steps] == [name for name, _ in estimator.steps]
    np.testing.assert_allclose(outsider[0].mean_, X.mean(axis=0), rtol=1e-5)


def test_boosting_regresses_one_target_only() -> None:
    estimator, X, y = CASES["regression"]
    assert "gradient boosting" not in rivals(estimator, X, np.column_stack([y, -y]))


# --- with an augmenter


def named(estimator: Any, X: Any, name: str) -> Any:
    return next(rival for rival in find_rivals(estimator, X, LABELS) if rival.name == name)


def test_a_rival_that_does_not_augment_is_added_to_the_augmenter() -> None:
    clf = table_classifier(strength=0.3)
    both = named(clf, TABLE, "label smoothing").with_augmenter(clf, "mend_aba", 0.2)
    assert (repr(both.augmenter), both.strength) == (repr(mend_aba()), 0.3)
    assert both.get_params()["criterion__label_smoothing"] == 0.2
    assert both.fit(TABLE, LABELS).augment(TABLE, LABELS).shape == TABLE.shape
    free = named(clf, TABLE, "label smoothing").with_augmenter(clf, "free_aba")
    assert free.fit(TABLE, LABELS).augmenter_.needs_index


@pytest.mark.parametrize(
    ("clf", "X", "name"),
    [
        (image_classifier(strength=0.1), IMAGES, "mixup"),
        (image_classifier(strength=0.1), IMAGES, "CutMix"),
        (image_classifier(strength=0.1), IMAGES, "shift and flip"),
        (series_classifier(strength=0.1), SERIES, "time mask"),
        (text_classifier(strength=0.1), WORDS, "word dropout"),
        (table_classifier(strength=0.1), TABLE, "FGM"),
    ],
)
def test_a_rival_that_augments_is_composed_with_the_augmenter(clf: Any, X: Any, name: str) -> None:
    rival = named(clf, X, name)
    both = rival.with_augmenter(clf, "mend_aba", rival.values[0])
    last = name in ("mixup", "CutMix")
    ours, own = both.augmenter.augmenters[:: 1 if last else -1]
    assert type(ours) is type(mend_aba())
    strengths = both.augmenter.strengths[:: 1 if last else -1]
    if rival.parameter == "strength":
        assert strengths == [None, rival.values[0]]
    else:
        assert strengths == [None, None]
        assert own.pixels == rival.values[0]
    assert both.strength == 0.1
    assert isinstance(own, (Mixup, CutMix)) == last
    fitted = both.fit(X, LABELS)
    assert np.isfinite(fitted.history[-1, "train_loss"])


@pytest.mark.parametrize("name", ["label smoothing", "mixup"])
def test_what_was_set_for_the_augmenter_of_the_estimator_stays_in_force(name: str) -> None:
    clf = table_classifier(augmenter="mend_aba", augmenter__share=0.5)
    both = named(clf, TABLE, name).with_augmenter(clf, clf.augmenter)
    ours = both.augmenter.augmenters[0] if name == "mixup" else both.augmenter
    assert ours.share == 0.5
    other = named(clf, TABLE, name).with_augmenter(clf, mend_aba())
    assert (other.augmenter.augmenters[0] if name == "mixup" else other.augmenter).share == 1.0


def test_an_augmenter_that_cannot_be_composed_is_refused() -> None:
    clf = image_classifier()
    with pytest.raises(ValueError, match=r"augmenter='free_aba' uses the gradient .* combined with mixup"):
        named(clf, IMAGES, "mixup").with_augmenter(clf, "free_aba")
    at_layer = image_classifier(layer="features")
    with pytest.raises(ValueError, match=r"layer='features': shift cannot be combined .* Set layer=None"):
        named(clf, IMAGES, "shift").with_augmenter(at_layer, "mend_aba")


def test_a_pipeline_is_combined_too() -> None:
    estimator, X, y = CASES["pipeline"]
    both = next(each for each in find_rivals(estimator, X, y) if each.name == "mixup").with_augmenter(
        estimator, "mend_aba"
    )
    assert both.fit(X, y)[-1].augmenter_.strengths == [None, 0.2]
