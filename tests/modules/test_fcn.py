import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skaba.modules import FCN


@settings(max_examples=10, deadline=None)
@given(n_samples=st.integers(1, 300), channels=st.integers(1, 12))
def test_maps_signals_of_any_length_to_logits(n_samples, channels):
    model = FCN(n_classes=5, channels=channels).eval()
    assert model.features(torch.rand(2, channels, n_samples)).shape == (2, 128, n_samples)
    assert model(torch.rand(2, channels, n_samples)).shape == (2, 5)


def test_defaults_are_those_of_ptbxl():
    assert FCN()(torch.rand(2, 12, 50)).shape == (2, 71)


def test_convolutions_are_those_of_the_paper():
    convolutions = [m for m in FCN().modules() if isinstance(m, nn.Conv1d)]
    assert [(m.out_channels, m.kernel_size[0]) for m in convolutions] == [(128, 8), (256, 5), (128, 3)]


def test_pads_as_torch_does_for_same():
    block = FCN(channels=2).features[0]
    same = nn.Conv1d(2, 128, 8, padding="same")
    same.load_state_dict(block[1].state_dict())
    x = torch.rand(3, 2, 20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about a copy for even kernels, which is why the block does not use it
        torch.testing.assert_close(block[:2](x), same(x))


def test_does_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        FCN()(torch.rand(2, 12, 50))


def test_logits_do_not_depend_on_positions():
    model = FCN(n_classes=3, channels=1).eval()
    early, late = torch.zeros(2, 1, 1, 200)
    early[..., 50:60], late[..., 120:130] = 1.0, 1.0
    torch.testing.assert_close(model(early), model(late))


def test_gradient_reaches_every_sample():
    x = torch.rand(2, 12, 30, requires_grad=True)
    (gradient,) = torch.autograd.grad(FCN().eval()(x).square().sum(), x)
    assert (gradient != 0).all()


def test_rectifiers_are_separate_modules_and_not_in_place():
    rectifiers = [m for m in FCN().modules() if isinstance(m, nn.ReLU)]
    assert len(rectifiers) == 3
    assert not any(m.inplace for m in rectifiers)


def test_other_number_of_channels_is_an_error():
    with pytest.raises(ValueError, match="Expected signals of shape"):
        FCN(channels=12)(torch.rand(2, 3, 50))


@pytest.mark.parametrize("shape", [(2, 1000), (2, 1000, 12), (2, 1, 12, 1000)], ids=str)
def test_other_shapes_are_an_error_that_names_the_expected_shape(shape):
    with pytest.raises(ValueError, match=r"Expected .* of shape \(n, .*got \(2, "):
        FCN()(torch.zeros(shape))
