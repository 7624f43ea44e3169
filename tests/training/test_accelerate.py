"""In accelerate's loop an Augmentation works as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from skaba.augmenters import GaussianNoise
from skaba.training import Augmentation
from tests.training.loops import ImageNet, image_batches, same, train

accelerate = pytest.importorskip("accelerate")

CRITERION = nn.CrossEntropyLoss()

pytestmark = pytest.mark.usefixtures("fresh_accelerator")


def augmentation_of(model: nn.Module, augmenter: Any, layer: str | None) -> Augmentation:
    return Augmentation(model, augmenter, 0.3, layer=layer, criterion=CRITERION, random_state=0)


def run(
    augmenter: Any, layer: str | None, *, epochs: int = 2, load: Any = None, save: Any = None, **settings: Any
) -> Any:
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = accelerate.Accelerator(cpu=True, **settings)
    model = ImageNet()
    loader = torch.utils.data.DataLoader(image_batches(), batch_size=None)
    model, optimizer, loader = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1), loader)
    augmentation = augmentation_of(model, augmenter, layer)
    accelerator.register_for_checkpointing(augmentation)
    if load:
        accelerator.load_state(load)
    for _ in range(epochs):
        for x, y, index in loader:
            with accelerator.accumulate(model), augmentation(x, y, index=index) as (x_seen, y_seen):
                loss = CRITERION(model(x_seen), y_seen)
                accelerator.backward(loss)
                optimizer.step()
                optimizer.zero_grad()
    if save:
        accelerator.save_state(save)
    return accelerator.unwrap_model(model, keep_fp32_wrapper=False).state_dict()


@pytest.mark.parametrize("augmenter", ["mend_aba", "free_aba", GaussianNoise()], ids=str)
@pytest.mark.parametrize("layer", [None, "features.0"])
def test_trains_as_the_plain_loop(augmenter: Any, layer: str | None) -> None:
    expected = ImageNet()
    train(expected, image_batches(), augmentation_of(expected, augmenter, layer))
    found = run(augmenter, layer)
    assert same(found, expected.state_dict())
    assert not same(found, train(ImageNet(), image_batches(), None))


@pytest.mark.parametrize("layer", [None, "features.0"])
def test_mixed_precision(layer: str | None) -> None:
    """As the plain loop in bfloat16, up to rounding."""
    found = run("free_aba", layer, mixed_precision="bf16")
    single = run("free_aba", layer)
    for name, value in single.items():
        torch.testing.assert_close(found[name], value, rtol=0.1, atol=0.05)
    assert not same(found, single)


def test_accumulated_gradients() -> None:
    expected = ImageNet()
    augmentation = augmentation_of(expected, "mend_aba", None)
    optimizer = torch.optim.SGD(expected.parameters(), lr=0.1)
    for k, (x, y, _) in enumerate(image_batches() * 2):
        with augmentation(x, y) as (x_seen, y_seen):
            (CRITERION(expected(x_seen), y_seen) / 3).backward()
        if k % 3 == 2:
            optimizer.step()
            optimizer.zero_grad()
    found = run("mend_aba", None, gradient_accumulation_steps=3)
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(found[name], value)


def test_a_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    expected = run("free_aba", "features.0", epochs=4)
    run("free_aba", "features.0", save=tmp_path / "run")
    assert same(run("free_aba", "features.0", load=tmp_path / "run"), expected)
