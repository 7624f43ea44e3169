"""Augmentation against the same training written out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from skaba.augmenters import ABA, FPA, Compose, GaussianNoise, KeepAugment, fast_aba, fgsm, mend_aba, preset
from skaba.network import FromLayer
from skaba.training import Augmentation
from tests.tiny_nets import seeded
from tests.training.loops import ImageNet, image_batches, same, smooth_text_net, text_batches, train


def by_hand(augmenter: Any, strength: float, seed: int, epochs: int = 2) -> dict[str, Tensor]:
    model, criterion, generator = ImageNet(), nn.CrossEntropyLoss(), seeded(seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(epochs):
        for x, y, _ in image_batches():
            result = augmenter(model, x, y, strength=strength, criterion=criterion, generator=generator)
            x_seen, y_seen = result if isinstance(result, tuple) else (result, y)
            optimizer.zero_grad()
            criterion(model(x_seen), y_seen).backward()
            optimizer.step()
    return model.state_dict()


def mixed(model: Any, x: Tensor, y: Tensor, *, strength: float, criterion: Any, generator: torch.Generator) -> Any:
    """A function of a user's that changes labels too."""
    share = strength * torch.rand((), generator=generator)
    shares = functional.one_hot(y, 3).float()
    return x + share * (x.flip(0) - x), shares + share * (shares.flip(0) - shares)


@pytest.mark.parametrize(
    ("augmenter", "strength"),
    [
        (mend_aba(), 0.3),
        (fast_aba(), 0.3),
        (fgsm(), 0.1),
        (ABA(), 0.2),
        (GaussianNoise(), 0.1),
        (FPA(), 1.0),
        (KeepAugment(GaussianNoise()), 1.0),
        (Compose([GaussianNoise(), mend_aba()]), 0.2),
        (mixed, 0.5),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_at_the_input(augmenter: Any, strength: float) -> None:
    model = ImageNet()
    augmentation = Augmentation(model, augmenter, strength, criterion=nn.CrossEntropyLoss(), random_state=3)
    found = train(model, image_batches(), augmentation)
    assert same(found, by_hand(augmenter, strength, seed=3))
    assert not same(found, train(ImageNet(), image_batches(), None))


def test_a_presets_name_and_its_default_strength() -> None:
    model = ImageNet()
    augmentation = Augmentation(model, "mend_aba", criterion=nn.CrossEntropyLoss(), random_state=3)
    assert augmentation.strength_ == mend_aba().default_strength
    assert same(train(model, image_batches(), augmentation), by_hand(mend_aba(), augmentation.strength_, seed=3))


def test_a_function_of_a_batch_alone() -> None:
    model = ImageNet()
    found = train(model, image_batches(), Augmentation(model, lambda x: x.flip(-1), random_state=0))
    flipped = [(x.flip(-1), y, index) for x, y, index in image_batches()]
    assert same(found, train(ImageNet(), flipped, None))


@pytest.mark.parametrize("name", ["mend_aba", "fgsm", "fast_aba"])
@pytest.mark.parametrize(
    ("make", "layer", "batches"),
    [
        (lambda: ImageNet().double(), "features.0", image_batches(torch.float64)),
        (smooth_text_net, "embedding", text_batches()),
    ],
    ids=["convolution", "embedding"],
)
def test_at_a_layer(name: str, make: Any, layer: str, batches: Any) -> None:
    """By hand the change is computed from the layer's output in a pass of its own, and added in the step's."""
    model, criterion, generator = make(), nn.CrossEntropyLoss(), seeded(3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y, _ in batches * 2:
        view = FromLayer(model, layer, x)
        hidden = view.features()
        moved = preset(name)(view, hidden, y, strength=0.3, criterion=criterion, generator=generator)
        handle = model.get_submodule(layer).register_forward_hook(lambda *call: call[-1] + (moved - hidden))  # noqa: B023
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
        handle.remove()
    hooked = make()
    augmentation = Augmentation(hooked, name, 0.3, layer=layer, criterion=criterion, random_state=3)
    found = train(hooked, batches, augmentation)
    plain = train(make(), batches, None)
    for key, value in model.state_dict().items():
        torch.testing.assert_close(found[key], value, rtol=1e-9, atol=1e-9)
    assert not same(found, plain)


@pytest.mark.parametrize("settings", [{"augmenter": None}, {"strength": 0}, {"strength": lambda batch: 0.0}])
@pytest.mark.parametrize("layer", [None, "features.0"])
def test_without_augmentation_training_is_plain(settings: dict[str, Any], layer: str | None) -> None:
    model = ImageNet()
    augmentation = Augmentation(model, **{"criterion": nn.CrossEntropyLoss(), "layer": layer, **settings})
    assert same(train(model, image_batches(), augmentation), train(ImageNet(), image_batches(), None))


def test_without_augmentation_batches_of_any_kind_pass() -> None:
    x, y = {"ids": [1, 2]}, object()
    with Augmentation(nn.Linear(2, 2), None)(x, y) as seen:
        assert seen[0] is x
        assert seen[1] is y


def test_the_batch_itself_stays_as_it_was() -> None:
    model = ImageNet(in_place=True)
    batches = image_batches()
    before = [x.clone() for x, _, _ in batches]
    train(model, batches, Augmentation(model, "mend_aba", 9.0, criterion=nn.CrossEntropyLoss(), random_state=0))
    assert all(torch.equal(x, old) for (x, _, _), old in zip(batches, before, strict=True))


def test_the_seed_decides_and_none_leaves_torchs_random_state_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    states = []
    for _ in range(2):
        model = nn.Linear(3, 3)
        torch.set_rng_state(before)
        augmentation = Augmentation(model, GaussianNoise(), 0.5)
        assert torch.equal(torch.get_rng_state(), before)
        with augmentation(torch.zeros(2, 3)) as (x, _):
            states.append(x)
    assert torch.equal(*states)
