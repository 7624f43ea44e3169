"""The noises have the moments that their definitions say, in any units, and keep to their bounds."""

import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from skaba.evaluation.robustness import GaussianCorruption, ImpulseCorruption, ShotCorruption

NOISES = [GaussianCorruption, ShotCorruption, ImpulseCorruption]
SEVERITIES = range(1, 6)


def corrupted(corruption: Any, X: np.ndarray, severity: int, seed: int = 0) -> np.ndarray:
    result = corruption(X, severity=severity, generator=np.random.default_rng(seed))
    assert isinstance(result, np.ndarray)
    return result


@pytest.mark.parametrize(("severity", "sigma"), list(enumerate((0.08, 0.12, 0.18, 0.26, 0.38), start=1)))
def test_gaussian_noise_has_its_standard_deviation(severity: int, sigma: float) -> None:
    free = corrupted(GaussianCorruption(bounds=None, scale=2.0), np.ones((4, 10_000)), severity)
    assert free.mean() == pytest.approx(1, abs=0.02)
    assert free.std() == pytest.approx(2 * sigma, rel=0.02)
    drawn = np.random.default_rng(0).standard_normal((4, 10_000))
    within = corrupted(GaussianCorruption(), np.full((4, 10_000), 0.5), severity)
    np.testing.assert_allclose(within, np.clip(0.5 + sigma * drawn, 0, 1))


@pytest.mark.parametrize(("severity", "rate"), list(enumerate((60, 25, 12, 5, 3), start=1)))
def test_shot_noise_is_that_of_counts(severity: int, rate: int) -> None:
    """A Poisson variable's mean is its variance. Of dark values next to nothing is cut at the highest."""
    noisy = corrupted(ShotCorruption(), np.full((4, 20_000), 0.1), severity)
    counts = noisy * rate
    np.testing.assert_allclose(counts, counts.round(), atol=1e-9)
    assert noisy.mean() == pytest.approx(0.1, rel=0.02)
    assert noisy.var() == pytest.approx(0.1 / rate, rel=0.05)


def test_shot_noise_leaves_the_lowest_value_alone() -> None:
    assert not corrupted(ShotCorruption(), np.zeros((3, 50)), 5).any()


@pytest.mark.parametrize(("severity", "share"), list(enumerate((0.03, 0.06, 0.09, 0.17, 0.27), start=1)))
def test_impulse_noise_is_half_salt_half_pepper(severity: int, share: float) -> None:
    X = np.full((4, 20_000), 0.3)
    noisy = corrupted(ImpulseCorruption(), X, severity)
    assert set(np.unique(noisy)) == {0, 0.3, 1}
    for extreme in (0, 1):
        assert (noisy == extreme).mean() == pytest.approx(share / 2, rel=0.08)


@pytest.mark.parametrize("noise", NOISES)
def test_stronger_noise_changes_more(noise: Any) -> None:
    X = np.random.default_rng(1).random((2, 3, 20, 20))
    errors = [np.square(corrupted(noise(), X, severity) - X).mean() for severity in SEVERITIES]
    assert (np.diff([0.0, *errors]) > 0).all()


@pytest.mark.parametrize("noise", NOISES)
def test_bounds_undo_standardisation(noise: Any) -> None:
    """Corrupting standardised images within their own bounds is corrupting the images."""
    images = np.random.default_rng(2).random((5, 3, 8, 8))
    mean, std = (np.reshape(values, (3, 1, 1)) for values in ([0.4, 0.5, 0.6], [0.2, 0.25, 0.3]))
    standardised = corrupted(noise(bounds=((0 - mean) / std, (1 - mean) / std)), (images - mean) / std, 3)
    np.testing.assert_allclose(standardised * std + mean, corrupted(noise(), images, 3), atol=1e-12)


