"""RandomMap: noise in place of a map."""

import torch
from scipy.stats import kstest

from skaba.attribution import PredictedClass, RandomMap
from tests.tiny_nets import seeded


def maps(generator, shape=(4, 3, 50, 20), dtype=torch.float32):
    return RandomMap()(None, torch.zeros(shape, dtype=dtype), target=PredictedClass(), generator=generator)


def test_is_standard_normal():
    noise = maps(seeded())
    assert noise.shape == (4, 3, 50, 20)
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 1) < 0.05
    assert kstest(noise.flatten().numpy(), "norm").pvalue > 1e-3


def test_is_determined_by_the_generator():
    assert torch.equal(maps(seeded(1)), maps(seeded(1)))
    assert not torch.equal(maps(seeded(1)), maps(seeded(2)))
    generator = seeded(1)
    assert not torch.equal(maps(generator), maps(generator))


def test_never_asks_the_model():
    def model(x):
        raise AssertionError("asked")

    assert RandomMap()(model, torch.zeros(2, 3), target=model, generator=seeded()).shape == (2, 3)
