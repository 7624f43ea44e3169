"""The interval of paired differences."""

import warnings
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from skaba.evaluation import paired_interval


def test_equal_differences_give_their_value_twice_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert paired_interval([0.1] * 5) == (0.1, 0.1)


def test_few_distinct_values_give_finite_ends_without_a_warning() -> None:
    """Where the bias-corrected interval is not defined."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = paired_interval([0.0, 0.0, 0.0, 0.0, 1.0])
    assert low == 0
    assert 0 < high <= 1


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


def test_random_state_decides_and_the_global_one_does_not_notice() -> None:
    values = np.random.default_rng(2).normal(size=9)
    before = str(np.random.get_state())
    first = paired_interval(values, random_state=3)
    assert str(np.random.get_state()) == before
    assert first == paired_interval(values, random_state=3) != paired_interval(values, random_state=4)


@pytest.mark.parametrize("values", [[0.1], [], [[0.1, 0.2]], 0.3])
def test_needs_at_least_two_differences(values: Any) -> None:
    with pytest.raises(ValueError, match="at least two"):
        paired_interval(values)


def test_refuses_missing_values() -> None:
    with pytest.raises(ValueError, match="finite"):
        paired_interval([0.1, np.nan])


@pytest.mark.parametrize("level", [0, 1, 95, "0.95"])
def test_level_lies_between_0_and_1(level: Any) -> None:
    with pytest.raises(ValueError, match="level"):
        paired_interval([0.1, 0.2], level=level)


@pytest.mark.parametrize("random_state", [-1, None, 0.5])
def test_random_state_is_an_integer(random_state: Any) -> None:
    with pytest.raises(ValueError, match="random_state"):
        paired_interval([0.1, 0.2], random_state=random_state)
