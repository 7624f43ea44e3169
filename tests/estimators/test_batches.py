"""Which samples are trained on, and in which order."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import IterableDataset, SequentialSampler, TensorDataset

from skaba import ABAClassifier, ABARegressor
from skaba.estimators._batches import shuffled_batches
from tests.estimators.conftest import SmallNet

X = torch.arange(20.0).reshape(20, 1)


def order(batches: Any) -> list[float]:
    return [float(x) for (batch,) in batches for x in batch]


def test_every_epoch_has_a_new_order_of_all_samples() -> None:
    batches = shuffled_batches(TensorDataset(X), batch_size=8)
    first, second = order(batches), order(batches)
    assert sorted(first) == sorted(second) == X[:, 0].tolist()
    assert first != second != X[:, 0].tolist()


@pytest.mark.parametrize("given", [{"shuffle": False}, {"sampler": SequentialSampler(X)}])
def test_a_given_order_is_kept(given: dict[str, Any]) -> None:
    assert order(shuffled_batches(TensorDataset(X), batch_size=8, **given)) == X[:, 0].tolist()


def test_a_stream_of_samples_keeps_its_own_order() -> None:
    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter((x,) for x in X)

    assert order(shuffled_batches(Stream(), batch_size=8)) == X[:, 0].tolist()


@pytest.mark.parametrize("train_split", [0.2, 5])
def test_a_share_and_a_number_of_folds_hold_out_samples_of_every_class(digits: Any, train_split: Any) -> None:
    class Watched(ABAClassifier):
        def fit_loop(self, X: Any, y: Any = None, epochs: Any = None, **fit_params: Any) -> Any:
            self.parts_ = self.get_split_datasets(X, y)
            return super().fit_loop(X, y, epochs, **fit_params)

    images, labels = digits[0], np.sort(digits[1])
    net = Watched(SmallNet, train_split=train_split, max_epochs=1, random_state=0, verbose=0).fit(images, labels)
    train, valid = net.parts_
    assert len(valid) == round(0.2 * len(labels))
    assert set(train.indices).isdisjoint(valid.indices)
    assert {labels[i] for i in valid.indices} == set(labels)
    assert "valid_loss" in net.history[-1]
    again = Watched(SmallNet, train_split=train_split, max_epochs=1, random_state=0, verbose=0).fit(images, labels)
    assert np.array_equal(again.parts_[1].indices, valid.indices)


def test_a_share_of_sorted_targets_is_drawn_at_random() -> None:
    """The first fifth of sorted rows would be validated on values that training never saw."""
    rows = np.linspace(-1, 1, 50, dtype=np.float32).reshape(-1, 1)
    net = ABARegressor(torch.nn.Linear(1, 1), train_split=0.2, max_epochs=1, random_state=0, verbose=0).initialize()
    held_out = net.get_split_datasets(rows, rows)[1].indices
    assert len(held_out) == 10
    assert held_out.min() < 25 < held_out.max()


@pytest.mark.parametrize("train_split", [0.0, 1.0, 1, -3, "half"])
def test_other_numbers_are_refused(digits: Any, train_split: Any) -> None:
    with pytest.raises(ValueError, match="train_split"):
        ABAClassifier(SmallNet, train_split=train_split, verbose=0).fit(*digits)


def test_a_last_batch_of_one_sample_is_left_out() -> None:
    """BatchNorm cannot train on a single sample; each epoch leaves out another."""

    def sizes(n: int, **parameters: Any) -> list[int]:
        return [len(batch) for (batch,) in shuffled_batches(TensorDataset(torch.zeros(n, 1)), **parameters)]

    assert sizes(33, batch_size=32) == [32]
    assert sizes(34, batch_size=32) == [32, 2]
    assert sizes(1, batch_size=32) == [1]
    assert sizes(3, batch_size=1) == [1, 1, 1]
    assert sizes(33, batch_size=32, drop_last=False) == [32, 1]
    assert sizes(40, batch_size=32, drop_last=True) == [32]


@pytest.mark.parametrize("n", [33, 65])
def test_defaults_train_networks_with_batch_norm_on_any_number_of_samples(n: int) -> None:
    rows = np.random.default_rng(0).normal(size=(n, 3)).astype(np.float32)
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 2))
    assert ABAClassifier(module, max_epochs=2, verbose=0).fit(rows, np.arange(n) % 2)
