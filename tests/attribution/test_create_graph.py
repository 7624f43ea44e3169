"""Maps that stay in the graph: for penalties on maps, differentiated with respect to parameters and inputs."""

import gc
import weakref

import pytest
import torch
from torch import nn
from torch.nn import functional

from skaba.attribution import (
    METHODS,
    AttributionMethod,
    ExpectedGradients,
    FixedClass,
    GradCAM,
    Gradient,
    InputXGradient,
    IntegratedGradients,
    Loss,
    MicroBatches,
    PredictedClass,
    SmoothGrad,
    SquaredSmoothGrad,
    TimesInput,
    TrueClass,
    VarGrad,
    attributed,
)
from skaba.network import FromLayer, asking, gradient_of, input_gradient
from skaba.testing import traceless
from tests.tiny_nets import linear, seeded

Y = torch.tensor([1, 0, 2])
DIFFERENTIABLE = [
    Gradient(),
    InputXGradient(),
    IntegratedGradients(steps=5, batch_size=2),
    ExpectedGradients(samples=5, batch_size=2),
    SmoothGrad(samples=3, batch_size=2),
    SquaredSmoothGrad(samples=3, batch_size=2),
    VarGrad(samples=3, batch_size=2),
    SmoothGrad(IntegratedGradients(steps=2), samples=2),
    TimesInput(SmoothGrad(samples=2)),
    TimesInput(Gradient("train")),
    MicroBatches(batch_size=2),
    MicroBatches(TimesInput(Gradient()), batch_size=2),
    GradCAM(relu=False),
    GradCAM("0", mode="train"),
    Gradient("train"),
    InputXGradient("train"),
]


def smooth(norm=True):
    """Images (n, 2, 4, 4) to logits, in double precision, with BatchNorm, dropout, tanh and softplus."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3) if norm else nn.Identity(), nn.Tanh(), nn.Dropout(0.2)]
    net = nn.Sequential(*layers, nn.Conv2d(3, 2, 2), nn.Softplus(), nn.Flatten(), nn.Linear(18, 3)).double()
    net(torch.randn(20, 2, 4, 4).double() + 1)
    return net


class Text(nn.Module):
    """Word ids (n, 5) to logits, in double precision; 0 is padding."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.embedding = nn.Embedding(9, 3, padding_idx=0)
        self.convolution = nn.Conv1d(3, 2, 3, padding=1)
        self.output = nn.Linear(10, 3)
        self.double()

    def forward(self, ids):
        return self.output(torch.tanh(self.convolution(self.embedding(ids).transpose(1, 2))).flatten(1))


IDS = torch.tensor([[1, 2, 3, 4, 0], [5, 6, 7, 0, 0], [8, 1, 1, 2, 3]])


def images(requires_grad=False):
    return torch.randn(3, 2, 4, 4, generator=seeded(3), dtype=torch.float64).requires_grad_(requires_grad)


def graph_of(method, net, x, y=Y, target=None, **asked):
    target = TrueClass() if target is None else target
    return method(net, x, y, target=target, generator=seeded(), create_graph=True, **asked)


def finite_differences(function, tensors, directions, step=1e-6):
    """The derivative of a scalar along a direction, by moving the tensors in place."""
    values = []
    with torch.no_grad():
        for factor in (1, -2):
            torch._foreach_add_(tensors, directions, alpha=factor * step)
            values.append(function().item())
        torch._foreach_add_(tensors, directions, alpha=step)
    return (values[0] - values[1]) / (2 * step)


def check_derivatives(function, tensors):
    """Compare autograd's derivative of a scalar along a random direction with finite differences."""
    directions = [torch.randn(tensor.shape, generator=seeded(9), dtype=tensor.dtype) for tensor in tensors]
    gradients = torch.autograd.grad(function(), tensors, allow_unused=True)
    got = sum((g * d).sum() for g, d in zip(gradients, directions, strict=True) if g is not None)
    wanted = finite_differences(function, [tensor.detach() for tensor in tensors], directions)
    assert got.item() == pytest.approx(wanted, rel=1e-4, abs=1e-9)
    assert abs(wanted) > 1e-5  # a test that could not fail would be none
    return gradients


def penalty(map_):
    return (map_ * torch.linspace(-1, 1, map_.numel(), dtype=map_.dtype).reshape(map_.shape)).sum() + map_.pow(2).sum()


# --- the flag


@pytest.mark.parametrize("method", DIFFERENTIABLE, ids=repr)
def test_derivatives_are_those_of_finite_differences(method):
    net, x = smooth(), images(requires_grad=True)
    assert method.is_differentiable
    parameters = list(net.parameters())
    gradients = check_derivatives(lambda: penalty(graph_of(method, net, x)), parameters)
    assert all(g is not None and g.any() for g in gradients[:-1])  # the last bias moves no gradient of a logit
    check_derivatives(lambda: penalty(graph_of(method, net, x)), [x])


