"""What all attribution methods share."""

import numpy as np
import pytest
import torch

from skaba.attribution import (
    IBA,
    LRP,
    AttributionMethod,
    DeepLift,
    FeatureAblation,
    Gradient,
    HillClimbing,
    InputXGradient,
    IntegratedGradients,
    Loss,
    MicroBatches,
    PredictedClass,
    RandomMap,
    SmoothGrad,
    TimesInput,
    TrueClass,
    VarGrad,
    attributed,
)
from skaba.attribution._method import protected
from skaba.network import FromLayer, normal_like, per_sample, repeat, rows_of
from tests.tiny_nets import linear, seeded

METHODS = [
    Gradient(),
    InputXGradient(),
    IntegratedGradients(steps=3),
    SmoothGrad(InputXGradient(), samples=2),
    RandomMap(),
]


@pytest.mark.parametrize("method", METHODS, ids=repr)
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_an_input_of_integers_is_refused(method, dtype):
    with pytest.raises(TypeError, match=rf"floating-point input, got {dtype}.*layer='embedding'"):
        method(lambda x: x, torch.ones(2, 3).to(dtype), target=PredictedClass(), generator=seeded())


def test_the_target_gets_everything_it_may_need():
    seen = []

    def target(logits, y, *, criterion, generator):
        seen.append((logits.requires_grad, logits.shape, y, criterion, generator))
        return lambda logits: logits[:, 0]

    x, y, generator, criterion = torch.zeros(2, 3), torch.tensor([0, 1]), seeded(), torch.nn.MSELoss()
    Gradient()(lambda x: 2 * x, x, y, target=target, criterion=criterion, generator=generator)
    assert seen == [(False, (2, 3), y, criterion, generator)]


def test_a_subclass_writes_one_method():
    class Occlude(AttributionMethod):
        def _attribute(self, model, x, fix, generator):
            assert not model.training
            with torch.no_grad():
                return x - fix(model(x))(model(x))[:, None]

    net = linear(2, 2)
    x = torch.ones(1, 2, dtype=torch.float64)
    assert torch.equal(Occlude()(net, x, target=PredictedClass()), x - net(x).max().detach())


def test_the_base_class_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        AttributionMethod()


def test_repeat_stacks_whole_batches():
    x = torch.arange(6).reshape(2, 3)
    assert torch.equal(repeat(x, 2), torch.cat([x, x]))
    assert repeat(torch.zeros(2, 3, 4, 5), 3).shape == (6, 3, 4, 5)


def test_per_sample_broadcasts_over_samples():
    values = per_sample(torch.tensor([2.0, 3.0]), torch.ones(2, 4, 5))
    assert (torch.ones(2, 4, 5) * values).sum(dim=(1, 2)).tolist() == [40.0, 60.0]


def test_normal_like_draws_from_the_generator():
    x = torch.zeros(50, 40, dtype=torch.float64)
    noise = normal_like(x, seeded(1))
    assert noise.dtype == x.dtype
    assert torch.equal(noise, normal_like(x, seeded(1)))
    assert not torch.equal(noise, normal_like(x, seeded(2)))
    assert torch.equal(noise, torch.randn(50, 40, generator=seeded(1), dtype=torch.float64))


def test_normal_like_seeds_a_generator_on_another_device():
    # No accelerator here: one is played by a generator that only says it lives elsewhere.
    class Elsewhere:
        type = "elsewhere"

    class Spy(torch.Generator):
        device = Elsewhere()

    spy = Spy().manual_seed(3)
    first, second = (normal_like(torch.zeros(4, 5), spy) for _ in range(2))
    again = normal_like(torch.zeros(4, 5), Spy().manual_seed(3))
    seed = int(torch.randint(2**62, (), generator=seeded(3)))
    assert torch.equal(first, torch.randn(4, 5, generator=seeded(seed)))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_normal_like_on_a_gpu_follows_the_cpu_generator():
    x = torch.zeros(4, 5, device="cuda")
    assert torch.equal(normal_like(x, seeded(1)), normal_like(x, seeded(1)))
    assert normal_like(x, seeded(1)).device == x.device


