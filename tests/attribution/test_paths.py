"""Methods that gather gradients along paths, against closed forms and captum."""

import captum.attr
import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skaba._validation import validate_parameters
from skaba.attribution import (
    ExpectedGradients,
    Gradient,
    InputXGradient,
    IntegratedGradients,
    Loss,
    PredictedClass,
    SmoothGrad,
    TrueClass,
)
from skaba.network import FromLayer
from tests.tiny_nets import TextNet, conv_net, images, linear, mlp, seeded, words

LABELS = torch.tensor([1, 0, 2])
CASES = [
    pytest.param(conv_net, images(), LABELS, id="conv"),
    pytest.param(mlp, torch.randn(3, 6, generator=seeded(8)), LABELS, id="mlp"),
]


def close(got, wanted):
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5 * wanted.abs().max().item())


# --- IntegratedGradients


@pytest.mark.parametrize("steps", [1, 7, 20])
@pytest.mark.parametrize("baseline", [0.0, -0.7])
@pytest.mark.parametrize(("make", "x", "y"), CASES)
def test_integrated_gradients_are_captums(make, x, y, baseline, steps):
    got = IntegratedGradients(steps=steps, baseline=baseline)(make(), x, y, target=TrueClass())
    oracle = captum.attr.IntegratedGradients(make().eval())
    wanted = oracle.attribute(x, baselines=baseline, target=y, n_steps=steps, method="gausslegendre")
    close(got, wanted.detach().to(x.dtype))


@pytest.mark.parametrize("baseline", [0.0, 0.3])
@pytest.mark.parametrize(
    ("steps", "rectifier", "error"), [(60, nn.Tanh, 1e-9), (400, nn.ReLU, 1e-2)], ids=["smooth", "kinks"]
)
def test_integrated_gradients_are_complete(baseline, steps, rectifier, error):
    net = nn.Sequential(nn.Linear(6, 16), rectifier(), nn.Linear(16, 8), rectifier(), nn.Linear(8, 4)).double()
    x, y = torch.randn(5, 6, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 0])
    map_ = IntegratedGradients(steps=steps, baseline=baseline)(net, x, y, target=TrueClass())
    difference = (net(x) - net(torch.full_like(x, baseline))).gather(1, y[:, None])[:, 0].detach()
    torch.testing.assert_close(map_.sum(1), difference, rtol=error, atol=error)


def test_quadrature_is_exact_for_polynomials():
    # n points integrate polynomials up to degree 2n - 1: x^6 has a gradient of degree 5.
    x = torch.tensor([[1.5, -2.0]], dtype=torch.float64)
    model = lambda x: (x**6).sum(1, keepdim=True)  # noqa: E731
    torch.testing.assert_close(IntegratedGradients(steps=3)(model, x, target=PredictedClass()), x**6)
    assert not torch.allclose(IntegratedGradients(steps=2)(model, x, target=PredictedClass()), x**6)


@pytest.mark.parametrize("target", [TrueClass(), PredictedClass(), Loss()], ids=repr)
@pytest.mark.parametrize("at_once", [1, 3, 7, 100])
def test_the_batch_size_changes_nothing_of_steps(at_once, target):
    net, x, y = conv_net().eval(), images(), torch.tensor([4, 0, 1])
    criterion = nn.CrossEntropyLoss()
    wanted = IntegratedGradients(steps=7, batch_size=2)(net, x, y, target=target, criterion=criterion)
    got = IntegratedGradients(steps=7, batch_size=at_once)(net, x, y, target=target, criterion=criterion)
    close(got, wanted)


@pytest.mark.parametrize("at_once", [1, 2, 10])
def test_steps_share_passes(at_once):
    batches = []

    def model(x):
        batches.append(len(x))
        return x

    IntegratedGradients(steps=5, batch_size=at_once)(model, torch.zeros(3, 2), target=PredictedClass())
    assert sum(batches[1:]) == 15
    assert max(batches[1:]) == 3 * min(at_once, 5)
    assert batches[0] == 3  # the pass that fixes the target


@pytest.mark.parametrize("shape", [(2, 6, 6), (2, 1, 1), (1, 2, 6, 6), ()])
def test_baseline_may_be_a_tensor(shape):
    net, x, y = conv_net().eval(), images(), torch.tensor([1, 0, 2])
    baseline = torch.randn(shape, generator=seeded(1))
    got = IntegratedGradients(steps=6, baseline=baseline)(net, x, y, target=TrueClass())
    wanted = captum.attr.IntegratedGradients(net).attribute(
        x, baselines=baseline.expand_as(x).clone(), target=y, n_steps=6, method="gausslegendre"
    )
    close(got, wanted.detach().to(x.dtype))


