"""The counted cost of the rivals, against PyTorch's counter of operations."""

import numpy as np
import pytest
from torch import nn

from skaba import ABAClassifier
from skaba.evaluation import find_rivals
from skaba.evaluation._cost import counted_cost


def deep() -> nn.Sequential:
    """A net whose first layer is small, so that it is no matter whether the input needs a gradient."""
    return nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3))


def test_the_cost_is_that_of_the_passes() -> None:
    X, y = np.random.default_rng(0).normal(size=(64, 2)).astype("float32"), np.arange(64) % 3
    plain = ABAClassifier(deep, augmenter=None, batch_size=32, random_state=0)
    for rival in find_rivals(plain, X, y):
        counted = counted_cost(rival.applied_to(plain), ABAClassifier(**plain.get_params(deep=False)), X, y)
        assert counted == pytest.approx(rival.cost, abs=0.05), rival.name
