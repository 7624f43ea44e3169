"""The bins behind the calibration error."""

import numpy as np
import pytest

from skaba.evaluation.calibration import expected_calibration_error, reliability_curve

P = [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.5, 0.5]]
Y = [0, 1, 1, 0]


def test_bins_of_equal_width_by_hand() -> None:
    curve = reliability_curve(Y, P, n_bins=4)
    np.testing.assert_allclose(curve.edges, [0, 0.25, 0.5, 0.75, 1])
    np.testing.assert_array_equal(curve.counts, [0, 1, 1, 2])
    np.testing.assert_allclose(curve.accuracy, [np.nan, 1, 1, 0.5])
    np.testing.assert_allclose(curve.confidence, [np.nan, 0.5, 0.7, 0.85])
    assert curve.error == pytest.approx((0.5 + 0.3 + 2 * 0.35) / 4) == expected_calibration_error(Y, P, n_bins=4)


@pytest.mark.parametrize("n_bins", [1, 2, 5, 20])
def test_adaptive_bins_hold_as_many_samples_each(n_bins: int) -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), size=100)
    counts = reliability_curve(rng.integers(3, size=100), p, n_bins=n_bins, strategy="quantile").counts
    assert counts.sum() == 100
    assert np.ptp(counts) <= 1
