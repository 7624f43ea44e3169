"""Information bottlenecks against closed forms and the algorithm written out."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from skaba._validation import validate_parameters
from skaba.attribution import IBA, GradCAM, Loss, PredictedClass, TrueClass
from skaba.attribution._iba import _Bottleneck, _loss
from skaba.attribution._loss import LossScore
from skaba.attribution._targets import ClassScore
from skaba.network import FromLayer, upsample
from tests.tiny_nets import TextNet, conv_net, images, linear, mlp, seeded, words

Y = torch.tensor([1, 0, 2])


def information(model, x, y=None, target=None, criterion=None, seed=0, **parameters):
    target = target or TrueClass()
    return IBA(**parameters)(model, x, y, target=target, criterion=criterion, generator=seeded(seed))


def bottleneck(sigma=0.0):
    features = torch.randn(4, 2, 5, dtype=torch.float64)
    narrow = _Bottleneck(features, torch.randn(30, 2, 5, dtype=torch.float64), 1, sigma)
    with torch.no_grad():
        narrow.alpha.copy_(3 * torch.randn(4, 2, 5))
    return narrow


@pytest.mark.parametrize("sigma", [0.0, 1.0])
def test_information_is_the_divergence_from_noise(sigma):
    narrow = bottleneck(sigma)
    kept, lost = narrow.shares()
    torch.testing.assert_close(kept + lost, torch.ones_like(kept))
    noisy = Normal(kept * narrow.features + lost * narrow.mean, lost * narrow.deviation)
    noise = Normal(narrow.mean.expand(4, 2, 5), narrow.deviation.expand(4, 2, 5))
    torch.testing.assert_close(narrow.information(kept, lost), kl_divergence(noisy, noise))


def test_noisy_copies_have_the_moments_of_their_distribution():
    narrow = bottleneck()
    kept, lost = narrow.shares()
    copies = narrow.noisy(kept, lost, 20000, seeded()).reshape(20000, 4, 2, 5)
    wanted = kept * narrow.features + lost * narrow.mean
    torch.testing.assert_close(copies.mean(0), wanted, rtol=0, atol=0.04)
    torch.testing.assert_close(copies.std(0), lost * narrow.deviation, rtol=0.03, atol=1e-9)


def test_a_feature_that_does_not_vary_has_a_small_deviation():
    narrow = _Bottleneck(torch.zeros(2, 3), torch.tensor([[0.0, 0.0, 1.0], [0.0, 2.0, 3.0]]), 1, 0.0)
    torch.testing.assert_close(narrow.deviation, torch.tensor([0.01, 2**0.5, 2**0.5]))


def test_the_map_is_in_nats_per_feature_and_at_a_layer_per_place():
    # With steps too small to move them, every share is sigmoid(5).
    x, background = torch.randn(3, 2, 5, dtype=torch.float64), torch.randn(40, 2, 5, dtype=torch.float64)
    net = nn.Sequential(nn.Identity(), nn.Flatten(), nn.Linear(10, 4)).double()
    still = {"background": background, "lr": 1e-12, "sigma": 0.0, "steps": 2}
    share = 1 / (1 + np.exp(-5))
    r = (x - background.mean(0)) / background.std(0)
    nats = ((share * r) ** 2 + (1 - share) ** 2 - 1) / 2 - np.log(1 - share)
    torch.testing.assert_close(information(net, x, Y, **still), nats)
    at_layer = information(net, x, Y, layer="0", **still)
    torch.testing.assert_close(at_layer, nats.sum(1, keepdim=True).expand_as(x))


@pytest.mark.parametrize(
    ("alpha", "nats"), [(0.0, 0.5 * (0.25 - 1) - np.log(0.5)), (60.0, 59.5), (-60.0, 0.0)], ids=["half", "open", "shut"]
)
def test_information_stays_exact_at_the_ends(alpha, nats):
    # A feature at its mean, where one minus the share would round to 0 in single precision.
    narrow = _Bottleneck(torch.zeros(2, 1), torch.tensor([[1.0], [-1.0]]), 1, 0.0)
    with torch.no_grad():
        narrow.alpha.fill_(alpha)
    torch.testing.assert_close(narrow.information(*narrow.shares())[0].item(), float(nats), rtol=1e-6, atol=1e-6)


def test_the_algorithm_written_out():
    # Sample by sample and copy by copy, with distributions in place of formulas and backward() on it all.
    net, x, background = mlp().double(), torch.randn(3, 6).double(), torch.randn(20, 6).double()
    got = information(net, x, Y, background=background, steps=4, lr=0.7, samples=3, beta=2.0, seed=6)
    mean, deviation = background.mean(0), background.std(0)
    generator = seeded(6)
    noise = [torch.randn(3, 3, 6, generator=generator, dtype=torch.float64) for _ in range(4)]
    for i in range(3):
        alpha = nn.Parameter(torch.full((6,), 5.0, dtype=torch.float64))
        optimizer = torch.optim.Adam([alpha], lr=0.7)

        def divergence(alpha=alpha, i=i):
            share = alpha.sigmoid()
            passed = Normal(share * x[i] + (1 - share) * mean, (1 - share) * deviation)
            return share, kl_divergence(passed, Normal(mean, deviation))

        for step in range(4):
            optimizer.zero_grad()
            share, nats = divergence()
            heatmap = nats.detach().clone()  # as the authors do: of the last pass, before its step
            copies = [share * x[i] + (1 - share) * (mean + deviation * noise[step][k, i]) for k in range(3)]
            losses = [F.cross_entropy(net(copy[None]), Y[i : i + 1]) for copy in copies]
            (sum(losses) / 3 + 2.0 * nats.mean()).backward()
            optimizer.step()
        torch.testing.assert_close(got[i], heatmap, rtol=1e-7, atol=1e-9)


def test_information_goes_where_the_model_looks():
    class Reader(nn.Module):
        def forward(self, x):
            return 4 * torch.stack([x[:, 2] - x[:, 5], x[:, 5] - x[:, 2]], dim=1)

    x = torch.randn(30, 8, generator=seeded(1))
    x[:, [2, 5]] = torch.tensor([1.5, -1.5])
    background = torch.randn(200, 8, generator=seeded(2))
    map_ = information(Reader(), x, torch.zeros(30, dtype=torch.int64), background=background, beta=1.0, steps=30)
    read, not_read = map_[:, [2, 5]].mean(), map_[:, [0, 1, 3, 4, 6, 7]].mean()
    assert read > 10 * not_read
    assert (map_[:, [2, 5]].amin(1) > map_[:, [0, 1, 3, 4, 6, 7]].amax(1)).float().mean() > 0.9


def test_a_model_that_reads_nothing_lets_nothing_through():
    model = lambda x: 0 * x[:, :3]  # noqa: E731
    x = torch.randn(6, 8, generator=seeded(1))
    few, many = (information(model, x, target=PredictedClass(), steps=steps).mean() for steps in (5, 60))
    assert many < 0.01 < few


def test_the_weight_of_information_decides_how_much_gets_through():
    net, x = mlp(), torch.randn(3, 6, generator=seeded(8))
    amounts = [information(net, x, Y, beta=beta, steps=20).mean().item() for beta in (0.01, 1.0, 100.0)]
    assert amounts[0] > amounts[1] > amounts[2]


def test_a_sample_does_not_depend_on_the_others_given_a_background():
    net, x, background = conv_net(), images(), torch.randn(9, 2, 6, 6, generator=seeded(1))
    others = torch.cat([x[:1], torch.randn(2, 2, 6, 6)])
    for layer in (None, "1"):
        first, second = (information(net, batch, Y, layer=layer, background=background) for batch in (x, others))
        torch.testing.assert_close(first[0], second[0])
        assert not torch.allclose(first[1], second[1])


def test_the_batch_is_its_own_background():
    net, x = conv_net(), images()
    for layer in (None, "1"):
        torch.testing.assert_close(
            information(net, x, Y, layer=layer), information(net, x, Y, layer=layer, background=x.numpy())
        )


# --- targets


def test_the_loss_of_a_class_is_its_cross_entropy():
    logits = torch.randn(6, 4)
    classes = torch.tensor([3, 0, 1])
    torch.testing.assert_close(
        _loss(ClassScore(classes), logits), F.cross_entropy(logits, classes.repeat(2), reduction="none")
    )


def test_the_loss_of_a_single_logit_is_binary():
    logits = torch.randn(6, 1)
    got = _loss(ClassScore(torch.zeros(3, dtype=torch.int64)), logits)
    torch.testing.assert_close(
        got, F.binary_cross_entropy_with_logits(logits, torch.ones(6, 1), reduction="none")[:, 0]
    )


def test_the_loss_of_a_loss_is_itself_and_of_any_other_value_its_opposite():
    logits, y = torch.randn(6, 2), torch.randn(3, 2)
    got = _loss(LossScore(nn.MSELoss(), y), logits)
    torch.testing.assert_close(got, ((logits - y.repeat(2, 1)) ** 2).mean(1))
    torch.testing.assert_close(_loss(lambda logits: logits[:, 1], logits), -logits[:, 1])


def test_cross_entropy_as_target_explains_the_true_class():
    net, x = conv_net(), images()
    got = information(net, x, Y, target=Loss(), criterion=nn.CrossEntropyLoss())
    torch.testing.assert_close(got, information(net, x, Y))


@pytest.mark.parametrize("outputs", [1, 3], ids=["regression", "multi_label"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_loss_may_have_several_outputs(outputs, dtype):
    net, x = linear(20, outputs).to(dtype), torch.randn(4, 20, dtype=dtype)
    with torch.no_grad():
        net.weight[:, 10:] = 0
    y = net(x).detach()  # a right model: what it does not read is not needed
    map_ = information(net, x, y, target=Loss(), criterion=nn.MSELoss(), beta=0.1, steps=30)
    assert map_.dtype == dtype
    assert map_[:, :10].mean() > 3 * map_[:, 10:].mean()


# --- at a layer


def test_at_a_layer_channels_are_summed_and_stretched():
    net, x, background = conv_net(), images(), torch.randn(9, 2, 6, 6, generator=seeded(1))
    rest = FromLayer(net, "3", x)
    others = FromLayer(net, "3", background).features()
    hidden = IBA(background=others)(rest, rest.features(), Y, target=TrueClass(), generator=seeded())
    got = information(net, x, Y, layer="3", background=background)
    torch.testing.assert_close(got, upsample(hidden.sum(1), x, 1))
    assert torch.equal(got[:, 0], got[:, 1])


@pytest.mark.parametrize("layer", [None, "convolution"])
def test_at_an_embedding(layer):
    rest = FromLayer(TextNet(), "embedding", words())
    hidden = rest.features()
    y = torch.tensor([0, 1, 2, 0])
    for background in (None, torch.randn(7, 7, 5)):  # more rows than the view has texts
        map_ = information(rest, hidden, y, layer=layer, background=background)
        assert map_.shape == hidden.shape
        assert map_.is_contiguous()
        assert (map_ >= 0).all()
        assert map_.isfinite().all()
    if layer:
        assert torch.equal(map_, map_[:, :, :1].expand_as(map_))


def test_lambda_is_smoothed_along_places_only():
    # One channel alone is read: smoothing may open its neighbours in space, never another channel.
    net = nn.Sequential(nn.Flatten(), nn.Linear(18, 2, bias=False))
    weight = torch.zeros(2, 2, 9)
    weight[0, 0, 4], weight[1, 0, 4] = 6.0, -6.0
    net[1].weight.data = weight.reshape(2, 18)
    x, background = torch.ones(2, 2, 9), torch.randn(50, 2, 9, generator=seeded(1))
    y = torch.zeros(2, dtype=torch.int64)
    sharp, smooth = (information(net, x, y, background=background, sigma=sigma, steps=20) for sigma in (0.0, 1.0))
    far = [0, 1, 7, 8]
    assert (smooth[:, 0, [3, 5]] > 1.5 * smooth[:, 0, far].amax(1, keepdim=True)).all()
    assert (sharp[:, 0, [3, 5]] < 1.5 * sharp[:, 0, far].amax(1, keepdim=True)).all()
    assert (smooth[:, 0, 3:6] > 1.5 * smooth[:, 1, 3:6]).all()


# --- manners


def test_passes():
    batches = []

    def model(x):
        batches.append(len(x))
        return x

    information(model, torch.randn(3, 4), target=PredictedClass(), steps=4, samples=5)
    assert batches == [3, 15, 15, 15]


def test_one_sample_needs_a_background():
    with pytest.raises(ValueError, match="takes at least two samples, but this batch has one"):
        information(conv_net(), images(1), Y[:1])
    assert (information(conv_net(), images(1), Y[:1], background=images(2)) >= 0).all()


def test_a_background_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="background of IBA has shape"):
        information(conv_net(), images(), Y, background=torch.zeros(5, 2, 6))


def test_the_layer_must_follow_the_view():
    rest = FromLayer(conv_net(), "3", images())
    with pytest.raises(ValueError, match="gradient does not reach the input"):
        information(rest, rest.features(), Y, layer="1")


@pytest.mark.parametrize(
    ("net", "x", "layer", "message"),
    [
        (conv_net(), images(), "7", "another number of spatial axes than the input"),
        (conv_net(), images(), "8", "no layer named '8'"),
        (mlp(), torch.randn(3, 6), "0", "IBA needs an input with one or two spatial axes"),
    ],
)
def test_a_layer_without_the_inputs_axes_is_refused(net, x, layer, message):
    with pytest.raises(ValueError, match=message):
        information(net, x, Y, layer=layer)


def test_a_layer_needs_a_module():
    with pytest.raises(TypeError, match=r"needs an nn\.Module, got a function"):
        information(lambda x: x, torch.randn(3, 6), Y, layer="0")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (IBA(layer=GradCAM()), "'layer' parameter of IBA"),
        (IBA(beta=-1), "'beta' parameter of IBA"),
        (IBA(steps=1), "'steps' parameter of IBA"),
        (IBA(lr=0), "'lr' parameter of IBA"),
        (IBA(samples=0), "'samples' parameter of IBA"),
        (IBA(sigma=-1), "'sigma' parameter of IBA"),
        (IBA(background=3), "'background' parameter of IBA"),
    ],
)
def test_bad_parameters_are_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        validate_parameters(wrong)


def test_parameters_clone():
    background = torch.ones(2, 3)
    copy = clone(IBA(layer="3", beta=2.0, background=background))
    assert (copy.layer, copy.beta) == ("3", 2.0)
    assert torch.equal(copy.background, background)