@pytest.mark.parametrize("noise", NOISES)
def test_stays_within_bounds_in_the_type_of_the_samples_and_leaves_them_alone(noise: Any) -> None:
    X = np.random.default_rng(3).uniform(-2, 2, size=(20, 4)).astype(np.float32)
    X[:, 3] = 0.5
    kept = X.copy()
    low, high = np.array([-2, -3, -4, 0.5]), np.array([2, 3, 4, 0.5])
    noisy = corrupted(noise(bounds=(low, high)), X, 5)
    np.testing.assert_array_equal(X, kept)
    assert noisy.dtype == np.float32
    assert (noisy >= low).all()
    assert (noisy <= high).all()
    assert (noisy[:, 3] == 0.5).all()  # low = high: it can not change
    assert (noisy[:, :3] != X[:, :3]).any(axis=0).all()


def test_standardised_single_floats_may_round_beyond_a_bound() -> None:
    x = np.full((1, 2), np.nextafter(np.float32(2.1), np.float32(3)), dtype=np.float32)
    assert corrupted(ShotCorruption(bounds=(-2.1, 2.1)), x, 1).max() <= np.float32(2.1)


def test_a_scale_for_each_lead() -> None:
    scale = np.array([[0.0], [1.0], [3.0]])
    noisy = corrupted(GaussianCorruption(bounds=None, scale=scale), np.zeros((50, 3, 200)), 5)
    np.testing.assert_allclose(noisy.std(axis=(0, 2)), 0.38 * scale[:, 0], rtol=0.03)


@pytest.mark.parametrize("noise", NOISES)
def test_the_generator_decides(noise: Any) -> None:
    X = np.random.default_rng(4).random((3, 30))
    np.testing.assert_array_equal(corrupted(noise(), X, 2), corrupted(noise(), X, 2))
    assert (corrupted(noise(), X, 2) != corrupted(noise(), X, 2, seed=1)).any()


@pytest.mark.parametrize("noise", NOISES)
def test_clones_and_pickles(noise: Any) -> None:
    corruption, X = noise(bounds=(np.zeros(4), 2)), np.ones((3, 4))
    for copied in (clone(corruption), pickle.loads(pickle.dumps(corruption))):  # noqa: S301
        np.testing.assert_array_equal(corrupted(copied, X, 3), corrupted(corruption, X, 3))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ((1, 0), "low < high"),
        ((0, 1, 2), "low < high"),
        ((0, np.nan), "low < high"),
        (("0", "1"), "low < high"),
        ((0, np.inf), "must be finite"),
        ((np.zeros(3), 1), "do not broadcast to a sample of shape .4,."),
        ((0, 0.5), "from 0 to 1, some of them outside bounds, which are from 0 to 0.5"),
        ("images", "bounds"),
    ],
)
def test_bounds_that_are_refused(noise: Any, bounds: Any, message: str) -> None:
    X = np.tile([0.0, 0.2, 0.3, 1.0], (2, 1))
    with pytest.raises(ValueError, match=message):
        corrupted(noise(bounds=bounds), X, 1)


@pytest.mark.parametrize("noise", NOISES)
def test_whole_numbers_are_refused(noise: Any) -> None:
    with pytest.raises(TypeError, match="X holds int64"):
        noise()(np.ones((2, 3), dtype=np.int64), severity=1, generator=np.random.default_rng(0))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("severity", [0, 6, 2.5, "3", None])
def test_severities_that_are_refused(noise: Any, severity: Any) -> None:
    with pytest.raises(ValueError, match=r"'severity' parameter of \w+ must be an int in the range \[1, 5\]"):
        corrupted(noise(), np.zeros((2, 4)), severity)


@pytest.mark.parametrize(
    ("scale", "message"),
    [
        (None, "needs a scale"),
        (0, "above 0"),
        (-1.0, "at least 0"),
        (np.array([1.0, np.nan]), "finite"),
        (np.ones(3), "scale has values of shape .3,., which do not broadcast"),
        ("std", "scale"),
    ],
)
def test_scales_that_are_refused(scale: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        corrupted(GaussianCorruption(bounds=None, scale=scale), np.zeros((2, 4)), 1)


def test_only_gaussian_noise_goes_without_bounds() -> None:
    for noise in (ShotCorruption, ImpulseCorruption):
        with pytest.raises(ValueError, match="bounds"):
            corrupted(noise(bounds=None), np.zeros((2, 4)), 1)
