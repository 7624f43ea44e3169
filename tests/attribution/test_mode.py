"""Asking in training mode: the map of a copy that trains, and no trace of it."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skaba import ABAClassifier
from skaba.attribution import (
    GradCAM,
    Gradient,
    InputXGradient,
    MicroBatches,
    PredictedClass,
    SmoothGrad,
    TimesInput,
    TrueClass,
)
from skaba.augmenters import ABA, AdjustmentSet, Batch, Proportional
from skaba.network import FromLayer, asking
from skaba.testing import trace_of
from tests.tiny_nets import conv_net, images, seeded

Y = torch.tensor([1, 0, 2])
METHODS = [Gradient, InputXGradient, GradCAM]
WRAPPED = [SmoothGrad(Gradient("train"), samples=2), TimesInput(Gradient("train")), MicroBatches(Gradient("train"))]


def ask(method, net, x=None, y=Y, seed=0):
    return method(net, images() if x is None else x, y, target=TrueClass(), generator=seeded(seed))


def gradient_of_copy(net, x, y=Y):
    """Gradient of the true class's logit, asked of a deep copy as it is."""
    leaf = x.clone().requires_grad_()
    logits = copy.deepcopy(net)(leaf)
    return torch.autograd.grad(logits.gather(1, y[:, None]).sum(), leaf)[0]


def in_eval_mode(method, net):
    """The map of a network in which evaluation mode means what training mode means in the given one."""
    copied_network = copy.deepcopy(net)
    for module in copied_network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.training:
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
    return ask(method, copied_network)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("method", METHODS)
def test_the_map_is_that_of_a_copy_that_trains(method, training):
    net = conv_net().train(training)
    got = ask(method(mode="train"), net)
    torch.testing.assert_close(got, in_eval_mode(method(), net.train()))
    assert not torch.allclose(got, ask(method(), net))
    if method is Gradient:
        torch.testing.assert_close(got, gradient_of_copy(net.train(), images()))


def test_evaluation_mode_is_the_default():
    for method in METHODS:
        assert method().mode == "eval"
        assert torch.equal(ask(method(), conv_net()), ask(method(mode="eval"), conv_net()))


def test_a_frozen_layer_stays_frozen():
    net = conv_net().train()
    net[1].eval()
    got = ask(Gradient("train"), net)
    torch.testing.assert_close(got, gradient_of_copy(net, images()))
    assert not torch.allclose(got, ask(Gradient("train"), conv_net().train()))


def test_a_network_that_freezes_layers_itself_does_so_here():
    class Frozen(nn.Sequential):
        def train(self, mode=True):
            super().train(mode)
            self[1].eval()
            return self

    net = Frozen(*conv_net())
    wanted = gradient_of_copy(net.train(), images())
    torch.testing.assert_close(ask(Gradient("train"), net.eval()), wanted)
    assert not any(module.training for module in net.modules())


def test_a_buffer_that_two_layers_share_is_shared_meanwhile():
    class Counts(nn.Module):
        def __init__(self, counter):
            super().__init__()
            self.register_buffer("counter", counter)

        def forward(self, x):
            self.counter += 1
            return x * self.counter.clone()

    counter = torch.zeros(())
    net = nn.Sequential(Counts(counter), Counts(counter))
    map_ = Gradient("train")(net, torch.ones(2, 3), target=PredictedClass(), generator=seeded())
    assert torch.equal(map_.sum(1), torch.full((2,), 2.0))  # 1 from the first layer, 2 from the second
    assert counter == 0


def test_the_generator_decides_what_dropout_drops():
    net = nn.Sequential(nn.Dropout(0.5), nn.Linear(40, 1, bias=False))
    x = torch.randn(5, 40)

    def kept(seed, global_seed):
        torch.manual_seed(global_seed)
        state = torch.get_rng_state()
        map_ = Gradient("train")(net, x, target=PredictedClass(), generator=seeded(seed))
        assert torch.equal(torch.get_rng_state(), state)
        torch.testing.assert_close(map_, torch.where(map_ == 0, 0, 2 * net[1].weight.detach().expand_as(x)))
        return map_ != 0

    assert torch.equal(kept(1, 1), kept(1, 2))
    assert not torch.equal(kept(1, 1), kept(2, 1))
    assert 0.3 < kept(1, 1).float().mean() < 0.7
    generator = seeded()
    first, second = (Gradient("train")(net, x, target=PredictedClass(), generator=generator) for _ in range(2))
    assert not torch.equal(first, second)


def test_needs_a_generator():
    net = conv_net()
    before = trace_of(net)
    with pytest.raises(ValueError, match=r'mode="train" may draw at random.*pass generator='):
        Gradient("train")(net, images(), Y, target=TrueClass())
    assert trace_of(net) == before


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_a_scripted_network_is_refused():
    scripted = torch.jit.script(nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2)))
    with pytest.raises(ValueError, match="scripted module"):
        ask(Gradient("train"), scripted, torch.randn(3, 3), torch.tensor([0, 1, 1]))


