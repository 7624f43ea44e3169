"""Places of a sample: blurring against SciPy, stretching against closed forms."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional

from skaba.network import blur, positions, require_places, scaled, stretched, to_channels, upsample

IMAGES = torch.randn(2, 3, 9, 7, dtype=torch.float64)
SHAPES = [
    pytest.param((4, 5), 1, (), id="table"),
    pytest.param((4, 5, 8), 1, (2,), id="signal"),
    pytest.param((4, 8, 5), -1, (1,), id="text"),
    pytest.param((2, 3, 9, 7), 1, (2, 3), id="image"),
    pytest.param((2, 3, 1, 2), 1, (2, 3), id="tiny_image"),
]


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.4])
@pytest.mark.parametrize(("shape", "channels", "axes"), SHAPES)
def test_blur_is_scipys(shape, channels, axes, sigma):
    values = torch.randn(shape, dtype=torch.float64)
    deviations = [sigma if axis in axes else 0 for axis in range(len(shape))]
    wanted = gaussian_filter(values.numpy(), deviations, mode="nearest", truncate=2.0)
    np.testing.assert_allclose(blur(values, channels, sigma), wanted, rtol=1e-12, atol=1e-14)


def test_no_blur_changes_nothing():
    assert torch.equal(blur(IMAGES, 1, 0.0), IMAGES)


def test_a_constant_stays_what_it_is():
    values = torch.full((1, 2, 3, 9), 0.7)
    torch.testing.assert_close(blur(values, 1, 3.0), values)


def test_gradients_flow_through_a_blur():
    leaf = IMAGES.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: blur(values, 1, 1.0)[:, :, ::4, ::3], leaf)


@pytest.mark.parametrize(
    ("shape", "channels", "wanted"),
    [((4, 5), 1, (5,)), ((4, 5, 8), 1, (8,)), ((4, 8, 5), -1, (8,)), ((2, 3, 9, 7), 1, (9, 7))],
)
def test_positions_leave_samples_and_channels_out(shape, channels, wanted):
    x = torch.zeros(shape)
    assert positions(x, channels) == wanted
    values = torch.rand(shape[0], *wanted)
    for rows in (values, values.expand(6, *values.shape)):  # of one batch, and of variants of it
        spread = to_channels(rows, x, channels).expand(*rows.shape[: -len(wanted)], *shape[1:])
        if len(shape) > 2:
            assert torch.equal(spread.select(channels if channels < 0 else channels - len(shape), 0), rows)
        else:
            assert torch.equal(spread, rows)


def test_a_straight_line_is_stretched_to_a_straight_line():
    # Cells of a layer are two wide: their centres lie half a place beside those of the input.
    stretched = upsample(torch.tensor([[0.0, 2.0, 4.0]]), torch.zeros(1, 2, 6), 1)
    assert stretched[0].tolist() == [[0.0, 0.5, 1.5, 2.5, 3.5, 4.0]] * 2


@pytest.mark.parametrize(("shape", "channels"), [((2, 3, 9, 7), 1), ((2, 3, 9), 1), ((2, 9, 3), -1)])
def test_a_map_of_the_inputs_own_size_is_given_to_every_channel(shape, channels):
    x = torch.zeros(shape)
    values = torch.rand(2, *positions(x, channels))
    stretched = upsample(values, x, channels)
    assert stretched.shape == x.shape
    assert stretched.is_contiguous()
    for channel in stretched.unbind(channels):
        torch.testing.assert_close(channel, values)


PLACES = [((2, 3, 8), 1), ((2, 8, 3), -1), ((2, 3, 8, 6), 1)]


@pytest.mark.parametrize(("shape", "channels"), PLACES)
def test_half_the_size_is_the_mean_of_neighbours(shape, channels):
    x = torch.randn(shape)
    pool = functional.avg_pool1d if len(shape) == 3 else functional.avg_pool2d
    wanted = pool(x.movedim(channels, 1), 2).movedim(1, channels)
    small = scaled(x, 0.5, channels)
    assert small.is_contiguous()
    torch.testing.assert_close(small, wanted)


@pytest.mark.parametrize("factor", [0.001, 0.3, 0.5, 0.77, 1.0])
@pytest.mark.parametrize(("shape", "channels"), [*PLACES, ((2, 3, 9, 7), 1), ((2, 3, 1, 2), 1), ((2, 1, 3), -1)])
def test_sizes_are_rounded_and_never_nothing(shape, channels, factor):
    x = torch.randn(shape)
    small = scaled(x, factor, channels)
    assert positions(small, channels) == tuple(max(1, round(factor * size)) for size in positions(x, channels))
    assert small.shape[channels] == x.shape[channels]
    back = stretched(small, x, channels)
    assert (back.shape, back.dtype) == (x.shape, x.dtype)
    assert back.is_contiguous()
    if factor == 1:
        assert torch.equal(back, x)


@pytest.mark.parametrize("factor", [0.2, 0.5, 0.8])
@pytest.mark.parametrize(("shape", "channels"), PLACES)
def test_a_channels_constant_outlives_scaling_and_stretching(shape, channels, factor):
    constants = torch.randn(2, 3, *[1] * (len(shape) - 2)).movedim(1, channels)
    x = constants.expand(shape)
    small = scaled(x, factor, channels)
    torch.testing.assert_close(small, constants.expand_as(small))
    torch.testing.assert_close(stretched(small, x, channels), x.contiguous())


def test_the_mean_over_all_places_is_kept_by_a_size_that_divides():
    x = torch.randn(2, 3, 12, 6, dtype=torch.float64)
    for factor in (0.5, 1 / 3, 1 / 6):
        torch.testing.assert_close(scaled(x, factor, 1).mean((2, 3)), x.mean((2, 3)))


@pytest.mark.parametrize("shape", [(2, 5), (2, 3, 4, 4, 4)])
def test_what_has_no_axes_to_scale_is_refused(shape):
    with pytest.raises(ValueError, match="resolution needs an input with one or two spatial axes"):
        scaled(torch.zeros(shape), 0.5, 1)


@pytest.mark.parametrize(
    ("x", "features", "message"),
    [
        ((2, 5), (2, 5), r"needs an input with one or two spatial axes.*got shape \(2, 5\)\. For tables"),
        ((2, 3, 4, 4), (2, 8), r"output \(2, 8\) has another number of spatial axes than the input \(2, 3, 4, 4\)"),
        ((2, 3, 4), (2, 8, 4, 1), "has another number of spatial axes"),
        ((2, 3, 4, 4, 4), (2, 3, 4, 4, 4), "needs an input with one or two spatial axes"),
    ],
)
def test_layers_without_the_inputs_axes_are_refused(x, features, message):
    with pytest.raises(ValueError, match=message):
        require_places("GradCAM", torch.zeros(x), torch.zeros(features))
