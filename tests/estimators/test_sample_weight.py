"""Weights of samples, against copies of the samples and losses written out."""

from typing import Any

import numpy as np
import pytest
import sklearn
import torch
from sklearn.model_selection import GridSearchCV, cross_validate
from skorch.dataset import Dataset
from torch import nn
from torch.utils.data import IterableDataset, Subset, TensorDataset

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from tests.estimators.conftest import same, weights

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 4)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)
WEIGHTS = RNG.integers(0, 4, size=40)
TASKS: dict[str, tuple[Any, Any, int]] = {
    "classifier": (ABAClassifier, np.array(["no", "yes"])[y], 2),
    "multi-label": (ABAMultiLabelClassifier, np.column_stack([y, X[:, 1] > 0]), 2),
    "regressor": (ABARegressor, X[:, 1], 1),
}


def net(task: str = "classifier", **parameters: Any) -> Any:
    estimator, _, n_outputs = TASKS[task]
    settings: dict[str, Any] = {"max_epochs": 2, "augmenter": None, "batch_size": -1, "random_state": 0, "verbose": 0}
    arguments = {"module__in_features": 4, "module__out_features": n_outputs}
    return estimator(nn.Linear, **{**settings, **arguments, **parameters})


@pytest.mark.parametrize("task", TASKS)
def test_whole_weights_train_as_copies_of_the_samples(task: str) -> None:
    """In one batch of all samples, without shuffling, so that the batches hold the same."""
    targets = TASKS[task][1]
    whole: dict[str, Any] = {"iterator_train__shuffle": False}
    weighed = net(task, **whole).fit(X, targets, sample_weight=WEIGHTS)
    copied = net(task, **whole).fit(np.repeat(X, WEIGHTS, axis=0), np.repeat(targets, WEIGHTS, axis=0))
    pairs = zip(weights(weighed), weights(copied), strict=True)
    assert all(torch.allclose(ours, theirs, atol=1e-6) for ours, theirs in pairs)
    assert not same(weights(weighed), weights(net(task, **whole).fit(X, targets)))


@pytest.mark.parametrize("augmenter", [None, "fgsm", "free_aba"])
def test_equal_weights_change_nothing(augmenter: Any) -> None:
    settings: dict[str, Any] = {"augmenter": augmenter, "batch_size": 8}
    plain = net(**settings).fit(X, y)
    weighed = net(**settings).fit(X, y, sample_weight=np.full(40, 0.25))
    assert all(torch.allclose(*pair, atol=1e-5) for pair in zip(weights(plain), weights(weighed), strict=True))


@pytest.mark.parametrize("augmenter", [None, "fast_aba", "free_aba"])
def test_a_sample_of_weight_0_has_no_say(augmenter: Any) -> None:
    settings: dict[str, Any] = {"augmenter": augmenter, "batch_size": 8, "iterator_train__shuffle": False}
    weight = np.ones(40)
    weight[16:24] = 0
    others = y.copy()
    others[16:24] = 1 - y[16:24]
    settings["augmenter__randomize"] = False
    settings = {name: value for name, value in settings.items() if augmenter or not name.startswith("augmenter__")}
    fits = [net(**{**settings, "strength": 1e-6}).fit(X, targets, sample_weight=weight) for targets in (y, others)]
    assert all(torch.allclose(*pair, atol=1e-4) for pair in zip(*map(weights, fits), strict=True))


def test_weights_go_with_their_samples_through_a_split_and_shuffling() -> None:
    seen: list[tuple[float, float]] = []

    class Watched(ABAClassifier):
        def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Any:
            if training:
                seen.extend(zip(X[:, 0].tolist(), self.batch_weight_.tolist(), strict=True))
            return super().get_loss(y_pred, y_true, X, training)

    given = np.arange(1.0, 41.0)
    Watched(nn.Linear(4, 2), augmenter=None, train_split=0.25, batch_size=7, max_epochs=1, verbose=0).fit(
        X, y, sample_weight=given
    )
    assert len(seen) == 30
    by_sample = dict(zip(X[:, 0].tolist(), given.tolist(), strict=True))
    ratios = [weight / by_sample[first] for first, weight in seen]
    assert np.ptp(ratios) < 1e-6
    assert np.mean([weight for _, weight in seen]) == pytest.approx(1)


def test_cross_validation_cuts_them_with_the_samples() -> None:
    with sklearn.config_context(enable_metadata_routing=True):
        routed = net().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        found = cross_validate(routed, X, y, cv=2, params={"sample_weight": WEIGHTS}, error_score="raise")
        search = GridSearchCV(routed, {"lr": [0.1]}, cv=2, error_score="raise").fit(X, y, sample_weight=WEIGHTS)
    assert np.isfinite(found["test_score"]).all()
    assert same(weights(search.best_estimator_), weights(net(lr=0.1).fit(X, y, sample_weight=WEIGHTS)))


class OwnLoss(ABAClassifier):
    def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Any:
        return nn.functional.cross_entropy(y_pred, y_true)


class MeanOnly(nn.Module):
    def forward(self, logits: Any, y: Any) -> Any:
        return nn.functional.cross_entropy(logits, y)


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        return iter(zip(X, y, strict=True))


@pytest.mark.parametrize(
    ("do", "message"),
    [
        (lambda: net().fit(X, y, sample_weight=-WEIGHTS), "Negative values"),
        (lambda: net().fit(X, y, sample_weight=np.zeros(40)), "0 for every sample|weight"),
        (lambda: net().fit(X, y, sample_weight=np.ones(39)), "sample_weight.shape"),
        (lambda: net().fit(X, y, sample_weight=np.full(40, np.nan)), "NaN"),
        (lambda: net(criterion=MeanOnly).fit(X, y, sample_weight=WEIGHTS), "MeanOnly does not"),
        (lambda: OwnLoss(nn.Linear(4, 2), verbose=0).fit(X, y, sample_weight=WEIGHTS), "would ignore sample_weight"),
        (lambda: net(classes=[0, 1]).fit(Stream(), sample_weight=WEIGHTS), "IterableDataset"),
    ],
)
def test_is_refused(do: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        do()


def test_a_refused_fit_leaves_no_weights_behind() -> None:
    fitted = net()
    with pytest.raises(ValueError, match="weight"):
        fitted.fit(X, y, sample_weight=np.ones(3))
    assert same(weights(fitted.fit(X, y)), weights(net().fit(X, y)))


def test_weights_go_with_the_samples_of_a_subset() -> None:
    chosen = np.random.default_rng(0).permutation(40)
    part = Subset(TensorDataset(torch.as_tensor(X), torch.as_tensor(y)), chosen.tolist())
    by_dataset = net().fit(part, sample_weight=WEIGHTS[chosen])
    assert same(weights(by_dataset), weights(net().fit(X[chosen], y[chosen], sample_weight=WEIGHTS[chosen])))


def test_a_split_into_other_samples_is_refused() -> None:
    def split(dataset: Any, y: Any = None) -> Any:
        return Dataset(X[20:], y[20:]), Dataset(X[:20], y[:20])

    with pytest.raises(ValueError, match="sample_weight has one entry per sample of X, but train_split returned"):
        net(train_split=split).fit(X, y, sample_weight=WEIGHTS)


def test_a_split_that_leaves_weights_of_0_alone_is_refused() -> None:
    def split(dataset: Any, y: Any = None) -> Any:
        return Subset(dataset, range(20)), Subset(dataset, range(20, 40))

    with pytest.raises(ValueError, match="0 for all of the 20 samples"):
        net(train_split=split).fit(X, y, sample_weight=np.arange(40) // 20)
