"""FreeABA in an estimator: what is remembered, what is left behind, and what it works with."""

import gc
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Checkpoint
from skorch.hf import AccelerateMixin
from torch import Tensor, nn

from skaba import ABAClassifier
from skaba.augmenters import (
    AdjustmentSet,
    Baseline,
    CategoryMemory,
    Cutoff,
    FreeABA,
    Percentiles,
    Proportional,
    free_aba,
)
from skaba.estimators._indexed import IndexedBatch
from tests.estimators.conftest import SmallNet, same, weights

MEND = FreeABA(Percentiles(0.1, 0.9), AdjustmentSet([1, 2, 3, 4, 5, 6]))


@pytest.fixture
def free(make_net: Any) -> Callable[..., ABAClassifier]:
    """Return a maker of small classifiers whose batches are shuffled, by default with free_aba."""
    return lambda **parameters: make_net(**{"augmenter": "free_aba", "iterator_train__shuffle": True, **parameters})


# --- fewer maps


def test_categories_are_renewed_in_a_share_of_the_batches(free: Any, digits: Any, monkeypatch: Any) -> None:
    kept: list[int] = []
    keep = CategoryMemory.keep

    def counting(memory: Any, index: Any, categories: Any) -> None:
        kept.append(len(index))
        keep(memory, index, categories)

    monkeypatch.setattr(CategoryMemory, "keep", counting)
    n_epochs, n_samples = 41, len(digits[0])
    net = free(augmenter=free_aba(renew=0.25), max_epochs=n_epochs, train_split=None).fit(*digits)
    assert net.categories_.known.all()
    # All of the first epoch, which nothing was known of; of the others a quarter.
    assert 0.15 < (sum(kept) - n_samples) / (n_samples * (n_epochs - 1)) < 0.35


@pytest.mark.parametrize(
    ("layer", "trained", "share"), [(None, True, 1.0), ("features", True, 1.0), ("features", False, 0.2)]
)
def test_by_default_a_fifth_is_renewed_where_the_gradient_would_not_be_computed_anyway(
    free: Any, digits: Any, monkeypatch: Any, layer: str | None, trained: bool, share: float
) -> None:
    renewed: list[bool] = []
    renews = FreeABA._renews

    def counting(aba: FreeABA, batch: Any, **parameters: Any) -> bool:
        known = batch.memory.holds(batch.index)
        renewed.extend([renews(aba, batch, **parameters)] if known else [])
        return renewed[-1] if known else renews(aba, batch, **parameters)

    monkeypatch.setattr(FreeABA, "_renews", counting)
    net = free(layer=layer, max_epochs=61, train_split=None).initialize()
    net.module_.features.requires_grad_(trained)
    net.partial_fit(*digits, classes=range(10))
    assert len(renewed) == 420
    assert abs(np.mean(renewed) - share) < 0.06  # 3 standard deviations


def test_in_between_no_gradient_is_computed_at_the_input(free: Any, digits: Any, monkeypatch: Any) -> None:
    net = free(augmenter=free_aba(renew=0.5), train_split=None).fit(*digits)
    seen = []

    class Watching(SmallNet):
        def forward(self, x: Tensor) -> Tensor:
            seen.append((x.requires_grad, not torch.equal(x, inputs)))
            return super().forward(x)

    net.module_.__class__ = Watching
    inputs, targets = (torch.as_tensor(values) for values in digits)
    index = torch.arange(len(inputs))
    for _ in range(40):
        net.train_step(IndexedBatch((inputs, targets), index))
    assert {needs for needs, _ in seen} == {True, False}
    assert all(changed for _, changed in seen)


# --- switched off it is plain training


@pytest.mark.parametrize("layer", [None, "features.0"])
def test_strength_zero_is_plain(free: Any, digits: Any, layer: str | None) -> None:
    plain = weights(free(augmenter=None).fit(*digits))
    assert same(weights(free(strength=0, layer=layer).fit(*digits)), plain)
    assert not same(weights(free(strength=0.2, layer=layer).fit(*digits)), plain)


def test_the_first_epoch_is_plain(free: Any, digits: Any) -> None:
    assert same(weights(free(max_epochs=1).fit(*digits)), weights(free(max_epochs=1, augmenter=None).fit(*digits)))


# --- what is remembered, and when it is forgotten


def test_random_state_decides(free: Any, digits: Any) -> None:
    first, again, other = (weights(free(random_state=seed).fit(*digits)) for seed in (0, 0, 1))
    assert same(first, again)
    assert not same(first, other)


def test_a_second_fit_forgets(free: Any, digits: Any) -> None:
    once = free().fit(*digits)
    assert same(weights(free().fit(*digits).fit(*digits)), weights(once))
    assert same(weights(clone(once).fit(*digits)), weights(once))


