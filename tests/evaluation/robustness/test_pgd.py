"""PGD stays in its ball, is never weaker than FGSM, and leaves no trace."""

import itertools
import pickle
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import Tensor, nn

from skaba.attribution import Loss
from skaba.augmenters import fgsm
from skaba.evaluation.robustness import PGD
from skaba.evaluation.robustness._pgd import _Climb
from skaba.network import FromLayer
from skaba.testing import trace_of
from tests.tiny_nets import TextNet, conv_net, images, linear, mlp, seeded, trap, words

CRITERION = nn.CrossEntropyLoss()


def attacked(attack: Any, model: Any, x: Tensor, y: Tensor, strength: float, criterion: Any = CRITERION) -> Tensor:
    result = attack(model, x, y, strength=strength, criterion=criterion, generator=seeded())
    assert isinstance(result, Tensor)
    return result


def losses(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        logits = model(x)
    return Loss()(logits, y, criterion=CRITERION)(logits)


def wrong(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return model(x).argmax(dim=1) != y


@pytest.mark.parametrize("strength", [0.05, 0.5, 3.0])
def test_every_sample_is_at_least_as_bad_as_under_fgsm_and_as_itself(strength: float) -> None:
    """Misclassified where they are; and where no more samples are, of at least their loss."""
    model, x, y = conv_net().eval(), images(8), torch.arange(8) % 5
    result = attacked(PGD(n_steps=3), model, x, y, strength)
    loss, failed = losses(model, result, y), wrong(model, result, y)
    for weaker in (x, attacked(fgsm(), model, x, y, strength)):
        assert (failed | ~wrong(model, weaker, y)).all()
        assert (loss >= losses(model, weaker, y))[failed == wrong(model, weaker, y)].all()
    assert loss.mean() > losses(model, attacked(fgsm(), model, x, y, strength), y).mean()


@pytest.mark.parametrize("strength", [0.1, 0.3, 1.0])
def test_accuracy_is_never_above_that_under_fgsm(strength: float) -> None:
    """By the loss alone it would be, for a few of these samples."""
    x = torch.randn(500, 6, generator=seeded())
    for seed in range(5):
        torch.manual_seed(seed)
        model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 8))
        with torch.no_grad():
            y = model(x).argmax(dim=1)
        pgd, weaker = (wrong(model, attacked(attack, model, x, y, strength), y) for attack in (PGD(), fgsm()))
        assert (pgd | ~weaker).all()


def test_a_misclassified_point_is_kept_before_one_of_higher_loss() -> None:
    """At 1 the second class beats the first, the true one; at 2 the first one wins, though what it has lost to both of
    the others together makes for a higher loss."""

    def model(x: Tensor) -> Tensor:
        beyond = (x - 1).clamp(min=0)
        return torch.cat([0 * x, 0.4 * x - 0.85 * beyond, -2 + 1.95 * beyond], dim=1)

    points = torch.tensor([[0.0], [1.0], [2.0]])
    losses = nn.functional.cross_entropy(model(points), torch.zeros(3, dtype=torch.long), reduction="none")
    assert model(points).argmax(dim=1).tolist() == [0, 1, 0]
    assert losses.argmax() == 2
    climb = _Climb(model, torch.tensor([0]), CRITERION)
    for place, best in ((0, 0), (2, 2), (1, 1), (2, 1)):
        climb.visit(points[[place]])
        assert climb.best.item() == best


def test_a_linear_model_has_its_maximum_at_the_fgsm_point() -> None:
    model, y = linear(n_classes=2), torch.tensor([0, 1, 1, 0])
    x = torch.randn(4, 20, dtype=torch.float64)
    uphill = (model.weight[1 - y] - model.weight[y]).sign()
    torch.testing.assert_close(attacked(PGD(n_steps=5), model, x, y, 0.3), x + 0.3 * uphill)


def test_comes_near_the_maximum_that_a_fine_grid_finds() -> None:
    model, x = mlp(n_features=2), torch.tensor([[0.2, -0.4]])
    y = torch.tensor([1])
    steps = torch.linspace(-1, 1, 101)
    grid = x + torch.tensor(list(itertools.product(steps, steps)))
    best = losses(model, grid, y.repeat(len(grid))).max()
    found = losses(model, attacked(PGD(n_steps=40, restarts=3), model, x, y, 1.0), y)
    assert found.item() == pytest.approx(best.item(), rel=1e-3)


