"""Asking a model for a map leaves no trace on it."""

import pytest
import torch
from torch import nn

from skaba.attribution import (
    Gradient,
    InputXGradient,
    IntegratedGradients,
    Loss,
    PredictedClass,
    RandomMap,
    RandomTopClass,
    SmoothGrad,
    TrueClass,
)
from skaba.augmenters import PRESETS, preset
from skaba.network import FromLayer, asking, first_output, input_gradient
from skaba.testing import trace_of
from tests.tiny_nets import seeded, trap

METHODS = {
    "gradient": Gradient(),
    "input_x_gradient": InputXGradient(),
    "integrated_gradients": IntegratedGradients(steps=4, batch_size=2),
    "smooth_grad": SmoothGrad(samples=2),
    "smooth_integrated": SmoothGrad(IntegratedGradients(steps=2), samples=2),
    "random_map": RandomMap(),
}
# LRP refuses the trap, and says so without a trace: see test_lrp.py.
GRADIENT_PRESETS = sorted(set(PRESETS) - {"challenger_original"})
TARGETS = {"top": RandomTopClass(2), "true": TrueClass(), "predicted": PredictedClass(), "loss": Loss()}


def batch():
    return torch.randn(6, 2, 8, generator=seeded(1)), torch.tensor([0, 1, 2, 3, 4, 0])


def ask(method, net, target=None):
    x, y = batch()
    return method(net, x, y, target=target or TrueClass(), criterion=nn.CrossEntropyLoss(), generator=seeded())


def augment(name, net, x=None, **parameters):
    y = batch()[1]
    x = batch()[0] if x is None else x
    return preset(name, **parameters)(net, x, y, strength=0.1, criterion=nn.CrossEntropyLoss(), generator=seeded())


def test_the_trap_would_notice():
    # What a careless method does to the net below shows in its trace.
    for careless in (
        lambda net: net.eval(),
        lambda net: net(batch()[0]),
        lambda net: net(batch()[0]).sum().backward(),
        lambda net: net.requires_grad_(True),
        lambda net: net.zero_grad(),
        lambda net: net[3].register_forward_hook(lambda *_: None),
        lambda net: torch.rand(1),
    ):
        net = trap()
        before = trace_of(net)
        careless(net)
        assert trace_of(net) != before


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", METHODS)
def test_a_method_leaves_no_trace(method, target):
    net = trap()
    before = trace_of(net)
    ask(METHODS[method], net, TARGETS[target])
    assert trace_of(net) == before


@pytest.mark.parametrize("k", [{}, {"k": 2}], ids=["own_target", "k2"])
@pytest.mark.parametrize("name", GRADIENT_PRESETS)
def test_a_preset_leaves_no_trace(name, k):
    net = trap()
    before = trace_of(net)
    augment(name, net, **({} if name in {"fgsm", "free_aba"} else k))
    assert net[4].calls == 1
    assert trace_of(net) == before


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_leaves_no_trace_when_the_model_raises(name):
    net = trap(fails_on=1)
    before = trace_of(net)
    with pytest.raises(RuntimeError, match="boom"):
        augment(name, net)
    assert trace_of(net) == before


@pytest.mark.parametrize("fails", [False, True])
def test_asking_from_a_layer_leaves_no_trace(fails):
    net = trap(fails_on=1 if fails else 0)
    before = trace_of(net)
    rest = FromLayer(net, "1", batch()[0])
    hidden = rest.features()
    assert trace_of(net) == before
    if fails:
        with pytest.raises(RuntimeError, match="boom"):
            augment("mend_aba", rest, hidden)
    else:
        augment("mend_aba", rest, hidden)
        assert rest.training  # the view's own flag too
    assert trace_of(net) == before


@pytest.mark.parametrize("method", METHODS)
def test_x_is_left_alone(method):
    x, y = batch()
    copy, version = x.clone(), x._version
    map_ = METHODS[method](trap(), x, y, target=TrueClass(), generator=seeded())
    assert torch.equal(x, copy)
    assert x._version == version
    assert x.grad is None
    assert not x.requires_grad
    assert not map_.requires_grad
    assert map_.shape == x.shape


