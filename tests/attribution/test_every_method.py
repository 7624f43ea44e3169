"""What holds for every method alike."""

import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from skaba.attribution import (
    LRP,
    METHODS,
    DeepLift,
    FeatureAblation,
    GradCAM,
    Gradient,
    GuidedBackprop,
    HillClimbing,
    IntegratedGradients,
    Loss,
    PredictedClass,
    TrueClass,
)
from tests.tiny_nets import images, mlp, seeded

CRITERIA = {
    "a function": functional.cross_entropy,
    "unreduced": nn.CrossEntropyLoss(reduction="none"),
}


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("name", ["Gradient", "FeatureAblation", "Occlusion", "KernelShap", "HillClimbing", "DeepLift"])
def test_a_criterion_without_reduction_gives_every_sample_its_own_loss(name, criterion):
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    x, y = torch.randn(3, 6), torch.tensor([1, 0, 3])
    maps = [
        METHODS[name]()(net, x, y, target=Loss(), criterion=each, generator=seeded())
        for each in (CRITERIA[criterion], nn.CrossEntropyLoss())
    ]
    torch.testing.assert_close(*maps, rtol=1e-4, atol=1e-5)


def test_an_unreduced_multi_label_criterion_is_averaged():
    x, y = torch.randn(3, 6), torch.randint(2, (3, 4)).float()
    maps = [
        FeatureAblation()(mlp(), x, y, target=Loss(), criterion=nn.BCEWithLogitsLoss(reduction=reduction))
        for reduction in ("none", "mean")
    ]
    torch.testing.assert_close(*maps)


@pytest.mark.parametrize("method", [IntegratedGradients, DeepLift, FeatureAblation])
def test_a_baseline_may_be_an_array(method):
    net, x = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)), torch.randn(3, 6)
    baseline = np.linspace(-1, 1, 6, dtype=np.float32)
    maps = [method(baseline=b)(net, x, target=PredictedClass()) for b in (baseline, torch.from_numpy(baseline))]
    assert torch.equal(*maps)


@pytest.mark.parametrize(
    "method",
    [IntegratedGradients(baseline=np.zeros(5)), DeepLift(baseline=np.zeros(5)), HillClimbing(baseline=torch.zeros(5))],
    ids=lambda method: type(method).__name__,
)
def test_a_baseline_that_does_not_broadcast_is_named(method):
    with pytest.raises(ValueError, match=r"baseline has shape \(5,\), which does not broadcast"):
        method(mlp(), torch.randn(3, 6), target=PredictedClass(), generator=seeded())


def conv():
    blocks = nn.Conv2d(2, 4, 3, bias=False), nn.ReLU(), nn.Conv2d(4, 4, 3, bias=False), nn.ReLU()
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(16, 5))


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("method", [LRP(), DeepLift(), GuidedBackprop()], ids=lambda m: type(m).__name__)
def test_methods_with_rules_for_layers_ignore_mixed_precision(method, precision):
    net, x = conv(), images(3)
    x[:, :, :3] = 0  # sums of exactly 0, by which LRP divides
    wanted = method(net, x, torch.tensor([1, 0, 2]), target=TrueClass())
    with torch.autocast("cpu", precision):
        got = method(net, x, torch.tensor([1, 0, 2]), target=TrueClass())
    assert torch.equal(got, wanted)
    assert got.isfinite().all()


def test_half_precision_is_refused_where_it_would_divide_by_zero():
    with pytest.raises(ValueError, match="LRP divides by what float16 rounds to 0"):
        LRP()(conv().half(), images(2).half(), target=PredictedClass())


@pytest.mark.parametrize("method", [Gradient(), GradCAM()], ids=lambda m: type(m).__name__)
def test_maps_have_the_inputs_precision_in_mixed_precision(method):
    with torch.autocast("cpu", torch.bfloat16):
        assert method(conv(), images(2), target=PredictedClass()).dtype == torch.float32


def test_lrp_refuses_batch_normalization_of_the_batch():
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), norm, nn.Flatten(), nn.Linear(64, 5))
    with pytest.raises(ValueError, match="running statistics; '1' has none"):
        LRP()(net, images(3), target=PredictedClass())


WAYS = {
    "maximum": lambda x: torch.maximum(x, torch.zeros(())),
    "where": lambda x: torch.where(x > 0, x, 0.0),
    "masked_fill": lambda x: x.masked_fill(x < 0, 0),
}


@pytest.mark.parametrize("way", WAYS)
def test_rectifiers_in_disguise_are_refused(way):
    class Disguised(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.act, self.last = nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)

        def forward(self, x):
            return self.last(self.act(WAYS[way](self.first(x))))

    with pytest.raises(ValueError, match="GuidedBackprop does not fit this network"):
        GuidedBackprop()(Disguised(), torch.randn(2, 6), target=PredictedClass())


class Uncopied(np.ndarray):
    def __deepcopy__(self, memo):
        raise AssertionError("copied")


def test_what_a_module_keeps_is_not_copied():
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))
    net.table, net.tensors = Uncopied((3, 3)), [torch.zeros(3), {"more": torch.zeros(3)}]
    assert LRP()(net, torch.randn(2, 6), target=PredictedClass()).shape == (2, 6)


def test_a_missing_captum_shows_before_any_work(monkeypatch):
    monkeypatch.setitem(sys.modules, "captum.attr", None)

    def never(x):
        raise AssertionError("asked")

    with pytest.raises(ImportError, match=r'pip install "skaba\[attribution\]"'):
        LRP()(never, torch.randn(2, 3), target=PredictedClass())


DRAWING = {"ExpectedGradients", "SmoothGrad", "SquaredSmoothGrad", "VarGrad", "IBA", "HillClimbing", "RandomMap"}


@pytest.mark.parametrize("name", sorted(DRAWING | {"GradientShap", "KernelShap", "Lime"}))
def test_what_draws_needs_a_generator(name):
    with pytest.raises(ValueError, match=rf"{name} draws at random: pass generator=torch\.Generator"):
        METHODS[name]()(conv(), images(), target=PredictedClass())
