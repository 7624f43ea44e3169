"""DeepLIFT: by hand, against captum, its completeness and what it refuses."""

import captum.attr
import pytest
import torch
from torch import nn

from skaba.attribution import DeepLift, Loss, PredictedClass, TrueClass
from skaba.modules import ConvNet
from tests.attribution.nets import (
    LABELS,
    Between,
    Parallel,
    Preactivated,
    close,
    conv,
    draw,
    rectifying,
    residual,
    without_bias,
)

RESCALING = {
    "relu": rectifying,
    "residual": residual,
    "preactivated": lambda: residual(Preactivated),
    "parallel": lambda: residual(Parallel),
    "pools": lambda: without_bias(
        conv(2), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU(), nn.Sigmoid(), nn.ELU(), nn.Softplus()
    ),
    "pool_first": lambda: without_bias(nn.MaxPool2d(2), nn.Tanh(), nn.MaxPool2d(2, ceil_mode=True), nn.LeakyReLU()),
    "global_pool": lambda: without_bias(conv(2), nn.AdaptiveMaxPool2d(1), nn.Sigmoid()),
}


@pytest.mark.parametrize("baseline", [0.0, 0.4, draw(2, 6, 6, seed=9), draw(3, 2, 6, 6, seed=9)], ids=str)
@pytest.mark.parametrize("name", RESCALING)
def test_deep_lift_is_complete(name, baseline):
    net, x = RESCALING[name](), draw(3, 2, 6, 6)
    reference = torch.as_tensor(baseline).expand_as(x).double()
    map_ = DeepLift(baseline)(net, x, LABELS, target=TrueClass())
    difference = (net(x) - net(reference)).gather(1, LABELS[:, None])[:, 0].detach()
    close(map_.flatten(1).sum(1), difference, 1e-6)


@pytest.mark.parametrize("name", RESCALING)
def test_deep_lift_of_the_loss_is_complete(name):
    net, x, criterion = RESCALING[name](), draw(3, 2, 6, 6), nn.CrossEntropyLoss(reduction="none")
    map_ = DeepLift()(net, 3 * x, LABELS, target=Loss(), criterion=nn.CrossEntropyLoss())
    difference = criterion(net(3 * x), LABELS) - criterion(net(0 * x), LABELS)
    close(map_.flatten(1).sum(1), difference.detach(), 1e-6)


class Apart(nn.Module):
    """Keeps captum's hooks on two layers in a row off the same tensor."""

    def forward(self, x):
        return x.clone()


@pytest.mark.filterwarnings("ignore:Setting forward", "ignore:Input Tensor")
@pytest.mark.parametrize("baseline", [0.0, draw(3, 2, 6, 6, seed=9)], ids=["zero", "tensor"])
def test_deep_lift_is_captums(baseline):
    torch.manual_seed(0)
    ours = nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(12, 5)
    ).double()
    theirs = nn.Sequential(*(part for layer in ours for part in (layer, Apart())))
    x = draw(3, 2, 6, 6)
    wanted = captum.attr.DeepLift(theirs).attribute(x.clone(), baselines=baseline, target=LABELS).detach()
    close(DeepLift(baseline)(ours, x, LABELS, target=TrueClass()), wanted)


def test_deep_lift_of_one_unit_by_hand():
    net = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
    net[0].weight.data, net[0].bias.data = torch.tensor([[2.0, -1.0]]), torch.tensor([-1.0])
    # From -1 to 4: the unit rises by 5 before the ReLU and by 4 after it, a slope of 0.8.
    map_ = DeepLift()(net, torch.tensor([[3.0, 1.0]]), target=PredictedClass())
    torch.testing.assert_close(map_, torch.tensor([[4.8, -0.8]]))


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda x: x.relu().mean(2), "it has relu in Between ''"),
        (lambda x: x.amax(2), "it has amax in Between ''"),
        (lambda x: (x * x).mean(2), "it has mul in Between ''"),
        (lambda x: torch.bmm(x, x.transpose(1, 2)).mean(2), "it has bmm in Between ''"),
        (nn.Sequential(nn.GELU(), nn.AdaptiveAvgPool1d(1), nn.Flatten()), "gelu in GELU 'step.0'"),
        (
            nn.Sequential(nn.LayerNorm(4), nn.AdaptiveAvgPool1d(1), nn.Flatten()),
            "nativelayernorm in LayerNorm 'step.0'",
        ),
        (nn.Sequential(nn.Softmax(1), nn.AdaptiveAvgPool1d(1), nn.Flatten()), "softmax in Softmax 'step.0'"),
        (nn.Sequential(nn.MaxPool1d(3, 1), nn.AdaptiveAvgPool1d(1), nn.Flatten()), "windows overlap, as 'step.0'"),
        (nn.Sequential(nn.AdaptiveMaxPool1d(2), nn.AdaptiveAvgPool1d(1), nn.Flatten()), "windows overlap, as 'step.0'"),
        (lambda x: (x * (x > 0)).mean(2), "map is not complete"),
        (lambda x: (x / (1 + x.detach().abs())).mean(2), "map is not complete"),
    ],
)
def test_deep_lift_refuses_what_it_has_no_rule_for(step, message):
    torch.manual_seed(0)
    with pytest.raises(ValueError, match=message):
        DeepLift()(Between(step), torch.randn(3, 2, 6), LABELS, target=TrueClass())


def test_deep_lift_of_the_baseline_itself_is_zero():
    net = rectifying().float()
    map_ = DeepLift(0.3)(net, torch.full((3, 2, 6, 6), 0.3), LABELS, target=TrueClass())
    assert not map_.any()


@pytest.mark.parametrize("seed", range(3))
def test_rounding_is_no_lack_of_completeness(seed):
    torch.manual_seed(seed)
    net, x = ConvNet(batch_norm=True, width=8), 30 * draw(3, 1, 8, 8).float()
    for baseline in (x, x + 1e-4 * torch.randn_like(x)):
        map_ = DeepLift(baseline)(net, x, LABELS, target=Loss(), criterion=nn.CrossEntropyLoss())
        assert map_.isfinite().all()
