"""Methods that ask about changed inputs: against enumeration, loops, closed forms and captum."""

from itertools import combinations
from math import factorial

import captum.attr
import numpy as np
import pytest
import torch
from captum._utils.models.linear_model import SkLearnLasso
from torch import nn

from skaba.attribution import (
    DeepLift,
    FeatureAblation,
    GradientShap,
    KernelShap,
    Lime,
    Loss,
    Occlusion,
    PredictedClass,
    TrueClass,
)
from skaba.network import FromLayer
from tests.tiny_nets import TextNet, conv_net, images, linear, mlp, seeded, words

LABELS = torch.tensor([1, 0, 2])
TABLE = torch.randn(3, 6, generator=seeded(8))


def close(got, wanted, tolerance=1e-5):
    torch.testing.assert_close(got, wanted, rtol=tolerance, atol=tolerance * wanted.abs().max().item())


def interacting(x):
    """One output of four features that depend on each other."""
    return (x[:, 0] * x[:, 1] + x[:, 2].relu() * x[:, 3] ** 2 - x[:, 0] * x[:, 3])[:, None]


def shapley(function, x, baseline):
    """Return the Shapley values of one sample by their definition."""
    features = range(len(x))
    values = torch.zeros_like(x)
    for feature in features:
        others = [other for other in features if other != feature]
        for size in range(len(x)):
            weight = factorial(size) * factorial(len(x) - size - 1) / factorial(len(x))
            for coalition in combinations(others, size):
                without, with_ = baseline.clone(), baseline.clone()
                without[list(coalition)] = x[list(coalition)]
                with_[[*coalition, feature]] = x[[*coalition, feature]]
                values[feature] += weight * (function(with_[None]) - function(without[None]))[0, 0]
    return values


@pytest.mark.parametrize("baseline", [0.0, 0.5, torch.tensor([1.0, -1.0, 0.5, 2.0])], ids=str)
def test_kernel_shap_nears_the_shapley_values(baseline):
    x = torch.tensor([[1.0, 2.0, -0.5, 1.5], [0.3, -1.0, 2.0, 1.0]])
    reference = torch.as_tensor(baseline).expand(4)
    wanted = torch.stack([shapley(interacting, row, reference) for row in x])
    method = KernelShap(samples=1500, baseline=baseline, batch_size=1500)
    map_ = method(interacting, x, target=PredictedClass(), generator=seeded())
    assert (map_ - wanted).abs().max() < 0.05 * wanted.abs().max()
    assert (wanted - (x - reference)).abs().max() > 0.2  # not what any linear reading gives


def test_kernel_shap_is_complete_whatever_the_number_of_samples():
    x, baseline = torch.randn(3, 4, generator=seeded(1)), 0.2
    map_ = KernelShap(samples=8, baseline=baseline)(interacting, x, target=PredictedClass(), generator=seeded())
    difference = (interacting(x) - interacting(torch.full_like(x, baseline)))[:, 0]
    close(map_.sum(1), difference, 1e-3)


@pytest.mark.parametrize("method", [KernelShap(samples=60), Lime(samples=60, alpha=1e-7), FeatureAblation()], ids=repr)
def test_a_linear_model_has_weight_times_difference(method):
    net, x, y = linear(6), TABLE.double(), LABELS
    for baseline in (0.0, torch.full((6,), 0.7), torch.randn(3, 6, generator=seeded(2))):
        method.set_params(baseline=baseline)
        map_ = method(net, x, y, target=TrueClass(), generator=seeded())
        assert map_.dtype == x.dtype
        close(map_, (x - torch.as_tensor(baseline)) * net.weight[y].detach(), 1e-3)


def test_lime_sets_features_to_zero_that_its_penalty_outweighs():
    net = linear(6)
    with torch.no_grad():
        net.weight.mul_(torch.tensor([1.0, 1.0, 1.0, 1e-3, 1e-3, 1e-3]))
    ask = {"target": TrueClass(), "generator": seeded()}
    map_ = Lime(samples=100, alpha=0.01)(net, TABLE.double() + 2, LABELS, **ask)
    assert (map_[:, 3:] == 0).all()
    assert (map_[:, :3] != 0).any()
    assert not Lime(samples=50, alpha=100.0)(net, TABLE.double(), LABELS, **ask).any()


def captums_seed(generator):
    seed = int(torch.randint(2**32, (), generator=generator))
    np.random.seed(seed)
    torch.manual_seed(seed)


