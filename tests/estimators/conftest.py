"""Small data and networks for the estimators' tests."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from skaba import ABAClassifier


class SmallNet(nn.Module):
    """Convolution, BatchNorm and dropout: everything that could leave a trace."""

    def __init__(self, n_classes: int = 10, dropout: float = 0.2) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(dropout)
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(64, n_classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """200 digits, float32 of shape (200, 1, 8, 8), and their int64 labels."""
    X, y = load_digits(return_X_y=True)
    return (X[:200].reshape(-1, 1, 8, 8) / 16).astype(np.float32), y[:200].astype(np.int64)


@pytest.fixture
def make_net() -> Callable[..., ABAClassifier]:
    """Return a maker of small classifiers."""

    def make(**parameters: Any) -> ABAClassifier:
        settings = {
            "random_state": 0,
            "max_epochs": 2,
            "batch_size": 32,
            "lr": 0.1,
            "verbose": 0,
            "train_split": None,
        }
        return ABAClassifier(**{"module": SmallNet, **settings, **parameters})

    return make


def weights(net: Any) -> list[Tensor]:
    """Return copies of all parameters and buffers."""
    return [tensor.detach().clone() for tensor in net.module_.state_dict().values()]


def same(first: list[Tensor], second: list[Tensor]) -> bool:
    """Return whether two lists of tensors are bit for bit the same."""
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
