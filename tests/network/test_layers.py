"""FromLayer: a network seen from one of its layers."""

import pytest
import torch
from torch import nn

from skaba.attribution import Gradient, IntegratedGradients, PredictedClass, TrueClass
from skaba.network import FromLayer, WithArguments, find_layer, rows_of, watched
from skaba.network._layers import call, count
from skaba.testing import trace_of
from tests.tiny_nets import TextNet, conv_net, images, seeded, words

CONV_LAYERS = ["0", "1", "2", "3", "4", "5", "6"]


def captured(net, layer, *args, **kwargs):
    """The oracle: a hook of the test's own, in evaluation mode."""
    seen = []
    handle = dict(net.named_modules())[layer].register_forward_hook(lambda *a: seen.append(a[2].detach().clone()))
    with torch.no_grad():
        net.eval()(*args, **kwargs)
    handle.remove()
    (output,) = seen
    return output


class Counted(nn.Module):
    """A linear layer that counts its calls."""

    def __init__(self, n_in, n_out):
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return self.linear(x)


class Two(nn.Module):
    """Two inputs by name, and a further argument."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.output = nn.Linear(3, 4), nn.Linear(2, 4), nn.Linear(4, 2)

    def forward(self, a, b, scale=1.0):
        return self.output(self.left(a).tanh() * scale + self.right(b))


class Odd(nn.Module):
    """Layers that no change can be made at."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True)
        self.ids = Rank()
        self.words = nn.Embedding(4, 4)
        self.unused = nn.Linear(4, 4)
        self.twice = nn.Linear(4, 4)
        self.output = nn.Linear(4, 2)

    def forward(self, x):
        hidden = self.lstm(x)[0].mean(1)
        return self.output(self.twice(self.twice(hidden)) + self.words(self.ids(hidden)))


class Rank(nn.Module):
    def forward(self, x):
        return x.argmax(1)


# --- features()


@pytest.mark.parametrize("layer", CONV_LAYERS)
def test_features_are_what_a_hook_captures(layer):
    net, x = conv_net(), images()
    before = trace_of(net)
    hidden = FromLayer(net, layer, x).features()
    assert trace_of(net) == before
    assert not hidden.requires_grad
    assert torch.equal(hidden, captured(net, layer, x))


def test_features_of_a_nested_layer():
    net = nn.ModuleDict({"body": nn.Sequential(nn.Linear(3, 4), nn.ReLU())})
    net.forward = lambda x: net["body"](x) * 2
    x = torch.randn(2, 3)
    assert torch.equal(FromLayer(net, "body.0", x).features(), captured(net, "body.0", x))


def test_the_pass_ends_at_the_layer():
    net = nn.Sequential(Counted(3, 4), nn.ReLU(), Counted(4, 2))
    FromLayer(net, "1", torch.zeros(5, 3)).features()
    assert (net[0].calls, net[2].calls) == (1, 0)


def test_a_users_own_hook_still_counts():
    net, x = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2)), torch.randn(4, 3)
    plain = FromLayer(net, "0", x).features()
    net[0].register_forward_hook(lambda module, args, output: output + 1)
    rest = FromLayer(net, "0", x)
    assert torch.equal(rest.features(), plain + 1)
    torch.testing.assert_close(rest(rest.features()), net(x))


# --- the rest of the network


@pytest.mark.parametrize("layer", CONV_LAYERS)
def test_the_rest_of_the_features_is_the_network(layer):
    net, x = conv_net().eval(), images()
    rest = FromLayer(net, layer, x)
    torch.testing.assert_close(rest(rest.features()), net(x))


@pytest.mark.parametrize("layer", CONV_LAYERS)
def test_variants_of_a_batch_follow_one_another(layer):
    net, x = conv_net().eval(), images()
    rest = FromLayer(net, layer, x)
    hidden = rest.features()
    got = rest(torch.cat([hidden, 2 * hidden, 0 * hidden]))
    torch.testing.assert_close(got, torch.cat([rest(hidden), rest(2 * hidden), rest(0 * hidden)]))


def test_variants_repeat_the_other_inputs():
    net, a, b = Two().eval(), torch.randn(3, 3), torch.randn(3, 2)
    rest = FromLayer(net, "left", {"a": a, "b": b})
    hidden = rest.features()
    torch.testing.assert_close(rest(torch.cat([hidden, hidden])), net(a, b).repeat(2, 1))


def test_a_rectifier_may_work_in_place_on_the_layers_output():
    net, ids, y = TextNet().eval(), words(), torch.tensor([0, 1, 2, 0])
    rest = FromLayer(net, "convolution", ids)
    hidden = rest.features()
    copy = hidden.clone()
    map_ = Gradient()(rest, hidden, y, target=TrueClass())
    assert torch.equal(hidden, copy)
    assert (hidden < 0).any()
    assert torch.equal(map_ != 0, hidden > 0)  # a rectifier's gradient
    torch.testing.assert_close(rest(hidden), net(ids))


