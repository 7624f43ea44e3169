"""Training steps of every kind: several passes, accumulated gradients, mixed precision, checkpointed activations."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from skaba.augmenters import GaussianNoise, Percentiles, free_aba
from skaba.training import Augmentation
from tests.tiny_nets import seeded
from tests.training.loops import ImageNet, image_batches, same, train

CRITERION = nn.CrossEntropyLoss()
PLACES = [None, "features.0"]
AUGMENTERS = ["mend_aba", "free_aba", "gaussian_noise"]


def augmentation_of(model: nn.Module, name: str, layer: str | None, **settings: Any) -> Augmentation:
    augmenter = GaussianNoise() if name == "gaussian_noise" else name
    return Augmentation(model, augmenter, 0.3, layer=layer, criterion=CRITERION, random_state=0, **settings)


class Seen:
    """Notes what a layer of a model is given."""

    def __init__(self, layer: nn.Module) -> None:
        self.inputs: list[Tensor] = []
        layer.register_forward_pre_hook(self.note)

    def note(self, module: nn.Module, args: Any) -> None:
        if module.training:  # maps are computed in evaluation mode
            self.inputs.append(args[0].detach().clone())


def visit_once(model: nn.Module, augmentation: Augmentation, dtype: torch.dtype = torch.float32) -> None:
    """Let free_aba see all samples, so that it moves them from now on; the weights stay."""
    for x, y, index in image_batches(dtype):
        with augmentation(x, y, index=index) as (x_seen, y_seen):
            CRITERION(model(x_seen), y_seen).backward()
    model.zero_grad()


@pytest.mark.parametrize("layer", PLACES)
@pytest.mark.parametrize("name", AUGMENTERS)
def test_every_pass_of_lbfgs_sees_the_same_batch(name: str, layer: str | None) -> None:
    model = ImageNet()
    seen = Seen(model.features[1] if layer else model.features[0])
    plans: list[Any] = []
    augmentation = augmentation_of(model, name, layer)
    visit_once(model, augmentation)
    plan_of = augmentation._step.plan
    augmentation._step.plan = lambda batch: plans.append(batch) or plan_of(batch)  # type: ignore[method-assign]
    seen.inputs.clear()
    optimizer = torch.optim.LBFGS([*model.classifier.parameters()], lr=0.1, max_iter=4)
    x, y, index = image_batches()[0]
    with augmentation(x, y, index=index) as (x_seen, y_seen):

        def closure() -> Tensor:
            optimizer.zero_grad()
            loss = CRITERION(model(x_seen), y_seen)
            loss.backward()
            return loss

        optimizer.step(closure)
    assert len(seen.inputs) == 4
    assert len(plans) == 1
    assert all(torch.equal(each, seen.inputs[0]) for each in seen.inputs)
    with torch.no_grad():
        plain = model.features[0](x) if layer else x
    assert not torch.allclose(seen.inputs[0], plain, atol=1e-3)


@pytest.mark.parametrize("layer", PLACES)
def test_sharpness_aware_minimisation(layer: str | None) -> None:
    """Two passes per step at different weights: the change of the batch is that of the first."""
    model, by_hand = ImageNet().double(), ImageNet().double()
    augmentation = augmentation_of(model, "gaussian_noise", layer)
    generator = seeded(0)
    for x, y, index in image_batches(torch.float64):
        with augmentation(x, y, index=index) as (x_seen, y_seen):
            sam_step(model, lambda: CRITERION(model(x_seen), y_seen))
        noise = 0.3 * torch.randn((8, 4, 6, 6) if layer else x.shape, generator=generator, dtype=x.dtype)
        if layer:
            handle = by_hand.features[0].register_forward_hook(lambda *call: call[-1] + noise)  # noqa: B023
            sam_step(by_hand, lambda: CRITERION(by_hand(x), y))  # noqa: B023
            handle.remove()
        else:
            sam_step(by_hand, lambda: CRITERION(by_hand(x + noise), y))  # noqa: B023
    assert same(model.state_dict(), by_hand.state_dict())


def sam_step(model: nn.Module, loss: Any, lr: float = 0.1, radius: float = 0.05) -> None:
    parameters = [*model.parameters()]
    gradients = torch.autograd.grad(loss(), parameters)
    norm = torch.stack([gradient.norm() for gradient in gradients]).norm()
    steps = [radius / norm * gradient for gradient in gradients]
    with torch.no_grad():
        torch._foreach_add_(parameters, steps)
    gradients = torch.autograd.grad(loss(), parameters)
    with torch.no_grad():
        torch._foreach_sub_(parameters, steps)
        torch._foreach_sub_(parameters, gradients, alpha=lr)


@pytest.mark.parametrize("layer", PLACES)
@pytest.mark.parametrize("name", AUGMENTERS)
def test_gradients_accumulate_over_several_blocks(name: str, layer: str | None) -> None:
    """Three blocks and one backward pass each give the sum of what each gives alone."""
    model = ImageNet().double()
    model.features[1].eval()  # running statistics would change from block to block
    augmentation = augmentation_of(model, name, layer)
    visit_once(model, augmentation, torch.float64)
    start = deepcopy(augmentation.state_dict())
    batches = image_batches(torch.float64)

    def gradients(zero: bool) -> list[list[Tensor]]:
        augmentation.load_state_dict(start)
        found = []
        for x, y, index in batches:
            if zero:
                model.zero_grad()
            with augmentation(x, y, index=index) as (x_seen, y_seen):
                CRITERION(model(x_seen), y_seen).backward()
            found.append([parameter.grad.clone() for parameter in model.parameters()])
        return found

    alone = gradients(zero=True)
    model.zero_grad()
    accumulated = gradients(zero=False)[-1]
    for k, total in enumerate(accumulated):
        torch.testing.assert_close(total, sum(each[k] for each in alone), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("layer", PLACES)
@pytest.mark.parametrize("name", AUGMENTERS)
def test_bfloat16_autocast_around_the_whole_step(name: str, layer: str | None) -> None:
    """It trains all parameters, and about as in single precision."""
    losses = {}
    for enabled in (False, True):
        model = ImageNet()
        augmentation = augmentation_of(model, name, layer)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        losses[enabled] = []
        for x, y, index in image_batches() * 3:
            with (
                torch.autocast("cpu", torch.bfloat16, enabled=enabled),
                augmentation(x, y, index=index) as (x_seen, y_seen),
            ):
                loss = CRITERION(model(x_seen), y_seen)
            optimizer.zero_grad()
            loss.backward()
            # Weights that autocast cached while maps were computed would get no gradient.
            assert all(parameter.grad is not None for parameter in model.parameters())
            optimizer.step()
            losses[enabled].append(loss.item())
    torch.testing.assert_close(torch.tensor(losses[True]), torch.tensor(losses[False]), rtol=0, atol=0.1)
    assert losses[True] != losses[False]


@pytest.mark.parametrize("layer", PLACES)
@pytest.mark.parametrize("selection", [None, Percentiles(0.1, 0.9)], ids=["sign", "percentiles"])
def test_scaled_losses_give_free_aba_the_same_categories(selection: Any, layer: str | None) -> None:
    """As a GradScaler scales them: by a power of two, with an overflow now and then."""
    memories = []
    for scale in (1.0, 2.0**16):
        model = ImageNet()
        augmenter = free_aba(selection=selection)
        augmentation = Augmentation(model, augmenter, 0.3, layer=layer, criterion=CRITERION, random_state=0)
        for x, y, index in image_batches() * 2:
            with augmentation(x, y, index=index) as (x_seen, y_seen):
                (scale * CRITERION(model(x_seen), y_seen)).backward()
        memories.append(augmentation.state_dict()["memory"])
    assert torch.equal(memories[0]["bits"], memories[1]["bits"])
    assert memories[0]["bits"].any()
    assert memories[0]["known"][:24].all()


def test_a_gradient_that_overflows_moves_nothing() -> None:
    """As happens in a GradScaler's first steps, which it skips."""
    model = ImageNet()
    augmentation = augmentation_of(model, "free_aba", None)
    x, y, index = image_batches()[0]
    with augmentation(x, y, index=index) as (x_seen, y_seen):
        (float("inf") * CRITERION(model(x_seen), y_seen)).backward()
    with augmentation(x, y, index=index) as (x_seen, _):
        assert torch.equal(x_seen, x)