def test_rows_of_an_ordinary_model_is_the_model():
    net = linear()
    assert rows_of(net, torch.tensor([1])) is net


# --- the door that every result passes


class Own(AttributionMethod):
    """An own method without about; what it returns is given."""

    def __init__(self, result=None):
        self.result = result

    def _attribute(self, model, x, fix, generator):
        return self.result(x)


BAD = {
    "None": (lambda x: None, "returned a NoneType"),
    "NumPy": (lambda x: x.numpy(), "returned a ndarray"),
    "a list": (lambda x: x.tolist(), "returned a list"),
    "a number per sample": (lambda x: x[:, 0], r"returned a tensor of shape \(3,\) for a batch of shape \(3, 4\)"),
    "one map": (lambda x: x[0], r"returned a tensor of shape \(4,\)"),
    "NaN": (
        lambda x: x / torch.tensor([[1.0], [0.0], [1.0]]) * 0,
        "for 1 of 3 samples, .* sample 1 of",
    ),
    "infinity": (lambda x: x / torch.tensor([[1.0], [0.0], [0.0]]), "NaN or infinity for 2 of 3"),
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("kind", ["subclass", "in SmoothGrad", "in TimesInput", "in MicroBatches", "in VarGrad"])
def test_what_is_no_map_is_refused_and_the_method_named(kind, bad):
    result, message = BAD[bad]

    def own_function(model, x, y=None, *, target, criterion=None, generator=None):
        return result(x)

    method, name = {
        "subclass": (Own(result), r"Own\("),
        "in SmoothGrad": (SmoothGrad(own_function, samples=1, noise=0.0), "own_function"),
        "in VarGrad": (VarGrad(own_function, samples=1, noise=0.0), "own_function"),
        "in TimesInput": (TimesInput(own_function), "own_function"),
        "in MicroBatches": (MicroBatches(own_function, batch_size=3), "own_function"),
    }[kind]
    with pytest.raises(ValueError, match=f"(?s){name}.*{message}"):
        method(linear(4, 2), torch.ones(3, 4).double(), target=PredictedClass(), generator=seeded())


@pytest.mark.parametrize(
    ("own", "message"),
    [
        (
            lambda x: x,
            r"attribution=<function .* must be callable as attribution\(model, x, y, \*, target, criterion, gen",
        ),
        (Gradient, r"attribution=Gradient is a class: pass an instance, Gradient\(\.\.\.\)"),
        (3, "must be callable as|must be a callable"),
    ],
)
def test_what_is_no_method_is_named(own, message):
    net, x = linear(4, 2), torch.randn(3, 4, dtype=torch.float64)
    with pytest.raises((TypeError, ValueError), match=message):
        attributed(own, net, x, target=PredictedClass())
    for method in (SmoothGrad(own), TimesInput(own), MicroBatches(own)):
        with pytest.raises((TypeError, ValueError), match=message):
            method(net, x, target=PredictedClass(), generator=seeded())


def test_an_error_inside_an_own_function_is_its_own():
    def own(model, x, y, *, target, criterion, generator):
        return len(None)

    with pytest.raises(TypeError, match="object of type 'NoneType' has no len"):
        attributed(own, linear(), torch.randn(3, 20), target=PredictedClass())


def test_maps_are_detached():
    def own(model, x, y, *, target, criterion, generator):
        return x * model.weight[0]

    net, x = linear(4, 2), torch.randn(3, 4, dtype=torch.float64)
    assert not attributed(own, net, x, target=PredictedClass()).requires_grad
    assert not Own(lambda x: x * net.weight[0])(net, x, target=PredictedClass()).requires_grad


def test_an_own_function_that_returns_a_map_is_as_good_as_a_method():
    def own(model, x, y=None, *, target, criterion=None, generator=None):
        return 2 * Gradient()(model, x, y, target=target, criterion=criterion, generator=generator)

    net, x = linear(4, 2), torch.randn(3, 4, dtype=torch.float64)
    for method in (SmoothGrad(own), MicroBatches(own, batch_size=2)):
        map_ = method(net, x, target=PredictedClass(), generator=seeded())
        torch.testing.assert_close(map_, 2 * Gradient()(net, x, target=PredictedClass()))


def test_large_maps_are_maps():
    # Their sum overflows, none of their values does.
    large = Own(lambda x: torch.full_like(x, 3e38))
    assert large(linear(4, 2), torch.ones(3, 4), target=PredictedClass()).isfinite().all()


def test_a_network_that_has_diverged_is_named_as_a_reason():
    net = torch.nn.Linear(4, 2)
    net.weight.data[:] = torch.nan
    with pytest.raises(ValueError, match=r"Gradient\(\) returned a map with NaN .* training has diverged: lower lr"):
        Gradient()(net, torch.ones(3, 4), target=PredictedClass())
    view = FromLayer(torch.nn.Sequential(torch.nn.Linear(4, 4), net), "0", torch.ones(3, 4))
    with pytest.raises(ValueError, match=r"Gradient\(\) returned a map with NaN"):
        Gradient().at_layer(view, target=PredictedClass())


def test_an_own_method_needs_no_about():
    assert Own().about.forward == "?"


# --- inputs, labels and targets


@pytest.mark.parametrize("method", [Gradient(), MicroBatches()], ids=repr)
@pytest.mark.parametrize("x", [np.ones((3, 4)), [[1.0, 2.0]], None], ids=["NumPy", "list", "None"])
def test_x_must_be_a_tensor(method, x):
    with pytest.raises(TypeError, match=r"takes a torch\.Tensor as x, got a (ndarray|list|NoneType)"):
        method(linear(4, 2), x, target=PredictedClass())


@pytest.mark.parametrize(
    "y", [[0, 1, 1], (0, 1, 1), np.array([0, 1, 1]), np.array([0, 1, 1], dtype=np.uint8)], ids=repr
)
@pytest.mark.parametrize("method", [Gradient(), MicroBatches(batch_size=2)], ids=repr)
def test_labels_may_be_lists_and_arrays(method, y):
    net, x = linear(4, 2), torch.randn(3, 4, dtype=torch.float64)
    for asked in ({"target": TrueClass()}, {"target": Loss(), "criterion": torch.nn.CrossEntropyLoss()}):
        if getattr(y, "dtype", None) == np.uint8 and "criterion" in asked:
            continue  # cross-entropy wants int64
        wanted = method(net, x, torch.tensor([0, 1, 1]), **asked)
        assert torch.equal(method(net, x, y, **asked), wanted)
    view = FromLayer(torch.nn.Sequential(torch.nn.Identity(), net), "0", x)
    assert torch.equal(Gradient().at_layer(view, y, target=TrueClass()), Gradient()(net, x, y, target=TrueClass()))


@pytest.mark.parametrize("y", [["no", "yes", "no"], np.array(["a", "b", "c"]), [[0], [1, 2], [3]]], ids=repr)
def test_labels_that_are_no_numbers_are_refused(y):
    with pytest.raises(ValueError, match="y must hold numbers"):
        Gradient()(linear(4, 2), torch.randn(3, 4, dtype=torch.float64), y, target=TrueClass())


def per_row(values):
    return lambda logits, y, *, criterion=None, generator=None: values


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (PredictedClass, TypeError, r"target=PredictedClass is a class: pass an instance"),
        (lambda logits: logits[:, 0], TypeError, r"must be callable as target\(logits, y, \*, crit"),
        ("Loss", TypeError, r"target='Loss' must be callable as"),
        (per_row(3), TypeError, r"returned a int; it must return a score"),
        (per_row(torch.ones(3)), TypeError, "returned a Tensor; it must return a score"),
        (per_row(lambda logits: logits), ValueError, r"score returned shape \(\d+, 2\) for logits of shape \(\d+, 2\)"),
        (per_row(lambda logits: logits.sum()), ValueError, r"score returned shape \(\) for"),
        (per_row(lambda logits: None), ValueError, r"score returned a NoneType for"),
        (per_row(lambda logits: logits.detach().numpy()[:, 0]), ValueError, r"score returned a ndarray for"),
    ],
)
@pytest.mark.parametrize(
    "method",
    [
        Gradient(),
        IntegratedGradients(2),
        SmoothGrad(samples=2),
        HillClimbing(),
        LRP(),
        FeatureAblation(),
        IBA(),
        DeepLift(),
    ],
    ids=lambda method: type(method).__name__,
)
def test_what_is_no_target_is_named(method, target, error, message):
    with pytest.raises(error, match=message):
        method(linear(4, 2), torch.randn(3, 4, dtype=torch.float64), target=target, generator=seeded())


