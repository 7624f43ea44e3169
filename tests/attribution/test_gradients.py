"""Gradient methods against closed forms and captum."""

import captum.attr
import numpy as np
import pytest
import torch

from skaba.attribution import Gradient, InputXGradient, IntegratedGradients, TrueClass
from skaba.network import FromLayer
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


def test_gradients_at_an_embedding_are_captums():
    net, ids, y = TextNet().eval(), words(), torch.tensor([0, 1, 2, 0])
    view = FromLayer(net, "embedding", ids)
    hidden = view.features()
    oracle = captum.attr.LayerGradientXActivation(net, net.embedding, multiply_by_inputs=False)
    close(Gradient()(view, hidden, y, target=TrueClass()), oracle.attribute(ids, target=y).detach())
    oracle = captum.attr.LayerGradientXActivation(net, net.embedding)
    close(InputXGradient()(view, hidden, y, target=TrueClass()), oracle.attribute(ids, target=y).detach())
    oracle = captum.attr.LayerIntegratedGradients(net, net.embedding)
    wanted = oracle.attribute(ids, baselines=torch.zeros_like(ids), target=y, n_steps=12, method="gausslegendre")
    close(IntegratedGradients(steps=12)(view, hidden, y, target=TrueClass()), wanted.detach().to(hidden.dtype))