class Checkpointed(ImageNet):
    """An ImageNet whose activations are computed again in the backward pass: all of them, or a layer's alone."""

    def __init__(self, part: str, reentrant: bool) -> None:
        super().__init__()
        self.features[1] = nn.GroupNorm(2, 4)  # BatchNorm would count the batch twice
        self.part, self.reentrant = part, reentrant

    def forward(self, x: Tensor) -> Tensor:
        if self.part == "none" or not self.training:
            return super().forward(x)
        if self.part == "layer":
            return self.classifier(self.features[1:](self._again(self.features[0], x)))
        return self._again(super().forward, x)

    def _again(self, function: Any, x: Tensor) -> Tensor:
        # Reentrant checkpoints pass gradients on only if an input has one.
        x = x if not self.reentrant or x.requires_grad else x.clone().requires_grad_()
        return checkpoint(function, x, use_reentrant=self.reentrant)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("part", ["layer", "all"])
@pytest.mark.parametrize("layer", PLACES)
@pytest.mark.parametrize("name", AUGMENTERS)
def test_checkpointed_activations(name: str, layer: str | None, part: str, reentrant: bool) -> None:
    states = []
    # Whether the layer's gradient is computed anyway, a reentrant checkpoint does not tell; so it is always kept.
    augmenter = {"gaussian_noise": GaussianNoise(), "free_aba": free_aba(renew=1)}.get(name, name)
    for model in (Checkpointed("none", reentrant), Checkpointed(part, reentrant)):
        augmentation = Augmentation(model, augmenter, 0.3, layer=layer, criterion=CRITERION, random_state=0)
        states.append(train(model, image_batches(), augmentation))
    for key in states[0]:
        torch.testing.assert_close(states[1][key], states[0][key], rtol=1e-5, atol=1e-6)
    assert not same(states[0], train(Checkpointed("none", False), image_batches(), None))