@pytest.mark.filterwarnings("ignore:You are providing", "ignore:Input Tensor")
@pytest.mark.parametrize("at_once", [1, 4, 100])
@pytest.mark.parametrize("name", ["KernelShap", "Lime"])
def test_surrogates_are_captums(name, at_once):
    net, x = mlp(), TABLE
    if name == "Lime":
        ours, theirs = Lime(samples=30, alpha=1e-3), captum.attr.Lime(net, SkLearnLasso(alpha=1e-3))
    else:
        ours, theirs = KernelShap(samples=30), captum.attr.KernelShap(net)
    ours.set_params(batch_size=at_once)
    got = ours(net, x, LABELS, target=TrueClass(), generator=seeded(3))
    captums_seed(seeded(3))
    close(got, theirs.attribute(x, target=LABELS, n_samples=30), 1e-4)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_gradient_shap_is_captums(noise):
    net, x, background = mlp(), TABLE, torch.randn(7, 6, generator=seeded(4))
    method = GradientShap(background=background.numpy(), samples=9, noise=noise)
    got = method(net, x, LABELS, target=TrueClass(), generator=seeded(3))
    captums_seed(seeded(3))
    oracle = captum.attr.GradientShap(net)
    close(got, oracle.attribute(x, background, target=LABELS, n_samples=9, stdevs=noise).detach())


def test_gradient_shap_is_complete_in_expectation():
    net, x = mlp().double(), TABLE.double()
    map_ = GradientShap(samples=4000)(net, x, LABELS, target=TrueClass(), generator=seeded())
    logits = net(x)[:, LABELS].detach()
    close(map_.sum(1), logits.diagonal() - logits.mean(0), 0.05)


def test_gradient_shap_refuses_a_background_of_another_shape():
    with pytest.raises(ValueError, match=r"background of GradientShap has shape \(2, 5\)"):
        GradientShap(background=torch.zeros(2, 5))(mlp(), TABLE, target=PredictedClass(), generator=seeded())


@pytest.mark.parametrize(
    "baseline", [0.0, -0.7, torch.randn(2, 6, 6, generator=seeded(5))], ids=["0", "-0.7", "tensor"]
)
def test_feature_ablation_is_captums(baseline):
    net, x = conv_net().eval(), images()
    got = FeatureAblation(baseline=baseline)(net, x, LABELS, target=TrueClass())
    reference = baseline.expand_as(x) if isinstance(baseline, torch.Tensor) else baseline
    close(got, captum.attr.FeatureAblation(net).attribute(x, target=LABELS, baselines=reference))


def occluded(score, x, window, stride, baseline):
    """Slide a window over images with loops, as the paper says it."""
    total, covered = torch.zeros_like(x), torch.zeros_like(x)
    starts = [range(0, size - window + stride, stride) for size in x.shape[2:]]
    for top in starts[0]:
        for left in starts[1]:
            place = (..., slice(top, top + window), slice(left, left + window))
            changed = x.clone()
            changed[place] = baseline
            total[place] += (score(x) - score(changed))[:, None, None, None]
            covered[place] += 1
    return total / covered


@pytest.mark.parametrize(("window", "stride"), [(1, 1), (2, 2), (3, 1), (4, 3), (6, 1)])
def test_occlusion_slides_a_window_over_all_channels(window, stride):
    net, x = conv_net().eval(), images()
    with torch.no_grad():
        wanted = occluded(lambda x: net(x)[range(3), LABELS], x, window, stride, 0.3)
    close(Occlusion(window, stride, baseline=0.3)(net, x, LABELS, target=TrueClass()), wanted)


def test_a_window_as_large_as_the_input_gives_the_whole_difference():
    net, x = conv_net().eval(), images()
    whole = (net(x) - net(torch.zeros_like(x)))[range(3), LABELS].detach()
    map_ = Occlusion(window=6, stride=5)(net, x, LABELS, target=TrueClass())
    close(map_, whole[:, None, None, None].expand_as(x))


@pytest.mark.parametrize(
    ("shape", "window", "allowed"), [((3, 13), 50, 1), ((3, 13), 2, 1), ((3, 2, 6, 6), 7, 6), ((3, 4, 5), 6, 5)]
)
def test_a_window_that_does_not_fit_is_refused(shape, window, allowed):
    with pytest.raises(
        ValueError, match=rf"Occlusion\(window={window}\) of .* Set window to at most {allowed}, or None"
    ):
        Occlusion(window)(lambda x: x.flatten(1), torch.randn(shape), target=PredictedClass())


def test_the_default_window_is_3_or_what_fits():
    net, x = nn.Sequential(nn.Flatten(), nn.Linear(42, 4)), torch.randn(2, 3, 7, 2)
    map_ = Occlusion()(net, x, target=PredictedClass())
    close(map_[..., 0], map_[..., 1])  # one window spans both columns
    wide, square = nn.Sequential(nn.Flatten(), nn.Linear(72, 4)), torch.randn(2, 2, 6, 6)
    assert torch.equal(*(Occlusion(side)(wide, square, target=PredictedClass()) for side in (None, 3)))


def test_a_stride_that_leaves_gaps_is_refused():
    with pytest.raises(ValueError, match=r"Occlusion\(window=2, stride=3\) would leave features"):
        Occlusion(2, 3)(conv_net(), images(), target=PredictedClass())


def test_occlusion_of_a_table_is_ablation():
    ask = {"target": TrueClass()}
    close(Occlusion()(mlp(), TABLE, LABELS, **ask), FeatureAblation()(mlp(), TABLE, LABELS, **ask))


class Total(nn.Module):
    """Logits are weighted sums of all features; one row of weights a class."""

    def __init__(self, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, *shape, generator=seeded(6)))

    def forward(self, x):
        return (x.unsqueeze(1) * self.weight).flatten(2).sum(2)