@pytest.mark.parametrize("method", DIFFERENTIABLE, ids=repr)
def test_the_map_and_the_trace_are_those_of_a_call_without_a_graph(method):
    net, x = smooth(), images()
    net[0].weight.grad = torch.ones_like(net[0].weight)
    wanted = method(net, x, Y, target=TrueClass(), generator=seeded())
    assert not wanted.requires_grad
    with traceless(net):
        map_ = graph_of(method, net, x)
    assert map_.requires_grad
    assert torch.equal(map_, wanted)
    with torch.no_grad():
        map_ = graph_of(method, net, x)
    assert map_.requires_grad
    assert not x.requires_grad


@pytest.mark.parametrize("kind", METHODS)
def test_a_method_that_cannot_says_so_before_any_work(kind):
    def never(x):
        raise AssertionError("called")

    method = METHODS[kind]()
    if method.is_differentiable:
        assert kind in {type(method).__name__ for method in DIFFERENTIABLE}
        return
    able = "Gradient, InputXGradient, .*IntegratedGradients, ExpectedGradients.*, and SmoothGrad"
    for asked in (method, SmoothGrad(method), TimesInput(method), MicroBatches(method)):
        assert not asked.is_differentiable
        with pytest.raises(ValueError, match=rf"{kind}\(.* cannot return a map that stays in the graph .*{able}"):
            graph_of(asked, never, images())
        with pytest.raises(ValueError, match="cannot return a map that stays in the graph"):
            graph_of(attributed_by(asked), never, images())


def attributed_by(method):
    return lambda *args, **asked: attributed(method, *args, **asked)


def test_a_function_may_keep_the_graph():
    def own(model, x, y, *, target, criterion=None, generator=None, create_graph=False):
        return 2 * Gradient()(model, x, y, target=target, create_graph=create_graph)

    net, x = smooth(), images()
    with pytest.raises(ValueError, match=r"own at .* its is_differentiable is not True"):
        attributed(own, net, x, Y, target=TrueClass(), create_graph=True)
    own.is_differentiable = True
    for method in (attributed_by(own), TimesInput(own), MicroBatches(own, batch_size=2)):
        check_derivatives(lambda method=method: penalty(graph_of(method, net, x)), list(net.parameters()))


def test_a_subclass_may_keep_the_graph():
    class Squared(AttributionMethod):
        is_differentiable = True

        def _attribute(self, model, x, target, generator):
            return input_gradient(model, x, lambda logits: target(logits)(logits), x.requires_grad).square()

    net = smooth()
    assert not Squared()(net, images(), Y, target=TrueClass()).requires_grad
    check_derivatives(lambda: penalty(graph_of(SmoothGrad(Squared(), samples=2), net, images())), [net[0].weight])


# --- against plain loops


def test_a_penalty_is_that_of_a_plain_double_backward_loop():
    net, x = smooth().eval(), images()
    leaf = x.clone().requires_grad_()
    log_probabilities = net(leaf).log_softmax(1).gather(1, Y[:, None]).sum()
    (map_,) = torch.autograd.grad(log_probabilities, leaf, create_graph=True)
    wanted = torch.autograd.grad(penalty(map_), list(net.parameters()), allow_unused=True)
    loss = graph_of(Gradient(), net, x, target=Loss(), criterion=nn.CrossEntropyLoss())
    got = torch.autograd.grad(penalty(-loss), list(net.parameters()), allow_unused=True)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_integrated_gradients_are_those_of_a_plain_loop():
    net, x, parameters = smooth().eval(), images(), None
    parameters = list(net.parameters())
    nodes, weights = torch.tensor([-1, 1]) / 3**0.5 / 2 + 0.5, torch.tensor([0.5, 0.5])
    total = 0
    for node, weight in zip(nodes.double(), weights.double(), strict=True):
        point = (node * x).requires_grad_()
        score = net(point).gather(1, Y[:, None]).sum()
        total = total + weight * torch.autograd.grad(score, point, create_graph=True)[0]
    wanted = torch.autograd.grad(penalty(x * total), parameters, allow_unused=True)
    got = torch.autograd.grad(penalty(graph_of(IntegratedGradients(steps=2), net, x)), parameters, allow_unused=True)
    for a, b in zip(got[:-1], wanted[:-1], strict=True):
        torch.testing.assert_close(a, b)


