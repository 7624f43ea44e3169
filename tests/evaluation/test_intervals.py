"""The interval of paired differences."""

import warnings
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm, ttest_rel

from skaba.evaluation import paired_interval


def test_equal_differences_give_their_value_twice_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert paired_interval([0.1] * 5) == (0.1, 0.1)


@pytest.mark.parametrize("n_pairs", [3, 5, 9])
def test_covers_the_mean_as_often_as_it_says_with_few_pairs(n_pairs: int) -> None:
    """The percentile bootstrap covers it in 77, 86 and 89 %."""
    drawn = np.random.default_rng(n_pairs).normal(0.3, 2, size=(4000, n_pairs))
    covered = [low < 0.3 < high for low, high in map(paired_interval, drawn)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_is_that_of_the_paired_t_test() -> None:
    ours, plain = np.random.default_rng(3).random((2, 6))
    expected = ttest_rel(ours, plain).confidence_interval(0.9)
    assert paired_interval(ours - plain, level=0.9) == pytest.approx((expected.low, expected.high))


def test_one_difference_has_no_interval_and_says_so() -> None:
    with pytest.warns(UserWarning, match="One difference has no interval"):
        assert np.isnan(paired_interval([0.1])).all()


def test_many_differences_give_the_normal_interval() -> None:
    values = np.random.default_rng(0).normal(1, 2, size=400)
    half = norm.ppf(0.95) * values.std() / np.sqrt(400)
    low, high = paired_interval(values, level=0.9)
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)


def test_mirrors_and_moves_with_the_differences() -> None:
    values = np.random.default_rng(1).exponential(size=12)
    low, high = paired_interval(values)
    assert paired_interval(values + 1) == pytest.approx((low + 1, high + 1))
    assert paired_interval(-values) == pytest.approx((-high, -low))


def test_a_higher_level_is_wider() -> None:
    values = [0.1, -0.2, 0.4, 0.3, 0.0, 0.2]
    narrow, wide = paired_interval(values, level=0.8), paired_interval(values, level=0.99)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize("values", [[], [[0.1, 0.2]], 0.3])
def test_needs_differences_in_one_row(values: Any) -> None:
    with pytest.raises(ValueError, match="at least one"):
        paired_interval(values)


def test_refuses_missing_values() -> None:
    with pytest.raises(ValueError, match="finite"):
        paired_interval([0.1, np.nan])


@pytest.mark.parametrize("level", [0, 1, 95, "0.95"])
def test_level_lies_between_0_and_1(level: Any) -> None:
    with pytest.raises(ValueError, match="level"):
        paired_interval([0.1, 0.2], level=level)


def test_a_ratio_widens_by_the_correction_of_nadeau_and_bengio() -> None:
    values = np.random.default_rng(2).normal(size=10)
    low, high = paired_interval(values)
    wide_low, wide_high = paired_interval(values, test_ratio=1 / 3)
    assert wide_low + wide_high == pytest.approx(low + high)
    assert (wide_high - wide_low) / (high - low) == pytest.approx(np.sqrt((1 / 10 + 1 / 3) * 10))


def test_with_a_ratio_correlated_differences_are_covered() -> None:
    """Differences that share a part of the variance, as those of random splits do."""
    share, rng = 0.25, np.random.default_rng(4)
    drawn = np.sqrt(share) * rng.normal(size=(4000, 1)) + np.sqrt(1 - share) * rng.normal(size=(4000, 5))
    intervals = [paired_interval(row, test_ratio=share / (1 - share)) for row in drawn]
    assert np.mean([low < 0 < high for low, high in intervals]) == pytest.approx(0.95, abs=0.015)
    assert np.mean([low < 0 < high for low, high in map(paired_interval, drawn)]) < 0.85