def test_a_fit_that_fails_leaves_what_was_remembered(free: Any, digits: Any) -> None:
    X, y = digits
    net = free().fit(X, y)
    kept = net.categories_.bits.clone()
    with pytest.raises(RuntimeError):
        net.fit(X[:, :, :5], y)  # the linear layer finds fewer features than it has weights for
    assert torch.equal(net.categories_.bits, kept)
    assert same(weights(net.partial_fit(X, y)), weights(free().fit(X, y).partial_fit(X, y)))


@pytest.mark.parametrize("layer", [None, "features.0"])
def test_going_on_with_the_same_data_is_going_on(free: Any, digits: Any, layer: str | None) -> None:
    whole = free(max_epochs=4, layer=layer).fit(*digits)
    assert same(weights(free(layer=layer).fit(*digits).partial_fit(*digits)), weights(whole))
    assert same(weights(free(layer=layer, warm_start=True).fit(*digits).fit(*digits)), weights(whole))


def test_going_on_with_other_data_of_the_same_length_forgets(free: Any, digits: Any) -> None:
    X, y = digits
    net = free(max_epochs=1).fit(X, y)
    plain = pickle.loads(pickle.dumps(net)).set_params(strength=0)  # noqa: S301
    remembering = pickle.loads(pickle.dumps(net))  # noqa: S301
    other = X[::-1].copy(), y[::-1].copy()
    assert same(weights(net.partial_fit(*other)), weights(plain.partial_fit(*other)))
    remembering.partial_fit(X, y)
    assert not same(weights(net.partial_fit(*other)), weights(plain.partial_fit(*other)))


def test_a_pickled_net_goes_on_as_the_net_itself(free: Any, digits: Any) -> None:
    net = free().fit(*digits)
    copy = pickle.loads(pickle.dumps(net))  # noqa: S301
    assert copy.categories_.known.all()
    assert same(weights(copy.partial_fit(*digits)), weights(net.partial_fit(*digits)))


# Saved files hold no random states, so nothing is drawn: neither adjustments, nor dropout, nor the order.
DETERMINED: dict[str, Any] = {
    "augmenter": free_aba(adjustments=AdjustmentSet([(-1, 1)]), randomize=False),
    "iterator_train__shuffle": False,
    "module__dropout": 0.0,
    "optimizer": torch.optim.Adam,
    "lr": 0.01,
}
FILES = ["f_params", "f_optimizer", "f_history", "f_categories"]


def test_saved_files_go_on_as_the_net_itself(free: Any, digits: Any, tmp_path: Path) -> None:
    X, y = digits
    net = free(**DETERMINED).fit(X, y)
    files = {name: str(tmp_path / name) for name in FILES}
    net.save_params(**files)
    loaded, forgetful = free(**DETERMINED).initialize(), free(**DETERMINED).initialize()
    loaded.load_params(**files)
    forgetful.load_params(**{name: file for name, file in files.items() if name != "f_categories"})
    for each in (net, loaded, forgetful):
        each.partial_fit(X, y)
    assert same(weights(loaded), weights(net))
    assert not same(weights(forgetful), weights(net))
    assert len(loaded.history) == 4


def test_a_checkpoint_keeps_what_is_remembered(free: Any, digits: Any, tmp_path: Path) -> None:
    checkpoint = Checkpoint(monitor=None, dirname=tmp_path, f_categories="categories.pt")
    net = free(**DETERMINED, callbacks=[checkpoint]).fit(*digits)
    loaded = free(**DETERMINED).initialize()
    loaded.load_params(checkpoint=checkpoint)
    assert same(weights(loaded.partial_fit(*digits)), weights(net.partial_fit(*digits)))


def test_a_new_selection_needs_new_categories(free: Any, digits: Any) -> None:
    net = free().fit(*digits).set_params(augmenter=MEND)
    assert net.partial_fit(*digits).categories_.bits.shape == (2, 200, 8)


# --- no trace


def _hooks(module: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) for m in module.modules())


class Bomb(SmallNet):
    """Explodes on its way forward or back, behind the layer that is changed."""

    fuse: str | None = None

    def forward(self, x: Tensor) -> Tensor:
        logits = super().forward(x)
        if self.fuse == "forward":
            raise RuntimeError("boom")
        if self.fuse == "backward":
            logits.register_hook(self.explode)
        return logits

    @staticmethod
    def explode(gradient: Tensor) -> None:
        raise RuntimeError("boom")


@pytest.mark.parametrize("layer", [None, "features.2"])
@pytest.mark.parametrize("fuse", ["forward", "backward"])
def test_no_hook_is_left_after_fit_or_a_step_that_fails(free: Any, digits: Any, layer: str | None, fuse: str) -> None:
    net = free(module=Bomb, layer=layer).fit(*digits)
    assert _hooks(net.module_) == 0
    kept = net.categories_.bits.clone()
    net.module_.fuse = fuse
    with pytest.raises(RuntimeError, match="boom"):
        net.partial_fit(*digits)
    assert _hooks(net.module_) == 0
    assert torch.equal(net.categories_.bits, kept)


