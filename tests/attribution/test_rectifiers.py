"""Guided backpropagation and the deconvnet: against their definitions, captum and a calculation by hand."""

import captum.attr
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skaba.attribution import DeconvNet, GradCAM, Gradient, GuidedBackprop, GuidedGradCAM, PredictedClass, TrueClass
from skaba.network import FromLayer
from tests.attribution.nets import LABELS, Parallel, Preactivated, close, draw, rectifying, residual, text_net


class Guided(torch.autograd.Function):
    """Guided backpropagation's ReLU by definition."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.relu()

    @staticmethod
    def backward(ctx, gradient):
        return gradient.relu() * (ctx.saved_tensors[0] > 0)


class Deconvolved(Guided):
    @staticmethod
    def backward(ctx, gradient):
        return gradient.relu()


class Defined(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function, self.inplace = function, False

    def forward(self, x):
        return self.function.apply(x)


def by_definition(net, function):
    """Put the ReLU of a definition in the place of every other."""
    for module in list(net.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ReLU):
                setattr(module, name, Defined(function))
    return net


@pytest.mark.parametrize(("method", "function"), [(GuidedBackprop(), Guided), (DeconvNet(), Deconvolved)], ids=repr)
@pytest.mark.parametrize("make", [rectifying, residual, lambda: residual(Preactivated), lambda: residual(Parallel)])
def test_rectifiers_go_back_as_defined(make, method, function):
    x = draw(3, 2, 6, 6)
    got = method(make(), x, LABELS, target=TrueClass())
    wanted = Gradient()(by_definition(make(), function), x, LABELS, target=TrueClass())
    close(got, wanted, 1e-10)
    assert wanted.abs().max() > 0
    plain = Gradient()(make(), x, LABELS, target=TrueClass())
    assert not torch.allclose(got, plain)


@pytest.mark.parametrize(
    ("method", "oracle"), [(GuidedBackprop(), captum.attr.GuidedBackprop), (DeconvNet(), captum.attr.Deconvolution)]
)
@pytest.mark.filterwarnings("ignore:Setting backward hooks", "ignore:Input Tensor")
def test_rectifiers_are_captums(method, oracle):
    x = draw(3, 2, 6, 6)
    close(
        method(rectifying(), x, LABELS, target=TrueClass()), oracle(rectifying()).attribute(x, target=LABELS).detach()
    )


def test_guided_backprop_by_hand():
    net = nn.Sequential(nn.Linear(2, 3, bias=False), nn.ReLU(), nn.Linear(3, 1, bias=False))
    net[0].weight.data = torch.tensor([[1.0, 2.0], [3.0, -1.0], [-1.0, -1.0]])
    net[2].weight.data = torch.tensor([[2.0, -5.0, 7.0]])
    # At (1, 1) the units are 3, 2, -2: the second has a negative gradient, the third is not active.
    map_ = GuidedBackprop()(net, torch.ones(1, 2), target=PredictedClass())
    assert map_.tolist() == [[2.0, 4.0]]
    # The deconvnet passes the third as well: 2 * (1, 2) + 7 * (-1, -1).
    assert DeconvNet()(net, torch.ones(1, 2), target=PredictedClass()).tolist() == [[-5.0, -3.0]]


def test_guided_grad_cam_is_captums_product():
    net, x = rectifying(), draw(3, 2, 6, 6)
    coarse = captum.attr.LayerGradCam(net, net[2]).attribute(x, target=LABELS, relu_attributions=True)
    stretched = F.interpolate(coarse.detach(), (6, 6), mode="bilinear", align_corners=False)
    wanted = GuidedBackprop()(net, x, LABELS, target=TrueClass()) * stretched
    close(GuidedGradCAM()(net, x, LABELS, target=TrueClass()), wanted)
    close(GuidedGradCAM(layer="2")(net, x, LABELS, target=TrueClass()), wanted)
    assert not torch.allclose(GuidedGradCAM(layer="0")(net, x, LABELS, target=TrueClass()), wanted)


def test_guided_grad_cam_at_an_embedding():
    net, ids = text_net()
    view = FromLayer(net, "embedding", ids)
    x = view.features()
    ask = {"target": PredictedClass()}
    close(GuidedGradCAM()(view, x, **ask), GuidedBackprop()(view, x, **ask) * GradCAM()(view, x, **ask))


class Functional(nn.Module):
    def __init__(self, act=F.relu):
        super().__init__()
        self.first, self.known, self.last, self.act = nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4), act

    def forward(self, x):
        return self.last(self.act(self.known(self.first(x)) - 1))


class OwnReLU(nn.ReLU):
    pass


@pytest.mark.parametrize("method", [GuidedBackprop(), DeconvNet(), GuidedGradCAM()], ids=repr)
@pytest.mark.parametrize(
    ("act", "found"),
    [
        (F.relu, "relu in Functional ''"),
        (lambda x: x.relu_(), "relu in Functional ''"),
        (lambda x: x.clamp(min=0), "clamp in Functional ''"),
        (nn.ReLU6(), "hardtanh in ReLU6 'act'"),
        (OwnReLU(), "relu in OwnReLU 'act'"),
    ],
)
def test_rectifiers_that_are_no_relu_modules_are_refused(method, act, found):
    with pytest.raises(ValueError, match=rf"{type(method).__name__} does not fit this network: it has {found}"):
        method(Functional(act), torch.randn(3, 6), LABELS, target=TrueClass())


@pytest.mark.parametrize("method", [GuidedBackprop(), DeconvNet(), GuidedGradCAM()], ids=repr)
def test_a_network_without_relu_is_refused(method):
    with pytest.raises(ValueError, match=r"changes nn.ReLU modules, and there is none"):
        method(nn.Sequential(nn.Linear(6, 4), nn.Tanh()), torch.randn(3, 6), target=PredictedClass())
