"""Small fitted estimators of every task."""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from torch import nn

from skaba import ABAClassifier
from tests.tiny_nets import TextNet

mpl.use("Agg")

SETTINGS: dict[str, Any] = {
    "optimizer": torch.optim.SGD,
    "lr": 0.1,
    "max_epochs": 3,
    "batch_size": 8,
    "iterator_train__shuffle": False,
    "verbose": 0,
}


def table_net(n_outputs: int = 3) -> nn.Sequential:
    """Four features to logits."""
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, n_outputs))


@pytest.fixture(scope="session")
def table() -> tuple[np.ndarray, np.ndarray]:
    """60 samples of 3 classes that overlap."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    return (rng.normal(size=(60, 4)) + y[:, None]).astype(np.float32), y


@pytest.fixture(scope="session")
def texts() -> tuple[np.ndarray, np.ndarray]:
    """30 texts as word ids, padded to 7 words from 3 to 6, and their classes."""
    rng = np.random.default_rng(1)
    ids = rng.integers(1, 11, size=(30, 7))
    ids[np.arange(7) >= rng.integers(3, 7, size=(30, 1))] = 0
    return ids, np.arange(30) % 3


@pytest.fixture
def classifier() -> Callable[..., ABAClassifier]:
    def make(**parameters: Any) -> ABAClassifier:
        return ABAClassifier(**{"module": table_net, "random_state": 0, "strength": 0.5, **SETTINGS, **parameters})

    return make


@pytest.fixture
def text_classifier(classifier: Any) -> Callable[..., ABAClassifier]:
    def make(**parameters: Any) -> ABAClassifier:
        return classifier(**{"module": TextNet, "layer": "embedding", "augmenter": "fast_aba", **parameters})

    return make
