"""Penalties in plain loops, against losses with a second derivative that are written out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from skaba.augmenters import Augmenter, fgsm
from skaba.losses import RRR, Penalty
from skaba.training import Augmentation
from tests.tiny_nets import TextNet, seeded, words
from tests.training.loops import ImageNet, image_batches, same, smooth_text_net, train

CRITERION = nn.CrossEntropyLoss()


class Doubled(nn.Module):
    """Writes into its input."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mul_(2)


class SmoothNet(nn.Module):
    """Images (n, 2, 6, 6) to logits in double precision; the second derivative is nowhere 0."""

    def __init__(self, in_place: bool = False) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = Doubled() if in_place else nn.Identity()
        self.features = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.Tanh())
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(144, 8), nn.Softplus(), nn.Linear(8, 3))
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(self.first(x)))


def images() -> tuple[Tensor, Tensor]:
    return torch.randn(5, 2, 6, 6, generator=seeded(1), dtype=torch.float64), torch.arange(5) % 3


class Attention(nn.Module):
    """Series (n, 5, 4) to logits, by attention that torch computes in one kernel wherever it can."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = nn.Identity()
        self.features = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, activation="gelu", batch_first=True)
        self.output = nn.Linear(4, 3)
        self.double()

    def forward(self, x: Tensor) -> Tensor:
        return self.output(self.features(self.first(x)).mean(1))


def random_mask(*shape: int) -> Tensor:
    return torch.rand(shape, generator=seeded(2)) < 0.6


def gradients(model: nn.Module) -> dict[str, Tensor]:
    return {name: each.grad.clone() for name, each in model.named_parameters() if each.requires_grad}


def gradients_by_hand(model: nn.Module, before: Any, after: Any, x: Any, y: Tensor, mask: Tensor) -> dict[str, Tensor]:
    """Parameter gradients of the loss plus RRR(10), with the features as a variable of their own in one pass."""
    features = before(x)
    if not features.requires_grad:
        features = features.clone().requires_grad_()
    logits = after(features)
    (gradient,) = torch.autograd.grad(torch.log_softmax(logits, 1).sum(), features, create_graph=True)
    right_reasons = 10 * (gradient.masked_fill(mask.expand_as(gradient), 0) ** 2).sum() / len(y)
    model.zero_grad()
    (functional.cross_entropy(logits, y) + right_reasons).backward()
    return gradients(model)


def gradients_of(augmentation: Augmentation, model: nn.Module, x: Any, y: Tensor, mask: Any) -> dict[str, Tensor]:
    model.zero_grad()
    with augmentation(x, y, mask=mask) as (x_seen, y_seen):
        output = model(x_seen)
        (CRITERION(output, y_seen) + augmentation.penalty(output)).backward()
    return gradients(model)


def require_close(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("shape", [(5, 6, 6), (5, 2, 6, 6)])
@pytest.mark.parametrize("augmenter", [None, "mend_aba"])
def test_rrr_at_the_input(in_place: bool, shape: tuple[int, ...], augmenter: Any) -> None:
    model, (x, y), mask = SmoothNet(in_place), images(), random_mask(*shape)
    strength = None if augmenter is None else 0.0
    augmentation = Augmentation(model, augmenter, strength, criterion=CRITERION, penalty=RRR(10.0))
    whole = mask if mask.dim() == 4 else mask.unsqueeze(1)
    expected = gradients_by_hand(model, torch.clone, lambda x: model(x.clone()), x, y, whole)
    require_close(gradients_of(augmentation, model, x, y, mask), expected)
    plain = gradients_by_hand(model, torch.clone, lambda x: model(x.clone()), x, y, torch.ones_like(whole))
    assert not torch.allclose(plain["features.0.weight"], expected["features.0.weight"], rtol=1e-3)


@pytest.mark.parametrize("shape", [(5, 6, 6), (5, 4, 6, 6)])
def test_rrr_at_a_convolution(shape: tuple[int, ...]) -> None:
    model, (x, y), mask = SmoothNet(), images(), random_mask(*shape)
    augmentation = Augmentation(model, None, layer="features.0", criterion=CRITERION, penalty=RRR(10.0))
    whole = mask if mask.dim() == 4 else mask.unsqueeze(1)
    after = nn.Sequential(model.features[1], model.classifier)
    require_close(
        gradients_of(augmentation, model, x, y, mask), gradients_by_hand(model, model.features[0], after, x, y, whole)
    )


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 5)])
@pytest.mark.parametrize("frozen", [False, True])
def test_rrr_at_an_embedding(shape: tuple[int, ...], frozen: bool) -> None:
    model, x, y, mask = smooth_text_net(), words(5), torch.arange(5) % 3, random_mask(*shape)
    model.act = nn.Softplus()
    if frozen:
        model.embedding.weight.requires_grad_(False)

    def after(hidden: Tensor) -> Tensor:
        return model.output(model.act(model.convolution(hidden.transpose(1, 2))).mean(dim=2))

    augmentation = Augmentation(model, None, layer="embedding", criterion=CRITERION, penalty=RRR(10.0))
    whole = mask if mask.dim() == 3 else mask.unsqueeze(2)
    require_close(
        gradients_of(augmentation, model, x, y, mask), gradients_by_hand(model, model.embedding, after, x, y, whole)
    )


@pytest.mark.parametrize("layer", [None, "features.0"])
def test_there_is_no_second_forward_pass(layer: str | None) -> None:
    model, (x, y) = SmoothNet(), images()
    calls: list[int] = []
    model.register_forward_pre_hook(lambda *_: calls.append(1))
    augmentation = Augmentation(model, None, layer=layer, criterion=CRITERION, penalty=RRR())
    gradients_of(augmentation, model, x, y, random_mask(5, 6, 6))
    assert len(calls) == 1


@pytest.mark.parametrize("in_place", [False, True])
def test_the_penalty_sees_the_attacked_batch(in_place: bool) -> None:
    model, (x, y), mask = SmoothNet(in_place), images(), random_mask(5, 2, 6, 6)
    attacked = fgsm()(model, x, y, strength=0.3, criterion=CRITERION, generator=seeded())
    augmentation = Augmentation(model, "fgsm", 0.3, criterion=CRITERION, penalty=RRR(10.0))
    after = lambda x: model(x.clone())  # noqa: E731
    found = gradients_of(augmentation, model, x, y, mask)
    require_close(found, gradients_by_hand(model, torch.clone, after, attacked, y, mask))
    unattacked = gradients_by_hand(model, torch.clone, after, x, y, mask)
    assert not torch.allclose(found["features.0.weight"], unattacked["features.0.weight"], rtol=1e-3)


def test_it_gets_the_features_and_the_targets_that_are_trained_on() -> None:
    class Mixed(Augmenter):
        def _plan(self, batch: Any, strength: float) -> Any:
            shares = functional.one_hot(batch.y, 3).double()
            return lambda x: (x + x.flip(0)) / 2, (shares + shares.flip(0)) / 2

    class Noting(Penalty):
        def _of_samples(self, forward_pass: Any) -> Tensor:
            seen.append(forward_pass)
            return forward_pass.gradient(forward_pass.logits).flatten(1).sum(dim=1)

    seen: list[Any] = []
    model, (x, y), mask = SmoothNet(), images(), random_mask(5, 6, 6)
    augmentation = Augmentation(model, Mixed(), criterion=CRITERION, penalty=Noting())
    with augmentation(x, y, mask=mask) as (x_seen, y_seen):
        output = model(x_seen)
        augmentation.penalty(output)
        (forward_pass,) = seen
        assert forward_pass.features is x_seen
        torch.testing.assert_close(x_seen, (x + x.flip(0)) / 2)
        assert forward_pass.y is y_seen
        assert y_seen.shape == (5, 3)
        assert forward_pass.logits is output
        assert torch.equal(forward_pass.mask, mask.unsqueeze(1).expand_as(x))
        assert forward_pass.criterion is CRITERION


@pytest.mark.parametrize("layer", [None, "features.0"])
def test_at_every_pass_of_a_step_the_penalty_is_that_of_the_last(layer: str | None) -> None:
    model, (x, y), mask = SmoothNet(), images(), random_mask(5, 6, 6)
    augmentation = Augmentation(model, "fgsm", 0.3, layer=layer, criterion=CRITERION, penalty=RRR(10.0))
    with augmentation(x, y, mask=mask) as (x_seen, _):
        first = augmentation.penalty(model(x_seen))
        second = augmentation.penalty(model(x_seen))
        with torch.no_grad():
            model.classifier[3].weight.mul_(2)
        third = augmentation.penalty(model(x_seen))
    assert torch.equal(first, second)
    assert third > 2 * first


@pytest.mark.parametrize("layer", [None, "features.0"])
@pytest.mark.parametrize("shape", [(8, 6, 6), (8, 2, 6, 6)])
def test_a_mask_of_true_alone_is_plain_training(layer: str | None, shape: tuple[int, ...]) -> None:
    model = ImageNet()
    augmentation = Augmentation(model, None, layer=layer, criterion=CRITERION, penalty=RRR())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y, _ in image_batches() * 2:
        with augmentation(x, y, mask=torch.ones(shape, dtype=torch.bool)) as (x_seen, y_seen):
            assert x_seen is x
            output = model(x_seen)
            assert augmentation.penalty(output) == 0.0
            loss = CRITERION(output, y_seen)
            optimizer.zero_grad()
            loss.backward()
        optimizer.step()
    assert same(model.state_dict(), train(ImageNet(), image_batches(), None))


@pytest.mark.parametrize("layer", [None, "features.0"])
def test_forgetting_the_penalty_is_an_error(layer: str | None) -> None:
    model, (x, y) = SmoothNet(), images()
    augmentation = Augmentation(model, None, layer=layer, criterion=CRITERION, penalty=RRR())
    with (
        pytest.raises(ValueError, match=r"without penalty=RRR\(\).*augmentation.penalty\(output\)"),
        augmentation(x, y, mask=random_mask(5, 6, 6)) as (x_seen, _),
    ):
        model(x_seen)
    with pytest.raises(ValueError, match="needs a mask with each batch"), augmentation(x, y):
        pass


def test_there_is_no_penalty_without_one_or_outside_of_a_block() -> None:
    model, (x, y) = SmoothNet(), images()
    with Augmentation(model, None)(x, y) as (x_seen, _):
        output = model(x_seen)
    assert Augmentation(model, None).penalty(output) == 0.0
    assert Augmentation(model, None, penalty=RRR()).penalty(output) == 0.0


@pytest.mark.parametrize(
    ("model", "layer", "x", "shape", "message"),
    [
        (SmoothNet(), None, images()[0], (5, 6, 5), r"\(5, 2, 6, 6\) or \(5, 6, 6\)"),
        (SmoothNet(), None, images()[0], (5, 1, 6, 6), r"\(5, 2, 6, 6\) or \(5, 6, 6\)"),
        (SmoothNet(), None, images()[0], (5, 6), r"\(5, 2, 6, 6\) or \(5, 6, 6\)"),
        (SmoothNet(), None, images()[0], (6, 6), r"one entry per sample.*\(5, \.\.\.\)"),
        (SmoothNet(), None, images()[0], (5,), r"one entry per sample.*\(5, \.\.\.\)"),
        (SmoothNet(), "features.0", images()[0], (5, 2, 6, 6), r"\(5, 4, 6, 6\) or \(5, 6, 6\)"),
        (TextNet(), "embedding", words(5), (5, 5), r"\(5, 7\) or \(5, 7, 5\)"),
        (nn.Linear(4, 3), None, torch.randn(5, 4), (5, 3), r"the shape \(5, 4\)"),
    ],
)
def test_masks_of_a_wrong_shape(model: Any, layer: Any, x: Tensor, shape: tuple[int, ...], message: str) -> None:
    augmentation = Augmentation(model, None, layer=layer, criterion=CRITERION, penalty=RRR())
    mask = torch.zeros(shape, dtype=torch.bool)
    mask[..., 0] = True
    with (
        pytest.raises(ValueError, match=rf"^mask has shape .*{message}"),
        augmentation(x, torch.arange(5) % 3, mask=mask) as (x_seen, _),
    ):
        augmentation.penalty(model(x_seen))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.ones(5, 6, 6), "must be boolean"),
        (torch.ones(5, 6, 6, dtype=torch.int64), "must be boolean"),
        (torch.zeros(5, 6, 6, dtype=torch.bool), "False everywhere for 5 of 5 samples"),
    ],
)
def test_masks_that_are_none(mask: Tensor, message: str) -> None:
    model, (x, y) = SmoothNet(), images()
    augmentation = Augmentation(model, None, criterion=CRITERION, penalty=RRR())
    for given in (mask, mask.numpy()):
        with pytest.raises(ValueError, match=message), augmentation(x, y, mask=given):
            raise AssertionError("the block must not run")


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointed_activations(reentrant: bool) -> None:
    """A second derivative through a checkpoint: as without, or torch's refusal, but no wrong number."""
    from torch.utils.checkpoint import checkpoint

    model, (x, y), mask = SmoothNet(), images(), random_mask(5, 6, 6)
    augmentation = Augmentation(model, None, layer="features.0", criterion=CRITERION, penalty=RRR(10.0))
    expected = gradients_of(augmentation, model, x, y, mask)
    forward = model.forward
    model.forward = lambda x: checkpoint(forward, x, use_reentrant=reentrant)  # type: ignore[method-assign]
    if not reentrant:
        require_close(gradients_of(augmentation, model, x, y, mask), expected)
        return
    x.requires_grad_()
    with pytest.raises((RuntimeError, ValueError)):
        gradients_of(augmentation, model, x, y, mask)


