"""The score under corruption is that of samples corrupted by hand, of any estimator."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.exceptions import NotInitializedError

from skaba.evaluation.robustness import GaussianCorruption, score_under_corruption

NOISE = GaussianCorruption(bounds=None, scale=1.0)


def unchanged(X: Any, *, severity: int, generator: Any) -> Any:
    return X


def test_is_the_score_of_samples_corrupted_by_hand(table: Any, classifier: Any) -> None:
    """A Pipeline gets them before its steps; the estimator is left as it was."""
    X, y = table
    net = classifier().fit(X, y)
    attributes = dict(vars(net))
    estimators = [net, make_pipeline(StandardScaler(), classifier()), RandomForestClassifier(random_state=0)]
    for estimator in estimators:
        fitted = estimator if estimator is net else estimator.fit(X, y)
        noisy = NOISE(X, severity=4, generator=np.random.default_rng(7))
        assert score_under_corruption(fitted, X, y, NOISE, 4, random_state=7) == fitted.score(noisy, y)
    assert vars(net) == attributes


def test_a_corruption_that_changes_nothing_gives_the_plain_score(table: Any, classifier: Any) -> None:
    net = classifier().fit(*table)
    assert score_under_corruption(net, *table, unchanged, 5) == net.score(*table)


def test_lists_and_tensors_are_samples_too(table: Any, classifier: Any) -> None:
    X, y = table
    net = classifier().fit(X, y)
    expected = score_under_corruption(net, X, y, NOISE, 3)
    for same in (torch.as_tensor(X), X.astype(np.float64).tolist()):
        assert score_under_corruption(net, same, y, NOISE, 3) == expected


def test_a_frame_stays_one(table: Any) -> None:
    pandas = pytest.importorskip("pandas")
    X, y = table
    frame = pandas.DataFrame(X, columns=list("abcd"))
    by_name = ColumnTransformer([("scale", StandardScaler(), ["a", "d"])])
    clf = make_pipeline(by_name, LogisticRegression()).fit(frame, y)
    noisy = pandas.DataFrame(NOISE(X, severity=2, generator=np.random.default_rng(0)), columns=list("abcd"))
    assert score_under_corruption(clf, frame, y, NOISE, 2) == clf.score(noisy, y)
    assert np.array_equal(frame.to_numpy(), X)


def test_what_is_no_fitted_estimator_is_refused(table: Any, classifier: Any) -> None:
    for other in (None, StandardScaler(), RandomForestClassifier):
        with pytest.raises(TypeError, match="not an estimator"):
            score_under_corruption(other, *table, NOISE, 1)
    with pytest.raises(NotInitializedError):
        score_under_corruption(classifier(), *table, NOISE, 1)


@pytest.mark.parametrize(
    ("corruption", "severity", "random_state", "message"),
    [
        (GaussianCorruption, 1, 0, "must be an instance"),
        (None, 1, 0, "must be an instance"),
        (GaussianCorruption(bounds=(1, 0)), 1, 0, "low < high"),
        (GaussianCorruption(), 1, 0, "outside bounds"),
        (NOISE, 0, 0, "'severity' parameter .* Got 0"),
        (NOISE, 6, 0, "'severity' parameter .* Got 6"),
        (NOISE, 1, -1, "'random_state' parameter .* Got -1"),
        (NOISE, 1, None, "'random_state' parameter .* Got None"),
        (lambda X, **_: X[:3], 1, 0, r"returned \(3, 4\) for samples of shape \(60, 4\)"),
        (lambda X, **_: None, 1, 0, "returned NoneType"),
    ],
)
def test_what_is_refused(table: Any, corruption: Any, severity: Any, random_state: Any, message: str) -> None:
    clf = LogisticRegression().fit(*table)
    with pytest.raises(ValueError, match=message):
        score_under_corruption(clf, *table, corruption, severity, random_state=random_state)


def test_samples_that_noise_means_nothing_to_are_refused(table: Any, texts: Any, text_classifier: Any) -> None:
    net = text_classifier().fit(*texts)
    with pytest.raises(ValueError, match=r"int64 values.*GaussianNoise"):
        score_under_corruption(net, *texts, NOISE, 1)
    with pytest.raises(TypeError, match="X is a dict"):
        score_under_corruption(net, {"ids": texts[0]}, texts[1], NOISE, 1)
    clf = LogisticRegression().fit(*table)
    with pytest.raises(ValueError, match="60 samples"):
        score_under_corruption(clf, table[0], table[1][:5], NOISE, 1)
