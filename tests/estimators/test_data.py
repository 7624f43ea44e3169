"""Datasets as X: their targets are those of arrays, whatever their dtype and wherever they are kept."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from skorch import NeuralNetClassifier
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import SliceDataset, predefined_split
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset
from torch.utils.data import Dataset as TorchDataset

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from skaba.attribution import Loss
from skaba.estimators._data import EncodedDataset, encoded, has_no_targets, targets_inside
from tests.estimators.conftest import same, weights

X = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
CLASSES = (X[:, 0] > 0).astype(np.int64)
TARGETS = {
    ABAClassifier: CLASSES,
    ABAMultiLabelClassifier: np.column_stack([CLASSES, 1 - CLASSES]),
    ABARegressor: np.round(3 * X[:, 0]).astype(np.int64),
}


def _net(kind: type, **parameters: Any) -> Any:
    settings = {"augmenter": "fgsm", "random_state": 0, "max_epochs": 2, "verbose": 0, "lr": 0.1}
    settings["iterator_train"] = DataLoader  # in order, as a stream comes
    width = 1 if kind is ABARegressor else 2
    return kind(
        **{"module": nn.Linear, "module__in_features": 5, "module__out_features": width, **settings, **parameters}
    )


class Own(TorchDataset[Any]):
    """Yields what it is given; shows y only if it is told to."""

    def __init__(self, targets: Any, shown: Any = None) -> None:
        self.targets = targets
        if shown is not None:
            self.X, self.y = X, shown

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, number: int) -> Any:
        return X[number], self.targets[number]


class Stream(IterableDataset[Any]):
    def __init__(self, targets: Any) -> None:
        self.targets = targets

    def __iter__(self) -> Any:
        return iter(zip(X, self.targets, strict=True))


KINDS: dict[str, Callable[[Any], Any]] = {
    "skorch": lambda y: Dataset(X, y),
    "torch": lambda y: TensorDataset(torch.as_tensor(X), torch.as_tensor(y)),
    "subset": lambda y: Subset(Dataset(X, y), range(40)),
    "hidden": Own,
    "hidden, Python numbers": lambda y: Own(y.tolist()),
    "shown": lambda y: Own(y, y),
    "stream": Stream,
}


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "float32", "float64"])
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kind", TARGETS)
def test_targets_in_a_dataset_train_as_targets_in_an_array(kind: type, name: str, dtype: str) -> None:
    y = TARGETS[kind]
    y = y - y.min() if dtype == "uint8" else y
    net = _net(kind).fit(KINDS[name](y.astype(dtype)))
    reference = _net(kind).fit(X, y)
    assert same(weights(net), weights(reference))
    np.testing.assert_array_equal(net.predict(X).reshape(-1), reference.predict(X).reshape(-1))


@pytest.mark.parametrize("dtype", ["int64", "float32", "float64"])
@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kind", TARGETS)
def test_targets_in_a_dataset_are_explained_as_targets_in_an_array(kind: type, name: str, dtype: str) -> None:
    y = TARGETS[kind]
    net = _net(kind).fit(X, y)
    data = KINDS[name](y.astype(dtype))
    np.testing.assert_array_equal(net.attribute(data, target=Loss()), net.attribute(X, y, target=Loss()))
    np.testing.assert_array_equal(net.augment(data), net.augment(X, y))


@pytest.mark.parametrize("kind", TARGETS)
def test_validation_sets_are_encoded_too(kind: type) -> None:
    y = TARGETS[kind]
    for dtype in ("int32", "float64"):
        net = _net(kind, train_split=predefined_split(Dataset(X, y.astype(dtype)))).fit(X, y)
        assert net.history[-1, "valid_loss"] == pytest.approx(_loss(net, y))


def _loss(net: Any, y: np.ndarray) -> float:
    with torch.no_grad():
        targets = torch.as_tensor(net._encode_targets(y))
        return float(net.get_loss(net.module_(torch.as_tensor(X)), targets))


# ------------------------------------------------------------------ which targets a Dataset shows


def test_targets_that_are_shown() -> None:
    names = np.array(["no", "yes"])[CLASSES]
    for data in (Dataset(X, names), Own(names, names), Own(CLASSES, CLASSES), Own(CLASSES.tolist(), CLASSES.tolist())):
        assert targets_inside(data) is not None
    np.testing.assert_array_equal(targets_inside(Subset(Dataset(X, names), [3, 5])), names[[3, 5]])


def test_targets_that_are_not_those_yielded_count_as_hidden() -> None:
    names = np.array(["no", "yes"])[CLASSES]
    for data in (
        Own(CLASSES, names),
        Own(CLASSES, CLASSES + 1),
        Own(CLASSES),
        Own(CLASSES, names[:5]),
        Stream(CLASSES),
    ):
        assert targets_inside(data) is None
    assert same(weights(_net(ABAClassifier).fit(Own(CLASSES, names))), weights(_net(ABAClassifier).fit(X, CLASSES)))


def test_a_list_of_tensors() -> None:
    data = Own(CLASSES.tolist(), [torch.tensor(label) for label in CLASSES])
    assert same(weights(_net(ABAClassifier).fit(data)), weights(_net(ABAClassifier).fit(X, CLASSES)))


def test_hidden_labels_have_to_be_indices() -> None:
    names = np.array(["no", "yes"])[CLASSES]
    for targets in (names, CLASSES - 1, CLASSES + 0.5):
        with pytest.raises(ValueError, match=r"have to be class indices 0, 1, 2.*pass classes="):
            _net(ABAClassifier, augmenter=None).fit(Own(targets))
    with pytest.raises(ValueError, match=r"yields label 2, but the module returns 2 logits per sample.*pass classes="):
        _net(ABAClassifier, augmenter=None).fit(Own(CLASSES + 1))
    net = _net(ABAClassifier, classes=["no", "yes"]).fit(Own(names))
    assert same(weights(net), weights(_net(ABAClassifier).fit(X, names)))


def test_hidden_targets_that_are_none() -> None:
    targets = CLASSES.astype(np.float64)
    targets[7] = np.nan
    for kind in (ABAClassifier, ABARegressor):
        with pytest.raises(ValueError, match="y contains NaN or infinity"):
            _net(kind).fit(Own(targets))


def test_a_dataset_without_targets() -> None:
    """skorch yields zeros in place of targets, which training must not use."""
    data = Dataset(X)
    assert has_no_targets(data)
    for kind, y in TARGETS.items():
        with pytest.raises(ValueError, match=r"requires y to be passed.*the Dataset holds none"):
            _net(kind).fit(data)
        net = _net(kind).fit(data, y)
        assert same(weights(net), weights(_net(kind).fit(X, y)))
        assert net.predict(data).shape == net.predict(X).shape
        with pytest.raises(ValueError, match=r"Loss\(\) needs y"):
            net.attribute(data, target=Loss())
        np.testing.assert_array_equal(net.attribute(data, y), net.attribute(X, y))


def test_y_beside_a_dataset_is_what_is_explained() -> None:
    net = _net(ABAClassifier).fit(X, CLASSES)
    np.testing.assert_array_equal(net.attribute(Dataset(X, CLASSES), 1 - CLASSES), net.attribute(X, 1 - CLASSES))


def test_y_beside_a_stream_cannot_be_matched() -> None:
    net = _net(ABAClassifier).fit(X, CLASSES)
    with pytest.raises(ValueError, match="let it yield the targets"):
        net.attribute(Stream(CLASSES), CLASSES)


def test_a_prediction_needs_no_known_targets() -> None:
    names = np.array(["no", "yes"])[CLASSES]
    net = _net(ABAClassifier).fit(X, names)
    placeholders = Own(np.zeros(40))
    np.testing.assert_array_equal(net.predict(placeholders), net.predict(X))
    np.testing.assert_array_equal(net.attribute(placeholders), net.attribute(X))
    with pytest.raises(ValueError, match="labels that were not seen in fit"):
        net.attribute(placeholders, target=Loss())


def test_what_is_encoded_already_is_not_wrapped() -> None:
    net = _net(ABAClassifier).fit(X, CLASSES)
    plain = Dataset(X, CLASSES)
    assert encoded(plain, net._encode) is plain
    assert type(encoded(Dataset(X, CLASSES.astype(np.int32)), net._encode)) is EncodedDataset


def test_a_batch_is_encoded_at_once() -> None:
    calls = []

    def encode(y: np.ndarray) -> np.ndarray:
        calls.append(len(y))
        return y

    loader = DataLoader(EncodedDataset(Own(CLASSES), encode), batch_size=16)
    assert [len(y) for _, y in loader] == calls == [16, 16, 8]


# ------------------------------------------------------------------------- what a Dataset holds


@pytest.mark.parametrize("name", ["skorch", "torch", "subset"])
def test_samples_that_are_not_finite(name: str) -> None:
    bad = X.astype(np.float64)
    bad[3, 1] = 1e300
    data = {
        "skorch": Dataset(bad, CLASSES),
        "torch": TensorDataset(torch.as_tensor(bad), torch.as_tensor(CLASSES)),
        "subset": Subset(Dataset(bad, CLASSES), range(2, 40)),
    }[name]
    with pytest.raises(ValueError, match=r"X holds 1e\+300 in sample"):
        _net(ABAClassifier).fit(data)
    if name != "subset":
        with pytest.raises(ValueError, match=r"X holds 1e\+300 in sample 3"):
            _net(ABAClassifier).fit(X, CLASSES).predict(data)


def test_an_empty_dataset() -> None:
    with pytest.raises(ValueError, match=r"Dataset with 0 sample\(s\)"):
        _net(ABAClassifier).fit(TensorDataset(torch.zeros(0, 5), torch.zeros(0).long()))


# ------------------------------------------------------------------------------ SliceDataset


class Random(TorchDataset[Any]):
    """A random transform: another sample at every visit."""

    def __init__(self, *, named: bool = False) -> None:
        self.named, self.visits = named, 0

    def __len__(self) -> int:
        return 40

    def __getitem__(self, number: int) -> Any:
        self.visits += 1
        x = torch.randn(5)
        return ({"input": x} if self.named else x), number % 2


@pytest.mark.parametrize("named", [False, True])
def test_samples_of_a_slice_dataset_are_drawn_in_every_epoch_as_in_skorch(named: bool) -> None:
    settings: dict[str, Any] = {"train_split": None, "max_epochs": 5, "verbose": 0}
    visits = []
    for make in (
        lambda: NeuralNetClassifier(nn.Linear(5, 2), criterion=nn.CrossEntropyLoss, **settings),
        lambda: ABAClassifier(nn.Linear(5, 2), augmenter=None, **settings),
    ):
        data = Random(named=named)
        net = make().fit(SliceDataset(data, 0), np.arange(40) % 2)
        visits.append(data.visits)
        assert net.predict(SliceDataset(data, 0)).shape == (40,)
    assert visits == [200, 200]


def test_a_net_fitted_on_a_slice_dataset_predicts_arrays() -> None:
    data = SliceDataset(Own(CLASSES), 0)
    net = _net(ABAClassifier, train_split=ValidSplit(4, stratified=True)).fit(data, CLASSES)
    np.testing.assert_array_equal(net.predict(data), net.predict(X))
    np.testing.assert_array_equal(net.attribute(data, CLASSES), net.attribute(X, CLASSES))