@pytest.mark.parametrize(
    ("shape", "segments", "expected"),
    [
        ((2, 4), 2, [[0, 0, 1, 1]]),
        ((1, 5), 2, [[0, 0, 0, 1, 1]]),
        ((1, 3), 9, [[0, 1, 2]]),
        ((2, 4, 2), 2, [[0, 1], [0, 1], [2, 3], [2, 3]]),
        ((1, 3, 3), 1, [[0] * 3] * 3),
    ],
)
def test_segments_are_replaced_as_one_with_all_their_channels(shape, segments, expected):
    net, x = Total(shape), torch.randn(3, *shape, generator=seeded(7))
    product = (x * net.weight[LABELS]).detach()
    number = torch.tensor(expected).expand(shape)
    wanted = sum(
        (product * (number == k)).flatten(1).sum(1).reshape(-1, *[1] * len(shape)) * (number == k) for k in range(9)
    )
    got = FeatureAblation(segments=segments)(net, x, LABELS, target=TrueClass())
    close(got, wanted)
    if number.max() > 0:
        got = KernelShap(samples=80, segments=segments)(net, x, LABELS, target=TrueClass(), generator=seeded())
        close(got, wanted, 1e-3)


def at_embedding():
    net, ids = TextNet().eval(), words()
    view = FromLayer(net, "embedding", ids)
    return net, ids, view, view.features(), torch.tensor([0, 1, 2, 0])


def test_segments_and_windows_of_a_text_are_words():
    net, ids, view, x, y = at_embedding()
    without = []
    for word in range(7):
        changed = x.clone()
        changed[:, word] = 0
        without.append((net(ids) - view(changed)).gather(1, y[:, None]).detach())
    wanted = torch.stack(without, dim=1).expand_as(x)
    close(FeatureAblation(segments=7)(view, x, y, target=TrueClass()), wanted)
    close(Occlusion(window=1)(view, x, y, target=TrueClass()), wanted)


def test_segments_of_a_table_are_refused():
    with pytest.raises(ValueError, match="x is a table of shape"):
        FeatureAblation(segments=2)(mlp(), TABLE, target=PredictedClass())


@pytest.mark.parametrize("method", [KernelShap(segments=1), Lime(segments=1)], ids=repr)
def test_one_segment_has_nothing_to_compare_with(method):
    with pytest.raises(ValueError, match="needs at least 2 features or segments to compare, got 1"):
        method(conv_net(), images(), target=PredictedClass(), generator=seeded())


PERTURBING = [KernelShap(samples=9, segments=3), Lime(samples=9, segments=3), FeatureAblation(2), Occlusion(2)]


@pytest.mark.parametrize("target", [TrueClass(), Loss()], ids=repr)
@pytest.mark.parametrize("method", PERTURBING, ids=repr)
def test_the_batch_size_changes_nothing_of_perturbations(method, target):
    # At a text's embedding every row has hidden inputs and a target of its own.
    _, _, view, x, y = at_embedding()
    maps = []
    for at_once in (1, 2, 5, 100):
        method.set_params(batch_size=at_once)
        maps.append(method(view, x, y, target=target, criterion=nn.CrossEntropyLoss(), generator=seeded()))
    for map_ in maps[1:]:
        close(map_, maps[0])


class Scaled(nn.Module):
    """Adds words up and reads the word ids once more, so each row's hidden inputs matter."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 3)

    def forward(self, ids):
        return self.embedding(ids).sum(1) * ids.double().mean(1, keepdim=True)


@pytest.mark.parametrize(
    "method",
    [
        FeatureAblation(),
        GradientShap(background=np.zeros((1, 7, 3)), samples=3),
        KernelShap(samples=60),
        Lime(samples=60, alpha=1e-7),
        DeepLift(),
    ],
    ids=lambda method: type(method).__name__,
)
def test_every_row_meets_its_own_hidden_inputs(method):
    ids, y = words(), torch.tensor([0, 1, 2, 0])
    view = FromLayer(Scaled().double(), "embedding", ids)
    x = view.features()
    wanted = x * nn.functional.one_hot(y, 3)[:, None] * ids.double().mean(1)[:, None, None]
    close(method(view, x, y, target=TrueClass(), generator=seeded()), wanted, 1e-3)


def plain(logits, y, **_):
    return lambda logits: logits[:, 0]


@pytest.mark.parametrize("method", [FeatureAblation(), Occlusion()], ids=repr)
def test_a_plain_score_will_do_where_rows_keep_their_order(method):
    wanted = method(mlp(), TABLE, torch.zeros(3, dtype=torch.long), target=TrueClass())
    close(method(mlp(), TABLE, target=plain), wanted)


@pytest.mark.parametrize("method", [Lime(), KernelShap(), GradientShap()], ids=repr)
def test_a_plain_score_is_refused_where_they_do_not(method):
    with pytest.raises(TypeError, match=r"without rows\(index\)"):
        method(mlp(), TABLE, target=plain, generator=seeded())