def test_a_training_step_with_a_penalty_leaves_out_a_feature():
    torch.manual_seed(0)
    x = torch.randn(200, 2)
    x[:, 1] = x[:, 0]  # two features that say the same, of which one must not be used
    y = (x[:, 0] > 0).long()

    def share(weight):
        torch.manual_seed(1)
        net = nn.Sequential(nn.Linear(2, 8), nn.Softplus(), nn.Linear(8, 2))
        optimizer = torch.optim.Adam(net.parameters(), lr=0.05)
        for _ in range(150):
            optimizer.zero_grad()
            map_ = Gradient()(net, x, y, target=Loss(), criterion=nn.CrossEntropyLoss(), create_graph=True)
            (functional.cross_entropy(net(x), y) + weight * map_[:, 1].square().sum()).backward()
            optimizer.step()
        used = Gradient()(net, x, y, target=TrueClass()).abs().mean(0)
        assert functional.cross_entropy(net(x), y) < 0.3
        return (used[1] / used.sum()).item()

    assert share(0.0) > 0.2
    assert share(1.0) < 0.02


# --- hidden layers, texts, targets


@pytest.mark.parametrize("method", [m for m in DIFFERENTIABLE if "GradCAM" not in repr(m)], ids=repr)
def test_at_an_embedding(method):
    net = Text()
    view = FromLayer(net, "embedding", IDS)
    x = view.features().requires_grad_()
    after = [net.convolution.weight, net.output.weight]
    check_derivatives(lambda: penalty(graph_of(method, view, x)), after)
    check_derivatives(lambda: penalty(graph_of(method, view, x)), [x])


@pytest.mark.parametrize("layer", ["0", "2", "4"])
@pytest.mark.parametrize("mode", ["eval", "train"])
def test_at_a_layer_the_layers_before_count_too(layer, mode):
    net, method = smooth(), Gradient(mode)
    view = FromLayer(net, layer, images())
    asked = {"target": TrueClass(), "generator": seeded(4)}
    wanted = method.at_layer(view, Y, **asked)
    assert not wanted.requires_grad
    with traceless(net):
        map_ = method.at_layer(view, Y, target=TrueClass(), generator=seeded(4), create_graph=True)
    assert torch.equal(map_, wanted)

    def value():
        return penalty(method.at_layer(view, Y, target=TrueClass(), generator=seeded(4), create_graph=True))

    gradients = check_derivatives(value, list(net.parameters()))
    assert gradients[0].any()


def test_at_an_embedding_its_own_weights_count_too():
    net = Text()
    view = FromLayer(net, "embedding", IDS.clamp(min=1))  # torch gives padding no gradient
    weights = [net.embedding.weight]
    check_derivatives(lambda: penalty(Gradient().at_layer(view, Y, target=TrueClass(), create_graph=True)), weights)


def test_a_layer_without_parameters_before_it():
    net, x = nn.Sequential(nn.Identity(), *smooth(norm=False)).double(), images()
    view = FromLayer(net, "0", x)
    map_ = Gradient().at_layer(view, Y, target=TrueClass(), create_graph=True)
    torch.testing.assert_close(map_, Gradient()(net, x, Y, target=TrueClass()))
    assert map_.requires_grad


@pytest.mark.parametrize(
    ("target", "y", "criterion"),
    [
        (TrueClass(), torch.tensor([2, 2, 0]), None),
        (PredictedClass(), None, None),
        (FixedClass(1), None, None),
        (Loss(), Y, nn.CrossEntropyLoss()),
        (Loss(), torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]).double(), nn.CrossEntropyLoss()),
        (Loss(), torch.rand(3, 3).double(), nn.MSELoss()),
        (Loss(), Y, functional.cross_entropy),
    ],
    ids=["true", "predicted", "fixed", "loss", "soft labels", "regression", "a function"],
)
@pytest.mark.parametrize(
    "method", [InputXGradient(), IntegratedGradients(steps=3), MicroBatches(batch_size=2)], ids=repr
)
def test_every_target(method, target, y, criterion):
    net, x = smooth(), images()
    value = lambda: penalty(graph_of(method, net, x, y, target, criterion=criterion))  # noqa: E731
    check_derivatives(value, list(net.parameters()))


# --- what would go wrong without a word


def test_running_statistics_may_move_before_the_penalty_is_differentiated():
    def gradients(train_between):
        net = smooth()
        map_ = graph_of(Gradient(), net, images())
        if train_between:
            net.train()(10 * images())
        return torch.autograd.grad(penalty(map_), list(net.parameters()), allow_unused=True)

    for a, b in zip(gradients(False), gradients(True), strict=True):
        assert a is b is None or torch.equal(a, b)


