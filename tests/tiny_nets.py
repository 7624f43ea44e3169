"""Tiny networks that several test packages use."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def linear(n_features: int = 20, n_classes: int = 5, bias: bool = True, seed: int = 0) -> nn.Linear:
    """A linear model in double precision."""
    torch.manual_seed(seed)
    return nn.Linear(n_features, n_classes, bias=bias).double()


def mlp(n_features: int = 6, n_classes: int = 4) -> nn.Sequential:
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(n_features, 16), nn.Tanh(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, n_classes))
    return net.eval()


def conv_net(n_classes: int = 5) -> nn.Sequential:
    """Images (n, 2, 6, 6) to logits; in training mode, with BatchNorm statistics that are not the initial ones."""
    torch.manual_seed(2)
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3),
        nn.BatchNorm2d(4),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(64, n_classes),
    )
    with torch.no_grad():
        net(torch.randn(32, 2, 6, 6) * 2 + 1)
    return net


def images(n: int = 3) -> Tensor:
    return torch.randn(n, 2, 6, 6, generator=torch.Generator().manual_seed(3))


class TextNet(nn.Module):
    """Word ids (n, length) to logits; 0 is padding."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.embedding = nn.Embedding(11, 5, padding_idx=0)
        self.convolution = nn.Conv1d(5, 6, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.output = nn.Linear(6, 3)

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.act(self.convolution(self.embedding(ids).transpose(1, 2)))
        return self.output(hidden.mean(dim=2))


def words(n: int = 4) -> Tensor:
    ids = torch.randint(1, 11, (n, 7), generator=torch.Generator().manual_seed(5))
    ids[:, 5:] = 0
    return ids


class Draws(nn.Module):
    """Draws from torch's global random state even in evaluation mode."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.01 * torch.rand_like(x)


class Bomb(nn.Module):
    """Fails on its n-th call; 0 never fails."""

    def __init__(self, fails_on: int = 0) -> None:
        super().__init__()
        self.fails_on = fails_on
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.fails_on:
            raise RuntimeError("boom")
        return x


def trap(fails_on: int = 0) -> nn.Sequential:
    """A net in which everything that asking could disturb is in a state of its own.

    Flags are mixed (a BatchNorm frozen in evaluation mode), a parameter is frozen, some parameters have
    gradients, and there are a user's hooks.
    """
    torch.manual_seed(6)
    net = nn.Sequential(
        nn.Conv1d(2, 3, 3, padding=1),
        nn.BatchNorm1d(3),
        nn.Sequential(nn.ReLU(), nn.Dropout(0.5), nn.BatchNorm1d(3)),
        Draws(),
        Bomb(fails_on),
        nn.Flatten(),
        nn.Linear(24, 5),
    )
    net.train()
    net[1].eval()
    net[6].weight.requires_grad_(False)
    net[0].weight.grad = torch.randn_like(net[0].weight)
    net[2][2].bias.grad = torch.zeros_like(net[2][2].bias)
    net[0].register_forward_hook(lambda *_: None)
    net[6].register_forward_pre_hook(lambda *_: None)
    return net


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
