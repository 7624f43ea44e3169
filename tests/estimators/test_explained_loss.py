"""Maps explain the ``get_loss`` of a subclass, per sample, and the criterion of other nets."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skaba import ABAClassifier, ABARegressor
from skaba.attribution import LRP, Gradient, IntegratedGradients, Loss, Occlusion, PredictedClass
from skaba.augmenters import fgsm
from skaba.estimators._explained_loss import OwnLoss, explained_loss
from tests.estimators.conftest import same, weights

X = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
SETTINGS: dict[str, Any] = {"max_epochs": 2, "verbose": 0, "random_state": 0, "train_split": None, "lr": 0.01}


class MeanAndVariance(nn.Module):
    """Two outputs, of which attribution sees the first."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 4)
        self.mean = nn.Linear(4, 1)
        self.variance = nn.Linear(4, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        hidden = torch.tanh(self.first(x))
        return self.mean(hidden), nn.functional.softplus(self.variance(hidden)) + 0.1


class Gaussian(ABARegressor):
    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        return self.criterion_(y_pred[0], y_true[:, None], y_pred[1])


def _gaussian(**parameters: Any) -> Gaussian:
    return Gaussian(MeanAndVariance, **{"criterion": nn.GaussianNLLLoss, **SETTINGS, **parameters})


def _gaussian_losses(net: Gaussian, x: Tensor, y: Tensor) -> Tensor:
    """Each sample's loss, written out: (log v + (m - y)^2 / v) / 2."""
    mean, variance = (output[:, 0] for output in net.module_(x))
    return 0.5 * (variance.log() + (mean - y) ** 2 / variance)


@pytest.mark.parametrize("augmenter", [None, "free_aba", "mend_aba", "fast_aba", "fgsm"])
@pytest.mark.parametrize("layer", [None, "first"])
def test_every_preset_trains(augmenter: str | None, layer: str | None) -> None:
    net = _gaussian(augmenter=augmenter, layer=layer).fit(X, X[:, 0])
    assert np.isfinite(net.history[-1, "train_loss"])


def test_the_map_is_the_gradient_of_the_nets_own_loss() -> None:
    """All outputs count, and targets of shape (n,) arrive as they do in training."""
    net = _gaussian(augmenter="fgsm").fit(X, X[:, 0])
    x = torch.as_tensor(X).requires_grad_()
    expected = torch.autograd.grad(_gaussian_losses(net, x, x.detach()[:, 0]).sum(), x)[0]
    np.testing.assert_allclose(net.attribute(X, X[:, 0]), expected, rtol=1e-4, atol=1e-6)
    moved = net.augment(X, X[:, 0]) - X
    np.testing.assert_allclose(moved, net.strength_ * np.where(expected >= 0, 1, -1), atol=1e-6)


def test_at_a_layer() -> None:
    net = _gaussian(augmenter="fgsm", layer="first").fit(X, X[:, 0])
    with torch.no_grad():
        hidden = net.module_.first(torch.as_tensor(X))
    hidden.requires_grad_()
    mean, variance = (head(torch.tanh(hidden))[:, 0] for head in (net.module_.mean, net.module_.variance))
    variance = nn.functional.softplus(variance) + 0.1
    losses = 0.5 * (variance.log() + (mean - torch.as_tensor(X[:, 0])) ** 2 / variance)
    expected = torch.autograd.grad(losses.sum(), hidden)[0]
    np.testing.assert_allclose(net.attribute(X, X[:, 0]), expected, rtol=1e-4, atol=1e-6)


def test_methods_that_ask_about_variants_of_a_batch() -> None:
    net = _gaussian(augmenter="fgsm").fit(X, X[:, 0])
    y = X[:, 0]
    for method in (IntegratedGradients(), Occlusion()):
        together = net.attribute(X, y, attribution=method)
        alone = np.concatenate([net.attribute(X[i : i + 1], y[i : i + 1], attribution=method) for i in range(8)])
        np.testing.assert_allclose(together[:8], alone, rtol=1e-4, atol=1e-6)
    with torch.no_grad():
        losses, empty = (
            _gaussian_losses(net, x, torch.as_tensor(y)).numpy() for x in (torch.as_tensor(X), torch.zeros(40, 5))
        )
    sums = net.attribute(X, y, attribution=IntegratedGradients(steps=300)).sum(axis=1)
    np.testing.assert_allclose(sums, losses - empty, atol=2e-2)


def test_a_method_that_holds_only_the_first_output_says_so() -> None:
    class TwoHeads(nn.Sequential):
        def forward(self, x: Tensor) -> Any:
            return super().forward(x), torch.ones(len(x), 1)

    net = Gaussian(TwoHeads(nn.Linear(5, 1)), augmenter=None, criterion=nn.GaussianNLLLoss, **SETTINGS).fit(X, X[:, 0])
    with pytest.raises(ValueError, match=r"Gaussian.get_loss takes all outputs.*PredictedClass\(\)"):
        net.attribute(X, X[:, 0], attribution=LRP())


class Penalised(ABAClassifier):
    """Adds a term of the input, and reduces by itself."""

    seen: Any = None

    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
        self.seen = (tuple(y_pred.shape), tuple(y_true.shape), tuple(X.shape))
        return super().get_loss(y_pred, y_true, X=X, training=training) + (y_pred**2).sum() / len(y_pred)


def test_a_loss_that_reduces_by_itself_is_still_per_sample() -> None:
    y = (X[:, 0] > 0).astype(int)
    net = Penalised(nn.Linear(5, 2), augmenter="fgsm", **SETTINGS).fit(X, y)
    x = torch.as_tensor(X).requires_grad_()
    logits = net.module_(x)
    losses = nn.functional.cross_entropy(logits, torch.as_tensor(y), reduction="sum") + (logits**2).sum()
    expected = torch.autograd.grad(losses, x)[0]
    np.testing.assert_allclose(net.attribute(X, y, target=Loss()), expected, rtol=1e-4, atol=1e-6)
    assert net.seen == ((1, 2), (1,), (1, 5))


def test_a_get_loss_of_the_instance() -> None:
    y = (X[:, 0] > 0).astype(int)
    net = ABAClassifier(nn.Linear(5, 2), augmenter="fgsm", **SETTINGS).fit(X, y)
    before = net.attribute(X, y, target=Loss())
    plain = net.get_loss
    net.get_loss = lambda *args, **named: 3 * plain(*args, **named)
    np.testing.assert_allclose(net.attribute(X, y, target=Loss()), 3 * before, rtol=1e-4, atol=1e-6)


def test_without_an_own_loss_the_criterion_itself_is_handed_on() -> None:
    y = torch.zeros(3)
    for net in (ABAClassifier(nn.Linear(5, 2)), ABARegressor(nn.Linear(5, 1))):
        net.initialize()
        with explained_loss(net, y) as criterion:
            assert criterion is net.criterion_
    net = _gaussian().initialize()
    with explained_loss(net, y) as criterion:
        assert type(criterion) is OwnLoss
        assert len(net.module_._forward_hooks) == 1
    assert len(net.module_._forward_hooks) == 0


def test_an_own_loss_that_only_calls_ours_trains_alike() -> None:
    class Calls(ABARegressor):
        def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Tensor:
            return super().get_loss(y_pred, y_true, X=X, training=training)

    settings = {**SETTINGS, "augmenter": fgsm(), "module__in_features": 5, "module__out_features": 1}
    own, ours = (kind(nn.Linear, **settings).fit(X, X[:, 0]) for kind in (Calls, ABARegressor))
    assert same([w.round(decimals=5) for w in weights(own)], [w.round(decimals=5) for w in weights(ours)])
    np.testing.assert_allclose(own.attribute(X, X[:, 0]), ours.attribute(X, X[:, 0]), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(own.attribute(X, target=PredictedClass()), ours.attribute(X, attribution=Gradient()))
