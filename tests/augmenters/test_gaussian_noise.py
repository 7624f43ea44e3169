"""GaussianNoise: the control that needs no model."""

import pytest
import torch
from scipy.stats import kstest

from skaba.augmenters import GaussianNoise
from tests.tiny_nets import seeded


def noisy(x, strength=0.5, seed=0):
    return GaussianNoise()(None, x, None, strength=strength, criterion=None, generator=seeded(seed))


@pytest.mark.parametrize("strength", [0.1, 2.0])
def test_adds_normal_noise_of_the_strength(strength):
    x = torch.randn(4, 3, 40, 25, dtype=torch.float64)
    noise = (noisy(x, strength) - x) / strength
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05
    assert kstest(noise.flatten().numpy(), "norm").pvalue > 1e-3


def test_strength_scales_one_and_the_same_noise():
    x = torch.zeros(3, 5)
    assert torch.equal(noisy(x, 2.0), 2 * noisy(x, 1.0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_leaves_x_alone(dtype):
    x = torch.randn(2, 3, 4).to(dtype).requires_grad_()
    copy = x.detach().clone()
    result = noisy(x)
    assert torch.equal(x, copy)
    assert (result.dtype, result.shape, result.requires_grad) == (dtype, x.shape, False)