def test_gradients_reach_the_features_only():
    net = conv_net()
    rest = FromLayer(net, "2", images())
    hidden = rest.features().requires_grad_()
    rest(hidden).sum().backward()
    assert (hidden.grad != 0).any()
    assert net[0].weight.grad is None


def test_integrated_gradients_at_a_layer_are_complete():
    net, ids = TextNet().double().eval(), words()
    rest = FromLayer(net, "embedding", ids)
    hidden = rest.features()
    map_ = IntegratedGradients(steps=300, batch_size=30)(rest, hidden, target=PredictedClass())
    logits = net(ids)
    best = logits.argmax(1)
    difference = (logits - rest(torch.zeros_like(hidden))).gather(1, best[:, None])[:, 0]
    torch.testing.assert_close(map_.flatten(1).sum(1), difference.detach(), rtol=1e-2, atol=1e-3)


# --- padding


def test_padding_of_an_embedding():
    ids = words()
    ids[1, 2:] = 0
    rest = FromLayer(TextNet(), "embedding", ids)
    assert rest.padding is None
    hidden = rest.features()
    assert rest.padding.tolist() == [[word == 0 for word in row] for row in ids.tolist()]
    assert (hidden[rest.padding] == 0).all()


def test_no_padding_where_there_is_none():
    net = TextNet()
    net.embedding.padding_idx = None
    for layer in ("embedding", "convolution"):
        rest = FromLayer(net, layer, words())
        rest.features()
        assert rest.padding is None


# --- rows()


@pytest.mark.parametrize("index", [[1], [2, 0], [0, 1, 2, 2]])
def test_rows_ask_about_some_samples(index):
    net, a, b = Two().eval(), torch.randn(3, 3), torch.randn(3, 2)
    index = torch.tensor(index)
    some = rows_of(FromLayer(net, "left", {"a": a, "b": b}, {"scale": 2.0}), index)
    assert some.layer == "left"
    torch.testing.assert_close(some(some.features()), net(a, b, scale=2.0)[index])


def test_rows_of_a_single_tensor():
    net, x = conv_net().eval(), images()
    some = FromLayer(net, "3", x).rows(torch.tensor([2, 0]))
    torch.testing.assert_close(some.features(), captured(net, "3", x)[[2, 0]])


# --- further inputs and arguments


@pytest.mark.parametrize("layer", ["left", "right", "output"])
def test_inputs_by_name(layer):
    net, a, b = Two().eval(), torch.randn(3, 3), torch.randn(3, 2)
    rest = FromLayer(net, layer, {"b": b, "a": a}, {"scale": 0.5})
    hidden = rest.features()
    assert torch.equal(hidden, captured(net, layer, a, b, scale=0.5))
    torch.testing.assert_close(rest(hidden), net(a, b, scale=0.5))


class Pair(nn.Module):
    """Takes its inputs as one sequence, as skorch hands a list of arrays over."""

    def __init__(self):
        super().__init__()
        self.left = nn.Linear(3, 2)

    def forward(self, inputs):
        a, b = inputs
        return self.left(a) * b


def test_inputs_in_a_sequence():
    net, a, b = Pair(), torch.randn(4, 3), torch.randn(4, 2)
    rest = FromLayer(net, "left", [a, b])
    hidden = rest.features()
    torch.testing.assert_close(rest(torch.cat([hidden, hidden])), net([a, b]).repeat(2, 1))
    some = rest.rows(torch.tensor([2, 0]))
    torch.testing.assert_close(some(some.features()), net([a, b])[[2, 0]])


def test_arguments_reach_the_network():
    net, a, b = Two().eval(), torch.randn(3, 3), torch.randn(3, 2)
    fixed = WithArguments(net, {"b": b, "scale": 3.0})
    assert torch.equal(fixed(a), net(a, b, scale=3.0))
    map_ = Gradient()(fixed, a, target=PredictedClass())
    assert not torch.equal(map_, Gradient()(WithArguments(net, {"b": b}), a, target=PredictedClass()))
    assert [*fixed.parameters()] == [*net.parameters()]  # flags are set on the network itself


@pytest.mark.parametrize(
    "inputs",
    [torch.zeros(3, 2), [torch.zeros(3, 2), torch.zeros(3)], {"x": torch.zeros(3), "y": torch.zeros(3)}],
)
def test_count_of_samples(inputs):
    assert count(inputs) == 3


