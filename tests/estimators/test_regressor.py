"""ABARegressor: targets of one and several columns, the loss as target, closed forms."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import is_regressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from skorch.dataset import Dataset
from torch import Tensor, nn

from skaba import ABARegressor
from skaba.attribution import Loss
from tests.estimators.conftest import same, weights


@pytest.fixture(scope="module")
def plane() -> tuple[np.ndarray, np.ndarray]:
    """A linear function of four features, with noise."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4)).astype(np.float32)
    return X, X @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.1 * rng.normal(size=200)


def _net(**parameters: Any) -> ABARegressor:
    settings = {"random_state": 0, "max_epochs": 30, "lr": 0.1, "batch_size": 32, "verbose": 0, "train_split": None}
    return ABARegressor(
        **{"module": nn.Linear, "module__in_features": 4, "module__out_features": 1, **settings, **parameters}
    )


def test_learns_a_plane(plane: Any) -> None:
    X, y = plane
    net = _net(strength=0.05).fit(X[:150], y[:150])
    assert net.score(X[150:], y[150:]) == pytest.approx(r2_score(y[150:], net.predict(X[150:])))
    assert net.score(X[150:], y[150:]) > 0.95
    assert is_regressor(net)


def test_one_column_or_none_is_the_same_network(plane: Any) -> None:
    """Targets (n,) against predictions (n, 1) must not broadcast to (n, n)."""
    X, y = plane
    flat, column = _net().fit(X, y), _net().fit(X, y[:, None])
    assert same(weights(flat), weights(column))
    assert flat.predict(X).shape == (200,)
    assert column.predict(X).shape == (200, 1)


def test_a_module_that_returns_a_flat_output(plane: Any) -> None:
    class Flat(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x)[:, 0]

    X, y = plane
    flat, column = _net(module=Flat).fit(X, y), _net().fit(X, y)
    assert same(weights(flat), weights(column))
    assert flat.predict(X).shape == (200,)
    assert flat.predict_proba(X).shape == (200, 1)
    assert flat.score(X, y) == column.score(X, y)
    np.testing.assert_array_equal(flat.attribute(X, y), column.attribute(X, y))
    np.testing.assert_array_equal(_net(module=Flat).fit(X, y[:, None]).predict(X), column.predict(X)[:, None])


def test_several_outputs(plane: Any) -> None:
    X, y = plane
    net = _net(module__out_features=2).fit(X, np.column_stack([y, -y]))
    assert net.predict(X).shape == (200, 2)
    assert net.score(X, np.column_stack([y, -y])) > 0.9


def test_attribution_of_the_loss_in_closed_form(plane: Any) -> None:
    X, y = plane
    net = _net(max_epochs=1).fit(X, y)
    weight = net.module_.weight.detach().numpy()
    by_hand = 2 * (net.predict(X) - y)[:, None] * weight
    np.testing.assert_allclose(net.attribute(X, y), by_hand, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(net.attribute(X), np.broadcast_to(weight, X.shape), atol=1e-6)


def test_presets_by_name_explain_the_loss(plane: Any) -> None:
    net = _net(augmenter="fgsm", strength=0.2, max_epochs=1).fit(*plane)
    assert isinstance(net.augmenter_.target, Loss)
    moved = net.augment(*plane) - plane[0]
    np.testing.assert_allclose(moved, 0.2 * np.where(net.attribute(*plane) >= 0, 1, -1), atol=1e-6)


def test_grid_search(plane: Any) -> None:
    search = GridSearchCV(_net(max_epochs=2), {"strength": [0.0, 0.1]}, cv=2, error_score="raise").fit(*plane)
    assert search.best_estimator_.strength == search.best_params_["strength"]


def test_a_dataset(plane: Any) -> None:
    X, y = plane
    net = _net().fit(Dataset(X, y[:, None].astype(np.float32)))
    assert net.predict(X).shape == (200, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: np.column_stack([y, y]), "Make the module's output as wide as y"),
        (lambda y: np.where(y > 0, "high", "low"), "y must hold numbers"),
        (lambda y: np.where(y > 1, np.nan, y), "y contains NaN or infinity"),
        (lambda y: np.where(y > 1, np.inf, y), "y contains NaN or infinity"),
        (lambda y: y.astype(str), "y must hold numbers, got <U32 values such as"),
        (lambda y: y.astype(str).astype(object), "y must hold numbers, got object values such as"),
        (lambda y: y.astype("M8[D]"), r"y holds datetime64\[D\] values.*timedelta64\(1, 'D'\)"),
        (lambda y: y * 1j, "Complex data not supported"),
        (lambda y: np.ma.masked_greater(y, 1), "y is a masked array"),
        (lambda y: y * 1e300, "a float64 value that overflows to infinity in float32"),
        (lambda y: pd.Series(y).astype("Float64").mask(y > 1).astype(object), "y contains None or NaN"),
    ],
)
def test_bad_targets(plane: Any, change: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _net().fit(plane[0], change(plane[1]))
    if "as wide as" not in message:
        with pytest.raises(ValueError, match=message):
            _net(max_epochs=1).fit(*plane).score(plane[0], change(plane[1]))


def test_another_width_later(plane: Any) -> None:
    net = _net(max_epochs=1).fit(*plane)
    with pytest.raises(ValueError, match=r"y has shape \(200, 2\), but fit saw targets of shape \('n',\)"):
        net.attribute(plane[0], np.column_stack([plane[1], plane[1]]))


def test_a_column_is_the_same_targets_as_a_row(plane: Any) -> None:
    X, y = plane
    net = _net(max_epochs=1).fit(X, y)
    assert np.array_equal(net.attribute(X, y[:, None]), net.attribute(X, y))
    assert net.score(X, y[:, None]) == net.score(X, y)


def test_predictions_keep_the_modules_precision(plane: Any) -> None:
    assert _net(module=nn.Linear(4, 1).double(), module__in_features=4).get_params()["verbose"] == 0
    net = ABARegressor(nn.Linear(4, 1).double(), max_epochs=1, verbose=0, random_state=0).fit(*plane)
    assert net.predict(plane[0]).dtype == np.float64
    assert net.module_.weight.dtype == torch.float64


def test_diverged_training_warns(plane: Any) -> None:
    with pytest.warns(ConvergenceWarning, match="Training diverged.*scale X"):
        _net(augmenter=None).fit(plane[0], 1e30 * plane[1])
