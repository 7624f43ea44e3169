"""SmoothGrad: the mean map of noisy copies."""

import captum.attr
import pytest
import torch
from torch import nn

from skaba._validation import validate_parameters
from skaba.attribution import (
    Gradient,
    InputXGradient,
    IntegratedGradients,
    Loss,
    PredictedClass,
    RandomTopClass,
    SmoothGrad,
    TrueClass,
)
from tests.tiny_nets import conv_net, images, linear, seeded

Y = torch.tensor([1, 0, 2])


@pytest.mark.parametrize("method", [Gradient(), InputXGradient(), IntegratedGradients(steps=4)], ids=repr)
@pytest.mark.parametrize("samples", [1, 3])
def test_without_noise_it_is_its_method(method, samples):
    net, x = conv_net(), images()
    smooth = SmoothGrad(method, samples=samples, noise=0)(net, x, Y, target=TrueClass(), generator=seeded())
    torch.testing.assert_close(smooth, method(net, x, Y, target=TrueClass()))


def test_a_linear_model_needs_no_smoothing():
    net, x = linear(), torch.randn(3, 20, dtype=torch.float64)
    smooth = SmoothGrad(noise=0.5)(net, x, Y, target=TrueClass(), generator=seeded())
    torch.testing.assert_close(smooth, net.weight[Y].detach())


def test_agrees_with_captums_noise_tunnel_on_a_quadratic():
    # The gradient of sum x^3 is 3 x^2; under noise of deviation d its mean is 3 (x^2 + d^2).
    model = lambda x: (x**3).sum(1, keepdim=True)  # noqa: E731
    x = torch.tensor([[0.0, 1.0, -2.0]], dtype=torch.float64)
    deviation = 0.2 * 3.0
    smooth = SmoothGrad(samples=4000, noise=0.2)(model, x, target=PredictedClass(), generator=seeded())
    torch.testing.assert_close(smooth, 3 * (x**2 + deviation**2), rtol=0.05, atol=0.1)
    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(model))
    oracle = tunnel.attribute(x.clone().requires_grad_(), nt_samples=4000, stdevs=deviation, target=0, abs=False)
    torch.testing.assert_close(smooth, oracle, rtol=0.1, atol=0.2)


def test_is_the_mean_over_copies_written_out():
    # The noise is a share of each sample's own range, drawn copy after copy.
    net, x = conv_net().eval(), images() * torch.tensor([1.0, 5.0, 0.1])[:, None, None, None]
    smooth = SmoothGrad(samples=3, noise=0.2)(net, x, Y, target=TrueClass(), generator=seeded(7))
    generator, total = seeded(7), torch.zeros_like(x)
    for _ in range(3):
        noise = torch.randn(x.shape, generator=generator)
        for i in range(3):
            noisy = x[i] + 0.2 * (x[i].max() - x[i].min()) * noise[i]
            total[i] += Gradient()(net, noisy[None], Y[i : i + 1], target=TrueClass())[0]
    torch.testing.assert_close(smooth, total / 3)


def test_a_constant_input_gets_no_noise():
    seen = []

    def model(x):
        seen.append(x.detach().clone())
        return x

    x = torch.full((2, 3), 4.0)
    SmoothGrad(samples=2)(model, x, target=PredictedClass(), generator=seeded())
    assert len(seen) == 3
    assert all(torch.equal(copy, x) for copy in seen)


@pytest.mark.parametrize("method", [Gradient(), IntegratedGradients(steps=2)], ids=repr)
def test_all_copies_explain_one_target(method):
    calls, logits_seen = [], []

    def target(logits, y, *, criterion, generator):
        calls.append(logits)

        def score(logits):
            logits_seen.append(len(logits))
            return logits[:, 0]

        return score

    x = torch.randn(3, 4)
    SmoothGrad(method, samples=5, noise=1.0)(lambda x: x, x, target=target, generator=seeded())
    assert len(calls) == 1
    assert torch.equal(calls[0], x)  # fixed on the clean input
    assert len(logits_seen) == 5


def test_one_class_is_drawn_for_all_copies():
    # With 30 equal logits, fresh draws would mix rows of the identity; one draw leaves a row.
    net = nn.Linear(30, 30, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.eye(30))
    x = torch.zeros(4, 30)
    smooth = SmoothGrad(samples=8)(net, x, target=RandomTopClass(30), generator=seeded())
    assert (smooth == 1).sum(1).tolist() == [1] * 4
    assert (smooth == 0).sum(1).tolist() == [29] * 4


def test_the_loss_can_be_smoothed():
    net, x, criterion = conv_net(), images(), nn.CrossEntropyLoss()
    smooth = SmoothGrad(noise=0)(net, x, Y, target=Loss(), criterion=criterion, generator=seeded())
    torch.testing.assert_close(smooth, Gradient()(net, x, Y, target=Loss(), criterion=criterion))


def test_is_determined_by_the_generator():
    net, x = conv_net(), images()
    maps = [SmoothGrad(samples=2)(net, x, Y, target=TrueClass(), generator=seeded(s)) for s in (1, 1, 2)]
    assert torch.equal(maps[0], maps[1])
    assert not torch.equal(maps[0], maps[2])


def test_needs_a_generator():
    with pytest.raises(ValueError, match="SmoothGrad draws at random: pass generator="):
        SmoothGrad()(conv_net(), images(), target=PredictedClass())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (SmoothGrad(samples=0), "'samples' parameter of SmoothGrad must be an int in the range"),
        (SmoothGrad(noise=-0.1), "'noise' parameter of SmoothGrad must be a float in the range"),
        (SmoothGrad(method="gradient"), "'method' parameter of SmoothGrad must be a callable"),
        (SmoothGrad(IntegratedGradients(steps=0)), "'steps' parameter of IntegratedGradients"),
    ],
)
def test_bad_parameters_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        validate_parameters(wrong)