def test_call_as_skorch_does():
    class Echo(nn.Module):
        def forward(self, *args, **kwargs):
            return args, kwargs

    x = torch.zeros(1)
    assert call(Echo(), x, {"k": 1}) == ((x,), {"k": 1})
    assert call(Echo(), (x, x), {"k": 1}) == (((x, x),), {"k": 1})
    assert call(Echo(), {"x": x}, {"k": 1}) == ((), {"x": x, "k": 1})


# --- changed()


def test_changed_puts_its_result_once_a_pass():
    net, x = conv_net().eval(), images()
    rest = FromLayer(net, "3", x)
    hidden = rest.features()
    change = torch.randn(hidden.shape, generator=seeded())
    before, plain = trace_of(net), net(x)
    with rest.changed(lambda output: output + change):
        torch.testing.assert_close(net(x), rest_of(net, hidden + change))
        torch.testing.assert_close(net(x), rest_of(net, hidden + change))
    assert trace_of(net) == before
    assert torch.equal(net(x), plain)


def rest_of(net, hidden):
    return net[4:](hidden)


def test_gradients_flow_through_a_shift_to_the_layers_before():
    net, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), torch.randn(5, 3)
    change = torch.randn(5, 4)
    with FromLayer(net, "0", x).changed(lambda output: output + change):
        got = torch.autograd.grad(net(x).sum(), net[0].weight)[0]
    by_hand = net[2](torch.tanh(net[0](x) + change)).sum()
    torch.testing.assert_close(got, torch.autograd.grad(by_hand, net[0].weight)[0])


def test_a_shift_is_undone_after_an_exception():
    net = conv_net()
    before = trace_of(net)
    seen = []

    def fail():
        with FromLayer(net, "3", images()).changed(torch.clone):
            seen.append(trace_of(net))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen != [before]
    assert trace_of(net) == before


# --- the gradient of a step


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("layer", CONV_LAYERS)
def test_a_watched_layer_tells_the_gradient_at_its_changed_output(layer, frozen):
    net, x, seen = conv_net().eval(), images(), []
    net.requires_grad_(not frozen)
    rest = FromLayer(net, layer, x)
    hidden = rest.features()
    change = torch.randn(hidden.shape, generator=seeded())
    before = trace_of(net)
    with rest.changed(lambda output: watched(output + change, seen.append)):
        for scale in (1.0, 2.0):
            (scale * net(x).square().sum()).backward()
    net.zero_grad()
    leaf = (hidden + change).requires_grad_()
    rest(leaf).square().sum().backward()
    assert len(seen) == 2
    torch.testing.assert_close(seen[0], leaf.grad)
    torch.testing.assert_close(seen[1], 2 * leaf.grad)
    net.zero_grad()
    assert hooks_in(trace_of(net)) == hooks_in(before)


def hooks_in(trace):
    return {name: value for name, value in trace.items() if "hooks" in name}


def test_watching_a_layer_changes_no_gradient():
    x, gradients = images(), []
    for change in (lambda output: output + 0.1, lambda output: watched(output + 0.1, lambda gradient: None)):
        net = conv_net().eval()
        with FromLayer(net, "2", x).changed(change):
            net(x).square().sum().backward()
        gradients.append([parameter.grad for parameter in net.parameters()])
    assert all(torch.equal(*pair) for pair in zip(*gradients, strict=True))


def test_a_watched_layers_output_may_be_worked_on_in_place():
    net, ids, seen = TextNet(), words(), []
    rest = FromLayer(net, "convolution", ids)
    hidden = rest.features()
    with rest.changed(lambda output: watched(output, seen.append)):
        net(ids)[:, 0].sum().backward()
    net.act.inplace = False
    leaf = hidden.clone().requires_grad_()
    torch.testing.assert_close(seen[0], torch.autograd.grad(rest(leaf)[:, 0].sum(), leaf)[0])
    assert torch.equal(seen[0] != 0, hidden > 0)


def test_a_pass_without_gradients_is_not_watched():
    net, x = conv_net(), images()
    with FromLayer(net, "2", x).changed(lambda output: watched(output, pytest.fail)), torch.no_grad():
        assert not net(x).requires_grad


# --- the gradient in one pass


@pytest.mark.parametrize("layer", CONV_LAYERS)
def test_the_gradient_at_a_layer_in_one_pass_is_that_at_its_features(layer):
    net, x = conv_net().eval(), images()
    rest = FromLayer(net, layer, x)
    leaf = rest.features().requires_grad_()
    before = trace_of(net)
    wanted = torch.autograd.grad(rest(leaf).square().sum(), leaf)[0]
    assert torch.equal(rest.gradient(lambda logits: logits.square().sum(1)), wanted)
    assert trace_of(net) == before


