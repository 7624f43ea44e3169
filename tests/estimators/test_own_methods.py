"""Custom methods and targets, training mode, and outputs without columns, used through an estimator."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from skaba import ABAClassifier, ABARegressor
from skaba.attribution import (
    LRP,
    AttributionMethod,
    Gradient,
    InputXGradient,
    IntegratedGradients,
    PredictedClass,
    available,
)
from skaba.augmenters import ABA
from skaba.evaluation.fidelity import fidelity

X = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))


def classifier(**parameters: Any) -> ABAClassifier:
    return ABAClassifier(network, max_epochs=1, batch_size=40, random_state=0, verbose=0, **parameters).fit(X, Y)


# --- methods of one's own


class Own(AttributionMethod):
    def __init__(self, result: Any = None) -> None:
        self.result = result

    def _attribute(self, model: Any, x: Any, fix: Any, generator: Any) -> Any:
        return self.result(x)


def as_function(result: Any) -> Any:
    def own(model: Any, x: Any, y: Any, *, target: Any, criterion: Any, generator: Any) -> Any:
        return result(x)

    return own


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda x: None, "returned a NoneType"),
        (lambda x: x.numpy(), "returned a ndarray"),
        (lambda x: x[:, 0], r"returned a tensor of shape \(40,\) for a batch of shape \(40, 5\)"),
        (lambda x: x * torch.nan, "NaN or infinity for 40 of 40 samples"),
    ],
    ids=["None", "NumPy", "shape", "NaN"],
)
@pytest.mark.parametrize("kind", [as_function, Own])
def test_what_is_no_map_is_refused(kind: Any, result: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"(?s)[Oo]wn.*{message}"):
        classifier(augmenter=None).attribute(X, attribution=kind(result))


def test_a_function_that_cannot_be_asked_is_named() -> None:
    with pytest.raises(TypeError, match=r"attribution=<function .* must be callable as attribution\(model, x, y, \*,"):
        classifier(augmenter=None).attribute(X, attribution=lambda x: x)
    with pytest.raises(TypeError, match=r"target=<function .* must be callable as target\(logits, y, \*,"):
        classifier(augmenter=None).attribute(X, target=lambda logits: logits)


# --- training mode


def in_training(net: nn.Module, layer: str) -> tuple[torch.Tensor, torch.Tensor]:
    """A layer's output in a copy that trains, and the gradient there of the class that the copy predicts."""
    copied_network, kept = copy.deepcopy(net).train(), []

    def keep(module: Any, args: Any, output: torch.Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    copied_network.get_submodule(layer).register_forward_hook(keep)
    copied_network(torch.as_tensor(X)).amax(1).sum().backward()
    return kept[0].detach(), kept[0].grad


@pytest.mark.parametrize("layer", ["0", "1", "2"])
def test_maps_in_training_mode_at_a_layer(layer: str) -> None:
    clf = classifier(augmenter=None, layer=layer)
    before = copy.deepcopy(clf.module_.state_dict())
    hidden, gradient = in_training(clf.module_, layer)
    got = clf.attribute(X, attribution=Gradient("train"), target=PredictedClass())
    np.testing.assert_allclose(got, gradient, rtol=1e-4, atol=1e-6)
    times = clf.attribute(X, attribution=InputXGradient("train"), target=PredictedClass())
    np.testing.assert_allclose(times, hidden * gradient, rtol=1e-4, atol=1e-6)
    assert not np.allclose(got, clf.attribute(X, attribution=Gradient(), target=PredictedClass()))
    torch.testing.assert_close(clf.module_.state_dict(), before, rtol=0, atol=0)


@pytest.mark.parametrize("layer", [None, "1"])
@pytest.mark.parametrize("method", [Gradient("train"), InputXGradient("train")], ids=repr)
def test_training_with_maps_in_training_mode_sees_each_batch_once(method: Any, layer: str | None) -> None:
    clf = classifier(augmenter=ABA(method, PredictedClass()), strength=0.1, layer=layer, train_split=None)
    assert clf.module_[1].num_batches_tracked == 1


# --- outputs without columns


def regressors() -> list[ABARegressor]:
    def flat() -> nn.Module:
        return nn.Sequential(nn.Linear(5, 1), nn.Flatten(0))

    def column() -> nn.Module:
        return nn.Sequential(nn.Linear(5, 1))

    common = {"max_epochs": 2, "random_state": 0, "verbose": 0}
    return [ABARegressor(module, **common).fit(X, X[:, 0]) for module in (flat, column)]


@pytest.mark.filterwarnings("ignore:.* samples are left out")
def test_a_flat_regressor_is_explained_as_one_with_a_column() -> None:
    flat, column = regressors()
    for arguments in (
        {},
        {"attribution": IntegratedGradients()},
        {"y": X[:, 0]},
        {"y": X[:, 0], "attribution": LRP()},
        {"target": PredictedClass()},
    ):
        np.testing.assert_array_equal(flat.attribute(X, **arguments), column.attribute(X, **arguments))
    assert available(flat.module_, X[:1]) == available(column.module_, X[:1])
    assert fidelity(flat, X, Gradient()).area == fidelity(column, X, Gradient()).area
    np.testing.assert_array_equal(flat.augment(X, X[:, 0]), column.augment(X, X[:, 0]))


class MeanAndVariance(nn.Module):
    def __init__(self, flat: bool) -> None:
        super().__init__()
        self.mean, self.variance, self.flat = nn.Linear(5, 1), nn.Linear(5, 1), flat

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        both = self.mean(x), nn.functional.softplus(self.variance(x)) + 1e-3
        return tuple(output.flatten() for output in both) if self.flat else both  # type: ignore[return-value]


class Gaussian(ABARegressor):
    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> torch.Tensor:
        return self.criterion_(y_pred[0], y_true.reshape(y_pred[0].shape), y_pred[1])


def test_an_own_loss_of_flat_outputs_is_explained() -> None:
    flat, column = (
        Gaussian(
            MeanAndVariance, module__flat=flat, criterion=nn.GaussianNLLLoss, max_epochs=1, random_state=0, verbose=0
        ).fit(X, X[:, 0])
        for flat in (True, False)
    )
    np.testing.assert_allclose(flat.attribute(X, X[:, 0]), column.attribute(X, X[:, 0]), rtol=1e-5, atol=1e-7)
