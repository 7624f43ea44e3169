"""Batches that know their samples' numbers, whatever the data set, its iterator and those who look at the batches."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import BatchScoring, Callback, EpochScoring
from skorch.dataset import Dataset as SkorchDataset
from skorch.dataset import ValidSplit, unpack_data
from skorch.helper import predefined_split
from torch import Tensor, nn
from torch.utils.data import BatchSampler, Dataset, IterableDataset, Subset, TensorDataset, default_collate

from skaba import ABAClassifier
from skaba.estimators._indexed import Indexed, IndexedBatch, IndexedCollate
from tests.estimators.conftest import SmallNet, same, weights


@pytest.fixture
def free(make_net: Any) -> Callable[..., ABAClassifier]:
    """Return a maker of small classifiers whose batches are shuffled, by default with free_aba."""
    return lambda **parameters: make_net(**{"augmenter": "free_aba", "iterator_train__shuffle": True, **parameters})


class OwnDataset(Dataset[Any]):
    """Shows nothing but its samples."""

    def __init__(self, X: Any, y: Any) -> None:
        self.X, self.y = X, y

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> Any:
        return self.X[index], self.y[index]


class Stream(IterableDataset[Any]):
    """Has no numbered samples."""

    def __init__(self, X: Any, y: Any) -> None:
        self.X, self.y = X, y

    def __iter__(self) -> Any:
        return iter(zip(self.X, self.y, strict=True))


# --- a data set whose samples come with their numbers


def test_samples_come_with_their_numbers(digits: Any) -> None:
    X, y = digits
    indexed = Indexed(OwnDataset(X, y))
    assert len(indexed) == 200
    (x, target), number = indexed[7]
    assert np.array_equal(x, X[7])
    assert (target, number) == (y[7], 7)


def test_a_collate_function_sees_the_samples_as_before() -> None:
    def collate(samples: list[Any]) -> Any:
        return [x for x, _ in samples], "anything"

    for each in (IndexedCollate(collate), pickle.loads(pickle.dumps(IndexedCollate(default_collate)))):  # noqa: S301
        batch = each([((1.0, 2), 5), ((3.0, 4), 0)])
        assert isinstance(batch, IndexedBatch)
        assert torch.equal(batch.numbers, torch.tensor([5, 0]))
    assert IndexedCollate(collate)([((1.0, 2), 5), ((3.0, 4), 0)]).batch == ([1.0, 3.0], "anything")


def test_a_stream_is_refused(free: Any, digits: Any) -> None:
    message = r"free_aba, sample_weight and mask refer to samples by their number.*arrays or a Dataset with __getitem__"
    net = free(classes=range(10), iterator_train__shuffle=False)
    with pytest.raises(ValueError, match=message):
        net.fit(Stream(*digits))
    net.set_params(augmenter="fast_aba").fit(Stream(*digits))  # which is fine for an augmenter that computes its maps


# --- the same data are known again


def _name(X: Any, y: Any = None) -> str:
    return Indexed(OwnDataset(X, np.zeros(len(X)) if y is None else y)).name()


def test_the_same_data_have_the_same_name_whatever_holds_them(digits: Any) -> None:
    X, y = digits
    names = {
        _name(X, y),
        _name(X.copy(), y.copy()),
        _name(torch.as_tensor(X), y),
        _name(torch.as_tensor(X).requires_grad_(), torch.as_tensor(y)),
        Indexed(TensorDataset(torch.as_tensor(X), torch.as_tensor(y))).name(),
        Indexed(Subset(OwnDataset(X, y), range(200))).name(),
    }
    assert len(names) == 1


def test_other_data_have_another_name(digits: Any) -> None:
    X, y = digits
    changed = []
    for sample in (0, 100, 199):
        other = X.copy()
        other[sample, 0, 3, 3] += 1
        changed.append(_name(other, y))
        labels = y.copy()
        labels[sample] += 1
        changed.append(_name(X, labels))
    shorter = _name(np.concatenate([X[:100], X[101:]]), np.concatenate([y[:100], y[101:]]))
    assert len({_name(X, y), *changed, shorter, _name(X[::-1].copy(), y[::-1].copy())}) == 9


def test_samples_of_several_parts_and_other_precisions(digits: Any) -> None:
    X = digits[0][:5]
    samples = [{"image": x, "size": [1, (x.sum(), "words")]} for x in X]
    other = [{"image": x, "size": [1, (x.sum() + 1, "words")]} for x in X]
    assert _name(samples) == _name([dict(sample) for sample in samples])
    assert _name(samples) != _name(other)
    half, twice = torch.as_tensor(X).bfloat16(), 2 * torch.as_tensor(X).bfloat16()  # which NumPy does not know
    assert _name(half) == _name(half.clone()) != _name(twice)


def test_tensors_of_any_precision_are_trained_on(free: Any, digits: Any) -> None:
    class Widening(SmallNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.float())

    net = free(module=Widening).fit(torch.as_tensor(digits[0]).bfloat16(), digits[1])
    assert net.categories_.known.all()


# --- the iterator


def test_batches_are_numbered_in_training_alone(free: Any, digits: Any) -> None:
    X, y = digits
    net = free().fit(X, y)
    data = net.get_dataset(X, y)
    seen = []
    for (x, target), numbers in net.get_iterator(data, training=True):
        assert torch.equal(x, torch.as_tensor(X)[numbers])
        assert torch.equal(target, torch.as_tensor(y)[numbers])
        seen += numbers.tolist()
    assert seen != sorted(seen) == list(range(200))
    plain = [
        net.get_iterator(data, training=False),
        net.set_params(strength=0).get_iterator(data, training=True),
        net.set_params(strength=0.1, augmenter="fast_aba").get_iterator(data, training=True),
        net.set_params(augmenter=lambda *args, **named: args[1]).get_iterator(data, training=True),
        net.set_params(augmenter=None).get_iterator(data, training=True),
    ]
    assert not any(isinstance(next(iter(iterator)), IndexedBatch) for iterator in plain)


def test_a_worker_process_changes_nothing(free: Any, digits: Any) -> None:
    settings = {"max_epochs": 3, "module__dropout": 0.0}
    wanted = weights(free(**settings).fit(*digits))
    assert same(weights(free(iterator_train__num_workers=1, **settings).fit(*digits)), wanted)


def test_the_last_batch_may_be_dropped(free: Any, digits: Any) -> None:
    net = free(iterator_train__drop_last=True, max_epochs=1).fit(*digits)
    assert net.categories_.known.sum() == 192
    assert len(net.history[-1, "batches"]) == 6


@pytest.mark.parametrize(
    "iterator",
    [
        {"iterator_train__sampler": list(range(50)) * 2},
        {"iterator_train__batch_sampler": BatchSampler(list(range(50)) * 2, 8, drop_last=False)},
    ],
    ids=["samples", "batches"],
)
def test_own_samplers(free: Any, digits: Any, iterator: dict[str, Any]) -> None:
    batches = {"batch_size": 1} if "iterator_train__batch_sampler" in iterator else {}
    net = free(iterator_train__shuffle=False, **batches, **iterator).fit(*digits)
    assert net.categories_.known.tolist() == [True] * 50 + [False] * 150


def test_an_own_collate_function(free: Any, digits: Any) -> None:
    def collate(samples: list[Any]) -> Any:
        X, y = default_collate(samples)
        return [2 * X, y]

    X, y = digits
    own = free(iterator_train__collate_fn=collate).fit(X, y)
    assert same(weights(own), weights(free().fit(2 * X, y)))


# --- the data


@pytest.mark.parametrize("kind", [OwnDataset, SkorchDataset, TensorDataset])
def test_a_dataset_that_holds_the_labels(free: Any, digits: Any, kind: Any) -> None:
    X, y = digits
    data = kind(torch.as_tensor(X), torch.as_tensor(y)) if kind is TensorDataset else kind(X, y)
    net = free(classes=range(10)).fit(data)
    assert same(weights(net), weights(free().fit(X, y)))
    assert same(weights(net.partial_fit(data)), weights(free().fit(X, y).partial_fit(X, y)))


def test_labels_that_have_to_be_encoded(free: Any, digits: Any) -> None:
    X, y = digits
    wanted = weights(free().fit(X, y))
    assert same(weights(free().fit(X, np.array(list("abcdefghij"))[y])), wanted)
    assert same(weights(free(classes=range(5, 15)).fit(OwnDataset(X, y + 5))), wanted)


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = SmallNet()

    def forward(self, image: Tensor, scale: Tensor) -> Tensor:
        return self.net(image * scale[:, None, None, None])


def test_several_inputs_with_a_layer(free: Any, digits: Any) -> None:
    X, y = digits
    inputs = {"image": X, "scale": np.full(200, 2, dtype=np.float32)}
    net = free(module=TwoInputs, layer="net.features.0").fit(inputs, y)
    wanted = free(layer="features.0").fit(2 * X, y)
    assert same(weights(net), weights(wanted))
    assert same(weights(net.partial_fit(inputs, y)), weights(wanted.partial_fit(2 * X, y)))
    with pytest.raises(ValueError, match="several inputs: name the layer"):
        free(module=TwoInputs).fit(inputs, y)


@pytest.mark.parametrize("stratified", [True, False])
def test_validation_data_are_neither_numbered_nor_augmented(free: Any, digits: Any, stratified: bool) -> None:
    X, y = digits
    net = free(train_split=ValidSplit(4, stratified=stratified))
    train, valid = net.get_split_datasets(X, y)
    batches: dict[bool, list[Any]] = {True: [], False: []}

    class Watching(Callback):  # type: ignore[misc]
        def on_batch_begin(self, net: Any, batch: Any = None, training: Any = None, **_: Any) -> None:
            batches[training].append(batch)

    net.set_params(callbacks=[Watching()]).fit(X, y)
    assert len(net.categories_.known) == len(train) == 150
    validated = torch.cat([x for x, _ in batches[False][:2]])  # those of the first epoch
    assert torch.equal(validated, torch.as_tensor(np.stack([x for x, _ in valid])))
    predefined = free(train_split=predefined_split(valid)).fit(*map(np.stack, zip(*train, strict=True)))
    assert same(weights(net), weights(predefined))
    assert net.history[:, "valid_loss"] == predefined.history[:, "valid_loss"]


# --- those who look at the batches


def test_callbacks_see_plain_batches(free: Any, digits: Any) -> None:
    X, y = torch.as_tensor(digits[0]), torch.as_tensor(digits[1])
    known = {x.numpy().tobytes(): number for number, x in enumerate(X)}
    events: dict[str, int] = {}

    class Watching(Callback):  # type: ignore[misc]
        def _look(self, event: str, batch: Any) -> None:
            inputs, target = unpack_data(batch)
            assert type(batch) in (list, tuple)
            assert len(inputs) == len(target)
            events[event] = events.get(event, 0) + 1
            if event != "grad":  # there skorch shows what the step was made of: the augmented batch
                assert torch.equal(target, y[[known[x.numpy().tobytes()] for x in inputs]])

        def on_batch_begin(self, net: Any, batch: Any = None, **_: Any) -> None:
            self._look("begin", batch)

        def on_batch_end(self, net: Any, batch: Any = None, **_: Any) -> None:
            self._look("end", batch)

        def on_grad_computed(self, net: Any, named_parameters: Any, batch: Any = None, **_: Any) -> None:
            self._look("grad", batch)

    net = free(callbacks=[Watching()]).fit(*digits)
    assert events == {"begin": 14, "end": 14, "grad": 14}
    assert {row["train_batch_size"] for row in net.history[-1, "batches"]} == {32, 8}


def test_an_own_hook_of_the_net_sees_plain_batches(digits: Any) -> None:
    seen: set[type] = set()

    class Own(ABAClassifier):
        def on_batch_end(self, net: Any, batch: Any = None, **named: Any) -> None:
            super().on_batch_end(net, batch=batch, **named)
            seen.add(type(batch))

    Own(SmallNet, augmenter="free_aba", max_epochs=1, verbose=0, train_split=None).fit(*digits)
    assert seen == {list}  # as torch collates pairs


def test_scores_of_the_training_batches_are_those_of_their_predictions(free: Any, digits: Any) -> None:
    right: list[Tensor] = []

    class Counting(Callback):  # type: ignore[misc]
        def on_batch_end(self, net: Any, batch: Any = None, y_pred: Any = None, **_: Any) -> None:
            right.append(y_pred.argmax(1) == batch[1])

    callbacks = [
        Counting(),
        ("cached", EpochScoring("accuracy", name="cached", on_train=True)),
        ("anew", EpochScoring("accuracy", name="anew", on_train=True, use_caching=False)),
        ("batches", BatchScoring("accuracy", name="batches", on_train=True)),
    ]
    X, y = digits
    net = free(callbacks=callbacks, max_epochs=3).fit(X, y)
    assert net.history[-1, "cached"] == pytest.approx(float(torch.cat(right[-7:]).float().mean()))
    assert net.history[-1, "batches"] == pytest.approx(net.history[-1, "cached"])
    assert net.history[-1, "anew"] == pytest.approx(net.score(X, y))


def test_an_own_step_around_the_augmented_batch(free: Any, digits: Any) -> None:
    """A custom training step that uses augmented() gets the numbers and the gradient too."""

    class Own(ABAClassifier):
        def train_step(self, batch: Any, **fit_params: Any) -> Any:
            with self.augmented(batch, **fit_params) as augmented:
                self.optimizer_.zero_grad()
                step = self.train_step_single(augmented, **fit_params)
                self.optimizer_.step()
                return step

    net = free()
    own = Own(**{**net.get_params(deep=False), "iterator_train__shuffle": True})
    assert same(weights(own.fit(*digits)), weights(net.fit(*digits)))