def test_the_gradient_is_that_before_what_follows_works_in_place():
    net, ids = TextNet(), words()
    rest = FromLayer(net, "convolution", ids)
    assert net.act.inplace
    hidden = rest.features()
    assert torch.equal(rest.gradient(lambda logits: logits[:, 0]) != 0, hidden > 0)


def test_the_gradient_at_a_frozen_layer_that_runs_without_gradients():
    class Frozen(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x):
            with torch.no_grad():
                hidden = self.body(x)
            return self.head(hidden)

    net = Frozen()
    gradient = FromLayer(net, "body", torch.randn(5, 3)).gradient(lambda logits: logits[:, 1])
    assert torch.equal(gradient, net.head.weight[1].detach().expand(5, 4))


def test_the_gradient_in_one_pass_runs_the_network_once():
    net = nn.Sequential(Counted(3, 4), Counted(4, 2))
    FromLayer(net, "0", torch.randn(5, 3)).gradient(lambda logits: logits[:, 0])
    assert [layer.calls for layer in net] == [1, 1]


def test_no_gradient_at_a_layer_whose_output_is_not_used():
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(3, 2), nn.Linear(3, 2)

        def forward(self, x):
            self.unused(x)
            return self.used(x)

    with pytest.raises(ValueError, match="gradient does not reach the input"):
        FromLayer(Unused(), "unused", torch.randn(5, 3)).gradient(lambda logits: logits[:, 0])


class InPlace(nn.Module):
    """Works in place on what its first layer hands on, which is a view of the input."""

    def __init__(self):
        super().__init__()
        self.flat, self.out = nn.Flatten(), nn.Linear(4, 2)

    def forward(self, x):
        h = self.flat(x)
        h *= 2
        return self.out(h)


def test_asking_does_not_write_into_the_batch():
    x = torch.ones(3, 4)
    rest = FromLayer(InPlace(), "flat", x)
    rest.gradient(lambda logits: logits[:, 0])
    rest(rest.features())
    assert torch.equal(x, torch.ones(3, 4))


# --- what may be written into


def test_what_anothers_hook_made_of_an_embeddings_output_is_copied():
    """Autograd may have kept it."""
    net, ids = TextNet(), words()
    net.embedding.register_forward_hook(lambda module, args, output: torch.tanh(output))
    rest = FromLayer(net, "embedding", ids)
    output = rest.features()
    assert rest.writable(output) is not output


def test_an_embeddings_output_may_be_written_into_others_are_copied():
    net, ids = TextNet(), words()
    for layer, itself in (("embedding", True), ("convolution", False)):
        rest = FromLayer(net, layer, ids)
        output = rest.features()
        assert (rest.writable(output) is output) == itself


# --- errors


def test_an_unknown_layer_names_the_nearest():
    message = r"There is no layer named 'embeding'\. Did you mean 'embedding'\? Known: act, convolution, embedding"
    for use in (
        lambda rest: rest.features(),
        lambda rest: rest(torch.zeros(4, 7, 5)),
        lambda rest: rest.changed(torch.clone).__enter__(),
    ):
        with pytest.raises(ValueError, match=message):
            use(FromLayer(TextNet(), "embeding", words()))


def test_the_network_itself_is_no_layer():
    with pytest.raises(ValueError, match="no layer named ''"):
        find_layer(TextNet(), "")


def test_a_layer_that_is_never_reached():
    net, x = Odd(), torch.randn(2, 5, 3)
    before = trace_of(net)
    with pytest.raises(ValueError, match="never reaches layer='unused'; choose another layer"):
        FromLayer(net, "unused", x).features()
    with pytest.raises(ValueError, match="never reaches layer='unused'; choose another layer"):
        FromLayer(net, "unused", x)(torch.zeros(2, 4))
    assert trace_of(net) == before


def test_a_layer_that_is_called_twice():
    net, x = Odd(), torch.randn(2, 5, 3)
    before = trace_of(net)
    with pytest.raises(ValueError, match="layer='twice' is called 2 times in a forward pass, not once"):
        FromLayer(net, "twice", x)(torch.zeros(2, 4))
    assert trace_of(net) == before


@pytest.mark.parametrize(("layer", "what"), [("lstm", "a tuple"), ("ids", r"a tensor of torch\.int64")])
def test_a_layer_that_returns_no_float_tensor(layer, what):
    net, x = Odd(), torch.randn(2, 5, 3)
    before = trace_of(net)
    message = f"layer='{layer}' returns {what}; augmentation needs one floating-point tensor"
    with pytest.raises(ValueError, match=message):
        FromLayer(net, layer, x).features()
    assert trace_of(net) == before
