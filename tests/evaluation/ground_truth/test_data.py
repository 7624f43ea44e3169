"""The two-dimensional problems: against closed forms."""

import numpy as np
import pytest
from scipy.stats import norm

from skaba.evaluation.ground_truth import make_ring_of_gaussians, make_xor


def test_xor_has_the_accuracy_that_its_noise_allows():
    X, y = make_xor(200_000, random_state=0)
    stays = norm.cdf(0.5 / 0.2)  # an input stays on its side of 0.5
    best = stays**2 + (1 - stays) ** 2
    assert np.mean(np.not_equal(*(X > 0.5).T) == y) == pytest.approx(best, abs=1e-3)


def test_labels_come_from_the_corner_and_not_from_the_noisy_point():
    X, y = make_xor(4000, sigma=5.0, random_state=0)
    assert 0.4 < np.mean(np.not_equal(*(X > 0.5).T) == y) < 0.6
    assert y.mean() == 0.5


def test_xor_is_the_four_corners_with_noise():
    X, y = make_xor(40_000, sigma=0.1, random_state=1)
    corner = X.round()
    assert (X.dtype, y.dtype) == (np.float32, np.int64)
    assert X.min() < 0, "nothing is clipped"
    assert X.max() > 1, "nothing is clipped"
    assert {tuple(point) for point in corner.tolist()} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert (X - corner).std(axis=0) == pytest.approx(0.1, rel=0.02)
    assert np.abs((X - corner).mean(axis=0)).max() < 0.002


@pytest.mark.parametrize("n", [4, 8, 103])
def test_corners_are_balanced_and_in_random_order(n):
    X, y = make_xor(n, sigma=0, random_state=3)
    counts = np.unique(X, axis=0, return_counts=True)[1]
    assert counts.max() - counts.min() <= 1
    assert len(X) == len(y) == n
    if n > 100:
        assert np.abs(np.corrcoef(np.arange(n), y)[0, 1]) < 0.3


def test_the_ring_has_its_centres_on_a_circle():
    X, y = make_ring_of_gaussians(50_000, random_state=0)
    centres = np.array([X[y == label].mean(axis=0) for label in range(5)])
    angles = 2 * np.pi * np.arange(5) / 5
    assert np.allclose(centres, 1.8 * np.column_stack([np.cos(angles), np.sin(angles)]), atol=0.02)
    assert (X - centres[y]).std(axis=0) == pytest.approx(0.45, rel=0.02)
    assert np.bincount(y).tolist() == [10_000] * 5
    assert (X.dtype, y.dtype) == (np.float32, np.int64)


@pytest.mark.parametrize("make", [make_xor, make_ring_of_gaussians])
def test_the_random_state_decides_everything(make):
    state = np.random.get_state()[1].copy()
    first, again, other = make(50, random_state=0), make(50, random_state=0), make(50, random_state=1)
    assert all(map(np.array_equal, first, again))
    assert not np.array_equal(first[0], other[0])
    generator = np.random.default_rng(0)
    assert np.array_equal(make(50, random_state=generator)[0], first[0])
    assert not np.array_equal(make(50, random_state=generator)[0], first[0]), "a generator goes on"
    assert np.array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize(
    ("make", "parameters"),
    [
        (make_xor, {"n_samples": 0}),
        (make_xor, {"n_samples": 2.5}),
        (make_xor, {"sigma": -0.1}),
        (make_ring_of_gaussians, {"n_classes": 1}),
        (make_ring_of_gaussians, {"radius": 0}),
        (make_ring_of_gaussians, {"sigma": -1}),
    ],
)
def test_what_is_not_allowed_is_named(make, parameters):
    with pytest.raises(ValueError, match=f"'{next(iter(parameters))}' parameter of {make.__name__} must be"):
        make(**parameters)
