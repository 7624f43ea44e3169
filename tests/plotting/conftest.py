"""A tiny fitted net, and a backend of matplotlib that needs no screen."""

from collections.abc import Callable, Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from torch import nn

from skaba import ABAClassifier
from skaba.augmenters import mend_aba

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).random((12, 1, 4, 4)).astype(np.float32)


@pytest.fixture
def labels() -> np.ndarray:
    return np.arange(12) % 3


@pytest.fixture
def fit(labels: np.ndarray) -> Callable[..., ABAClassifier]:
    def fitted(X: np.ndarray, **parameters: Any) -> ABAClassifier:
        module = nn.Sequential(nn.Flatten(), nn.Linear(X[0].size, 8), nn.Tanh(), nn.Linear(8, 3))
        settings = {"augmenter": mend_aba(k=2), "strength": 0.5, "max_epochs": 1, "random_state": 0}
        net = ABAClassifier(module, **{**settings, **parameters}, train_split=None, verbose=0)
        return net.fit(X, labels)

    return fitted
