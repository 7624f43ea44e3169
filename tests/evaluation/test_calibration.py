"""The expected calibration error against a case by hand, scikit-learn and what it must be."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from skaba.evaluation import expected_calibration_error


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


@pytest.mark.parametrize("n_bins", [3, 15])
def test_agrees_with_calibration_curve(n_bins: int) -> None:
    """scikit-learn's bins of "correct" against confidence, weighted by their samples."""
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(2), size=200)
    y = rng.integers(2, size=200)
    confidence, correct = p.max(1), (p.argmax(1) == y).astype(int)
    accuracy, mean_confidence = calibration_curve(correct, confidence, n_bins=n_bins)
    edges = np.linspace(0, 1, n_bins + 1)
    counts = np.histogram(confidence, edges)[0]
    expected = np.sum(counts[counts > 0] / 200 * np.abs(accuracy - mean_confidence))
    assert expected_calibration_error(y, p, n_bins=n_bins) == pytest.approx(expected)


def test_perfect_calibration_is_zero() -> None:
    p = [[0.75, 0.25]] * 8 + [[0.0, 1.0]] * 3
    y = [0] * 6 + [1] * 2 + [1] * 3
    assert expected_calibration_error(y, p) == pytest.approx(0)


def test_sure_and_always_wrong_is_one() -> None:
    assert expected_calibration_error([1, 0], [[1, 0], [0, 1]]) == 1


@given(st.integers(0, 2**31), st.integers(1, 30))
def test_stays_between_the_gap_of_the_means_and_one(seed: int, n_bins: int) -> None:
    """By the triangle inequality, bins can only add to the gap of one bin."""
    rng = np.random.default_rng(seed)
    p, y = rng.dirichlet(np.full(3, 0.5), size=20), rng.integers(3, size=20)
    error = expected_calibration_error(y, p, n_bins=n_bins)
    assert expected_calibration_error(y, p, n_bins=1) - 1e-12 <= error <= 1


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([[0, 1], [1, 1]], [[0.2, 0.7], [0.9, 0.8]], "one class a sample"),
        ([0, 1], [[0.2, 0.7], [0.9, 0.8]], "sum to 1"),
        ([0, 1], [[1.5, -0.5], [0.5, 0.5]], "non-negative"),
        ([0, 1], [[np.nan, 0.5], [0.5, 0.5]], "non-negative"),
        ([0, 1], [0.2, 0.7], "both columns"),
        ([0, 1], [[1.0], [1.0]], "both columns"),
        ([], np.zeros((0, 2)), "at least one"),
        ([0, 1, 1], [[0.5, 0.5]] * 2, "3 samples"),
        (["a", "b"], [[0.5, 0.5]] * 2, "searchsorted"),
        ([0, 2], [[0.5, 0.5]] * 2, "from 0 to 1"),
        ([-1, 1], [[0.5, 0.5]] * 2, "from 0 to 1"),
    ],
)
def test_what_is_refused(y: Any, p: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(y, p)


@pytest.mark.parametrize("n_bins", [0, 2.5, "15"])
def test_bins_are_a_positive_integer(n_bins: Any) -> None:
    with pytest.raises(ValueError, match="n_bins"):
        expected_calibration_error([0], [[0.5, 0.5]], n_bins=n_bins)
