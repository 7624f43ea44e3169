"""The estimators train with every attribution method, at every place, on every task, and reproducibly."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from skaba.attribution import METHODS, Loss
from skaba.augmenters import mend_aba
from tests.estimators.conftest import same, weights

# Fewer passes than by default: what is tested is that they run.
FEWER: dict[str, dict[str, Any]] = {
    "IntegratedGradients": {"steps": 2},
    "ExpectedGradients": {"samples": 2},
    "SmoothGrad": {"samples": 2},
    "SquaredSmoothGrad": {"samples": 2},
    "VarGrad": {"samples": 2},
    "IBA": {"steps": 2, "samples": 2},
    "HillClimbing": {"iterations": 2, "neighbours": 2},
    "GradientShap": {"samples": 2},
    "KernelShap": {"samples": 4},
    "Lime": {"samples": 4},
}
SETTINGS = {"max_epochs": 2, "batch_size": 8, "train_split": None, "verbose": 0, "random_state": 0, "strength": 0.5}


class Images(nn.Sequential):
    def __init__(self, n_outputs: int = 3) -> None:
        super().__init__(nn.Conv2d(1, 3, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(27, n_outputs))


class Series(nn.Sequential):
    def __init__(self, n_outputs: int = 3) -> None:
        super().__init__(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Flatten(), nn.Linear(24, n_outputs))


class Texts(nn.Module):
    def __init__(self, n_outputs: int = 3) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 4, padding_idx=0)
        self.rest = nn.Sequential(nn.Conv1d(4, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, n_outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.rest(self.embedding(x).transpose(1, 2))


def data(module: type[nn.Module]) -> np.ndarray:
    draw = np.random.default_rng(0)
    if module is Texts:
        return draw.integers(1, 9, size=(16, 6))
    return draw.normal(size=(16, 1, 5, 5) if module is Images else (16, 2, 10)).astype(np.float32)


def fit(estimator: Any, name: str, module: type[nn.Module], y: np.ndarray, **parameters: Any) -> Any:
    augmenter = mend_aba(k=2, attribution=METHODS[name](**FEWER.get(name, {})), **parameters)
    layer = "embedding" if module is Texts else None
    net = estimator(module, module__n_outputs=len(np.unique(y)) if y.ndim == 1 else y.shape[1], layer=layer, **SETTINGS)
    return net.set_params(augmenter=augmenter).fit(data(module), y)


@pytest.mark.parametrize("module", [Images, Series, Texts])
@pytest.mark.parametrize("name", METHODS)
def test_classifier(name: str, module: type[nn.Module]) -> None:
    y = np.arange(16) % 3
    first, again = (fit(ABAClassifier, name, module, y) for _ in range(2))
    assert same(weights(first), weights(again))
    assert np.isfinite(first.history[:, "train_loss"]).all()
    plain = ABAClassifier(module, layer=first.layer, **{**SETTINGS, "strength": 0}).fit(data(module), y)
    assert not same(weights(first), weights(plain))
    maps = first.attribute(data(module)[:3], attribution=METHODS[name](**FEWER.get(name, {})))
    assert maps.shape == ((3, 6, 4) if module is Texts else data(module)[:3].shape)


@pytest.mark.parametrize("name", METHODS)
def test_multi_label_and_regression(name: str) -> None:
    draw = np.random.default_rng(1)
    labels = draw.integers(0, 2, size=(16, 2)).astype(np.float32)
    fit(ABAMultiLabelClassifier, name, Images, labels, target=Loss())
    fit(ABARegressor, name, Series, draw.normal(size=(16, 2)).astype(np.float32), target=Loss())


@pytest.mark.parametrize("name", METHODS)
def test_at_a_hidden_layer(name: str) -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(1, 2, 3, padding=1)
            self.rest = nn.Sequential(nn.ReLU(), nn.Conv2d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 3))

        def forward(self, x: Tensor) -> Tensor:
            return self.rest(self.first(x))

    augmenter = mend_aba(k=2, attribution=METHODS[name](**FEWER.get(name, {})))
    net = ABAClassifier(Deep, layer="first", augmenter=augmenter, **SETTINGS).fit(data(Images), np.arange(16) % 3)
    assert net.attribute(data(Images)[:2]).shape == (2, 2, 5, 5)
    assert all(not module._forward_hooks and not module._backward_hooks for module in net.module_.modules())


def test_challenger_original_by_name() -> None:
    settings = {**SETTINGS, "max_epochs": 1}
    y = np.arange(16) % 3
    named = ABAClassifier(Images, augmenter="challenger_original", **settings).fit(data(Images), y)
    assert type(named.augmenter_.attribution).__name__ == "LRP"
    gradient = ABAClassifier(Images, augmenter="challenger", **settings).fit(data(Images), y)
    assert not same(weights(named), weights(gradient))
    assert torch.isfinite(torch.cat([w.flatten() for w in weights(named)])).all()
