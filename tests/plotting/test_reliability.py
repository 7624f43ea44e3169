from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skaba import ABARegressor
from skaba.evaluation.calibration import expected_calibration_error, reliability_curve
from skaba.plotting import ReliabilityDisplay

RNG = np.random.default_rng(0)
P = RNG.dirichlet(np.ones(3), size=80)
Y = RNG.integers(3, size=80)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_points_and_histogram_are_those_of_the_curve(strategy):
    shown = ReliabilityDisplay.from_predictions(Y, P, n_bins=5, strategy=strategy)
    curve = reliability_curve(Y, P, n_bins=5, strategy=strategy)
    filled = curve.counts > 0
    points = shown.ax_.lines[1]
    np.testing.assert_allclose(points.get_xdata(), curve.confidence[filled])
    np.testing.assert_allclose(points.get_ydata(), curve.accuracy[filled])
    bars = shown.ax_counts_.patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], curve.counts)
    np.testing.assert_allclose([bar.get_x() for bar in bars], curve.edges[:-1])
    np.testing.assert_allclose([bar.get_width() for bar in bars], np.diff(curve.edges))


def test_gaps_lead_from_the_diagonal_to_the_points():
    shown = ReliabilityDisplay.from_predictions(Y, P, n_bins=5)
    diagonal, points = shown.ax_.lines
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    for gap, x, y in zip(shown.ax_.collections[0].get_segments(), points.get_xdata(), points.get_ydata(), strict=True):
        np.testing.assert_allclose(sorted(gap[:, 1]), sorted([x, y]))
        np.testing.assert_allclose(gap[:, 0], x)


def test_an_estimator_with_names_as_labels(images, labels):
    X, names = images.reshape(12, -1), np.array(["c", "a", "b"])[labels]
    clf = LogisticRegression().fit(X, names)
    shown = ReliabilityDisplay.from_estimator(clf, X, names, n_bins=4)
    error = expected_calibration_error(np.searchsorted(clf.classes_, names), clf.predict_proba(X), n_bins=4)
    assert shown.curve.error == error
    assert shown.ax_.get_legend().get_texts()[-1].get_text() == f"LogisticRegression\n(ECE {error:.3f})"


def test_a_skaba_estimator_in_given_axes(fit, images, labels):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    shown = ReliabilityDisplay.from_estimator(fit(images), images, labels, name="mine", ax=ax)
    assert shown.ax_ is ax
    assert shown.figure_ is ax.figure
    assert shown.name == "mine"
    assert ax.get_ylabel() == "accuracy"
    assert "confidence" in ax.get_xlabel()
    assert shown.ax_counts_.get_ylabel() == "samples"


def test_inputs_that_are_refused(images, labels):
    X = images.reshape(12, -1)
    regressor = ABARegressor(lambda: nn.Linear(X.shape[1], 1), max_epochs=1, verbose=0).fit(X, np.ones(12, dtype="f4"))
    for other in (regressor, make_pipeline(StandardScaler(), regressor), LinearRegression(), ABARegressor):
        with pytest.raises(TypeError, match="is not a fitted classifier"):
            ReliabilityDisplay.from_estimator(other, X, labels)
    with pytest.raises(TypeError, match="has no predict_proba"):
        ReliabilityDisplay.from_estimator(SimpleNamespace(), X, labels)
    with pytest.raises(ValueError, match="not seen in fit"):
        ReliabilityDisplay.from_estimator(LogisticRegression().fit(X, labels), X, labels + 1)
    with pytest.raises(ValueError, match="y=None: reliability compares predictions with the true labels"):
        ReliabilityDisplay.from_estimator(LogisticRegression().fit(X, labels), X, None)
    with pytest.raises(ValueError, match="one class per sample"):
        ReliabilityDisplay.from_predictions(np.zeros((80, 3), dtype=int), P)
