"""Batch: features, rows and maps, at the input and at a layer."""

import pytest
import torch
from torch import nn

from skaba.attribution import Gradient, InputXGradient, Loss, TrueClass
from skaba.augmenters import Batch
from skaba.network import FromLayer
from tests.tiny_nets import TextNet, conv_net, images, mlp, seeded, words

CRITERION = nn.CrossEntropyLoss()


def at_input(**parts):
    return Batch(conv_net(), images(5), torch.arange(5), CRITERION, seeded(), **parts)


def at_layer(**parts):
    view = FromLayer(TextNet(), "embedding", words(5))
    return Batch(view, None, torch.arange(5) % 3, CRITERION, seeded(), **parts)


def test_at_the_input_the_features_are_x():
    batch = at_input()
    assert batch.features() is batch.x
    assert batch.with_features() is batch
    assert (batch.n_samples, batch.device, batch.padding, batch.channel_axis) == (5, batch.x.device, None, 1)


def test_at_a_layer_the_features_are_its_output():
    batch = at_layer()
    net, ids = batch.model.module, batch.model.inputs
    assert (batch.n_samples, batch.device, batch.padding, batch.channel_axis) == (5, ids.device, None, -1)
    assert torch.equal(batch.features(), net.embedding(ids))
    assert not batch.features().requires_grad
    assert torch.equal(batch.padding, ids == 0)  # known now
    computed = batch.with_features()
    assert torch.equal(computed.x, batch.features())
    assert torch.equal(computed.padding, batch.padding)


def test_the_mode_of_the_layers_before():
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 3)).train()
    batch = Batch(FromLayer(net, "0", x := torch.ones(6, 4)), None, None, None, seeded())
    assert torch.equal(batch.features(), x)
    assert (batch.features("train") == 0).any()
    assert net.training


@pytest.mark.parametrize("make", [at_input, at_layer])
def test_rows_are_those_of_every_part(make):
    mask = torch.rand(5, 1, generator=seeded()) < 0.5
    batch = make(mask=mask, index=torch.arange(10, 15), memory="kept", n_classes=7)
    some = torch.tensor([3, 0])
    rows = batch.rows(some)
    assert rows.n_samples == 2
    assert torch.equal(rows.features(), batch.features()[some])
    assert torch.equal(rows.y, batch.y[some])
    assert torch.equal(rows.mask, mask[some])
    assert rows.index.tolist() == [13, 10]
    assert (rows.memory, rows.n_classes, rows.criterion, rows.generator) == ("kept", 7, CRITERION, batch.generator)
    if batch.padding is not None:
        assert torch.equal(rows.padding, batch.padding[some])


@pytest.mark.parametrize("method", [Gradient(), InputXGradient()], ids=repr)
@pytest.mark.parametrize("target", [TrueClass(), Loss()], ids=repr)
def test_maps_at_the_input_and_at_a_layer(method, target):
    batch = at_input()
    leaf = batch.x.clone().requires_grad_()
    logits = batch.model.eval()(leaf)
    score = logits.gather(1, batch.y[:, None]) if isinstance(target, TrueClass) else None
    value = score.sum() if score is not None else nn.functional.cross_entropy(logits, batch.y, reduction="sum")
    (gradient,) = torch.autograd.grad(value, leaf)
    wanted = gradient * batch.x if isinstance(method, InputXGradient) else gradient
    torch.testing.assert_close(batch.attribute(method, target), wanted)

    hidden = at_layer()
    direct = method(hidden.model, hidden.features(), hidden.y, target=target, criterion=CRITERION, generator=seeded())
    torch.testing.assert_close(hidden.attribute(method, target), direct)


def test_the_gradient_at_a_layer_takes_one_pass():
    batch, passes = at_layer(), []
    batch.model.module.register_forward_pre_hook(lambda *_: passes.append(1))
    batch.attribute(Gradient(), TrueClass())
    assert len(passes) == 1
    batch.attribute(InputXGradient(), TrueClass())  # needs the features' values
    assert len(passes) == 3


def test_a_coarser_map_is_stretched():
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4))
    sizes = []
    net.register_forward_pre_hook(lambda module, args: sizes.append(tuple(args[0].shape)))
    batch = Batch(net, images(5), torch.arange(5) % 4, None, seeded())
    assert batch.attribute(Gradient(), TrueClass(), resolution=0.5).shape == batch.x.shape
    assert sizes == [(5, 2, 3, 3)]


def test_the_number_of_outputs_is_known_or_asked_of_one_sample():
    sizes, net = [], mlp()
    net.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    x = torch.randn(9, 6)
    assert Batch(net, x, None, None, seeded(), n_classes=11).n_outputs == 11
    assert sizes == []
    batch = Batch(net, x, None, None, seeded())
    assert (batch.n_outputs, batch.n_outputs) == (4, 4)
    assert sizes == [1]
    assert Batch(FromLayer(net, "1", x), None, None, None, seeded()).n_outputs == 4


def test_a_layer_without_samples_first_is_refused():
    class Swapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Identity()

        def forward(self, x):
            return self.inner(x.transpose(0, 1)).sum((0, 2))[:, None]

    batch = Batch(FromLayer(Swapped(), "inner", torch.randn(3, 4, 5)), None, torch.zeros(3).long(), None, seeded())
    for use in (batch.features, lambda: batch.attribute(Gradient(), TrueClass())):
        with pytest.raises(ValueError, match=r"layer='inner' returns .* \(4, 3, 5\) for 3 samples.*batch_first=True"):
            use()
