"""Small estimators of every kind of data and task, unfitted."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from skaba.modules import FCN, ConvNet
from tests.tiny_nets import TextNet

SETTINGS: dict[str, Any] = {"augmenter": None, "max_epochs": 1, "batch_size": 16, "random_state": 0, "verbose": 0}
N = 48
RNG = np.random.default_rng(0)
LABELS = np.arange(N) % 3
SERIES = RNG.normal(size=(N, 2, 20)).astype(np.float32)
TABLE = (RNG.normal(size=(N, 4)) + LABELS[:, None]).astype(np.float32)
IMAGES = RNG.random((N, 1, 8, 8), dtype=np.float32)
# Every text holds many words of its class.
WORDS = np.where(RNG.random((N, 7)) < 0.5, 1 + LABELS[:, None], RNG.integers(4, 11, size=(N, 7)))
WORDS[:, 5:][RNG.random((N, 2)) < 0.5] = 0


class Dropping(nn.Module):
    """A table's net with dropout, given by a parameter."""

    def __init__(self, n_outputs: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def table_classifier(**parameters: Any) -> ABAClassifier:
    return ABAClassifier(**{"module": Dropping, **SETTINGS, **parameters})


def image_classifier(**parameters: Any) -> ABAClassifier:
    return ABAClassifier(ConvNet, module__n_classes=3, module__width=4, **{**SETTINGS, **parameters})


def series_classifier(**parameters: Any) -> ABAClassifier:
    return ABAClassifier(FCN, module__n_classes=3, module__channels=2, **{**SETTINGS, **parameters})


def text_classifier(**parameters: Any) -> ABAClassifier:
    return ABAClassifier(TextNet, layer="embedding", **{**SETTINGS, **parameters})


CASES: dict[str, tuple[Any, Any, Any]] = {
    "table": (table_classifier(), TABLE, LABELS),
    "images": (image_classifier(), IMAGES, LABELS),
    "series": (series_classifier(), SERIES, LABELS),
    "words": (text_classifier(), WORDS, LABELS),
    "several labels": (
        ABAMultiLabelClassifier(nn.Linear, module__in_features=4, module__out_features=2, **SETTINGS),
        TABLE,
        np.column_stack([LABELS > 0, LABELS == 2]),
    ),
    "regression": (
        ABARegressor(nn.Linear, module__in_features=4, module__out_features=1, **SETTINGS),
        TABLE,
        TABLE.sum(axis=1),
    ),
    "pipeline": (make_pipeline(StandardScaler(), table_classifier()), TABLE, LABELS),
}


def seeded_steps(net: Any, X: Any, y: Any) -> list[Tensor]:
    """Fit a net and return its weights."""
    torch.manual_seed(0)
    return [parameter.detach().clone() for parameter in net.fit(X, y).module_.parameters()]
