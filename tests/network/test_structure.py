"""What is seen of a forward pass, and that the copy it is seen on is apart from the network."""

import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skaba.network import FromLayer, WithArguments, copied_network, described_steps, observe, separated
from skaba.testing import trace_of
from tests.tiny_nets import TextNet, conv_net, images, mlp, trap, words


class Written(nn.Module):
    """A functional ReLU, a module in a submodule, a dead end and a constant branch."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(3, 4), nn.Tanh())
        self.dead_end = nn.Softmax(dim=1)
        self.constant = nn.Sigmoid()
        self.output = nn.Linear(4, 2)

    def forward(self, x):
        hidden = F.relu(self.inner(x)).unsqueeze(0).squeeze(0)
        self.dead_end(hidden)
        return self.output(hidden) * self.constant(torch.ones(2))


def operations(structure, kinds=()):
    return [(step.operation, step.name) for step in structure.outside(kinds) if step.operation != "accumulategrad"]


def test_steps_name_operation_and_place_from_the_logits_back():
    logits, structure = observe(copied_network(Written()), torch.randn(5, 3))
    assert logits.shape == (5, 2)
    assert operations(structure) == [
        ("mul", ""),
        ("addmm", "output"),
        ("squeeze", ""),
        ("unsqueeze", ""),
        ("relu", ""),
        ("tanh", "inner.1"),
        ("addmm", "inner.0"),
        ("clone", ""),
    ]
    assert [step.operands for step in structure.steps if step.operation == "mul"] == [1]
    assert ("addmm", "output") not in operations(structure, (nn.Linear, nn.Tanh))
    assert described_steps(structure.outside((nn.Linear,))[:5]).startswith("mul in Written '', relu in Written ''")


def test_calls_are_in_order_and_tell_what_depends_on_x():
    calls = observe(copied_network(Written()), torch.randn(5, 3))[1].calls
    assert [(call.name, call.reached) for call in calls] == [
        ("inner.0", True),
        ("inner.1", True),
        ("inner", True),
        ("dead_end", True),
        ("output", True),
        ("constant", False),
        ("", True),
    ]


def test_two_operands_that_depend_on_x_are_told():
    class Squared(nn.Module):
        def forward(self, x):
            return x * x.flip(1)

    steps = observe(copied_network(Squared()), torch.randn(5, 3))[1].steps
    assert [step.operands for step in steps if step.operation == "mul"] == [2]


def test_what_comes_before_a_views_layer_is_not_seen():
    view = FromLayer(mlp(), "1", torch.randn(3, 6))
    structure = observe(copied_network(view), view.features())[1]
    assert {name for _, name in operations(structure)} == {"2", "3", "4", ""}
    assert [call.name for call in structure.calls if not call.reached] == ["0", "1"]


def test_a_custom_autograd_function_is_seen():
    class Step(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.sign()

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    class Custom(nn.Module):
        def forward(self, x):
            return Step.apply(x)

    assert ("step", "") in operations(observe(copied_network(Custom()), torch.randn(2, 3))[1])


def test_a_detached_network_is_refused():
    class Detached(nn.Module):
        def forward(self, x):
            return x.detach()

    with pytest.raises(ValueError, match="gradient does not reach the input"):
        observe(copied_network(Detached()), torch.randn(2, 3))


def test_a_twin_answers_alike_and_shares_memory():
    net = conv_net().eval()
    other = copied_network(net)
    assert torch.equal(other(images()), net(images()))
    for mine, yours in zip(net.parameters(), other.parameters(), strict=True):
        assert mine.data_ptr() == yours.data_ptr()
        assert mine is not yours
        assert not yours.requires_grad
    for mine, yours in zip(net.buffers(), other.buffers(), strict=True):
        assert mine.data_ptr() == yours.data_ptr()


def test_a_twin_may_be_changed():
    net = trap()
    before = trace_of(net)
    other = copied_network(net)
    other[0].weight.data = torch.zeros(1)
    other[0].rule = "any"
    other[6].register_forward_hook(lambda *_: None)
    other[2][0].register_full_backward_hook(lambda *_: None)
    other[2].append(nn.ReLU())
    other.train()
    assert trace_of(net) == before


def test_a_twin_does_not_work_in_place():
    net = TextNet()
    assert not copied_network(net).act.inplace
    assert net.act.inplace


def test_a_twin_shares_a_views_inputs_and_arguments():
    ids, mask = words(), torch.ones(4)
    view = FromLayer(TextNet(), "embedding", {"ids": ids}, {"mask": mask})
    other = copied_network(view)
    assert other.inputs is view.inputs
    assert other.module is not view.module
    arguments = {"mask": mask}
    assert copied_network(WithArguments(mlp(), arguments)).arguments is arguments


def test_tied_weights_stay_tied():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    other = copied_network(net)
    assert other[0].weight is other[1].weight


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_tensors_that_deepcopy_refuses_are_shared():
    net = nn.utils.weight_norm(nn.Linear(3, 2))
    x = torch.randn(4, 3)
    wanted = net(x)  # leaves a weight that is no leaf
    assert torch.equal(copied_network(net)(x), wanted)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_what_cannot_be_copied_is_refused():
    with pytest.raises(TypeError, match=r"an nn.Module, got a function"):
        copied_network(lambda x: x)
    with pytest.raises(TypeError, match="scripted"):
        copied_network(nn.Sequential(torch.jit.script(nn.Linear(2, 2))))
    net = nn.Linear(2, 2)
    net.lock = threading.Lock()
    with pytest.raises(TypeError, match=r"copy.deepcopy fails"):
        copied_network(net)


class Thrice(nn.Module):
    """One activation, called once before a layer and twice after it."""

    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x):
        hidden = self.act(self.second(self.act(self.first(self.act(x)))))
        return hidden + 1


def test_each_call_gets_a_layer_of_its_own():
    net = copied_network(Thrice())
    x = torch.randn(4, 3)
    wanted = net(x)
    layers = separated(observe(net, x)[1].calls_of((nn.ReLU,)))
    seen = [[], [], []]
    for layer, inputs in zip(layers, seen, strict=True):
        layer.register_forward_hook(lambda _, args, __, inputs=inputs: inputs.append(args[0]))
    for _ in range(2):
        torch.testing.assert_close(net(x), wanted)
    assert all(len(inputs) == 2 for inputs in seen)
    assert torch.equal(seen[0][0], x)
    assert torch.equal(seen[0][0], seen[0][1])


def test_calls_that_x_does_not_reach_take_their_turn_without_hooks():
    original = Thrice()
    view = FromLayer(original, "first", torch.randn(4, 3))
    network = copied_network(view)
    x = view.features()
    layers = separated(observe(network, x)[1].calls_of((nn.ReLU,)))
    assert len(layers) == 2
    for layer in layers:  # only a tensor that needs a gradient takes a hook
        layer.register_forward_hook(lambda _, args, output: output.register_hook(lambda grad: grad) and None)
    network(x.requires_grad_())


def test_a_users_forward_hook_runs_once_a_call_and_backward_hooks_not_at_all():
    net, calls = Thrice(), []
    net.act.register_forward_hook(lambda *_: calls.append("forward"))
    net.act.register_forward_pre_hook(lambda *_: calls.append("before"))
    net.act.register_full_backward_hook(lambda *_: calls.append("backward"))
    network, x = copied_network(net), torch.randn(4, 3, requires_grad=True)
    separated(observe(network, x)[1].calls_of((nn.ReLU,)))
    calls.clear()
    network(x).sum().backward()
    assert calls == ["before", "forward"] * 3


def test_layers_get_inputs_of_their_own():
    class Branch(nn.Module):
        def __init__(self):
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x):
            hidden = 2 * x
            return hidden + self.act(hidden)

    network, x = copied_network(Branch()), torch.ones(1, 3)
    (layer,) = separated(observe(network, x)[1].calls_of((nn.ReLU,)))
    layer.register_forward_pre_hook(lambda _, args: args[0].register_hook(torch.zeros_like) and None)
    leaf = x.requires_grad_()
    (gradient,) = torch.autograd.grad(network(leaf).sum(), leaf)
    assert gradient.tolist() == [[2.0, 2.0, 2.0]]  # the skip's part alone
