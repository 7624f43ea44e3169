"""Without augmentation the estimators are skorch's own, bit for bit."""

from typing import Any

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier, NeuralNetRegressor
from skorch.dataset import ValidSplit
from torch import nn

from skaba import ABAClassifier, ABARegressor
from tests.estimators.conftest import SmallNet, same, weights

SETTINGS: dict[str, Any] = {
    "optimizer": torch.optim.SGD,
    "lr": 0.1,
    "max_epochs": 3,
    "batch_size": 32,
    "verbose": 0,
    "iterator_train__shuffle": True,
}


def _fit(net: Any, X: np.ndarray, y: np.ndarray) -> Any:
    torch.manual_seed(3)
    return net.fit(X, y)


@pytest.mark.parametrize("off", [{"strength": 0}, {"strength": 0.0, "augmenter": "fgsm"}, {"augmenter": None}])
def test_switched_off_equals_skorch(digits: Any, off: dict[str, Any]) -> None:
    split = ValidSplit(5, stratified=True)
    plain = _fit(NeuralNetClassifier(SmallNet, criterion=nn.CrossEntropyLoss, train_split=split, **SETTINGS), *digits)
    ours = _fit(ABAClassifier(SmallNet, train_split=split, **off, **SETTINGS), *digits)
    assert same(weights(ours), weights(plain))
    assert ours.history[:, "train_loss"] == plain.history[:, "train_loss"]
    assert ours.history[:, "valid_loss"] == plain.history[:, "valid_loss"]


def test_random_state_equals_the_same_manual_seed(digits: Any) -> None:
    settings = {**SETTINGS, "train_split": None}
    plain = _fit(NeuralNetClassifier(SmallNet, criterion=nn.CrossEntropyLoss, **settings), *digits)
    ours = ABAClassifier(SmallNet, augmenter=None, random_state=3, **SETTINGS).fit(*digits)
    assert same(weights(ours), weights(plain))


def test_switched_off_regressor_equals_skorch() -> None:
    X = torch.randn(64, 5).numpy()
    y = X[:, :1] ** 2
    settings = {**SETTINGS, "module__in_features": 5, "module__out_features": 1}
    plain = _fit(NeuralNetRegressor(nn.Linear, train_split=None, **settings), X, y)
    ours = _fit(ABARegressor(nn.Linear, strength=0, **settings), X, y)
    assert same(weights(ours), weights(plain))


def test_defaults_are_skorch_with_adam_and_shuffled_batches(digits: Any) -> None:
    settings: dict[str, Any] = {"optimizer": torch.optim.Adam, "lr": 1e-3, "batch_size": 32, "max_epochs": 100}
    shuffled = {"iterator_train__shuffle": True, "train_split": None}
    X, y = digits[0][:40], digits[1][:40]
    plain = _fit(NeuralNetClassifier(SmallNet, criterion=nn.CrossEntropyLoss, verbose=0, **settings, **shuffled), X, y)
    assert same(weights(_fit(ABAClassifier(SmallNet, strength=0, verbose=0), X, y)), weights(plain))


def test_switched_on_differs(digits: Any) -> None:
    plain = _fit(NeuralNetClassifier(SmallNet, criterion=nn.CrossEntropyLoss, **SETTINGS), *digits)
    ours = _fit(ABAClassifier(SmallNet, strength=0.1, **SETTINGS), *digits)
    assert not same(weights(ours), weights(plain))


def test_augmentation_draws_nothing_from_the_global_state(digits: Any) -> None:
    """Batches and dropout are those of the unaugmented fit: afterwards the global state is the same."""
    _fit(ABAClassifier(SmallNet, augmenter=None, **SETTINGS), *digits)
    plain = torch.get_rng_state()
    _fit(ABAClassifier(SmallNet, augmenter="mend_aba", **SETTINGS), *digits)
    assert torch.equal(torch.get_rng_state(), plain)
