"""What erasing augmenters share: boxes, and fills."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.stats import kstest

from skaba.augmenters._erasing import boxes, erased
from skaba.network import FromLayer
from tests.tiny_nets import TextNet, seeded, words


def filled(x, places, fill, strength=1, model=None):
    return erased(x, places, fill, strength=strength, model=model, generator=seeded())


def everywhere(x):
    return torch.ones(x.shape if x.dim() == 2 else (len(x), *x.shape[2:]), dtype=torch.bool)


@pytest.mark.parametrize("places", [(7,), (4, 5), (2, 3, 4)])
def test_boxes_are_slices(places):
    start = torch.stack([torch.randint(length, (6,), generator=seeded(length)) for length in places], dim=1)
    size = torch.stack([torch.randint(length + 1, (6,), generator=seeded(9 + length)) for length in places], dim=1)
    wanted = np.zeros((6, *places), dtype=bool)
    for sample, first, length in zip(wanted, start.tolist(), size.tolist(), strict=True):
        sample[tuple(slice(a, a + b) for a, b in zip(first, length, strict=True))] = True
    assert np.array_equal(boxes(start, size, places).numpy(), wanted)


STATISTICS = {"zero": np.zeros_like, "mean": np.mean, "min": np.min, "max": np.max}


@pytest.mark.parametrize("fill", STATISTICS)
def test_fills_of_an_image_are_those_of_its_channel_in_the_batch(fill):
    x = torch.randn(4, 3, 5, 6, generator=seeded())
    got = filled(x, everywhere(x), fill).numpy()
    for channel in range(3):
        np.testing.assert_allclose(got[:, channel], STATISTICS[fill](x.numpy()[:, channel]), atol=1e-6)


@pytest.mark.parametrize("fill", STATISTICS)
def test_fills_of_a_table_are_those_of_its_feature(fill):
    x = torch.randn(7, 3, generator=seeded())
    got = filled(x, everywhere(x), fill).numpy()
    for feature in range(3):
        np.testing.assert_allclose(got[:, feature], STATISTICS[fill](x.numpy()[:, feature]), atol=1e-6)


@pytest.mark.parametrize("fill", ["mean", "min", "max"])
def test_fills_of_words_leave_padding_out(fill):
    net = TextNet()
    model = FromLayer(net, "embedding", words())
    x = model.features() + 3  # so that padding, which is 3, is not the mean
    got = filled(x, torch.ones(x.shape[:2], dtype=torch.bool), fill, model=model)
    real = x[words() != 0].numpy()
    np.testing.assert_allclose(got[0, 0], STATISTICS[fill](real, axis=0), atol=1e-6)
    assert torch.equal(got, got[:1, :1].expand_as(got))


def test_a_number_is_a_fill():
    x = torch.randn(2, 3, 4)
    assert torch.equal(filled(x, everywhere(x), -1.5), torch.full_like(x, -1.5))


def test_random_fill_has_the_channels_mean_and_deviation():
    x = torch.rand(20, 2, 30, 30, generator=seeded()) * torch.tensor([1.0, 10.0]).reshape(2, 1, 1) + 5
    got = filled(x, everywhere(x), "random")
    for channel in range(2):
        mean, deviation = x[:, channel].mean(), x[:, channel].std()
        standard = ((got[:, channel] - mean) / deviation).flatten().numpy()
        assert kstest(standard, "norm").pvalue > 1e-3


def test_blur_is_a_gaussian_of_an_eighth_of_the_sample():
    x = torch.randn(2, 1, 32, 32, generator=seeded(), dtype=torch.float64)
    got = filled(x, everywhere(x), "blur")
    wanted = [gaussian_filter(image[0], sigma=4, truncate=2, mode="nearest") for image in x.numpy()]
    np.testing.assert_allclose(got[:, 0], wanted, atol=1e-10)


@pytest.mark.parametrize("strength", [0.25, 0.5, 1, 3])
def test_strength_is_the_share_of_the_way(strength):
    x = torch.randn(3, 2, 4, 4, generator=seeded())
    places = torch.rand(3, 4, 4, generator=seeded(1)) < 0.5
    got = filled(x, places, 2.0, strength)
    wanted = x + min(strength, 1) * (2.0 - x)
    torch.testing.assert_close(got, torch.where(places[:, None], wanted, x))


@pytest.mark.parametrize("fill", ["zero", "mean", "min", "max", "random", "blur", "sample_mean", 0.5])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_places_and_the_dtype_stay(fill, dtype):
    x = torch.randn(3, 2, 9, generator=seeded()).to(dtype)
    places = torch.zeros(3, 9, dtype=torch.bool)
    places[:, 4:] = True
    got = filled(x, places, fill, 0.5)
    assert got.dtype == dtype
    assert torch.equal(got[:, :, :4], x[:, :, :4])
    assert not torch.equal(got[:, :, 4:], x[:, :, 4:])


def test_bad_fills_say_what_is_allowed():
    x = torch.zeros(2, 3)
    with pytest.raises(ValueError, match=r"no fill named 'men'\. Did you mean 'mean'"):
        filled(x, everywhere(x), "men")
    with pytest.raises(ValueError, match="A table's features have no neighbours"):
        filled(x, everywhere(x), "blur")
