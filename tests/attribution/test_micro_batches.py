"""Micro-batches bound memory and change nothing else."""

import pytest
import torch
from sklearn.base import clone
from torch import Tensor, nn

from skaba._validation import validate_parameters
from skaba.attribution import (
    METHODS,
    Gradient,
    IntegratedGradients,
    Loss,
    MicroBatches,
    PredictedClass,
    SmoothGrad,
    TimesInput,
    TrueClass,
)
from skaba.network import FromLayer
from tests.tiny_nets import TextNet, conv_net, images, seeded, words

Y = torch.tensor([1, 0, 2, 2, 4])
# These compare a sample with its batch, or draw noise in another order when the batch is cut.
SEES_THE_BATCH = {"ExpectedGradients", "GradientShap", "IBA", "HillClimbing", "RandomMap"}
DRAWS = {"SmoothGrad", "SquaredSmoothGrad", "VarGrad", "TimesInput"}


class Counting(nn.Module):
    """Remembers the most rows it was given."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.most = 0

    def forward(self, x: Tensor) -> Tensor:
        self.most = max(self.most, len(x))
        return self.net(x)


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize("name", sorted(set(METHODS) - SEES_THE_BATCH - DRAWS))
def test_the_map_is_that_of_the_whole_batch(name, size):
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 5)).eval()
    x, method = images(5), METHODS[name]()
    whole = method(net, x, Y, target=TrueClass(), generator=seeded())
    parts = MicroBatches(method, batch_size=size)(net, x, Y, target=TrueClass(), generator=seeded())
    # A surrogate model draws its coalitions sample by sample, from a seed that each part draws anew.
    if name not in {"KernelShap", "Lime"} or size >= 5:
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-5)


def test_targets_stay_with_their_samples():
    net, x, y = conv_net().eval(), images(5), torch.rand(5, 5)
    for target, labels, criterion in (
        (Loss(), y, nn.BCEWithLogitsLoss()),
        (Loss(), Y, nn.CrossEntropyLoss()),
        (PredictedClass(), None, None),
    ):
        whole = Gradient()(net, x, labels, target=target, criterion=criterion)
        parts = MicroBatches(batch_size=2)(net, x, labels, target=target, criterion=criterion)
        torch.testing.assert_close(parts, whole)


def test_hidden_features_stay_with_their_inputs():
    ids = words(5)
    view = FromLayer(TextNet().eval(), "embedding", ids)
    hidden = view.features()
    whole = IntegratedGradients(steps=4)(view, hidden, target=PredictedClass())
    parts = MicroBatches(IntegratedGradients(steps=4), batch_size=2)(view, hidden, target=PredictedClass())
    torch.testing.assert_close(parts, whole)


@pytest.mark.parametrize(
    ("method", "at_once"),
    [
        (Gradient(), 1),
        (IntegratedGradients(steps=6, batch_size=3), 3),
        (SmoothGrad(samples=4, batch_size=2), 2),
        (METHODS["ExpectedGradients"](samples=4, batch_size=2), 2),
        (METHODS["HillClimbing"](iterations=2, neighbours=3), 3),
        (METHODS["KernelShap"](samples=6, batch_size=2), 2),
        (METHODS["Occlusion"](batch_size=4), 4),
    ],
    ids=lambda value: type(value).__name__ if callable(value) else str(value),
)
def test_a_pass_holds_no_more_rows_than_promised(method, at_once):
    net = Counting(nn.Sequential(nn.Flatten(), nn.Linear(72, 5)))
    MicroBatches(method, batch_size=2)(net, images(5), target=PredictedClass(), generator=seeded())
    assert net.most <= 2 * at_once


def test_is_a_component():
    nested = MicroBatches(SmoothGrad(samples=3), batch_size=4)
    assert clone(nested).set_params(method__samples=7).method.samples == 7
    with pytest.raises(ValueError, match="'batch_size' parameter of MicroBatches must be an int in the range"):
        validate_parameters(MicroBatches(batch_size=0))
    with pytest.raises(ValueError, match="'samples' parameter of SmoothGrad"):
        validate_parameters(MicroBatches(SmoothGrad(samples=0)))


@pytest.mark.parametrize("target", [TrueClass(), Loss(), PredictedClass()])
@pytest.mark.parametrize("within", [TimesInput, SmoothGrad, lambda method: SmoothGrad(TimesInput(method))])
def test_another_method_may_be_computed_from_parts(within, target):
    net, x = conv_net().eval(), images(5)
    settings = {"target": target, "criterion": nn.CrossEntropyLoss()}
    whole = within(Gradient())(net, x, Y, generator=seeded(), **settings)
    parts = within(MicroBatches(batch_size=2))(net, x, Y, generator=seeded(), **settings)
    torch.testing.assert_close(parts, whole)
