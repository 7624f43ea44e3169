"""StrengthSearchCV: its schedule and rule, its place among scikit-learn's searches, and its errors."""

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, HalvingGridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor, StrengthSearchCV
from skaba.augmenters import GaussianNoise, RandomErasing
from skaba.estimators import attribute, find_net
from skaba.estimators._strength_search import _schedule, _smallest_within_one_error
from skaba.evaluation import compare
from skaba.losses import RRR

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
y = (X[:, 0] + 0.5 * RNG.normal(size=60) > 0).astype(int)
EPOCHS = 5
STRENGTHS = [0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]


def net(kind=ABAClassifier, n_outputs=2, **parameters):
    settings = {"augmenter": GaussianNoise(), "max_epochs": EPOCHS, "random_state": 0, "verbose": 0, "lr": 0.05}
    return kind(torch.nn.Linear, module__in_features=4, module__out_features=n_outputs, **{**settings, **parameters})


class Still(ClassifierMixin, BaseEstimator):
    """An estimator that learns nothing, with as many epochs as wanted."""

    def __init__(self, strength=0.0, max_epochs=1):
        self.strength, self.max_epochs = strength, max_epochs

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(len(X), dtype=int)


@pytest.mark.parametrize("max_epochs", [15, 23, 97, 150, 1000])
@pytest.mark.parametrize("n_strengths", [8, 9, 10, 11, 15])
def test_in_scikit_learns_engine_two_finalists_have_all_epochs_within_40_percent_of_the_grid(n_strengths, max_epochs):
    first, most, factor = _schedule(n_strengths, max_epochs)
    grid = {"strength": np.arange(n_strengths)}
    search = HalvingGridSearchCV(
        Still(), grid, resource="max_epochs", min_resources=first, max_resources=most, factor=factor, cv=2
    ).fit(X, y)
    assert search.n_candidates_ == [n_strengths, 2]
    assert search.n_resources_ == [first, max_epochs]
    assert search.cv_results_["n_resources"].sum() <= 0.4 * n_strengths * max_epochs


def test_the_net_is_trained_on_all_samples_with_all_epochs_at_the_chosen_strength():
    search = StrengthSearchCV(net(), cv=3).fit(X, y)
    assert search.best_params_["max_epochs"] == len(search.best_estimator_.history) == EPOCHS
    alone = net(strength=search.best_params_["strength"]).fit(X, y)
    np.testing.assert_array_equal(search.predict_proba(X), alone.predict_proba(X))
    assert search.score(X, y) == alone.score(X, y)


def test_the_finalists_scores_are_those_of_plain_fits():
    search = StrengthSearchCV(net(), cv=GroupKFold(2)).fit(X, y, groups=np.arange(60) % 2)
    results = search.cv_results_
    for row in np.flatnonzero(results["iter"] == 1):
        alone = net(strength=results["params"][row]["strength"]).fit(X[1::2], y[1::2])
        assert alone.score(X[::2], y[::2]) in (results["split0_test_score"][row], results["split1_test_score"][row])
    assert search.best_score_ == results["mean_test_score"][search.best_index_]


def test_strengths_that_make_no_difference_end_in_plain_training():
    assert StrengthSearchCV(net(lr=0), cv=2).fit(X, y).best_params_["strength"] == 0


def test_a_strength_that_destroys_the_data_is_not_chosen():
    strengths = [0, *np.linspace(100, 1000, 9)]
    assert StrengthSearchCV(net(max_epochs=20), strengths, cv=3).fit(X, y).best_params_["strength"] == 0


def test_of_two_strengths_the_smaller_is_chosen_within_one_standard_error_of_paired_differences():
    weak, strong = [0.5, 0.7, 0.9, 0.8], [0.52, 0.76, 0.9, 0.8]
    behind = np.subtract(strong, weak)
    error = behind.std(ddof=1) / 2
    assert behind.mean() > error  # although the scores' spread is ten times as large
    assert _smallest_within_one_error(np.array([0.0, 0.1]), np.array([weak, strong])) == 1
    strong[1] = 0.71
    strong[2] = 0.88
    assert _smallest_within_one_error(np.array([0.0, 0.1]), np.array([weak, strong])) == 0
    assert _smallest_within_one_error(np.array([0.1, 0.0]), np.array([strong, weak])) == 1


def test_a_failed_fit_does_not_win():
    scores = np.array([[np.nan, 0.9], [0.1, 0.2]])
    assert _smallest_within_one_error(np.array([0.0, 0.1]), scores) == 1
    assert _smallest_within_one_error(np.array([0.1, 0.0]), scores) == 1


def test_of_a_single_fold_the_best_is_chosen_and_nothing_is_warned(recwarn):
    assert _smallest_within_one_error(np.array([0.0, 0.1]), np.array([[0.8], [0.9]])) == 1
    assert not recwarn.list