def test_attention_can_be_differentiated_twice():
    torch.manual_seed(0)
    net = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True).double()
    model = nn.Sequential(net, nn.Flatten(), nn.Linear(12, 3).double())
    x = torch.randn(3, 3, 4, dtype=torch.float64)
    before = torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.mem_efficient_sdp_enabled()
    check_derivatives(lambda: penalty(graph_of(Gradient(), model, x)), [net.self_attn.in_proj_weight])
    assert (torch.backends.cuda.flash_sdp_enabled(), torch.backends.cuda.mem_efficient_sdp_enabled()) == before


def test_recurrent_layers():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.gru, self.last = nn.GRU(4, 3, batch_first=True), nn.Linear(3, 3)

        def forward(self, x):
            return self.last(self.gru(x)[0][:, -1])

    net = Net().double()
    check_derivatives(
        lambda: penalty(graph_of(Gradient(), net, torch.randn(3, 5, 4, generator=seeded()).double())),
        [net.gru.weight_ih_l0],
    )


def test_mixed_precision():
    net, x = smooth().float(), images().float()
    with torch.autocast("cpu", torch.bfloat16):
        map_ = graph_of(IntegratedGradients(steps=3), net, x)
    assert map_.dtype == torch.float32
    gradients = torch.autograd.grad(map_.square().sum(), [net[0].weight, net[7].weight])
    assert all(gradient.any() for gradient in gradients)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
def test_a_scripted_network_is_refused():
    scripted = torch.jit.script(nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 3)))
    with pytest.raises(ValueError, match=r"A scripted module cannot be attributed with .*create_graph=True"):
        graph_of(Gradient(), scripted, torch.randn(3, 3))


# --- without it nothing is kept


@pytest.mark.parametrize("method", DIFFERENTIABLE, ids=repr)
def test_no_graph_is_kept_unless_it_is_asked_for(method):
    net, x, alive = smooth(), images(requires_grad=True), []

    class Watched(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.held = Held()
            alive.append(weakref.ref(ctx.held))
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient

    class Held:
        pass

    class Layer(nn.Module):
        def forward(self, x):
            return Watched.apply(x)

    net[3] = Layer()
    map_ = method(net, x, Y, target=TrueClass(), generator=seeded())
    gc.collect()
    assert not map_.requires_grad
    assert alive
    assert not any(reference() for reference in alive)
    kept = graph_of(method, net, x)
    assert any(reference() for reference in alive)
    assert kept.requires_grad


def test_the_passes_are_the_same():
    def passes(**asked):
        net = smooth()
        counted = []
        net.register_forward_pre_hook(lambda *_: counted.append(1))
        IntegratedGradients(steps=4, batch_size=2)(net, images(), Y, target=TrueClass(), **asked)
        return len(counted)

    assert passes() == passes(create_graph=True) == 3


# --- a penalty on the pass that training makes anyway


def test_gradient_of_uses_the_pass_that_training_makes():
    net, x = smooth().eval(), images(requires_grad=True)
    losses = functional.cross_entropy(net(x), Y, reduction="none")
    map_ = gradient_of(losses, x, create_graph=True)
    wanted = graph_of(Gradient(), net, images(), target=Loss(), criterion=nn.CrossEntropyLoss())
    assert torch.equal(map_, wanted)
    parameters = list(net.parameters())
    got = torch.autograd.grad(losses.mean() + penalty(map_), parameters)
    loss = functional.cross_entropy(net(images()), Y)
    for a, b in zip(got, torch.autograd.grad(loss + penalty(wanted), parameters), strict=True):
        torch.testing.assert_close(a, b)


def test_gradient_of_frees_the_graph_unless_it_is_to_be_kept():
    net, x = smooth().eval(), images(requires_grad=True)
    values = net(x).gather(1, Y[:, None])[:, 0]
    assert not gradient_of(values, x).requires_grad
    with pytest.raises(RuntimeError, match="second time"):
        values.sum().backward()


def test_asking_with_a_graph_restores_the_buffers_themselves():
    net = smooth()
    before = [(buffer, buffer._version) for buffer in net.buffers()]
    with asking(net, "eval", create_graph=True):
        assert all(a is not b for (a, _), b in zip(before, net.buffers(), strict=True))
    assert all(a is b and a._version == v for (a, v), b in zip(before, net.buffers(), strict=True))


def test_a_linear_models_map_is_its_weights():
    net, x = linear(4, 3), torch.randn(3, 4, dtype=torch.float64)
    Gradient()(net, x, Y, target=TrueClass(), create_graph=True).sum().backward()
    assert torch.equal(net.weight.grad, torch.ones(3, 4, dtype=torch.float64))
    assert net.bias.grad is None or not net.bias.grad.any()
