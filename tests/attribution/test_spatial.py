"""Places of a sample: blurring against SciPy, stretching against closed forms."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from skaba.attribution._spatial import blur, positions, require_places, to_channels, upsample

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