def test_more_restarts_never_lower_the_loss() -> None:
    """The first start is the same, and the highest point is kept."""
    model, x, y = mlp(), torch.randn(6, 6, generator=seeded()), torch.arange(6) % 4
    found = [losses(model, attacked(PGD(n_steps=2, restarts=n), model, x, y, 2.0), y) for n in (1, 2, 5)]
    assert (found[1] >= found[0]).all()
    assert (found[2] >= found[1]).all()
    assert found[2].sum() > found[0].sum()


@pytest.mark.parametrize("step_size", [None, 0.01, 10.0])
def test_stays_in_the_ball_and_within_bounds(step_size: float | None) -> None:
    model, y = conv_net().eval(), torch.arange(4)
    x = torch.rand(4, 2, 6, 6, generator=seeded())
    result = attacked(PGD(n_steps=3, step_size=step_size, bounds=(0, 1)), model, x, y, 0.3)
    assert (result - x).abs().max() <= 0.3 + 1e-6
    assert result.min() >= 0
    assert result.max() <= 1


def test_bounds_are_those_of_each_feature() -> None:
    """Standardised images: the bounds are one a channel, and some features can not change at all."""
    model, y = conv_net().eval(), torch.arange(4)
    mean, std = np.reshape([0.4, 0.6], (2, 1, 1)), np.reshape([0.2, 0.3], (2, 1, 1))
    low, high = ((limit - mean) / std for limit in (0, 1))
    images = torch.rand(4, 2, 6, 6, generator=seeded()).numpy()
    x = torch.as_tensor((images - mean) / std, dtype=torch.float32)
    result = attacked(PGD(n_steps=3, bounds=(low, high)), model, x, y, 1.0)
    touched = [(result - torch.tensor(limit)).abs() < 1e-5 for limit in (low, high)]
    for channel in range(2):
        assert result[:, channel].min() >= low[channel].item() - 1e-5
        assert result[:, channel].max() <= high[channel].item() + 1e-5
        assert all(at[:, channel].any() for at in touched)
    free = attacked(PGD(n_steps=3), model, x, y, 1.0)
    assert ((free < torch.tensor(low)) | (free > torch.tensor(high))).any()


def test_bounds_may_be_open_or_hold_a_feature_still() -> None:
    model, y = mlp(), torch.arange(4)
    x = torch.rand(4, 6, generator=seeded())
    x[:, 0] = 0.5
    low, high = np.zeros(6), np.full(6, np.inf)
    low[0] = high[0] = 0.5
    result = attacked(PGD(n_steps=3, bounds=(low, high)), model, x, y, 2.0)
    assert (result[:, 0] == 0.5).all()
    assert result.min() >= 0
    assert result.max() > 1


def test_equal_arrays_and_numbers_as_bounds_attack_alike() -> None:
    model, y = conv_net().eval(), torch.arange(4)
    x = torch.rand(4, 2, 6, 6, generator=seeded())
    arrays = np.zeros((2, 1, 1)), np.ones((2, 6, 6))
    expected = attacked(PGD(n_steps=2, bounds=(0, 1)), model, x, y, 0.3)
    assert torch.equal(attacked(PGD(n_steps=2, bounds=arrays), model, x, y, 0.3), expected)


def test_without_bounds_leaves_them() -> None:
    model, x = conv_net().eval(), torch.rand(4, 2, 6, 6, generator=seeded())
    result = attacked(PGD(n_steps=3), model, x, torch.arange(4), 0.3)
    assert result.min() < 0
    assert result.max() > 1


def test_strength_zero_changes_nothing_and_asks_nothing() -> None:
    x = images()
    assert torch.equal(attacked(PGD(), None, x, torch.arange(3), 0.0), x)


def test_an_empty_batch_stays_empty() -> None:
    generator = torch.Generator()
    model, criterion = torch.nn.Linear(4, 3), torch.nn.CrossEntropyLoss()
    x, y = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
    assert PGD()(model, x, y, strength=0.1, criterion=criterion, generator=generator).shape == (0, 4)