@pytest.mark.parametrize("layer", [None, "features.2"])
def test_memory_does_not_grow_over_200_steps(free: Any, digits: Any, layer: str | None) -> None:
    net = free(layer=layer).fit(*digits)
    batch = next(iter(net.get_iterator(net.get_dataset(*digits), training=True)))
    for _ in range(20):
        net.train_step(batch)
    gc.collect()
    objects = len(gc.get_objects())
    for _ in range(200):
        net.train_step(batch)
    gc.collect()
    assert len(gc.get_objects()) - objects < 50


def test_the_data_are_left_alone_by_a_network_that_works_in_place(free: Any, digits: Any) -> None:
    X, y = digits[0] - 0.3, digits[1]
    copy = X.copy()

    class InPlace(SmallNet):
        def __init__(self, inplace: bool = True) -> None:
            super().__init__()
            self.features.insert(0, nn.ReLU(inplace=inplace))

    net = free(module=InPlace).fit(X, y)
    assert same(weights(net), weights(free(module=InPlace, module__inplace=False).fit(X, y)))
    assert np.array_equal(X, copy)


# --- with the rest of skorch and scikit-learn


def test_a_grid_search(free: Any, digits: Any) -> None:
    grid = {"augmenter": ["free_aba", "fast_aba", None], "strength": [0.1, 0.3]}
    search = GridSearchCV(free(max_epochs=1), grid, cv=2, error_score="raise").fit(*digits)
    assert len(search.cv_results_["params"]) == 6
    nested = GridSearchCV(free(), {"augmenter__renew": [1, 0.5]}, cv=2, error_score="raise").fit(*digits)
    assert isinstance(nested.best_estimator_.augmenter_, FreeABA)


def test_a_compiled_module(free: Any, digits: Any) -> None:
    assert same(
        weights(free(compile=True, compile__backend="eager").fit(*digits)), weights(free(compile=False).fit(*digits))
    )


class AcceleratedClassifier(AccelerateMixin, ABAClassifier):
    """What users of accelerate write."""


@pytest.mark.parametrize("layer", [None, "features.2"])
def test_accelerate_changes_nothing_on_one_cpu(free: Any, digits: Any, layer: str | None) -> None:
    plain = free(layer=layer)
    settings = {**plain.get_params(deep=False), "iterator_train__shuffle": True, "device": None}
    try:
        net = AcceleratedClassifier(**settings, accelerator=Accelerator(cpu=True)).fit(*digits)
        assert same(weights(net), weights(plain.fit(*digits)))
        assert net.categories_.known.all()
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)


# --- what is said


def test_the_memory_is_announced_once_before_it_is_taken(free: Any, digits: Any, capsys: Any, monkeypatch: Any) -> None:
    said = []
    zeros = torch.zeros

    def allocating(size: Any, *args: Any, **parameters: Any) -> Tensor:
        if parameters.get("dtype") is torch.uint8:
            said.append(capsys.readouterr().out)
        return zeros(size, *args, **parameters)

    monkeypatch.setattr(torch, "zeros", allocating)
    net = free(verbose=1).fit(*digits)
    assert "Categories" not in capsys.readouterr().out
    net.partial_fit(*digits)
    assert "Categories" not in capsys.readouterr().out
    assert said == ["Categories of 200 samples x 64 features, 1 bit(s) each, take 0.00 MB of memory.\n"]
    free(verbose=0).fit(*digits)
    assert said[1] == ""


def test_what_is_said_is_what_is_taken(free: Any, digits: Any, capsys: Any) -> None:
    X, y = np.tile(digits[0], (20, 1, 1, 1)), np.tile(digits[1], 20)
    net = free(augmenter=MEND, verbose=1, max_epochs=1, layer="features.0").fit(X, y)
    wanted = f"4,000 samples x 256 features, 2 bit(s) each, take {net.categories_.n_bytes / 1e6:.2f} MB of memory."
    assert wanted in capsys.readouterr().out
    assert net.categories_.n_bytes == 4000 * (2 * 256 // 8 + 2)


@pytest.mark.parametrize(
    "augmenter",
    [
        free_aba(selection=Cutoff(0.1)),
        free_aba(change=Proportional()),
    ],
    ids=repr,
)
def test_what_cannot_be_kept_is_refused_before_any_work(free: Any, digits: Any, augmenter: FreeABA) -> None:
    net = free(augmenter=augmenter)
    with pytest.raises(ValueError, match="FreeABA"):
        net.fit(*digits)
    assert not net.initialized_
    assert free(augmenter=free_aba(change=Baseline())).fit(*digits).categories_.known.all()