def test_zero_is_added_and_the_default_follows_the_augmenter():
    search = StrengthSearchCV(net(), np.linspace(0.1, 1, 9), cv=2).fit(X, y)
    assert search.cv_results_["n_resources"].shape == (12,)
    assert {params["strength"] for params in search.cv_results_["params"]} >= {0.0, 1.0}
    search = StrengthSearchCV(net(), cv=2).fit(X, y)
    np.testing.assert_allclose(search.cv_results_["param_strength"][:10].astype(float), STRENGTHS[::-1])


def test_default_strengths_stay_below_the_largest_that_is_allowed():
    images = np.repeat(X, 4, axis=1).reshape(60, 1, 4, 4)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    clf = ABAClassifier(module, augmenter=RandomErasing(), max_epochs=5, verbose=0)
    assert max(StrengthSearchCV(clf, cv=2).fit(images, y).cv_results_["param_strength"]) == 1


def test_in_a_pipeline():
    pipeline = Pipeline([("scale", StandardScaler()), ("inner", make_pipeline(StandardScaler(), net()))])
    search = StrengthSearchCV(pipeline, cv=2).fit(X, y)
    assert set(search.best_params_) == {"inner__abaclassifier__strength", "inner__abaclassifier__max_epochs"}
    assert len(find_net(search).history) == EPOCHS
    assert attribute(search, X[:3]).shape == (3, 4)


@pytest.mark.parametrize(
    ("kind", "targets", "n_outputs"),
    [(ABARegressor, X[:, :1] * 2, 1), (ABAMultiLabelClassifier, np.stack([y, 1 - y, y], axis=1), 3)],
)
def test_other_tasks(kind, targets, n_outputs):
    search = StrengthSearchCV(net(kind, n_outputs), cv=2).fit(X, targets)
    assert search.predict(X).shape == targets.shape
    assert np.isfinite(search.best_score_)


def test_clone_and_set_params():
    search = clone(StrengthSearchCV(net(), STRENGTHS, cv=2)).set_params(estimator__max_epochs=7)
    assert search.fit(X, y).n_resources_[-1] == 7
    assert clone(search).get_params()["strengths"] == STRENGTHS
    assert not hasattr(clone(search), "best_params_")


def test_the_same_seed_gives_the_same_search():
    first, second = (StrengthSearchCV(net(), cv=2).fit(X, y) for _ in range(2))
    np.testing.assert_array_equal(first.cv_results_["mean_test_score"], second.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))


def test_in_compare_with_masks_and_groups():
    mask = np.broadcast_to(np.array([True, True, False, False]), X.shape)
    search = StrengthSearchCV(net(penalty=RRR(weight=1.0)), cv=GroupKFold(2))
    result = compare(
        {"plain": net(augmenter=None), "searched": search}, X, y, cv=2, n_seeds=1, groups=np.arange(60) // 6, mask=mask
    )
    assert np.isfinite(result.scores["searched"]).all()


def test_routed_masks_are_cut_with_the_samples():
    mask = np.sort(X, axis=1)[:, 1:2] < X  # the largest two features of each sample
    clf = net(penalty=RRR(weight=1.0))
    with sklearn.config_context(enable_metadata_routing=True):
        routed = StrengthSearchCV(clone(clf).set_fit_request(mask=True), cv=2).fit(X, y, mask=mask)
    plain = StrengthSearchCV(clf, cv=2).fit(X, y, mask=mask)
    np.testing.assert_array_equal(routed.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"estimator": net(augmenter=None)}, "augmenter=None has no strength"),
        ({"estimator": net(strength=lambda batch: 0.1)}, "nothing to search"),
        ({"estimator": net(strength="auto")}, "nothing to search"),
        ({"estimator": net(max_epochs=2)}, "max_epochs=2 is too few"),
        ({"estimator": net(batch_size=0)}, "batch_size"),
        ({"strengths": [0, 0.1, 0.2]}, "at least 8"),
        ({"strengths": STRENGTHS[::-1]}, "ascending"),
        ({"strengths": [0, 0, *STRENGTHS]}, "ascending"),
        ({"strengths": [-1, *STRENGTHS]}, "must not be negative"),
        ({"strengths": [*STRENGTHS, np.inf]}, "finite"),
        ({"strengths": ["weak", *STRENGTHS]}, "must hold numbers"),
        ({"strengths": [STRENGTHS]}, "one dimension"),
        ({"strengths": 0.1}, "strengths"),
        ({"refit": "accuracy"}, "refit"),
    ],
)
def test_errors_come_before_any_fit(parameters, message, monkeypatch):
    monkeypatch.setattr(ABAClassifier, "initialize", lambda self: pytest.fail("a net was made"))
    with pytest.raises(ValueError, match=message):
        StrengthSearchCV(**{"estimator": net(), "cv": 2, **parameters}).fit(X, y)


def test_other_estimators_are_refused():
    with pytest.raises(TypeError, match="ABAClassifier"):
        StrengthSearchCV(LogisticRegression()).fit(X, y)
