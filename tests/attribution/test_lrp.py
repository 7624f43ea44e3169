"""Layer-wise relevance propagation: by hand, against captum, and what it conserves and refuses."""

import captum.attr
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from skaba.attribution import LRP, InputXGradient, Loss, TrueClass
from tests.attribution.nets import LABELS, Between, close, conv, draw, residual, without_bias


def test_lrp_by_hand():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    x, epsilon = draw(3, 4), 0.2
    (w1, b1), (w2, b2) = ((net[i].weight.detach().numpy(), net[i].bias.detach().numpy()) for i in (0, 2))

    def back(a, w, z, relevance):
        return a * (w.T @ (relevance / (z + epsilon * np.where(z >= 0, 1, -1))))

    wanted = []
    for row, label in zip(x.numpy(), LABELS, strict=True):
        z1 = w1 @ row + b1
        a1 = z1.clip(0)
        z2 = w2 @ a1 + b2
        hidden = back(a1, w2, z2, np.eye(3)[label] * z2)
        wanted.append(back(row, w1, z1, hidden))
    np.testing.assert_allclose(LRP(epsilon)(net, x, LABELS, target=TrueClass()), wanted, rtol=1e-10)


class Flattening(nn.Module):
    """captum's LRP has no rule for nn.Flatten."""

    def __init__(self, features, classifier):
        super().__init__()
        self.features, self.classifier = features, classifier

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


@pytest.mark.filterwarnings("ignore:Setting forward", "ignore:Input Tensor")
def test_lrp_is_captums():
    features = (nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 2), nn.Tanh())
    classifier = nn.Sequential(nn.Dropout(), nn.Linear(4, 5))
    net = Flattening(nn.Sequential(*features, nn.AdaptiveAvgPool2d(1)), classifier).double()
    net(draw(9, 2, 6, 6) + 1)
    x = draw(3, 2, 6, 6)
    wanted = captum.attr.LRP(net.eval()).attribute(x.clone(), target=LABELS).detach()
    close(LRP()(net, x, LABELS, target=TrueClass()), wanted)


CONSERVING = {
    "linear": lambda: (nn.Linear(6, 5, bias=False), nn.ReLU()),
    "max_pool": lambda: (conv(2), nn.ReLU(), nn.MaxPool2d(3, 1), nn.AdaptiveMaxPool2d(2)),
    "average": lambda: (conv(2), nn.ReLU(), nn.AvgPool2d(2), nn.ZeroPad2d(2), nn.AdaptiveAvgPool2d(3)),
    "batch_norm": lambda: (conv(2), nn.BatchNorm2d(3), nn.ReLU()),
    "transposed": lambda: (conv(2, "ConvTranspose"), nn.ReLU()),
    "activations": lambda: (conv(2), nn.Tanh(), nn.LeakyReLU(), nn.PReLU(), nn.GELU(), nn.SiLU(), nn.ELU(), nn.ReLU6()),
    "reshaped": lambda: (nn.Unflatten(1, (1, 2)), nn.Conv3d(1, 2, 2, bias=False), nn.Identity(), nn.Dropout()),
}


@pytest.mark.parametrize("epsilon", [1e-9, 1e-12])
@pytest.mark.parametrize("name", CONSERVING)
def test_lrp_conserves_relevance(name, epsilon):
    net, x = without_bias(*CONSERVING[name]()), draw(3, 2, 6, 6)
    map_ = LRP(epsilon)(net, x, LABELS, target=TrueClass())
    logits = net(x).gather(1, LABELS[:, None])[:, 0].detach()
    close(map_.flatten(1).sum(1), logits, 1e-6)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_lrp_conserves_relevance_in_any_dimension(dimensions):
    shape = (2, 8, 7, 6)[: dimensions + 1]
    pools = (getattr(nn, f"{kind}Pool{dimensions}d")(2) for kind in ("Max", "Avg", "AdaptiveAvg", "AdaptiveMax"))
    bn = getattr(nn, f"BatchNorm{dimensions}d")(3)
    net, x = without_bias(conv(dimensions), bn, nn.ReLU(), *pools, shape=shape), draw(3, *shape)
    logits = net(x).gather(1, LABELS[:, None])[:, 0].detach()
    close(LRP()(net, x, LABELS, target=TrueClass()).flatten(1).sum(1), logits, 1e-6)