def test_baseline_may_differ_by_sample():
    net, x, y = linear(), torch.randn(4, 20, dtype=torch.float64), torch.tensor([1, 0, 2, 2])
    baseline = torch.randn_like(x)
    map_ = IntegratedGradients(steps=3, baseline=baseline)(net, x, y, target=TrueClass())
    torch.testing.assert_close(map_, (x - baseline) * net.weight[y].detach())


def test_the_target_is_fixed_on_the_clean_input():
    # Class 1 wins on half of the path, class 0 at its end.
    model = lambda x: torch.cat([x**2, 1 - x], dim=1)  # noqa: E731
    x = torch.tensor([[2.0]])
    map_ = IntegratedGradients(steps=8)(model, x, target=PredictedClass())
    torch.testing.assert_close(map_, torch.tensor([[4.0]]))


# --- ExpectedGradients


def expected(model, x, y=None, target=None, seed=0, **parameters):
    target = target or TrueClass()
    return ExpectedGradients(**parameters)(model, x, y, target=target, criterion=nn.MSELoss(), generator=seeded(seed))


@pytest.mark.parametrize("background", [None, torch.randn(50, 20, generator=seeded(2)).double()], ids=["batch", "own"])
def test_expected_gradients_of_a_linear_model_are_those_of_the_mean_background(background):
    net, x, y = linear(), torch.randn(8, 20, dtype=torch.float64), torch.arange(8) % 5
    reference = (x if background is None else background).mean(0)
    map_ = expected(net, x, y, background=background, samples=4000, batch_size=500)
    # The baselines' deviation is near 1: a mean of 4000 is known to about 1/60 of a weight, and weights are below 1/4.
    torch.testing.assert_close(map_, (x - reference) * net.weight[y].detach(), rtol=0, atol=0.02)


@pytest.mark.parametrize("kind", [torch.as_tensor, lambda rows: rows.numpy()], ids=["tensor", "array"])
def test_expected_gradients_of_a_linear_model_with_one_baseline_are_exact(kind):
    net, x, y = linear(), torch.randn(8, 20, dtype=torch.float64), torch.arange(8) % 5
    background = torch.randn(1, 20)
    map_ = expected(net, x, y, background=kind(background), samples=3)
    torch.testing.assert_close(map_, (x - background.double()) * net.weight[y].detach())


def test_expected_gradients_are_the_mean_over_draws_written_out():
    net, x, y, background = conv_net().eval(), images(), LABELS, torch.randn(5, 2, 6, 6)
    got = expected(net, x, y, background=background, samples=7, seed=4)
    generator, total = seeded(4), torch.zeros_like(x)
    chosen = torch.randint(5, (7, 3), generator=generator)
    alpha = torch.rand(7, 3, generator=generator)
    for k in range(7):
        for i in range(3):
            start = background[chosen[k, i]]
            point = (start + alpha[k, i] * (x[i] - start))[None]
            total[i] += (x[i] - start) * Gradient()(net, point, y[i : i + 1], target=TrueClass())[0]
    close(got, total / 7)


def test_expected_gradients_are_captums_gradient_shap_without_noise():
    net, x, background = mlp(), torch.randn(3, 6, generator=seeded(8)), torch.randn(10, 6, generator=seeded(9))
    got = expected(net, x, LABELS, background=background, samples=6000, batch_size=1000)
    oracle = captum.attr.GradientShap(net).attribute(x, background, n_samples=6000, stdevs=0.0, target=LABELS)
    torch.testing.assert_close(got, oracle.detach().to(got.dtype), rtol=0.05, atol=0.01)


def test_expected_gradients_are_integrated_ones_averaged_over_the_background():
    net, x, background = mlp(), torch.randn(3, 6, generator=seeded(8)), torch.randn(4, 6, generator=seeded(9))
    got = expected(net, x, LABELS, background=background, samples=6000, batch_size=1000)
    maps = [IntegratedGradients(50, row)(net, x, LABELS, target=TrueClass()) for row in background]
    torch.testing.assert_close(got, torch.stack(maps).mean(0), rtol=0.05, atol=0.01)


def test_expected_gradients_are_complete_in_expectation():
    net, x, background = mlp().double(), torch.randn(3, 6).double(), torch.randn(4, 6).double()
    map_ = expected(net, x, LABELS, background=background, samples=6000, batch_size=1000)
    score = lambda x: net(x)[:, LABELS].detach()  # noqa: E731
    torch.testing.assert_close(map_.sum(1), score(x).diagonal() - score(background).mean(0), rtol=0, atol=0.02)


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_the_batch_size_changes_nothing_of_draws(at_once):
    net, x = conv_net(), images()
    wanted = expected(net, x, LABELS, samples=7, batch_size=2)
    close(expected(net, x, LABELS, samples=7, batch_size=at_once), wanted)


