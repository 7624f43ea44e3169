"""The calibration error and the Brier score against cases by hand, scikit-learn and what they must be."""

import inspect
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from skaba.evaluation.calibration import (
    ReliabilityCurve,
    brier_score,
    expected_calibration_error,
    reliability_curve,
)


def test_a_case_by_hand() -> None:
    # Two bins. Confidence 0.6 twice, one right; 0.5 belongs to the lower bin, wrong; 0.9 right.
    p = [[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.5, 0.25, 0.25], [0.05, 0.05, 0.9]]
    y = [0, 0, 1, 2]
    upper = 3 * abs(2 / 3 - (0.6 + 0.6 + 0.9) / 3)
    lower = 1 * abs(0 - 0.5)
    assert expected_calibration_error(y, p, n_bins=2) == pytest.approx((upper + lower) / 4)


def test_one_bin_is_the_gap_of_the_means() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(4), size=50)
    y = np.arange(50) % 4
    gap = abs((p.argmax(1) == y).mean() - p.max(1).mean())
    assert expected_calibration_error(y, p, n_bins=1) == pytest.approx(gap)


def test_adaptive_bins_by_hand() -> None:
    """Six confidences, three bins of two; of equal width two of them would be empty."""
    confidence = np.array([0.91, 0.92, 0.93, 0.94, 0.95, 0.96])
    p = np.column_stack([confidence, 1 - confidence])
    y = [0, 1, 0, 0, 1, 1]
    gaps = [abs(0.5 - 0.915), abs(1 - 0.935), abs(0 - 0.955)]
    assert expected_calibration_error(y, p, n_bins=3, strategy="quantile") == pytest.approx(np.mean(gaps))
    assert expected_calibration_error(y, p, n_bins=3) == pytest.approx(abs(0.5 - 0.935))


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("n_bins", [3, 15])
@pytest.mark.parametrize("n_classes", [2, 5])
def test_agrees_with_calibration_curve(n_bins: int, strategy: str, n_classes: int) -> None:
    """scikit-learn's bins of "correct" against confidence, weighted by their samples."""
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(n_classes), size=200)
    y = rng.integers(n_classes, size=200)
    confidence, correct = p.max(1), (p.argmax(1) == y).astype(int)
    accuracy, mean_confidence = calibration_curve(correct, confidence, n_bins=n_bins, strategy=strategy)
    shares = np.linspace(0, 1, n_bins + 1)
    edges = shares if strategy == "uniform" else np.quantile(confidence, shares)
    counts = np.histogram(confidence, edges)[0]
    expected = np.sum(counts[counts > 0] / 200 * np.abs(accuracy - mean_confidence))
    assert expected_calibration_error(y, p, n_bins=n_bins, strategy=strategy) == pytest.approx(expected)


def test_equal_confidences_share_an_adaptive_bin() -> None:
    """So the order of the samples does not matter; here one bin is left, right in half of the cases."""
    p, y = [[0.8, 0.2]] * 10, [0, 1] * 5
    assert expected_calibration_error(y, p, n_bins=5, strategy="quantile") == pytest.approx(0.3)


def test_perfect_calibration_is_zero() -> None:
    p = [[0.75, 0.25]] * 8 + [[0.0, 1.0]] * 3
    y = [0] * 6 + [1] * 2 + [1] * 3
    assert expected_calibration_error(y, p) == pytest.approx(0)


def test_sure_and_always_wrong_is_one() -> None:
    assert expected_calibration_error([1, 0], [[1, 0], [0, 1]]) == 1


