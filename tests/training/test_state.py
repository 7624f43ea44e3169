"""What an Augmentation keeps: it can be saved, copied and resumed; and what it must not leave behind."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import nn

from skaba.augmenters import GaussianNoise, Percentiles, free_aba
from skaba.losses import RRR
from skaba.testing import trace_of
from skaba.training import Augmentation
from tests.tiny_nets import Bomb, trap
from tests.training.loops import ImageNet, image_batches, same, text_batches, train

CRITERION = nn.CrossEntropyLoss()
AUGMENTERS = ["mend_aba", GaussianNoise(), free_aba(), free_aba(selection=Percentiles(0.1, 0.9), renew=0.5)]


def made(augmenter: Any, layer: str | None = None, **settings: Any) -> tuple[nn.Module, Augmentation]:
    model = ImageNet()
    return model, Augmentation(model, augmenter, 0.3, layer=layer, criterion=CRITERION, random_state=0, **settings)


@pytest.mark.parametrize("layer", [None, "features.0"])
@pytest.mark.parametrize("augmenter", AUGMENTERS, ids=repr)
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(augmenter: Any, layer: str | None) -> None:
    model, augmentation = made(augmenter, layer)
    expected = train(model, image_batches(), augmentation, epochs=5)

    model, augmentation = made(augmenter, layer)
    train(model, image_batches(), augmentation, epochs=2)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "augmentation": augmentation.state_dict()}, file)
    train(model, image_batches(), augmentation, epochs=1)  # lost
    file.seek(0)
    saved = torch.load(file)  # by torch's safe default: nothing but tensors, numbers and strings

    model, augmentation = made(augmenter, layer)
    model.load_state_dict(saved["model"])
    augmentation.load_state_dict(saved["augmentation"])
    assert same(train(model, image_batches(), augmentation, epochs=3), expected)


def test_a_state_that_is_loaded_is_a_copy() -> None:
    model, augmentation = made("free_aba")
    train(model, image_batches(), augmentation)
    _, other = made("free_aba")
    other.load_state_dict(augmentation.state_dict())
    before = other.state_dict()["memory"]["bits"].clone()
    train(model, image_batches(), augmentation, epochs=4)
    assert not torch.equal(augmentation.state_dict()["memory"]["bits"], before)
    assert torch.equal(other.state_dict()["memory"]["bits"], before)


@pytest.mark.parametrize(
    "copied", [deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))],  # noqa: S301
    ids=["deepcopy", "pickle"],
)  # fmt: skip
@pytest.mark.parametrize("augmenter", AUGMENTERS, ids=repr)
def test_copies_train_as_the_original_does(copied: Callable[[Any], Any], augmenter: Any) -> None:
    pair = made(augmenter)
    train(pair[0], image_batches(), pair[1])
    model, augmentation = copied(pair)
    assert same(train(model, image_batches(), augmentation), train(pair[0], image_batches(), pair[1]))


def test_the_augmenter_is_a_copy() -> None:
    """A change of the user's own augmenter, or of another Augmentation, does not reach into this one."""
    noise = GaussianNoise(clip=(-1.0, 1.0))
    _, augmentation = made(noise)
    noise.clip = (0.0, 0.0)
    with augmentation(torch.ones(2, 2, 6, 6)) as (x, _):
        assert x.any()


@pytest.mark.parametrize("where", ["map", "pass", "block"])
@pytest.mark.parametrize("layer", [None, "2"])
@pytest.mark.parametrize("penalty", [None, RRR()])
def test_an_exception_leaves_no_trace(where: str, layer: str | None, penalty: Any) -> None:
    """In the computation of the map, in the training pass, and in the rest of the block."""
    net = trap()
    bomb = next(module for module in net if isinstance(module, Bomb))
    mask = torch.zeros(4, *((3, 8) if layer else (2, 8)), dtype=torch.bool)
    mask[..., 0] = True
    augmentation = Augmentation(net, "mend_aba", 0.3, layer=layer, criterion=CRITERION, penalty=penalty, random_state=0)
    x, y = torch.randn(4, 2, 8), torch.arange(4)
    before = values_of(trace_of(net))
    bomb.calls, bomb.fails_on = 0, {"map": 1, "pass": 2, "block": 0}[where]

    def step() -> None:
        with augmentation(x, y, mask=None if penalty is None else mask) as (x_seen, _):
            assert where != "map"
            state, buffers = torch.get_rng_state(), [buffer.clone() for buffer in net.buffers()]
            try:
                net(x_seen)
                raise RuntimeError("boom")
            finally:  # what the training pass itself changes
                torch.set_rng_state(state)
                for buffer, old in zip(net.buffers(), buffers, strict=True):
                    buffer.copy_(old)

    with pytest.raises(RuntimeError, match=r"^boom$"):
        step()
    assert values_of(trace_of(net)) == before
    assert augmentation.penalty(torch.zeros(1, 2)) == 0.0


