"""Gradient methods against closed forms and captum."""

import captum.attr
import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from skaba._validation import validate_parameters
from skaba.attribution import (
    FromLayer,
    Gradient,
    InputXGradient,
    IntegratedGradients,
    Loss,
    PredictedClass,
    RandomTopClass,
    TrueClass,
)
from tests.tiny_nets import TextNet, conv_net, images, linear, mlp, seeded, words

LABELS = torch.tensor([1, 0, 2])
CASES = [
    pytest.param(conv_net, images(), LABELS, id="conv"),
    pytest.param(mlp, torch.randn(3, 6, generator=seeded(8)), LABELS, id="mlp"),
]


def leaf(x):
    return x.clone().requires_grad_()


def close(got, wanted):
    torch.testing.assert_close(got, wanted, rtol=1e-5, atol=1e-5 * wanted.abs().max().item())


@pytest.mark.parametrize("bias", [False, True])
def test_maps_of_a_linear_model_are_its_weights(bias):
    net = linear(bias=bias)
    weight = net.weight.detach().numpy()
    x, y = torch.randn(4, 20, dtype=torch.float64), torch.tensor([3, 0, 4, 3])
    gradient = np.array([[weight[label, d] for d in range(20)] for label in y])
    np.testing.assert_allclose(Gradient()(net, x, y, target=TrueClass()), gradient, rtol=1e-15)
    for method in (InputXGradient(), IntegratedGradients(steps=1)):
        np.testing.assert_allclose(method(net, x, y, target=TrueClass()), gradient * x.numpy(), rtol=1e-12)


@pytest.mark.parametrize(("make", "x", "y"), CASES)
def test_gradient_is_captums_saliency(make, x, y):
    got = Gradient()(make(), x, y, target=TrueClass())
    close(got, captum.attr.Saliency(make().eval()).attribute(leaf(x), target=y, abs=False))


@pytest.mark.parametrize(("make", "x", "y"), CASES)
def test_input_x_gradient_is_captums(make, x, y):
    got = InputXGradient()(make(), x, y, target=TrueClass())
    close(got, captum.attr.InputXGradient(make().eval()).attribute(leaf(x), target=y).detach())


@pytest.mark.parametrize("steps", [1, 7, 20])
@pytest.mark.parametrize("baseline", [0.0, -0.7])
@pytest.mark.parametrize(("make", "x", "y"), CASES)
def test_integrated_gradients_are_captums(make, x, y, baseline, steps):
    got = IntegratedGradients(steps=steps, baseline=baseline)(make(), x, y, target=TrueClass())
    oracle = captum.attr.IntegratedGradients(make().eval())
    wanted = oracle.attribute(x, baselines=baseline, target=y, n_steps=steps, method="gausslegendre")
    close(got, wanted.detach().to(x.dtype))


def test_gradients_at_an_embedding_are_captums():
    net, ids, y = TextNet().eval(), words(), torch.tensor([0, 1, 2, 0])
    rest = FromLayer(net, "embedding", ids)
    hidden = rest.features()
    oracle = captum.attr.LayerGradientXActivation(net, net.embedding, multiply_by_inputs=False)
    close(Gradient()(rest, hidden, y, target=TrueClass()), oracle.attribute(ids, target=y).detach())
    oracle = captum.attr.LayerGradientXActivation(net, net.embedding)
    close(InputXGradient()(rest, hidden, y, target=TrueClass()), oracle.attribute(ids, target=y).detach())
    oracle = captum.attr.LayerIntegratedGradients(net, net.embedding)
    wanted = oracle.attribute(ids, baselines=torch.zeros_like(ids), target=y, n_steps=12, method="gausslegendre")
    close(IntegratedGradients(steps=12)(rest, hidden, y, target=TrueClass()), wanted.detach().to(hidden.dtype))


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
def test_steps_at_once_change_nothing(at_once, target):
    net, x, y = conv_net().eval(), images(), torch.tensor([4, 0, 1])
    criterion = nn.CrossEntropyLoss()
    wanted = IntegratedGradients(steps=7, steps_at_once=2)(net, x, y, target=target, criterion=criterion)
    got = IntegratedGradients(steps=7, steps_at_once=at_once)(net, x, y, target=target, criterion=criterion)
    close(got, wanted)


@pytest.mark.parametrize("at_once", [1, 2, 10])
def test_steps_share_passes(at_once):
    batches = []

    def model(x):
        batches.append(len(x))
        return x

    IntegratedGradients(steps=5, steps_at_once=at_once)(model, torch.zeros(3, 2), target=PredictedClass())
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


@pytest.mark.parametrize("method", [Gradient(), InputXGradient(), IntegratedGradients(steps=3)], ids=repr)
def test_samples_do_not_touch_each_other(method):
    net, x, y = conv_net(), images(4), torch.tensor([0, 1, 2, 3])
    order = torch.tensor([2, 0, 3, 1])
    close(method(net, x[order], y[order], target=TrueClass()), method(net, x, y, target=TrueClass())[order])


@pytest.mark.parametrize("method", [Gradient(), InputXGradient(), IntegratedGradients(steps=3)], ids=repr)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_maps_have_the_inputs_dtype(method, dtype):
    net, x = conv_net().to(dtype), images().to(dtype)
    assert method(net, x, target=RandomTopClass(2), generator=seeded()).dtype == dtype


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            IntegratedGradients(steps=0),
            "'steps' parameter of IntegratedGradients must be an int in the range",
        ),
        (IntegratedGradients(steps=2.5), "Got 2.5 instead"),
        (IntegratedGradients(steps_at_once=0), "'steps_at_once' parameter .* Got 0 instead"),
        (IntegratedGradients(baseline="black"), "'baseline' parameter .* Got 'black' instead"),
    ],
)
def test_bad_parameters_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        validate_parameters(wrong)


def test_parameters_clone():
    baseline = torch.ones(2)
    copy = clone(IntegratedGradients(steps=3, baseline=baseline, steps_at_once=2))
    assert (copy.steps, copy.steps_at_once) == (3, 2)
    assert torch.equal(copy.baseline, baseline)
