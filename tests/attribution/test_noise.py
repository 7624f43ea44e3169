"""SmoothGrad, its square and its variance: statistics of the maps of noisy copies."""

import captum.attr
import pytest
import torch
from torch import nn

from skaba._validation import validate_parameters
from skaba.attribution import (
    AttributionMethod,
    Gradient,
    InputXGradient,
    IntegratedGradients,
    Loss,
    PredictedClass,
    RandomTopClass,
    SmoothGrad,
    SquaredSmoothGrad,
    TrueClass,
    VarGrad,
)
from skaba.network import FromLayer, answer, input_gradient, rows_of
from tests.tiny_nets import TextNet, conv_net, images, linear, seeded, words

Y = torch.tensor([1, 0, 2])
STATISTICS = {
    SmoothGrad: lambda maps: maps.mean(0),
    SquaredSmoothGrad: lambda maps: maps.square().mean(0),
    VarGrad: lambda maps: maps.var(0, correction=0),
}


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


@pytest.mark.parametrize("at_once", [1, 2, 5, 100])
@pytest.mark.parametrize("kind", STATISTICS)
def test_is_the_statistic_over_copies_written_out(kind, at_once):
    # The noise is a share of each sample's own range, drawn copy after copy.
    net, x = conv_net().eval(), images() * torch.tensor([1.0, 5.0, 0.1])[:, None, None, None]
    method = kind(samples=5, noise=0.2, batch_size=at_once)
    generator, maps = seeded(7), torch.zeros(5, *x.shape)
    for k in range(5):
        noise = torch.randn(x.shape, generator=generator)
        for i in range(3):
            noisy = x[i] + 0.2 * (x[i].max() - x[i].min()) * noise[i]
            maps[k, i] = Gradient()(net, noisy[None], Y[i : i + 1], target=TrueClass())[0]
    got = method(net, x, Y, target=TrueClass(), generator=seeded(7))
    torch.testing.assert_close(got, STATISTICS[kind](maps), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", STATISTICS)
def test_statistics_are_captums(kind):
    # Copy by copy captum draws the same noise, if its deviation is that of every sample.
    net, x = conv_net().eval(), images()
    x = x / (x.flatten(1).amax(1) - x.flatten(1).amin(1))[:, None, None, None]
    got = kind(samples=6, noise=0.3)(net, x, Y, target=TrueClass(), generator=seeded(5))
    torch.manual_seed(5)
    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(net))
    name = {"SmoothGrad": "smoothgrad", "SquaredSmoothGrad": "smoothgrad_sq", "VarGrad": "vargrad"}[kind.__name__]
    wanted = tunnel.attribute(
        x.clone().requires_grad_(), name, nt_samples=6, nt_samples_batch_size=1, stdevs=0.3, target=Y, abs=False
    )
    torch.testing.assert_close(got, wanted.detach(), rtol=1e-4, atol=1e-6)


def test_square_and_variance_of_a_cubic_have_a_closed_form():
    # The gradient is 3 (x + e)^2; of normal e of deviation d its moments are known.
    model = lambda x: (x**3).sum(1, keepdim=True)  # noqa: E731
    x, d = torch.tensor([[0.0, 1.0, -2.0]], dtype=torch.float64), 0.2 * 3.0
    square, variance = (
        kind(samples=20000, noise=0.2, batch_size=2000)(model, x, target=PredictedClass(), generator=seeded())
        for kind in (SquaredSmoothGrad, VarGrad)
    )
    torch.testing.assert_close(square, 9 * (x**4 + 6 * x**2 * d**2 + 3 * d**4), rtol=0.05, atol=0.1)
    torch.testing.assert_close(variance, 9 * (4 * x**2 * d**2 + 2 * d**4), rtol=0.05, atol=0.1)


def test_a_small_variance_is_not_drowned_by_rounding():
    # The gradient is 1000 + e: in single precision the mean square is known to 0.06 only.
    model = lambda x: (x**2 / 2 + 1000 * x).sum(1, keepdim=True)  # noqa: E731
    x = torch.tensor([[0.0, 1.0]])
    got = VarGrad(samples=500, noise=0.01)(model, x, target=PredictedClass(), generator=seeded())
    torch.testing.assert_close(got, torch.full_like(x, 1e-4), rtol=0.2, atol=0)