@pytest.mark.parametrize("method", METHODS)
def test_x_in_a_graph_stays_in_it(method):
    # The input of a hidden layer requires grad; its map is detached and no gradient reaches it.
    x = batch()[0].requires_grad_()
    map_ = METHODS[method](trap(), x, batch()[1], target=TrueClass(), generator=seeded())
    assert x.requires_grad
    assert x.grad is None
    assert not map_.requires_grad


@pytest.mark.parametrize("method", METHODS)
def test_works_under_no_grad(method):
    wanted = ask(METHODS[method], trap())
    with torch.no_grad():
        got = ask(METHODS[method], trap())
        assert not torch.is_grad_enabled()
    assert torch.equal(got, wanted)


@pytest.mark.parametrize("name", GRADIENT_PRESETS)
def test_presets_work_under_no_grad(name):
    wanted = augment(name, trap())
    with torch.no_grad():
        assert torch.equal(augment(name, trap()), wanted)


def test_dropout_is_off_and_batch_norm_uses_its_statistics():
    net = trap()
    with asking(net):
        assert not any(module.training for module in net.modules())
    net[3] = nn.Identity()
    map_ = ask(Gradient(), net)
    alone = torch.cat([Gradient()(net, x[None], y[None], target=TrueClass()) for x, y in zip(*batch(), strict=True)])
    torch.testing.assert_close(map_, alone)


def test_modules_that_override_eval_come_back():
    class Stubborn(nn.Linear):
        def train(self, mode=True):
            raise AssertionError("not to be called")

    net = nn.Sequential(Stubborn(16, 2))
    with asking(net):
        assert not net[0].training
    assert net[0].training


def test_a_module_used_twice_comes_back():
    shared = nn.Dropout()
    net = nn.Sequential(shared, nn.Linear(2, 2), shared)
    with asking(net):
        assert not shared.training
    assert shared.training


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_scripted_modules_are_put_into_evaluation_mode():
    net = torch.jit.script(nn.Sequential(nn.Dropout(0.5), nn.Linear(50, 50)))
    x = torch.ones(1, 50)
    with asking(net):
        assert torch.equal(net(x), net(x))


def test_a_plain_callable_can_be_asked():
    state = torch.get_rng_state()
    x = torch.tensor([[1.0, 2.0]])
    map_ = Gradient()(lambda x: torch.stack([x.prod(1), torch.rand(1) - 1], 1), x, target=PredictedClass())
    assert map_.tolist() == [[2.0, 1.0]]
    assert torch.equal(torch.get_rng_state(), state)


def test_the_gpu_random_state_is_put_back_where_there_is_one(monkeypatch):
    state = {"now": torch.tensor([1])}
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state_all", lambda: state["now"])
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", lambda value: state.update(now=value))
    with asking(lambda x: x):
        state["now"] = torch.tensor([2])
    assert state["now"].tolist() == [1]


@pytest.mark.parametrize("wrap", [tuple, list])
def test_the_first_output_counts(wrap):
    logits, hidden = torch.zeros(2, 3), torch.ones(2, 5)
    assert first_output(wrap([logits, hidden])) is logits
    assert first_output(logits) is logits


@pytest.mark.parametrize("output", [{"logits": torch.zeros(1, 2)}, None, ("no", "tensor")])
def test_a_model_that_returns_no_tensor_is_refused(output):
    with pytest.raises(TypeError, match=f"returned a {type(output).__name__}; it must return a tensor of logits"):
        Gradient()(lambda x: output, torch.zeros(1, 2), target=PredictedClass())


def test_input_gradient_of_a_cubic():
    x = torch.tensor([[1.0, 2.0], [3.0, -1.0]])
    gradient = input_gradient(lambda x: x**3, x, lambda logits: logits.sum(1))
    assert torch.equal(gradient, 3 * x**2)
