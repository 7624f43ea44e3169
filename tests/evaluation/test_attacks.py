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

from skaba.attribution import FromLayer, Loss
from skaba.augmenters import fgsm
from skaba.evaluation import PGD
from tests.tiny_nets import TextNet, conv_net, images, linear, mlp, seeded, trace_of, trap, words

CRITERION = nn.CrossEntropyLoss()


def attacked(attack: Any, model: Any, x: Tensor, y: Tensor, strength: float, criterion: Any = CRITERION) -> Tensor:
    result = attack(model, x, y, strength=strength, criterion=criterion, generator=seeded())
    assert isinstance(result, Tensor)
    return result


def losses(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        logits = model(x)
    return Loss()(logits, y, criterion=CRITERION)(logits)


@pytest.mark.parametrize("strength", [0.05, 0.5, 3.0])
def test_every_sample_has_at_least_the_loss_of_fgsm_and_of_itself(strength: float) -> None:
    model, x, y = conv_net().eval(), images(8), torch.arange(8) % 5
    highest = losses(model, attacked(PGD(n_steps=3), model, x, y, strength), y)
    for weaker in (x, attacked(fgsm(), model, x, y, strength)):
        assert (highest >= losses(model, weaker, y)).all()
    assert highest.mean() > losses(model, attacked(fgsm(), model, x, y, strength), y).mean()


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


def test_without_bounds_leaves_them() -> None:
    model, x = conv_net().eval(), torch.rand(4, 2, 6, 6, generator=seeded())
    result = attacked(PGD(n_steps=3), model, x, torch.arange(4), 0.3)
    assert result.min() < 0
    assert result.max() > 1


def test_strength_zero_changes_nothing_and_asks_nothing() -> None:
    x = images()
    assert torch.equal(attacked(PGD(), None, x, torch.arange(3), 0.0), x)


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
        ({"bounds": (5, 6)}, "outside of bounds"),
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