def test_one_copy_does_not_vary():
    net, x = conv_net(), images()
    got = VarGrad(samples=1)(net, x, Y, target=TrueClass(), generator=seeded())
    assert torch.equal(got, torch.zeros_like(x))


def test_copies_share_passes():
    batches = []

    def model(x):
        batches.append(len(x))
        return x

    SmoothGrad(samples=5, batch_size=2)(model, torch.randn(3, 4), target=PredictedClass(), generator=seeded())
    assert batches == [3, 6, 6, 3]


class OneByOne(AttributionMethod):
    """Asks about a sample at a time, as perturbation methods do."""

    def _attribute(self, model, x, fix, generator):
        score = fix(answer(model, x))
        rows = [torch.tensor([i]) for i in range(len(x))]
        return torch.cat([input_gradient(rows_of(model, row), x[row], score.rows(row)) for row in rows])


@pytest.mark.parametrize("target", [TrueClass(), Loss()], ids=repr)
def test_copies_may_be_asked_about_one_by_one(target):
    # To the method inside a copy is a sample like any other, with inputs and a target of its own.
    view = FromLayer(TextNet(), "embedding", words())
    y, asked = torch.tensor([0, 1, 2, 0]), {"target": target, "criterion": nn.CrossEntropyLoss()}
    hidden = view.features()
    one_by_one, all_at_once = (
        SmoothGrad(method, samples=4, batch_size=3)(view, hidden, y, generator=seeded(), **asked)
        for method in (OneByOne(), Gradient())
    )
    torch.testing.assert_close(one_by_one, all_at_once)


def test_the_score_may_be_a_plain_function():
    model, x = lambda x: x**2, torch.randn(3, 4)
    first = lambda *_, **__: lambda logits: logits[:, 0]  # noqa: E731
    smooth = SmoothGrad(noise=0)(model, x, target=first, generator=seeded())
    torch.testing.assert_close(smooth[:, 0], 2 * x[:, 0])
    assert torch.equal(smooth[:, 1:], torch.zeros(3, 3))


def test_a_constant_input_gets_no_noise():
    seen = []

    def model(x):
        seen.append(x.detach().clone())
        return x

    x = torch.full((2, 3), 4.0)
    SmoothGrad(samples=2, batch_size=1)(model, x, target=PredictedClass(), generator=seeded())
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
    assert sum(logits_seen) == 3 * 5 * getattr(method, "steps", 1)


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


@pytest.mark.parametrize("outputs", [1, 3], ids=["regression", "multi_label"])
@pytest.mark.parametrize("kind", STATISTICS)
def test_the_loss_may_have_several_outputs(kind, outputs):
    # The loss is a function of x like any other: a model that returns it has the same map.
    net, x, y = linear(20, outputs), torch.randn(4, 20).double(), torch.randn(4, outputs).double()
    as_model = lambda x: ((net(x) - y.repeat(len(x) // 4, 1)) ** 2).mean(1, keepdim=True)  # noqa: E731
    got = kind()(net, x, y, target=Loss(), criterion=nn.MSELoss(), generator=seeded())
    assert got.dtype == torch.float64
    torch.testing.assert_close(got, kind()(as_model, x, target=PredictedClass(), generator=seeded()))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (SmoothGrad(samples=0), "'samples' parameter of SmoothGrad must be an int in the range"),
        (VarGrad(batch_size=0), "'batch_size' parameter of VarGrad must be an int in the range"),
        (SmoothGrad(noise=-0.1), "'noise' parameter of SmoothGrad must be a float in the range"),
        (SmoothGrad(method="gradient"), "'method' parameter of SmoothGrad must be a callable"),
        (SmoothGrad(IntegratedGradients(steps=0)), "'steps' parameter of IntegratedGradients"),
    ],
)
def test_bad_parameters_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        validate_parameters(wrong)
