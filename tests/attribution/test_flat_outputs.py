"""A model that returns (n,) is explained as if it returned (n, 1)."""

import pytest
import torch
from torch import nn

from skaba.attribution import METHODS, FixedClass, Gradient, Loss, MicroBatches, PredictedClass, TrueClass, available
from skaba.network import FromLayer, first_output, logits_of
from tests.tiny_nets import seeded

X = torch.randn(6, 2, 6, 6, generator=seeded(3))
Y = torch.randn(6, generator=seeded(4))


def nets():
    torch.manual_seed(0)
    layers = nn.Conv2d(2, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 1)
    return nn.Sequential(*layers).eval(), nn.Sequential(*layers, nn.Flatten(0)).eval()


@pytest.mark.parametrize("target", ["predicted", "fixed", "loss"])
@pytest.mark.parametrize("name", METHODS)
def test_every_method_explains_it_as_a_column(name, target):
    asked = {
        "predicted": {"target": PredictedClass()},
        "fixed": {"target": FixedClass(0)},
        "loss": {"target": Loss(), "criterion": nn.MSELoss()},
    }[target]
    column, flat = (METHODS[name]()(net, X, Y, generator=seeded(), **asked) for net in nets())
    assert torch.equal(flat, column)


@pytest.mark.parametrize("y", [Y, Y[:, None]], ids=["(n,)", "(n, 1)"])
@pytest.mark.parametrize("method", [Gradient(), MicroBatches(batch_size=4)], ids=repr)
def test_the_loss_of_either_shape_of_y_is_that_of_each_sample(method, y):
    flat = nets()[1]
    leaf = X.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(((flat(leaf) - Y) ** 2).sum(), leaf)
    torch.testing.assert_close(method(flat, X, y, target=Loss(), criterion=nn.MSELoss()), wanted)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.bool])
def test_targets_in_whole_numbers_do_not_broadcast(dtype):
    # (n,) against (n, 1) would give n * n differences.
    y = torch.tensor([0, 1, 1, 0, 1, 1])
    for net in nets():
        for criterion in (nn.MSELoss(), nn.BCEWithLogitsLoss()):
            whole, floats = (
                Gradient()(net, X, labels, target=Loss(), criterion=criterion) for labels in (y.to(dtype), y.float())
            )
            torch.testing.assert_close(whole, floats)


def test_at_a_layer():
    column, flat = (FromLayer(net, "1", X) for net in nets())
    for ask in (
        lambda rest: Gradient().at_layer(rest, target=PredictedClass()),
        lambda rest: Gradient()(rest, rest.features(), target=PredictedClass()),
    ):
        assert torch.equal(ask(flat), ask(column))


def test_all_methods_are_available():
    assert available(nets()[1], X).usable == list(METHODS)


def test_there_is_no_other_class():
    with pytest.raises(ValueError, match=r"FixedClass\(1\) .* the model does not have: it returns 1"):
        Gradient()(nets()[1], X, target=FixedClass(1))
    with pytest.raises(ValueError, match="y holds labels from 0 to 1, but the model returns 1 logits"):
        Gradient()(nets()[1], X, torch.tensor([0, 1, 0, 0, 0, 0]), target=TrueClass())


def test_logits_are_columns_and_outputs_are_as_they_are():
    flat, column = torch.randn(3), torch.randn(3, 2)
    assert torch.equal(logits_of(flat), flat[:, None])
    assert torch.equal(logits_of((flat, column)), flat[:, None])
    assert logits_of(column) is column
    assert first_output((flat, column)) is flat
    with pytest.raises(TypeError, match=r"must return a tensor of logits, \(n, n_outputs\) or \(n,\)"):
        logits_of({"logits": flat})