@pytest.mark.parametrize("wrong", ["training", True, None])
def test_another_mode_is_refused(wrong):
    with pytest.raises(ValueError, match="'mode' parameter of Gradient"):
        ask(Gradient(wrong), conv_net())
    with pytest.raises(ValueError, match=f'mode={wrong!r} must be "eval" or "train"'), asking(conv_net(), wrong):
        pass


def with_batch_norm():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3))


@pytest.mark.parametrize("layer", [None, "0", "1"])
def test_one_sample_has_no_statistics(layer):
    net, x = with_batch_norm(), torch.randn(1, 6)
    before = trace_of(net)
    asked = {"target": TrueClass(), "generator": seeded()}
    view = None if layer is None else FromLayer(net, layer, x)
    ask_once = partial(Gradient("train"), net, x) if view is None else partial(Gradient("train").at_layer, view)
    with pytest.raises(ValueError, match=r'mode="train" lets BatchNorm .* set mode="eval"'):
        ask_once(Y[:1], **asked)
    assert trace_of(net) == before


@pytest.mark.parametrize("n_moved", [10, 1])
@pytest.mark.parametrize("method", [Gradient("train"), TimesInput(Gradient("train"))], ids=repr)
@pytest.mark.parametrize("layer", [None, "0"])
def test_the_whole_batch_is_asked_where_some_samples_move(layer, method, n_moved):
    net, x, y = with_batch_norm(), torch.randn(20, 6, generator=seeded()), torch.arange(20) % 3
    every = ABA(method, TrueClass(), adjustments=AdjustmentSet([16]), change=Proportional(), randomize=False)
    some = clone(every).set_params(share=n_moved / 20)

    def changes(aba):
        asked = {"strength": 1.0, "criterion": None, "generator": seeded(5)}
        if layer is None:
            return aba(net, x, y, **asked) - x
        view = FromLayer(net, layer, x)
        hidden = view.features("train", seeded())
        batch = Batch(view, None, y, None, seeded(5))
        return aba.plan(batch, 1.0).move(hidden.clone()) - hidden

    few, all_ = changes(some), changes(every)
    moved = few.flatten(1).any(dim=1)
    assert moved.sum() == n_moved
    torch.testing.assert_close(few[moved], all_[moved])


# --- at a layer


def hidden_and_gradient(net, layer):
    """A layer's output in a deep copy that trains, and the gradient of the true class there."""
    copied_network, kept = copy.deepcopy(net).train(), []

    def keep(module, args, output):
        output.retain_grad()
        kept.append(output)

    copied_network.get_submodule(layer).register_forward_hook(keep)
    copied_network(images()).gather(1, Y[:, None]).sum().backward()
    return kept[0].detach(), kept[0].grad


@pytest.mark.parametrize("layer", ["0", "1", "3"])
@pytest.mark.parametrize("training", [True, False])
def test_at_a_layer(layer, training):
    net = conv_net().train(training)
    before = trace_of(net)
    view = FromLayer(net, layer, images())
    hidden, gradient = hidden_and_gradient(net, layer)
    torch.testing.assert_close(view.features("train", seeded()), hidden)
    torch.testing.assert_close(Gradient("train").at_layer(view, Y, target=TrueClass(), generator=seeded()), gradient)
    torch.testing.assert_close(ask(Gradient("train"), view, hidden), gradient)
    assert trace_of(net) == before
    if layer != "0":  # the first convolution is the same in both modes
        assert not torch.allclose(view.features(), hidden)


# --- methods that ask others


def test_what_asks_another_method_asks_in_its_mode():
    assert [method.mode for method in WRAPPED[:2]] == ["train", "train"]
    net, x = conv_net().eval(), images()
    torch.testing.assert_close(ask(TimesInput(Gradient("train")), net), x * ask(Gradient("train"), net))
    torch.testing.assert_close(ask(MicroBatches(Gradient("train")), net), ask(Gradient("train"), net))
    # Copies that do not share a pass do not share its statistics either.
    smooth = ask(SmoothGrad(Gradient("train"), samples=3, noise=0.0, batch_size=1), net)
    torch.testing.assert_close(smooth, ask(Gradient("train"), net))


# --- in training


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)

    def forward(self, x):
        return self.last(torch.relu(self.norm(self.first(x))))


@pytest.mark.parametrize("layer", [None, "first"])
def test_training_counts_each_batch_once(layer):
    X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    y = (X[:, 0] > 0).astype(int)

    def fitted(mode, strength):
        augmenter = ABA(attribution=Gradient(mode), target=PredictedClass())
        common = {"max_epochs": 2, "batch_size": 10, "random_state": 0, "verbose": 0}
        return ABAClassifier(Net, augmenter=augmenter, strength=strength, layer=layer, **common).fit(X, y)

    trained = fitted("train", 0.5)
    assert trained.module_.norm.num_batches_tracked == 8
    assert not torch.equal(trained.module_.first.weight, fitted("eval", 0.5).module_.first.weight)
    still = fitted("train", 1e-12)  # asked as often, moved by nothing: the statistics are those of plain training
    torch.testing.assert_close(still.module_.state_dict(), fitted("eval", 0).module_.state_dict())