def test_a_criterion_that_tells_only_the_mean_of_a_batch_attacks_alike() -> None:
    model, x, y = mlp(), torch.randn(6, 6, generator=seeded()), torch.arange(6) % 4

    def mean(logits: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(logits, y)

    torch.testing.assert_close(attacked(PGD(), model, x, y, 0.5, mean), attacked(PGD(), model, x, y, 0.5))


@pytest.mark.parametrize("fails_on", [0, 1, 4])
def test_leaves_no_trace(fails_on: int) -> None:
    net, y = trap(fails_on), torch.arange(4)
    x = torch.randn(4, 2, 8)
    kept, before = x.clone(), trace_of(net)
    with pytest.raises(RuntimeError, match="boom") if fails_on else nullcontext():
        attacked(PGD(n_steps=3), net, x, y, 0.1)
    assert trace_of(net) == before
    assert torch.equal(x, kept)
    assert not x.requires_grad


def test_the_generator_decides() -> None:
    model, x, y = mlp(), torch.randn(6, 6, generator=seeded()), torch.arange(6) % 4
    first = attacked(PGD(n_steps=2), model, x, y, 2.0)
    torch.manual_seed(7)
    assert torch.equal(attacked(PGD(n_steps=2), model, x, y, 2.0), first)
    other = PGD(n_steps=2)(model, x, y, strength=2.0, criterion=CRITERION, generator=seeded(1))
    assert not torch.equal(other, first)


def test_padding_of_a_text_is_never_changed() -> None:
    net, ids, y = TextNet().eval(), words(), torch.arange(4) % 3
    rest = FromLayer(net, "embedding", ids)
    x = rest.features()
    result = attacked(PGD(n_steps=3), rest, x, y, 0.5)
    moved = (result != x).any(dim=2)
    assert torch.equal(moved, ids != 0)
    assert (losses(rest, result, y) > losses(rest, x, y)).all()


def test_trains_as_an_augmenter(table: Any, classifier: Any) -> None:
    fitted = classifier(augmenter=PGD(n_steps=2), augmenter__restarts=2).fit(*table)
    assert fitted.augmenter_.restarts == 2
    assert np.abs(fitted.augment(*table) - table[0]).max() == pytest.approx(0.5, rel=1e-4)


def test_clones_and_pickles() -> None:
    attack = PGD(n_steps=3, bounds=(0, 1))
    for copied in (clone(attack), pickle.loads(pickle.dumps(attack))):  # noqa: S301
        assert copied.get_params() == attack.get_params()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_steps": 0}, "n_steps"),
        ({"restarts": 0}, "restarts"),
        ({"step_size": 0}, "step_size"),
        ({"bounds": (1, 0)}, "low < high"),
        ({"bounds": (0, 1, 2)}, "low < high"),
        ({"bounds": ("0", "1")}, "low < high"),
        ({"bounds": (np.zeros(6), np.nan)}, "low < high"),
        ({"bounds": (np.zeros(6), np.zeros(6))}, "low < high"),
        ({"bounds": (np.zeros(6), np.ones(5))}, "low < high"),
        ({"bounds": (np.zeros(5), np.ones(5))}, "do not broadcast to a sample of shape .6,."),
        ({"bounds": (np.zeros((2, 6)), 1)}, "do not broadcast"),
        ({"bounds": (5, 6)}, "outside bounds"),
        ({"bounds": (np.array([0, 0, 0, 0, 0, 0.5]), 1)}, "outside bounds"),
    ],
)
def test_refuses_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attacked(PGD(**parameters), mlp(), torch.zeros(2, 6), torch.arange(2), 0.1)


def test_refuses_integers_and_missing_targets() -> None:
    with pytest.raises(TypeError, match="floating-point"):
        attacked(PGD(), TextNet(), words(), torch.arange(4), 0.1)
    with pytest.raises(ValueError, match="needs y"):
        attacked(PGD(), mlp(), torch.zeros(2, 6), None, 0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="generator"):
        PGD()(mlp(), torch.zeros(2, 6), torch.arange(2), strength=0.1, criterion=CRITERION, generator=None)  # type: ignore[arg-type]