def test_an_error_inside_a_target_is_its_own():
    def target(logits, y, *, criterion, generator):
        return len(None)

    with pytest.raises(TypeError, match="object of type 'NoneType' has no len"):
        Gradient()(linear(4, 2), torch.randn(3, 4, dtype=torch.float64), target=target)


@pytest.mark.parametrize("y", [[0, 1, 2], [0, -1, 1], [7, 0, 0]])
def test_a_label_that_the_model_does_not_have_is_named(y):
    with pytest.raises(ValueError, match=rf"y holds labels from {min(y)} to {max(y)}, but the model returns 2 logits"):
        Gradient()(linear(4, 2), torch.randn(3, 4, dtype=torch.float64), y, target=TrueClass())


def test_a_method_that_does_not_keep_a_parameter_is_named():
    class Forgetful(AttributionMethod):
        def __init__(self, k=3):
            self.kept = k

        def _attribute(self, model, x, fix, generator):
            return x[:, :2]

    with pytest.raises(ValueError, match=r"Forgetful returned a tensor of shape \(3, 2\)"):
        Forgetful()(linear(4, 2), torch.randn(3, 4), target=PredictedClass())
    with pytest.raises(AttributeError, match=r"Forgetful does not keep a parameter .*'k'.* self\.name = name"):
        SmoothGrad(Forgetful())(linear(4, 2), torch.randn(3, 4), target=PredictedClass(), generator=seeded())


