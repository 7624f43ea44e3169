"""The measures: against plain loops, closed forms, and the defects that their pages admit."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from skaba.evaluation.ground_truth import (
    dimensional_difference,
    ideal_map,
    masked_dimension_correlation,
    unit_grid,
)

NOISE = np.random.default_rng(0)


def noise(size=40, dimensions=2):
    return NOISE.random((size, size, dimensions))


def sure_in_corners(size=40):
    """A model that is sure of XOR but for two stripes around 0.5."""
    first, second = np.moveaxis(unit_grid(size), -1, 0)
    sure = (abs(first - 0.5) > 0.15) & (abs(second - 0.5) > 0.15)
    return np.where(sure, (first > 0.5) != (second > 0.5), 0.5)


def solved_xor(size):
    """A model whose logit of class 1 is ``-30 (x1 - 0.5) (x2 - 0.5)``."""
    first, second = np.moveaxis(unit_grid(size).astype(np.float64) - 0.5, -1, 0)
    return 1 / (1 + np.exp(30 * first * second))


# ------------------------------------------------------------------------- grid and ideal map


def test_the_grids_first_axis_is_the_first_input():
    grid = unit_grid(5)
    assert grid.dtype == np.float32
    assert all(tuple(grid[i, j]) == (i / 4, j / 4) for i in range(5) for j in range(5))


@pytest.mark.parametrize("size", [1, 0, 2.0, "3"])
def test_a_grid_has_at_least_two_points_an_axis(size):
    with pytest.raises(ValueError, match=r"'size' parameter of unit_grid must be an int in the range \[2, inf\)"):
        unit_grid(size)


def test_the_ideal_map_keeps_both_assumptions():
    grid = unit_grid(21)
    A = ideal_map(grid)
    first, second = np.moveaxis(grid, -1, 0)
    equally_far = np.isclose(abs(first - 0.5), abs(second - 0.5))
    assert np.allclose(A[equally_far, 0], A[equally_far, 1])
    closer = abs(first - 0.5) < abs(second - 0.5) - 1e-6
    assert (A[closer, 0] > A[closer, 1]).all(), "the input closer to 0.5 has the higher attribution"
    assert A.max() == 1
    assert np.array_equal(A[0, 10], [0, 1]), "of (0, 0.5) the first counts nothing"


def test_the_ideal_map_takes_tensors_of_any_leading_shape():
    points = torch.rand(7, 2)
    assert np.allclose(ideal_map(points).numpy(), ideal_map(points.numpy()))
    with pytest.raises(ValueError, match="last axis must hold the two inputs"):
        ideal_map(torch.rand(2, 3))


# ---------------------------------------------------------------------- dimensional difference


def test_the_difference_equals_a_plain_loop():
    A, eps = noise(9), 1e-8
    D = [[abs(A[i, j, 0] - A[i, j, 1]) for j in range(9)] for i in range(9)]
    low, high = min(map(min, D)), max(map(max, D))
    total = sum((value - low) / (high + eps - low) for row in D for value in row)
    assert dimensional_difference(A) == pytest.approx(total / 9)
    assert dimensional_difference(A, n_steps=81) == pytest.approx(total / 81)


@given(st.floats(0.1, 100), st.floats(-5, 5))
@settings(max_examples=25, deadline=None)
def test_the_difference_ignores_scale_sign_order_and_a_shared_offset(scale, offset):
    A = np.random.default_rng(1).normal(size=(6, 6, 2))
    d = dimensional_difference(A)
    for other in (scale * A, -A, A[..., ::-1], A + offset, A.transpose(1, 0, 2)):
        assert dimensional_difference(other) == pytest.approx(d, rel=1e-5)


def test_equal_maps_have_no_difference_even_if_they_are_noise():
    assert dimensional_difference(noise(30, 1).repeat(2, axis=2)) == 0


def test_maps_a_constant_apart_have_none_either():
    A = noise(30, 1).repeat(2, axis=2)
    A[..., 1] += 0.25
    assert dimensional_difference(np.round(A * 2**20) / 2**20) == pytest.approx(0, abs=1e-6)


def test_the_ideal_map_scores_no_better_than_noise():
    # E|U - V| of two uniform draws is a third: 66.7 of 200 steps.
    assert dimensional_difference(ideal_map(unit_grid(200))) == pytest.approx(200 / 3, rel=0.02)
    assert dimensional_difference(np.random.default_rng(0).random((200, 200, 2))) == pytest.approx(200 / 3, rel=0.02)


def test_the_difference_grows_with_the_grid_but_not_as_a_share():
    coarse, fine = (ideal_map(unit_grid(size)) for size in (100, 400))
    assert dimensional_difference(fine) == pytest.approx(4 * dimensional_difference(coarse), rel=0.02)
    shares = [dimensional_difference(A, n_steps=A[..., 0].size) for A in (coarse, fine)]
    assert shares[0] == pytest.approx(shares[1], rel=0.02)


# --------------------------------------------------------------------------------- correlation


@pytest.mark.parametrize("rotation", [0, 1, 2, 3, -1])
def test_the_correlation_equals_scipys_point_by_point(rotation):
    A, P = noise(12), NOISE.random((12, 12))
    found = masked_dimension_correlation(A, P, rotation=rotation)
    turned = A[..., 1]
    for _ in range(rotation % 4):
        turned = np.array([[turned[j, 11 - i] for j in range(12)] for i in range(12)])
    corners = [(i, j) for i in range(12) for j in range(12) if P[i, j] < 0.2 or P[i, j] > 0.8]
    boundary = [(i, j) for i in range(12) for j in range(12) if 0.2 <= P[i, j] <= 0.8]
    ideal = [(2 * abs(j / 11 - 0.5), 2 * abs(i / 11 - 0.5)) for i, j in boundary]
    expected = [
        pearsonr([A[at][0] for at in corners], [A[at][1] for at in corners]),
        pearsonr([A[at][0] for at in boundary], [turned[at] for at in boundary]),
        pearsonr([A[at][k] for at in boundary for k in (0, 1)], [pair[k] for pair in ideal for k in (0, 1)]),
    ]
    assert [found.r_C, found.r_DB, found.r_ideal] == pytest.approx([result.statistic for result in expected])


def test_a_quarter_turn_takes_the_point_to_its_place():
    grid = unit_grid(9)
    A = np.zeros((9, 9, 2))
    A[..., 0] = grid[..., 0]  # x1, and turned by a quarter: A2(x1, x2) there is A2(x2, 1 - x1)
    A[..., 1] = 1 - grid[..., 1]
    assert masked_dimension_correlation(A, np.full((9, 9), 0.5)).r_DB == pytest.approx(1)
    assert masked_dimension_correlation(A, np.full((9, 9), 0.5), rotation=-1).r_DB == pytest.approx(-1)


def test_the_ideal_map_is_right_at_the_boundary_and_not_seen_in_the_corners():
    found = masked_dimension_correlation(ideal_map(unit_grid(100)), sure_in_corners(100))
    assert found.r_DB > 0.99
    assert abs(found.r_C) < 0.1


def own_coordinate_noise(size):
    """Values that depend on the map's own input alone, symmetric as the square's quarter turn wants it."""
    values = np.random.default_rng(3).random(size)
    return np.stack(np.broadcast_arrays(values[:, None], values[::-1][None]), axis=-1)


@pytest.mark.parametrize(
    ("maps", "r_ideal"),
    [
        (ideal_map(unit_grid(200)), 1),
        (1 - ideal_map(unit_grid(200)), -1),
        (-ideal_map(unit_grid(200)), -1),
        (ideal_map(unit_grid(200))[..., ::-1], -0.57),
        (own_coordinate_noise(200), 0.0),
    ],
)
def test_right_and_wrong_maps_that_r_db_likes_are_told_apart_by_the_ideal_map(maps, r_ideal):
    found = masked_dimension_correlation(maps, solved_xor(200))
    assert found.r_DB == pytest.approx(1, abs=1e-6)
    assert found.r_ideal == pytest.approx(r_ideal, abs=1e-6 if abs(r_ideal) == 1 else 0.3 if r_ideal == 0 else 0.02)


def test_equal_noise_has_the_best_score_in_the_corners():
    found = masked_dimension_correlation(noise(40, 1).repeat(2, axis=2), sure_in_corners())
    assert found.r_C == pytest.approx(1)
    assert abs(found.r_DB) < 0.2


@given(st.floats(1e-30, 1e10), st.floats(-3, 3))
@settings(max_examples=25, deadline=None)
def test_correlations_do_not_depend_on_scale_sign_and_offset(scale, offset):
    A = np.random.default_rng(2).normal(size=(12, 12, 2))
    expected = masked_dimension_correlation(A, sure_in_corners(12))
    for other in (scale * A, -scale * A, scale * (A + offset)):
        found = masked_dimension_correlation(other, sure_in_corners(12))
        assert [found.r_C, found.r_DB] == pytest.approx([expected.r_C, expected.r_DB], abs=1e-6)


def test_the_share_of_nonzero_values_is_told():
    A, P = np.zeros((10, 10, 2)), np.full((10, 10), 0.5)
    P[:5] = 1
    A[:5, :, 0] = 1.0
    A[5:, :2, 1] = -0.5
    A[5:, 2:, 1] = 0.0099  # below a hundredth of the largest
    found = masked_dimension_correlation(A, P)
    assert (found.nonzero_C, found.nonzero_DB) == (0.5, 0.1)


def test_nothing_is_said_of_constant_maps():
    A = noise(10)
    A[..., 1] = 3.0
    found = masked_dimension_correlation(A, sure_in_corners(10))
    assert math.isnan(found.r_C)
    assert math.isnan(found.r_DB)
    assert found.nonzero_C > 0
    assert masked_dimension_correlation(np.zeros((10, 10, 2)), sure_in_corners(10)).nonzero_C == 0


@pytest.mark.parametrize(("level", "missing"), [(1.0, "DB"), (0.5, "C")])
def test_nothing_is_said_of_a_region_without_points(level, missing):
    found = masked_dimension_correlation(noise(10), np.full((10, 10), level))._asdict()
    undefined = {f"r_{missing}", f"nonzero_{missing}", *(["r_ideal"] if missing == "DB" else [])}
    assert {name for name, value in found.items() if math.isnan(value)} == undefined


# ------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize("shape", [(5, 5), (5, 5, 3), (5, 4, 2), (25, 2), (0, 0, 2)])
def test_maps_of_another_shape_are_refused(shape):
    for measure in (dimensional_difference, lambda A: masked_dimension_correlation(A, np.ones((5, 5)))):
        with pytest.raises(ValueError, match=r"must have \(S, S, 2\)"):
            measure(np.ones(shape))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_maps_that_are_not_finite_are_refused(bad):
    A = np.ones((5, 5, 2))
    A[0, 0, 0] = bad
    for measure in (dimensional_difference, lambda A: masked_dimension_correlation(A, np.ones((5, 5)))):
        with pytest.raises(ValueError, match="1 of 50 values that are NaN or infinite"):
            measure(A)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"P": np.ones((4, 5))}, "one probability per point"),
        ({"P": np.full((5, 5), np.nan)}, "P holds NaN"),
        ({"low": 0.8, "high": 0.8}, "must be below"),
        ({"rotation": 0.5}, "'rotation' parameter of masked_dimension_correlation"),
    ],
)
def test_arguments_of_the_correlation_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        masked_dimension_correlation(**{"A": np.ones((5, 5, 2)), "P": np.ones((5, 5)), **arguments})


@pytest.mark.parametrize(("name", "value"), [("n_steps", 0), ("n_steps", 1.5), ("eps", 0), ("eps", math.nan)])
def test_arguments_of_the_difference_are_checked(name, value):
    with pytest.raises(ValueError, match=f"'{name}' parameter of dimensional_difference"):
        dimensional_difference(np.ones((5, 5, 2)), **{name: value})


@pytest.mark.parametrize("outside", [-0.1, 1.1, 3.0])
def test_probabilities_lie_between_0_and_1(outside):
    P = sure_in_corners()
    P[3, 4] = outside
    with pytest.raises(ValueError, match=r"P has values from .*, but it must be the model's probability"):
        masked_dimension_correlation(noise(), P)
