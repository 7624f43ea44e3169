"""What the user hands in is copied: nothing that was learned leaks into another fit."""

import copy
import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from torch import nn

from skaba import ABAClassifier
from tests.estimators.conftest import same

SETTINGS: dict[str, Any] = {"max_epochs": 30, "lr": 0.01, "random_state": 0, "verbose": 0}
NOISE = np.random.default_rng(0).normal(size=(80, 20)).astype(np.float32)
LABELS = np.arange(80) % 2


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 2))


def weights(module: nn.Module) -> list[torch.Tensor]:
    return list(module.state_dict().values())


@pytest.fixture
def built() -> nn.Sequential:
    torch.manual_seed(0)
    return network()


def test_cross_validation_of_a_fitted_net_is_at_chance_on_noise(built: nn.Module) -> None:
    clf = ABAClassifier(built, **SETTINGS)
    fresh = cross_val_score(clf, NOISE, LABELS)
    clf.fit(NOISE, LABELS)
    assert clf.score(NOISE, LABELS) > 0.9
    assert np.array_equal(cross_val_score(clf, NOISE, LABELS), fresh)
    assert fresh.mean() < 0.7


def test_fit_leaves_the_module_as_it_is_and_starts_from_it_again(built: nn.Module) -> None:
    before = copy.deepcopy(built)
    clf = ABAClassifier(built, **SETTINGS)
    first = weights(clf.fit(NOISE, LABELS).module_)
    assert same(weights(built), weights(before))
    assert same(weights(clf.fit(NOISE, LABELS).module_), first)
    assert not same(first, weights(before))


def test_a_first_fit_is_that_of_a_module_trained_in_place(built: nn.Module) -> None:
    """A plain loop on the module itself, with the net's own random stream."""
    clf = ABAClassifier(built, augmenter=None, **{**SETTINGS, "max_epochs": 1}).fit(NOISE, LABELS)
    torch.manual_seed(0)
    order = torch.utils.data.DataLoader(list(zip(NOISE, LABELS, strict=True)), batch_size=32, shuffle=True)
    optimizer = torch.optim.Adam(built.parameters(), lr=0.01)
    for x, y in order:
        optimizer.zero_grad()
        nn.functional.cross_entropy(built(x), y).backward()
        optimizer.step()
    assert same(weights(clf.module_), weights(built))


def test_warm_start_and_partial_fit_go_on(built: nn.Module) -> None:
    whole = ABAClassifier(built, **SETTINGS).fit(NOISE, LABELS).module_
    halves = ABAClassifier(built, **{**SETTINGS, "max_epochs": 15, "warm_start": True})
    halves.fit(NOISE, LABELS).fit(NOISE, LABELS)
    parts = ABAClassifier(built, **{**SETTINGS, "max_epochs": 15})
    parts.partial_fit(NOISE, LABELS).partial_fit(NOISE, LABELS)
    assert same(weights(halves.module_), weights(whole))
    assert same(weights(parts.module_), weights(whole))


class Head(nn.Module):
    def __init__(self, body: nn.Module, table: torch.Tensor, rows: np.ndarray) -> None:
        super().__init__()
        self.body = body
        self.table = nn.Parameter(table)
        self.rows = nn.Parameter(torch.from_numpy(rows))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) * self.table + self.rows


def test_modules_tensors_and_arrays_among_its_arguments_are_copied_too(built: nn.Module) -> None:
    given = {"body": built, "table": torch.ones(2), "rows": np.zeros(2, dtype=np.float32)}
    before = copy.deepcopy(given)
    clf = ABAClassifier(Head, **{f"module__{name}": value for name, value in given.items()}, **SETTINGS)
    first = weights(clf.fit(NOISE, LABELS).module_)
    assert same(weights(given["body"]), weights(before["body"]))
    assert torch.equal(given["table"], before["table"])
    assert np.array_equal(given["rows"], before["rows"])
    assert same(weights(clone(clf).fit(NOISE, LABELS).module_), first)


def kept(module: nn.Module) -> Any:
    return lambda: module


@pytest.mark.parametrize(
    "hand_in",
    [
        kept,
        lambda body: partial(Head, body, torch.ones(2), np.zeros(2, dtype=np.float32)),
        lambda body: lambda: Head(body, torch.ones(2), np.zeros(2, dtype=np.float32)),
    ],
    ids=["function", "partial", "function that builds around it"],
)
def test_what_a_function_keeps_is_copied_too(built: nn.Module, hand_in: Any) -> None:
    before = copy.deepcopy(built)
    clf = ABAClassifier(hand_in(built), **SETTINGS)
    fresh = cross_val_score(clf, NOISE, LABELS)
    first = weights(clf.fit(NOISE, LABELS).module_)
    assert same(weights(built), weights(before))
    assert same(weights(clf.fit(NOISE, LABELS).module_), first)
    assert np.array_equal(cross_val_score(clf, NOISE, LABELS), fresh)


class Bodies(nn.Module):
    def __init__(self, bodies: Any) -> None:
        super().__init__()
        self.bodies = nn.ModuleList(bodies.values() if isinstance(bodies, dict) else bodies)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([body(x) for body in self.bodies]).mean(0)


@pytest.mark.parametrize("container", [list, tuple, lambda pair: dict(enumerate(pair))], ids=["list", "tuple", "dict"])
def test_modules_in_containers_are_copied_and_stay_one_if_they_are(built: nn.Module, container: Any) -> None:
    before = copy.deepcopy(built)
    clf = ABAClassifier(Bodies, module__bodies=container([built, built]), **SETTINGS).fit(NOISE, LABELS)
    assert same(weights(built), weights(before))
    assert clf.module_.bodies[0] is clf.module_.bodies[1]


class Scaled(nn.Module):
    """A criterion with a parameter of its own, which pulls at a module's weights."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.last = module[2]

    def forward(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(self.scale * logits, y) + self.last.weight.square().sum()


def test_a_criterion_is_copied_and_sees_the_module_that_is_trained(built: nn.Module) -> None:
    criterion = Scaled(built)
    clf = ABAClassifier(built, criterion=criterion, augmenter=None, **SETTINGS).fit(NOISE, LABELS)
    assert criterion.scale.item() == 1 != clf.criterion_.scale.item()
    assert clf.criterion_.last is clf.module_[2]


def test_a_module_that_cannot_be_copied_is_refused_before_any_work() -> None:
    module = nn.Linear(20, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        nn.utils.weight_norm(module)
    with pytest.raises(ValueError, match=r"module cannot be copied.*Pass the class that builds it"):
        ABAClassifier(module, **SETTINGS).fit(NOISE, LABELS)