def test_draws_share_passes():
    batches = []

    def model(x):
        batches.append(len(x))
        return x

    expected(model, torch.randn(3, 2), target=PredictedClass(), samples=5, batch_size=2)
    assert batches == [3, 6, 6, 3]


def test_a_batch_of_one_is_its_own_background():
    map_ = expected(conv_net(), images(1), LABELS[:1])
    assert torch.equal(map_, torch.zeros_like(map_))


@pytest.mark.parametrize("shape", [(20,), (4, 19), (4, 20, 1), (0, 20)])
def test_a_background_of_another_shape_is_refused(shape):
    message = r"background of ExpectedGradients has shape .* at least one sample of the same shape .*: \(m, 20\)"
    with pytest.raises(ValueError, match=message):
        expected(linear(), torch.zeros(2, 20).double(), LABELS[:2], background=torch.zeros(shape))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_expected_gradients_at_an_embedding(dtype):
    view = FromLayer(TextNet().to(dtype), "embedding", words())
    hidden = view.features()
    map_ = expected(view, hidden, target=PredictedClass(), background=torch.zeros(1, 7, 5), samples=2000)
    assert map_.dtype == dtype
    wanted = IntegratedGradients(60)(view, hidden, target=PredictedClass())
    torch.testing.assert_close(map_, wanted, rtol=0.05, atol=0.01)


@pytest.mark.parametrize("outputs", [1, 3], ids=["regression", "multi_label"])
def test_the_loss_can_be_a_target(outputs):
    # The loss is a function of x like any other: a model that returns it has the same map.
    net, x, y = linear(20, outputs), torch.randn(4, 20).double(), torch.randn(4, outputs).double()
    as_model = lambda x: ((net(x) - y.repeat(len(x) // 4, 1)) ** 2).mean(1, keepdim=True)  # noqa: E731
    for method in (IntegratedGradients(), ExpectedGradients()):
        got = method(net, x, y, target=Loss(), criterion=nn.MSELoss(), generator=seeded())
        torch.testing.assert_close(got, method(as_model, x, target=PredictedClass(), generator=seeded()))


# --- axioms


METHODS = [
    Gradient(),
    InputXGradient(),
    IntegratedGradients(steps=3),
    ExpectedGradients(samples=3),
    SmoothGrad(samples=3),
    SmoothGrad(IntegratedGradients(steps=2), samples=3),
]


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_methods_are_linear_in_the_model(method):
    first, second, x = conv_net().double().eval(), conv_net().double().eval(), images().double()
    nn.init.normal_(second[7].weight)
    both = lambda x: 2 * first(x) - 3 * second(x)  # noqa: E731
    maps = [method(net, x, LABELS, target=TrueClass(), generator=seeded()) for net in (first, second, both)]
    torch.testing.assert_close(2 * maps[0] - 3 * maps[1], maps[2])


@pytest.mark.parametrize("method", METHODS, ids=repr)
def test_methods_are_implementation_invariant(method):
    # Hidden units in another order, twice as large and halved again: the same function.
    net, x = mlp().double(), torch.randn(3, 6).double()
    same = mlp().double()
    order = torch.randperm(8, generator=seeded())
    with torch.no_grad():
        same[2].weight.copy_(2 * net[2].weight[order])
        same[2].bias.copy_(2 * net[2].bias[order])
        same[4].weight.copy_(net[4].weight[:, order] / 2)
    torch.testing.assert_close(same(x), net(x))
    maps = [method(net, x, LABELS, target=TrueClass(), generator=seeded()) for net in (net, same)]
    torch.testing.assert_close(*maps)


# --- manners


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            IntegratedGradients(steps=0),
            "'steps' parameter of IntegratedGradients must be an int in the range",
        ),
        (IntegratedGradients(steps=2.5), "Got 2.5 instead"),
        (IntegratedGradients(batch_size=0), "'batch_size' parameter .* Got 0 instead"),
        (IntegratedGradients(baseline="black"), "'baseline' parameter .* Got 'black' instead"),
        (ExpectedGradients(samples=0), "'samples' parameter of ExpectedGradients must be an int in the range"),
        (ExpectedGradients(batch_size=0), "'batch_size' parameter of ExpectedGradients"),
        (ExpectedGradients(background="black"), "'background' parameter .* Got 'black' instead"),
    ],
)
def test_bad_parameters_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        validate_parameters(wrong)


def test_parameters_clone():
    baseline = torch.ones(2)
    copy = clone(IntegratedGradients(steps=3, baseline=baseline, batch_size=2))
    assert (copy.steps, copy.batch_size) == (3, 2)
    assert torch.equal(copy.baseline, baseline)
    background = np.ones((2, 3))
    copy = clone(ExpectedGradients(background, samples=4))
    assert copy.samples == 4
    assert np.array_equal(copy.background, background)
