"""Small networks, batches and plain training loops, for the tests of :class:`skaba.training.Augmentation`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from skaba.training import Augmentation
from tests.tiny_nets import TextNet, words

Batches = list[tuple[Tensor, Tensor, Tensor]]


class ImageNet(nn.Module):
    """Images (n, 2, 6, 6) to three logits, with BatchNorm, and a first layer that writes into its input."""

    def __init__(self, in_place: bool = False) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = nn.Hardtanh(-9, 9, inplace=True) if in_place else nn.Identity()
        self.features = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(self.first(x)))


def image_batches(dtype: torch.dtype = torch.float32, n: int = 24, size: int = 8) -> Batches:
    """Batches of images, labels and the samples' numbers, in an order that is not ascending."""
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(n, 2, 6, 6, generator=generator).to(dtype)
    return _batches(x, torch.arange(n) % 3, size)


def text_batches(n: int = 24, size: int = 8) -> Batches:
    """Batches of word ids with padding, labels and the samples' numbers."""
    return _batches(words(n), torch.arange(n) % 3, size)


def _batches(x: Tensor, y: Tensor, size: int) -> Batches:
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(8))
    return [(x[index], y[index], index) for index in order.split(size)]


def smooth_text_net() -> TextNet:
    """A text net in double precision, in training mode."""
    return TextNet().double()


def train(
    model: nn.Module,
    batches: Iterable[Any],
    augmentation: Augmentation | None,
    *,
    epochs: int = 2,
    optimizer: Callable[..., torch.optim.Optimizer] = torch.optim.SGD,
) -> dict[str, Tensor]:
    """Train a model in the plain loop of the docs, and return its state; without augmentation if None is given."""
    criterion = nn.CrossEntropyLoss()
    stepper = optimizer(model.parameters(), lr=0.1)
    model.train()
    for _ in range(epochs):
        for x, y, index in batches:
            block = nullcontext((x, y)) if augmentation is None else augmentation(x, y, index=index)
            with block as (x_seen, y_seen):
                loss = criterion(model(x_seen), y_seen)
                stepper.zero_grad()
                loss.backward()
            stepper.step()
    return model.state_dict()


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Return whether two states are bit for bit the same."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