def in_place(model, x, y, *, target, criterion, generator):
    return x.mul_(100)


class InPlace(AttributionMethod):
    def _attribute(self, model, x, fix, generator):
        return x.mul_(100)


@pytest.mark.parametrize(
    "own", [in_place, InPlace(), MicroBatches(in_place, batch_size=2)], ids=["function", "class", "parts"]
)
def test_an_own_method_may_write_into_what_it_is_given(own):
    x = torch.randn(3, 4, generator=seeded())
    before = x.clone()
    map_ = attributed(own, linear(4, 2), x, target=PredictedClass())
    assert torch.equal(x, before)
    assert torch.equal(map_, 100 * before)


def test_a_method_of_skaba_is_given_the_batch_without_a_copy():
    x = torch.randn(3, 4)
    assert protected(x, Gradient()) is x
    assert protected(x, in_place) is not x


@pytest.mark.parametrize("dtype", [torch.bool, torch.complex64], ids=str)
def test_a_map_holds_real_numbers(dtype):
    x = torch.randn(3, 4, dtype=torch.float64)
    for method in (Own(lambda x: x.to(dtype)), lambda model, x, y, *, target, criterion, generator: x.to(dtype)):
        with pytest.raises(ValueError, match=rf"returned a map of {dtype}; it must hold real numbers"):
            attributed(method, linear(4, 2), x, target=PredictedClass())