@pytest.mark.parametrize("layer", [None, "first"])
def test_fused_attention_which_has_no_second_derivative_is_not_used(layer: str | None) -> None:
    x, y = torch.randn(6, 5, 4, generator=seeded(1), dtype=torch.float64), torch.arange(6) % 3
    mask = random_mask(6, 5, 4)
    model, by_hand = Attention(), Attention()
    augmentation = Augmentation(model, None, layer=layer, criterion=CRITERION, penalty=RRR())
    with augmentation(x, y, mask=mask) as (x, y):
        output = model(x)
        (CRITERION(output, y) + augmentation.penalty(output)).backward()
    assert torch.backends.cuda.flash_sdp_enabled()
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        expected = gradients_by_hand(by_hand, lambda x: x, by_hand, x, y, mask)
    found = gradients(model)
    assert all(torch.allclose(found[name], expected[name]) for name in expected)


def test_a_pass_without_a_graph_has_no_penalty() -> None:
    x, y = images()
    mask = random_mask(5, 4, 6, 6)
    model, expected = SmoothNet(), SmoothNet()
    for each, evaluates in ((model, True), (expected, False)):
        augmentation = Augmentation(each, None, layer="features", criterion=CRITERION, penalty=RRR())
        with augmentation(x, y, mask=mask):
            output = each(x)
            if evaluates:
                with torch.no_grad():
                    each(x)
            (CRITERION(output, y) + augmentation.penalty(output)).backward()
    assert same(gradients(model), gradients(expected))


