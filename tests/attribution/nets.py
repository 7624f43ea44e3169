"""Networks and comparisons that the tests of layerwise methods share."""

import torch
from torch import nn

from skaba.modules import TextCNN
from tests.tiny_nets import seeded

LABELS = torch.tensor([1, 0, 2])


def close(got, wanted, tolerance=1e-5):
    torch.testing.assert_close(got, wanted, rtol=tolerance, atol=tolerance * wanted.abs().max().item())


def draw(*shape, seed=3):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def rectifying(bias=True):
    """Images (n, 2, 6, 6) to logits, in double precision; ReLU, no two nonlinear layers in a row."""
    torch.manual_seed(2)
    layers = [nn.Conv2d(2, 4, 3, padding=1, bias=bias), nn.ReLU(), nn.Conv2d(4, 4, 3, bias=bias), nn.ReLU()]
    return nn.Sequential(*layers, nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 5, bias=bias)).double().eval()


class Residual(nn.Module):
    """A block as torchvision writes it: one ReLU in place, used twice, and an addition."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)
        self.bn1, self.bn2 = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += x
        return self.relu(out)


class Preactivated(Residual):
    """The ReLU's input is where the skip begins."""

    def forward(self, x):
        x = self.conv1(x)
        return x + self.conv2(self.relu(x.clone() if self.relu.inplace else x))


class Parallel(Residual):
    """One ReLU in two branches side by side."""

    def forward(self, x):
        left, right = self.relu(self.conv1(x)), self.relu(self.conv2(x) - 1)
        return left - 2 * right


def residual(block=Residual):
    torch.manual_seed(5)
    net = nn.Sequential(block(), block(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 4)).double()
    net(draw(8, 2, 6, 6) + 1)
    return net.eval()


def without_bias(*layers, shape=(2, 6, 6)):
    torch.manual_seed(1)
    net = nn.Sequential(*layers, nn.Flatten()).double().eval()
    width = net(draw(1, *shape)).shape[1]
    return nn.Sequential(net, nn.Linear(width, 4, bias=False)).double().eval()


def conv(dimensions, kind="Conv"):
    return getattr(nn, f"{kind}{dimensions}d")(2, 3, 3, bias=False)


class Between(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.first, self.last, self.step = nn.Conv1d(2, 4, 3), nn.Linear(4, 4), step

    def forward(self, x):
        return self.last(self.step(self.first(x)))


def text_net():
    torch.manual_seed(0)
    ids = torch.randint(1, 20, (3, 30), generator=seeded(2))
    return TextCNN(torch.randn(20, 6), n_classes=4, channels=8, hidden=8), ids