def values_of(trace: dict[str, Any]) -> dict[str, Any]:
    """A trace without the buffers' versions, which the test itself changes by putting them back."""
    return {name: part[0] if name.startswith("buffer") else part for name, part in trace.items()}


@pytest.mark.parametrize("augmenter", ["mend_aba", "free_aba", None])
@pytest.mark.parametrize("layer", [None, "features.0"])
def test_blocks_leave_no_trace(augmenter: Any, layer: str | None) -> None:
    model, augmentation = made(augmenter, layer)
    model.eval()
    before = trace_of(model)
    for x, y, index in image_batches():
        with augmentation(x, y, index=index) as (x_seen, y_seen):
            CRITERION(model(x_seen), y_seen).backward()
    model.zero_grad()
    assert trace_of(model) == before


def test_breaking_off_a_loop_leaves_no_trace() -> None:
    model, augmentation = made("free_aba", "features.0")
    before = trace_of(model)
    for x, y, index in image_batches():
        with augmentation(x, y, index=index):
            model.eval()(x)
            model.train()
            break
    assert trace_of(model) == before


def test_a_rule_sees_each_batch_and_chooses_its_strength() -> None:
    chosen = [0.0, 0.3, 0.1]
    seen = []

    def rule(batch: Any) -> float:
        seen.append(batch)
        return chosen[len(seen) - 1]

    model = ImageNet()
    augmentation = Augmentation(model, GaussianNoise(), rule, random_state=0)
    generator = torch.Generator().manual_seed(0)
    for (x, y, index), strength in zip(image_batches(), chosen, strict=True):
        with augmentation(x, y, index=index) as (x_seen, _):
            pass
        noise = torch.randn(x.shape, generator=generator) if strength else 0
        torch.testing.assert_close(x_seen, x + strength * noise)
        assert seen[-1].x is x
        assert seen[-1].y is y
        assert torch.equal(seen[-1].index, index)
    assert callable(augmentation.strength_)


def test_a_rule_at_a_layer_can_compute_the_features() -> None:
    model = ImageNet()
    found = []

    def rule(batch: Any) -> float:
        found.append(batch.features())
        return float(found[-1].std())

    augmentation = Augmentation(model, GaussianNoise(), rule, layer="features.0", random_state=0)
    x, y, _ = image_batches()[0]
    with augmentation(x, y) as (x_seen, _):
        model(x_seen)
    with torch.no_grad():
        assert torch.equal(found[0], model.features[0](x))


@pytest.mark.parametrize("strength", [-0.1, float("nan"), "0.1"])
def test_a_strength_that_makes_no_sense(strength: Any) -> None:
    with pytest.raises((TypeError, ValueError), match=r"^strength="):
        Augmentation(ImageNet(), "mend_aba", strength)


def test_numbers_that_grow_while_training_goes_on() -> None:
    """The samples' numbers need not be known before: a stream of new ones is kept as they come."""
    from tests.tiny_nets import TextNet

    model = TextNet()
    augmenter = free_aba(renew=0.5)
    augmentation = Augmentation(model, augmenter, 0.3, layer="embedding", criterion=CRITERION, random_state=0)
    batches = [(x, y, index + 24 * k) for k in range(4) for x, y, index in text_batches()]
    train(model, batches, augmentation)
    assert int(augmentation.state_dict()["memory"]["known"].sum()) == 96


@pytest.mark.parametrize(
    "index",
    [torch.arange(7), torch.arange(8) - 1, torch.arange(8.0), torch.arange(16).reshape(8, 2), [0] * 9, [True] * 8],
)
def test_numbers_that_do_not_fit(index: Any) -> None:
    _, augmentation = made("free_aba")
    x, y, _ = image_batches()[0]
    with (
        pytest.raises(ValueError, match=r"^index must hold the number of each of the 8 samples"),
        augmentation(x, y, index=index),
    ):
        raise AssertionError("the block must not run")


@pytest.mark.parametrize("index", ["abc", [None] * 8])
def test_numbers_that_are_none(index: Any) -> None:
    x, y, _ = image_batches()[0]
    with (
        pytest.raises(ValueError, match=r"^index must hold the samples' numbers in the training set, got"),
        made("free_aba")[1](x, y, index=index),
    ):
        raise AssertionError("the block must not run")


def test_an_empty_batch_has_no_numbers() -> None:
    x, y, _ = image_batches()[0]
    with made("free_aba")[1](x[:0], y[:0], index=[]) as (seen, _):
        assert len(seen) == 0


def test_numbers_are_needed_for_free_aba_alone() -> None:
    x, y, _ = image_batches()[0]
    with pytest.raises(ValueError, match="pass index="), made("free_aba")[1](x, y):
        pass
    with made("mend_aba")[1](x, y) as (x_seen, _):
        assert x_seen.shape == x.shape
