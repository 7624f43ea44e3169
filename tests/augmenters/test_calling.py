"""Functions of a batch alone, kornia's among them, draw as the generator says and leave global states alone."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from skaba.augmenters import FPA, Compose, GaussianNoise, fast_aba
from skaba.augmenters._calling import augmented_by, is_augmenter
from tests.tiny_nets import seeded


def called(function, x, seed=0, strength=1):
    return augmented_by(function, None, x, None, strength=strength, criterion=None, generator=seeded(seed))


def noisy(x):
    """Draws from every global random state."""
    return x + torch.rand_like(x) + random.random() + np.random.rand()  # noqa: S311


def states():
    return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state()[1].tolist())


def test_the_generator_decides_what_a_function_draws():
    x = torch.zeros(2, 3)
    first = called(noisy, x, seed=1)
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    assert torch.equal(called(noisy, x, seed=1), first)
    assert not torch.equal(called(noisy, x, seed=2), first)


def test_a_generator_that_goes_on_draws_anew():
    generator = seeded()
    twice = [
        augmented_by(noisy, None, torch.zeros(2), None, strength=1, criterion=None, generator=generator)
        for _ in range(2)
    ]
    assert not torch.equal(*twice)


def test_global_random_states_stay_also_after_an_error():
    def fails(x):
        raise RuntimeError(f"boom {noisy(x).shape}")

    before = states()
    called(noisy, torch.zeros(2, 3))
    with pytest.raises(RuntimeError, match="boom"):
        called(fails, torch.zeros(2, 3))
    assert states() == before


def test_a_function_may_work_in_place():
    x = torch.ones(2, 3)
    assert torch.equal(called(lambda batch: batch.mul_(2), x), 2 * torch.ones(2, 3))
    assert torch.equal(x, torch.ones(2, 3))


def test_the_result_has_the_batchs_dtype_and_no_gradient():
    x = torch.ones(2, 3, requires_grad=True)
    result = called(lambda batch: batch.double() * 2, x)
    assert (result.dtype, result.requires_grad) == (torch.float32, False)


def test_strength_is_the_share_of_samples_and_0_calls_nobody():
    x = torch.zeros(2000, 2)
    changed = called(lambda batch: batch + 1, x, strength=0.2)
    assert torch.equal(changed[:, 0], changed[:, 1])
    assert 0.17 < changed[:, 0].mean() < 0.23
    assert torch.equal(called(lambda batch: 1 / 0, x, strength=0), x)


class Own(nn.Module):
    """A user's augmenter that is a module."""

    def forward(self, model, x, y, **asked):
        return x + asked["strength"]


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (FPA(), True),
        (fast_aba(), True),
        (Compose([]), True),
        (Own(), True),
        (lambda model, x, y, **asked: x, True),
        (torch.zeros_like, False),
        (torch.sin, False),
        (nn.Sequential(nn.Identity()), False),
        (lambda x: x, False),
        (lambda *args, **kwargs: args[0], False),
        (lambda x, p=0.5: x, False),
    ],
)
def test_augmenters_are_told_from_functions(function, wanted):
    assert is_augmenter(function) is wanted


def test_an_augmenter_is_handed_everything():
    x = torch.zeros(2, 3)
    wanted = GaussianNoise()(None, x, None, strength=0.5, criterion=None, generator=seeded(3))
    assert torch.equal(called(GaussianNoise(), x, seed=3, strength=0.5), wanted)
    assert torch.equal(called(Own(), x, strength=0.5), x + 0.5)


@pytest.mark.parametrize("result", [None, torch.zeros(3, 2), "image"])
def test_what_is_no_batch_of_the_shape_is_refused(result):
    with pytest.raises(ValueError, match="it must keep the shape"):
        called(lambda x: result, torch.zeros(2, 3))


def test_kornias_augmentations():
    augmentation = pytest.importorskip("kornia.augmentation")
    several = augmentation.AugmentationSequential(
        augmentation.RandomHorizontalFlip(p=0.5),
        augmentation.RandomAffine(30.0, p=1.0),
        augmentation.ColorJiggle(0.2, 0.2, p=1.0),
    )
    x = torch.rand(6, 3, 8, 8, generator=seeded())
    copy, before = x.clone(), states()
    for kornia in (several, augmentation.RandomRotation(20.0, p=1.0), augmentation.auto.RandAugment(n=2, m=10)):
        assert not is_augmenter(kornia)
        first = called(kornia, x, seed=1)
        assert first.shape == x.shape
        assert torch.equal(called(kornia, x, seed=1), first)
        assert not torch.equal(called(kornia, x, seed=2), first)
    assert torch.equal(x, copy)
    assert states() == before