@given(st.integers(0, 2**31), st.integers(1, 30), st.sampled_from(["uniform", "quantile"]))
def test_stays_between_the_gap_of_the_means_and_one(seed: int, n_bins: int, strategy: str) -> None:
    """By the triangle inequality, bins can only add to the gap of one bin."""
    rng = np.random.default_rng(seed)
    p, y = rng.dirichlet(np.full(3, 0.5), size=20), rng.integers(3, size=20)
    error = expected_calibration_error(y, p, n_bins=n_bins, strategy=strategy)
    assert expected_calibration_error(y, p, n_bins=1) - 1e-12 <= error <= 1


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([[0, 1], [1, 1]], [[0.2, 0.7], [0.9, 0.8]], "one class per sample"),
        ([0, 1], [[0.2, 0.7], [0.9, 0.8]], "sum to 1"),
        ([0, 1], [[1.5, -0.5], [0.5, 0.5]], "from 0 to 1"),
        ([0, 1], [0.2, 0.7], "both columns"),
        ([0, 1], [[1.0], [1.0]], "both columns"),
        ([], np.zeros((0, 2)), "at least one"),
        ([0, 1, 1], [[0.5, 0.5]] * 2, "3 samples"),
        (["a", "b"], [[0.5, 0.5]] * 2, "searchsorted"),
        ([0, 2], [[0.5, 0.5]] * 2, "from 0 to 1"),
        ([-1, 1], [[0.5, 0.5]] * 2, "from 0 to 1"),
        ([0, 1], [[0.5, 0.5], [np.nan, 0.5]], "NaN or infinity in 1 of 2 rows, the first of them row 1"),
        ([0, 1], [[0.5, 0.5], [np.inf, 0.5]], "NaN or infinity"),
        ([0, 1], [[1.0005, 0.0], [0.5, 0.5]], "from 0 to 1"),
        ([0, 1], [["0.5", "0.5"]] * 2, "must hold numbers"),
        ([0, 1], [[0.5 + 0j, 0.5]] * 2, "must hold numbers"),
        ([0, 1], np.ma.masked_equal([[0.5, 0.5], [0.0, 1.0]], 0), "probabilities is a masked array"),
        (np.ma.masked_equal([0, 1], 0), [[0.5, 0.5]] * 2, "y is a masked array"),
    ],
)
def test_what_is_refused(y: Any, p: Any, message: str) -> None:
    for judge in (expected_calibration_error, brier_score, reliability_curve):
        with pytest.raises(ValueError, match=message):
            judge(y, p)


def test_a_bin_without_a_value_has_no_error_unless_it_is_empty() -> None:
    nan, edges = np.nan, np.array([0, 0.5, 1])
    assert ReliabilityCurve(edges, np.array([0, 4]), np.array([nan, 0.5]), np.array([nan, 0.75])).error == 0.25
    assert np.isnan(ReliabilityCurve(edges, np.array([1, 4]), np.array([nan, 0.5]), np.array([nan, 0.75])).error)


@pytest.mark.parametrize("n_bins", [0, 2.5, "15"])
def test_bins_are_a_positive_integer(n_bins: Any) -> None:
    with pytest.raises(ValueError, match="n_bins"):
        expected_calibration_error([0], [[0.5, 0.5]], n_bins=n_bins)


def test_a_strategy_is_one_of_two() -> None:
    with pytest.raises(ValueError, match="'strategy' parameter of reliability_curve must be a str among"):
        expected_calibration_error([0], [[0.5, 0.5]], strategy="adaptive")


def test_brier_score_by_hand() -> None:
    p = [[0.6, 0.3, 0.1], [0.0, 0.0, 1.0]]
    assert brier_score([0, 0], p) == pytest.approx((0.4**2 + 0.3**2 + 0.1**2 + 2) / 2)


def test_brier_score_ends_at_0_and_2() -> None:
    sure = np.eye(3)
    assert brier_score([0, 1, 2], sure) == 0
    assert brier_score([1, 2, 0], sure) == 2


def test_brier_score_of_two_classes_is_twice_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    p, y = rng.random(100), rng.integers(2, size=100)
    expected = 2 * brier_score_loss(y, p)
    assert brier_score(y, np.column_stack([1 - p, p])) == pytest.approx(expected)


def test_brier_score_of_more_classes_is_that_of_scikit_learn() -> None:
    if "scale_by_half" not in inspect.signature(brier_score_loss).parameters:
        pytest.skip("before 1.7, scikit-learn's takes two classes only")
    rng = np.random.default_rng(3)
    p, y = rng.dirichlet(np.ones(4), size=100), rng.integers(4, size=100)
    assert brier_score(y, p) == pytest.approx(brier_score_loss(y, p, labels=[0, 1, 2, 3]))


@given(st.integers(0, 2**31))
def test_brier_score_is_proper(seed: int) -> None:
    """Of samples that occur as often as p says, no other forecast has a lower mean than p."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 20, size=3)
    y, p = np.repeat(np.arange(3), counts), counts / counts.sum()
    other = rng.dirichlet(np.ones(3))
    assert brier_score(y, np.tile(p, (len(y), 1))) <= brier_score(y, np.tile(other, (len(y), 1))) + 1e-12
