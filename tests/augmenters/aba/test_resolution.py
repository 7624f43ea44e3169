"""resolution=: maps of a smaller input, stretched."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from skaba._validation import validate_parameters
from skaba.attribution import InputXGradient, PredictedClass, RandomMap, TrueClass
from skaba.augmenters import ABA, AdjustmentSet, Cutoff, mend_aba, preset
from skaba.network import FromLayer
from tests.augmenters.aba.known_maps import Fixed, augmented
from tests.tiny_nets import conv_net, images, linear, words

ALL_MOVE = AdjustmentSet([19])


class AnySize(nn.Module):
    """Logits linear in each channel's mean, whatever the number of places."""

    def __init__(self, n_channels, channels=1):
        super().__init__()
        self.channels = channels
        self.linear = linear(n_channels, 3).float()

    def forward(self, x):
        return self.linear(x.movedim(self.channels, 1).flatten(2).mean(2))


class AnyLength(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 5, padding_idx=0)
        self.rest = AnySize(5, channels=-1)

    def forward(self, ids):
        return self.rest(self.embedding(ids))


UP_DOWN = {"selection": Cutoff(), "adjustments": AdjustmentSet([(-1, 1)]), "randomize": False}
SHAPES = [(4, 3, 10), (4, 3, 8, 6), (4, 2, 7, 5), (4, 3, 1)]


@pytest.mark.parametrize("resolution", [0.1, 0.5, 0.7])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_map_that_is_the_same_everywhere_is_the_same_at_any_resolution(shape, resolution):
    net, x, y = AnySize(shape[1]), torch.randn(shape), torch.tensor([0, 1, 2, 0])
    result = augmented(ABA(target=TrueClass(), resolution=resolution, **UP_DOWN), x, y, net)
    signs = net.linear.weight.detach()[y].sign()
    wanted = x + 0.1 * signs.reshape(*signs.shape, *[1] * (len(shape) - 2))
    assert result.shape == x.shape
    torch.testing.assert_close(result, wanted)


def test_so_it_is_for_embedded_texts():
    net, ids, y = AnyLength().eval(), words(4), torch.tensor([0, 1, 2, 0])
    rest = FromLayer(net, "embedding", ids)
    hidden = rest.features()
    result = augmented(ABA(target=TrueClass(), resolution=0.5, **UP_DOWN), hidden, y, rest)
    wanted = 0.1 * net.rest.linear.weight.detach()[y].sign()[:, None] * (ids != 0).unsqueeze(2)
    torch.testing.assert_close(result, hidden + wanted)


@pytest.mark.parametrize("shape", [(4, 3, 10), (4, 3, 8, 6)])
def test_maps_are_asked_of_the_averaged_input_and_stretched(shape):
    """The attribution returns what it is given: means of neighbours."""
    x, witness = torch.randn(shape), Fixed()
    result = augmented(ABA(witness, resolution=0.5, **UP_DOWN), x)
    pool, mode = ((functional.avg_pool1d, "linear"), (functional.avg_pool2d, "bilinear"))[len(shape) - 3]
    (mapped,) = witness.seen
    torch.testing.assert_close(mapped, pool(x, 2))
    torch.testing.assert_close(result, x + 0.1 * functional.interpolate(pool(x, 2), shape[2:], mode=mode).sign())


def test_fewer_places_are_computed():
    sizes, net, x = [], AnySize(3), torch.randn(6, 3, 20, 20)
    net.register_forward_pre_hook(lambda module, args: sizes.append(tuple(args[0].shape)))
    augmented(mend_aba(k=1, resolution=0.5, share=0.5), x, model=net)
    assert sizes == [(3, 3, 10, 10)]


@pytest.mark.parametrize("name", ["challenger", "mend_aba", "fast_aba", "fgsm"])
def test_the_full_resolution_is_no_option_at_all(name):
    net, x, y = conv_net(), images(9), torch.arange(9) % 5
    first, second = (
        augmented(preset(name, **options), x, y, net, criterion=nn.CrossEntropyLoss())
        for options in ({}, {"resolution": 1, "share": 1})
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize("adjustments", [ALL_MOVE, AdjustmentSet([0, 3, 4])], ids=["all", "some"])
@pytest.mark.parametrize("resolution", [0.5, 1.0])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_memory_layout_is_kept(layout, resolution, adjustments):
    x = torch.randn(12, 3, 8, 6).to(memory_format=layout)
    aba = ABA(InputXGradient(), PredictedClass(), adjustments=adjustments, resolution=resolution)
    result = augmented(aba, x, model=AnySize(3))
    assert result.is_contiguous(memory_format=layout)
    torch.testing.assert_close(result, augmented(aba, x.contiguous(), model=AnySize(3)), rtol=0, atol=1e-6)


def test_tables_have_no_resolution():
    aba = mend_aba(resolution=0.5, attribution=RandomMap())
    for x in (torch.randn(3, 8), torch.randn(3, 2, 4, 4, 4)):
        with pytest.raises(ValueError, match=r"resolution needs an input with one or two spatial axes"):
            augmented(aba, x, model=AnySize(2))


@pytest.mark.parametrize("value", [0, -0.5, 1.5, None])
def test_values_that_are_not_allowed_are_named(value):
    with pytest.raises(ValueError, match="The 'resolution' parameter of ABA must be"):
        validate_parameters(mend_aba(resolution=value))
