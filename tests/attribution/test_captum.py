"""Methods through captum leave no trace, depend on the generator alone, and say when captum is missing."""

import sys
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skaba._validation import validate_parameters
from skaba.attribution import (
    LRP,
    DeconvNet,
    DeepLift,
    FeatureAblation,
    GradientShap,
    GuidedBackprop,
    GuidedGradCAM,
    KernelShap,
    Lime,
    Loss,
    Occlusion,
    RandomTopClass,
    SmoothGrad,
    TrueClass,
)
from skaba.network import FromLayer
from skaba.testing import trace_of
from tests.tiny_nets import Bomb, TextNet, mlp, seeded, trap

LAYERWISE = [DeconvNet(), GuidedBackprop(), GuidedGradCAM(), LRP(), DeepLift()]
PERTURBING = [
    GradientShap(samples=2),
    KernelShap(samples=5, segments=2),
    Lime(samples=5, segments=2),
    Occlusion(),
    FeatureAblation(),
]
METHODS = LAYERWISE + PERTURBING
DRAWING = PERTURBING[:3]


def name(method):
    return type(method).__name__


def batch():
    return torch.randn(4, 2, 8, generator=seeded(1)), torch.tensor([0, 1, 2, 3])


def quiet_trap(fails_on=0):
    """The trap without the module that draws, which LRP refuses: it adds."""
    net = trap(fails_on)
    net[3] = nn.Identity()
    net[2][0].inplace = True
    return net


def ask(method, net, target=None, x=None):
    default, y = batch()
    x = default if x is None else x
    return method(net, x, y, target=target or TrueClass(), criterion=nn.CrossEntropyLoss(), generator=seeded())


@pytest.mark.parametrize("target", [RandomTopClass(2), Loss()], ids=repr)
@pytest.mark.parametrize("method", METHODS, ids=name)
def test_a_method_leaves_no_trace(method, target):
    net = quiet_trap()
    before = trace_of(net)
    map_ = ask(method, net, target)
    assert trace_of(net) == before
    assert map_.shape == (4, 2, 8)
    assert map_.any()


@pytest.mark.parametrize("method", METHODS, ids=name)
def test_a_module_that_draws_leaves_no_trace(method):
    net = trap()
    before = trace_of(net)
    refusal = {"LRP": "add in Draws '3'", "DeepLift": "draws at random"}.get(name(method))
    if refusal:
        with pytest.raises(ValueError, match=refusal):
            ask(method, net)
    else:
        ask(method, net)
    assert trace_of(net) == before


class BackwardBomb(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        raise RuntimeError("boom")


class Fuse(Bomb):
    def forward(self, x):
        return BackwardBomb.apply(x)


@pytest.mark.parametrize("method", [*LAYERWISE[:3], PERTURBING[0]], ids=name)
def test_a_method_leaves_no_trace_when_the_backward_pass_raises(method):
    net = quiet_trap()
    net[4] = Fuse()
    before = trace_of(net)
    with pytest.raises(RuntimeError, match="boom"):
        ask(method, net)
    assert trace_of(net) == before


@pytest.mark.parametrize("method", METHODS, ids=name)
def test_a_view_leaves_no_trace(method):
    net = quiet_trap()
    view = FromLayer(net, "1", batch()[0])
    x = view.features()
    before = trace_of(net), trace_of(view)
    if isinstance(method, GuidedGradCAM):
        with pytest.raises(ValueError, match="gradient does not reach"):
            ask(method, view, x=x)  # its only convolution lies before the layer
    else:
        assert ask(method, view, x=x).shape == x.shape
    assert (trace_of(net), trace_of(view)) == before


@pytest.mark.parametrize("method", METHODS, ids=name)
def test_nothing_is_warned_of(method):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ask(method, quiet_trap())


@pytest.mark.parametrize("method", METHODS, ids=name)
def test_the_target_is_fixed_once_on_the_clean_batch(method):
    asked = []

    def target(logits, y, **_):
        asked.append(logits)
        return TrueClass()(logits, y)

    net = quiet_trap().eval()
    wanted = net(batch()[0]).detach()
    ask(method, net, target)
    (logits,) = asked
    torch.testing.assert_close(logits, wanted)


@pytest.mark.parametrize("method", DRAWING, ids=name)
def test_the_generator_alone_decides(method):
    wanted = ask(method, quiet_trap())
    torch.manual_seed(99)
    np.random.seed(99)
    assert torch.equal(ask(method, quiet_trap()), wanted)
    x, y = batch()
    other = method(quiet_trap(), x, y, target=TrueClass(), generator=seeded(1))
    assert not torch.equal(other, wanted)
    generator = seeded()
    first, second = (method(quiet_trap(), x, y, target=TrueClass(), generator=generator) for _ in range(2))
    assert torch.equal(first, wanted)
    assert not torch.equal(second, first)


@pytest.mark.parametrize("method", METHODS, ids=name)
def test_without_captum_it_says_what_to_install(method, monkeypatch):
    for module in [module for module in sys.modules if module.split(".")[0] == "captum"]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, "captum", None)
    net = quiet_trap()
    before = trace_of(net)
    with pytest.raises(ImportError, match=r'pip install "skaba\[attribution\]"'):
        ask(method, net)
    assert trace_of(net) == before


@pytest.mark.parametrize("method", [GuidedBackprop(), LRP(), DeepLift(), Occlusion(), Lime(samples=5)], ids=name)
def test_smooth_grad_takes_them(method):
    map_ = ask(SmoothGrad(method, samples=3), quiet_trap())
    assert map_.isfinite().all()
    without_noise = ask(SmoothGrad(method, samples=1, noise=0), quiet_trap())
    if method not in DRAWING and not isinstance(method, Lime):
        torch.testing.assert_close(without_noise, ask(method, quiet_trap()))


@pytest.mark.parametrize("method", PERTURBING, ids=name)
def test_a_plain_function_can_be_asked(method):
    net = mlp()
    x, y = torch.randn(4, 6), torch.tensor([0, 1, 2, 3])
    method = clone(method)
    if "segments" in method.get_params():
        method.set_params(segments=None)
    asked = {"target": TrueClass(), "generator": seeded()}
    wanted = method(net, x, y, **asked)
    asked["generator"] = seeded()
    torch.testing.assert_close(method(net.forward, x, y, **asked), wanted)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (LRP(epsilon=0), "'epsilon' parameter of LRP must be a float"),
        (GuidedGradCAM(layer=3), "'layer' parameter"),
        (DeepLift(baseline="black"), "'baseline' parameter"),
        (KernelShap(samples=2), "'samples' parameter"),
        (Lime(alpha=0), "'alpha' parameter"),
        (Occlusion(window=0), "'window' parameter"),
        (FeatureAblation(segments=0), "'segments' parameter"),
        (GradientShap(noise=-1), "'noise' parameter"),
    ],
)
def test_bad_parameters_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        validate_parameters(wrong)


@pytest.mark.parametrize("method", METHODS, ids=name)
def test_a_text_net_with_activations_in_place(method):
    ids = torch.randint(1, 11, (3, 7), generator=seeded(5))
    view = FromLayer(TextNet().eval(), "embedding", ids)
    x, y = view.features(), torch.tensor([0, 1, 2])
    ask_ = {"target": TrueClass(), "generator": seeded()}
    if isinstance(method, LRP):
        with pytest.raises(ValueError, match="mean in TextNet"):
            method(view, x, y, **ask_)
        return
    assert method(view, x, y, **ask_).shape == (3, 7, 5)