@pytest.mark.parametrize(("layer", "penalty"), [("features", None), (None, RRR())])
def test_a_block_inside_a_block_would_mix_up_the_batches(layer: str | None, penalty: Any) -> None:
    x, y = images()
    augmentation = Augmentation(SmoothNet(), layer=layer, criterion=CRITERION, penalty=penalty)
    mask = None if penalty is None else random_mask(5, 6, 6)
    with (
        pytest.raises(ValueError, match="is in a block already"),
        augmentation(x, y, mask=mask),
        augmentation(x, y, mask=mask),
    ):
        raise AssertionError("the block must not run")


def test_blocks_at_the_input_can_be_nested() -> None:
    x, y = images()
    augmentation = Augmentation(SmoothNet(), criterion=CRITERION, random_state=0)
    with augmentation(x, y) as (first, _), augmentation(x, y) as (second, _):
        assert not torch.equal(first, second)


class Penalties(Penalty):
    """Returns whatever it is told to."""

    def __init__(self, of: Any, weight: float = 1.0) -> None:
        super().__init__(weight)
        self.of = of

    def _of_samples(self, forward_pass: Any) -> Any:
        return self.of(forward_pass.gradient(forward_pass.logits))


@pytest.mark.parametrize(
    ("penalty", "message"),
    [
        (Penalties(lambda gradient: gradient.square()), "must return one penalty per sample"),
        (Penalties(lambda gradient: gradient.square().sum()), "must return one penalty per sample"),
        (Penalties(lambda gradient: None), "returned None; it must return one penalty per sample"),
        (lambda each: each.gradient(each.logits).square().flatten(1).sum(1), "must return a scalar"),
        (lambda each: None, "returned None; it must return a scalar"),
    ],
)
def test_penalties_of_a_wrong_shape(penalty: Any, message: str) -> None:
    x, y = images()
    model = SmoothNet()
    augmentation = Augmentation(model, None, criterion=CRITERION, penalty=penalty)
    with pytest.raises(ValueError, match=message), augmentation(x, y, mask=random_mask(5, 6, 6)) as (x, y):
        augmentation.penalty(model(x))


@pytest.mark.parametrize("criterion", [None, nn.MSELoss()])
def test_rrr_without_targets_and_without_a_loss_that_tells_the_task(criterion: Any) -> None:
    x, _ = images()
    model = SmoothNet()
    augmentation = Augmentation(model, None, criterion=criterion, penalty=RRR())
    with pytest.raises(ValueError, match="y is None"), augmentation(x, mask=random_mask(5, 6, 6)) as (x, _):
        augmentation.penalty(model(x))