class Written(nn.Module):
    """Maxima and ReLU as functions, branches that are joined, one layer used twice, and dead ends."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1, bias=False)
        self.linear = nn.Linear(14, 4, bias=False)
        self.unused = nn.LayerNorm(4)

    def forward(self, x):
        hidden = F.relu(self.conv(F.relu_(self.conv(x))))
        pooled = F.max_pool2d(hidden, 3, 2).flatten(1)
        joined = torch.cat([pooled, hidden.amax((2, 3)), x.max(dim=3)[0].transpose(1, 2)[:, 0], x[:, :, 1, 1]], dim=1)
        self.unused(joined[:, :4])
        return self.linear(joined)


def test_lrp_follows_functions_branches_and_layers_used_twice():
    torch.manual_seed(3)
    net, x = Written().double(), draw(3, 2, 6, 6)
    logits = net(x).gather(1, LABELS[:, None])[:, 0].detach()
    map_ = LRP()(net, x, LABELS, target=TrueClass())
    close(map_.flatten(1).sum(1), logits, 1e-6)
    # Piecewise linear without bias: the epsilon rule is then gradient times input.
    close(map_, InputXGradient()(net, x, LABELS, target=TrueClass()), 1e-6)


def test_lrp_epsilon_absorbs_in_sums_alone():
    net, x = nn.Sequential(nn.Flatten(), nn.Identity(), nn.Linear(4, 3, bias=False)).double(), draw(3, 4)
    z = net(x).gather(1, LABELS[:, None]).detach()
    wanted = x * net[2].weight[LABELS].detach() * z / (z + 0.5 * z.sign())
    close(LRP(0.5)(net, x, LABELS, target=TrueClass()), wanted, 1e-10)


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.2)], ids=repr)
def test_lrp_of_the_loss_starts_at_each_logit_with_its_part(criterion):
    net, x = without_bias(*CONSERVING["max_pool"]()), draw(3, 2, 6, 6)
    logits = net(x).detach().requires_grad_()
    (slope,) = torch.autograd.grad(criterion(logits, LABELS) * len(x), logits)
    each = [LRP()(net, x, torch.full((3,), k), target=TrueClass()) for k in range(4)]
    wanted = sum(slope[:, k, None, None, None] * map_ for k, map_ in enumerate(each))
    close(LRP()(net, x, LABELS, target=Loss(), criterion=criterion), wanted)


@pytest.mark.parametrize(
    ("step", "found"),
    [
        (lambda x: x.mean(2), "mean in Between ''"),
        (lambda x: x.sum(2), "sum in Between ''"),
        (lambda x: (x + x.flip(1)).amax(2), "add in Between ''"),
        (lambda x: (2 * x).amax(2), "mul in Between ''"),
        (lambda x: (x * (x > 0)).amax(2), "mul in Between ''"),
        (lambda x: x.softmax(1).amax(2), "softmax in Between ''"),
        (lambda x: x.tanh().amax(2), "tanh in Between ''"),
        (
            nn.Sequential(nn.GroupNorm(2, 4), nn.AdaptiveMaxPool1d(1), nn.Flatten()),
            "nativegroupnorm in GroupNorm 'step.0'",
        ),
        (lambda x: F.linear(x, torch.eye(x.shape[2])).amax(2), "mm in Between ''"),
    ],
)
def test_lrp_refuses_what_it_has_no_rule_for(step, found):
    with pytest.raises(ValueError, match=f"LRP does not fit this network: it has .*{found}"):
        LRP()(Between(step), torch.randn(3, 2, 6), LABELS, target=TrueClass())


def test_a_residual_network_is_refused_by_lrp():
    with pytest.raises(ValueError, match="it has add in Residual '0', add in Residual '1'"):
        LRP()(residual(), draw(3, 2, 6, 6), LABELS, target=TrueClass())
