"""What methods with rules for layers have in common: networks that fit, and what their writing changes."""

import pytest
import torch
from torch import nn

from skaba.attribution import (
    LRP,
    DeconvNet,
    DeepLift,
    Gradient,
    GuidedBackprop,
    GuidedGradCAM,
    InputXGradient,
    Loss,
    PredictedClass,
    TrueClass,
)
from skaba.modules import FCN, VGG11, ConvNet
from skaba.network import FromLayer
from tests.attribution.nets import LABELS, close, draw, text_net

METHODS = [DeconvNet(), GuidedBackprop(), GuidedGradCAM(), LRP(), DeepLift()]


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("target", [PredictedClass(), Loss()], ids=repr)
@pytest.mark.parametrize("name", ["ConvNet", "ConvNet batch norm", "VGG11", "FCN"])
def test_our_networks_fit(name, target, method):
    torch.manual_seed(0)
    net, shape = {
        "ConvNet": (lambda: ConvNet(width=4), (1, 8, 8)),
        "ConvNet batch norm": (lambda: ConvNet(width=4, batch_norm=True), (1, 8, 8)),
        "VGG11": (lambda: VGG11(image_size=16, hidden=8), (1, 16, 16)),
        "FCN": (lambda: FCN(n_classes=4, channels=2), (2, 20)),
    }[name]
    x = draw(3, *shape).float()
    map_ = method(net(), x, LABELS, target=target, criterion=nn.CrossEntropyLoss())
    assert map_.shape == x.shape
    assert map_.isfinite().all()
    assert map_.abs().amax(tuple(range(1, x.dim()))).gt(0).any()


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_samples_of_a_text_do_not_touch_each_other(method):
    net, ids = text_net()
    view = FromLayer(net, "embedding", ids)
    x = view.features()
    whole = method(view, x, LABELS, target=TrueClass())
    assert whole.shape == x.shape
    for i in range(3):
        one = torch.tensor([i])
        close(method(view.rows(one), x[one], LABELS[one], target=TrueClass()), whole[one])


def test_lrp_and_deep_lift_at_an_embedding_conserve():
    net, ids = text_net()
    for layer in net.modules():
        if getattr(layer, "bias", None) is not None:
            nn.init.zeros_(layer.bias)
    view = FromLayer(net.eval(), "embedding", ids)
    x = view.features()
    logits = net(ids).gather(1, LABELS[:, None])[:, 0].detach()
    for method in (LRP(), DeepLift()):
        close(method(view, x, LABELS, target=TrueClass()).flatten(1).sum(1), logits, 1e-4)


@pytest.mark.parametrize("method", [GuidedBackprop(), LRP(), DeepLift()], ids=repr)
def test_a_function_is_refused(method):
    with pytest.raises(TypeError, match=r"layers of an nn.Module, got a function"):
        method(lambda x: x, torch.randn(3, 6), target=PredictedClass())


@pytest.mark.parametrize("method", [LRP(), DeepLift(), GuidedBackprop()], ids=repr)
def test_recurrent_layers_are_refused(method):
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.cells, self.output = nn.GRU(2, 3, batch_first=True), nn.Linear(3, 4)

        def forward(self, x):
            return self.output(self.cells(x)[0][:, -1])

    with pytest.raises(ValueError, match=r"in GRU 'cells'|there is none"):
        method(Recurrent(), torch.randn(3, 5, 2), LABELS, target=TrueClass())


@pytest.mark.parametrize("method", [GuidedBackprop(), DeconvNet(), LRP(), DeepLift()], ids=repr)
def test_two_linear_layers_in_a_row_count_as_their_product(method):
    # That much invariance all of them have: no ReLU lies between.
    torch.manual_seed(0)
    two = nn.Sequential(nn.Linear(4, 5, False), nn.Linear(5, 6, False), nn.ReLU(), nn.Linear(6, 3, False)).double()
    one = nn.Sequential(nn.Linear(4, 6, False), nn.ReLU(), two[3]).double()
    one[0].weight.data = (two[1].weight @ two[0].weight).detach()
    x = draw(3, 4)
    close(method(two, x, LABELS, target=TrueClass()), method(one, x, LABELS, target=TrueClass()), 1e-6)


def linear(weight, bias=0.0):
    weight = torch.as_tensor(weight, dtype=torch.float64)
    layer = nn.Linear(weight.shape[1], weight.shape[0]).double()
    layer.weight.data, layer.bias.data = weight, torch.zeros(len(weight)).double() + torch.as_tensor(bias)
    return layer


def split_in_two():
    """Build x itself, and relu(x) - relu(-x), between the same layers."""
    first, last = linear([[1.0, 2.0], [3.0, -1.0]]), linear([[2.0, -1.0], [-5.0, 1.0]])
    split = linear(torch.cat([first.weight, -first.weight]).detach())
    join = linear(torch.cat([torch.eye(2), -torch.eye(2)], dim=1))
    return nn.Sequential(nn.ReLU(), first, last), nn.Sequential(nn.ReLU(), split, nn.ReLU(), join, last)


def with_a_unit_that_is_never_active():
    first, last = [[1.0, 2.0]], [[1.0]]
    alone = nn.Sequential(linear(first), nn.ReLU(), linear(last))
    more = linear([*first, [1.0, 1.0]], torch.tensor([0.0, -1e3]))
    return alone, nn.Sequential(more, nn.ReLU(), linear([[1.0, 1.0]]))


def with_the_bias_outside_or_inside():
    """Build relu(relu(a) - 1 - relu(b)) and relu(relu(a - 1) - relu(b)), as Sundararajan et al. (2017), appendix."""
    outside = nn.Sequential(nn.ReLU(), linear([[1.0, -1.0]], -1.0), nn.ReLU())
    inside = nn.Sequential(linear(torch.eye(2), torch.tensor([-1.0, 0.0])), nn.ReLU(), linear([[1.0, -1.0]]), nn.ReLU())
    return outside, inside


def product_of_two():
    two = nn.Sequential(linear([[1.0, 2.0], [3.0, -1.0]]), linear([[1.0, 1.0]]))
    return nn.Sequential(linear([[4.0, 1.0]])), two


NOT_INVARIANT = [
    (GuidedBackprop(), split_in_two, "what is negative is clipped at every unit, and the split has more units"),
    (DeconvNet(), with_a_unit_that_is_never_active, "it passes through units that are not active"),
    (LRP(0.5), product_of_two, "every layer's epsilon absorbs relevance"),
    (DeepLift(), with_the_bias_outside_or_inside, "finite differences, unit by unit, have no chain rule"),
]


@pytest.mark.parametrize(
    ("method", "build"),
    [
        pytest.param(method, build, marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason=reason))
        for method, build, reason in NOT_INVARIANT
    ]
    + [(method, build) for method in (Gradient(), InputXGradient()) for _, build, _ in NOT_INVARIANT],
    ids=lambda part: getattr(part, "__name__", repr(part)),
)
def test_implementation_invariance(method, build):
    short, long = build()
    x = torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(short(x), long(x))
    close(method(short, x, target=PredictedClass()), method(long, x, target=PredictedClass()), 1e-8)


def test_deep_lift_differs_between_networks_as_published():
    x = torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    outside, inside = (DeepLift()(net, x, target=PredictedClass()) for net in with_the_bias_outside_or_inside())
    assert outside.tolist() == [[1.5, -0.5]]
    assert inside.tolist() == [[2.0, -1.0]]
