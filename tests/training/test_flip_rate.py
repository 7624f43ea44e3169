"""The rule for the strength: what it measures, how it moves, and that it stays the same net in every loop."""

from __future__ import annotations

import math
import pickle

import pytest
import torch
from sklearn.base import clone
from torch import nn

from skaba.augmenters import Batch, GaussianNoise, Plan
from skaba.training import Augmentation, FlipRate
from skaba.training._probe import Probe, probed


def batch_of(model, x, y, criterion=None):
    return Batch(model, x, y, criterion, torch.Generator().manual_seed(0))


def test_flips_are_the_share_of_right_predictions_that_become_wrong():
    # Logits are the samples themselves. Samples 0 to 2 are predicted rightly; the move swaps the logits of 0 and 3.
    x = torch.tensor([[2.0, 1.0], [2.0, 1.0], [1.0, 2.0], [1.0, 2.0]])
    y = torch.tensor([0, 0, 1, 0])

    def move(x):
        return torch.stack([x[0].flip(0), x[1], x[2], x[3].flip(0)])

    assert probed(batch_of(nn.Identity(), x, y), Plan(move, y)) == Probe(3 / 4, pytest.approx(1 / 3))


def test_without_right_predictions_nothing_flips():
    x, y = torch.tensor([[1.0, 2.0]]), torch.tensor([0])
    assert probed(batch_of(nn.Identity(), x, y), Plan(lambda x: -x, y)) == Probe(0.0, 0.0)


def test_positive_and_negative_labels_count_equally():
    x = torch.tensor([[1.0, -1.0, -1.0, -1.0]])
    y = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    # The only positive label flips, and one of three negative ones.
    move = Plan(lambda x: x * torch.tensor([-1.0, -1.0, 1.0, 1.0]), y)
    found = probed(batch_of(nn.Identity(), x, y, nn.BCEWithLogitsLoss()), move)
    assert found.fit == 1
    assert found.flips == pytest.approx((1 + 1 / 3) / 2)


def test_a_regression_flips_by_its_loss_in_units_of_a_constant_prediction():
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [2.0]])
    found = probed(batch_of(nn.Identity(), x, y, nn.MSELoss()), Plan(lambda x: x + 0.5, y))
    assert found == Probe(1.0, 0.25)  # (0.5 ** 2 - 0) / variance 1


def test_looking_needs_targets_that_stay():
    x, y = torch.zeros(2, 2), torch.tensor([0, 1])
    with pytest.raises(ValueError, match="keeps the targets"):
        probed(batch_of(nn.Identity(), x, y), Plan(None, y.float()))
    with pytest.raises(ValueError, match="keeps the targets"):
        probed(batch_of(nn.Identity(), x, None), Plan(None, None))
    with pytest.raises(ValueError, match="pass criterion="):
        probed(batch_of(nn.Identity(), x, x), Plan(None, x))


def test_the_strength_grows_below_the_target_and_shrinks_above():
    rule = FlipRate(target=0.1, pace=2.0, start=0.5)
    rule.learn(Probe(fit=1.0, flips=0.0))
    assert rule.strength_ == pytest.approx(0.5 * math.exp(2.0 * 0.1))
    rule = FlipRate(target=0.1, pace=2.0, start=0.5)
    rule.learn(Probe(fit=1.0, flips=0.6))
    assert rule.strength_ == pytest.approx(0.5 * math.exp(-2.0 * 0.5))


def test_the_strength_returns_to_its_start_while_the_network_does_not_fit_its_samples():
    rule = FlipRate(fitted=0.9)
    rule.strength_ = 1.0
    rule.learn(Probe(fit=0.5, flips=0.0))  # no flips: without the guard, the strength would grow without end
    assert rule.strength_ == pytest.approx(math.exp(rule.pace * (0.5 - 0.9)))
    rule.strength_ = rule.start
    rule.learn(Probe(fit=0.5, flips=0.0))
    assert rule.strength_ == rule.start
    rule.learn(Probe(fit=0.5, flips=1.0))  # flips above the target count at once
    assert rule.strength_ < rule.start
    for _ in range(20):
        rule.learn(Probe(fit=0.5, flips=0.0))
    assert rule.strength_ == rule.start


def test_the_strength_stays_between_its_limits():
    rule = FlipRate(start=0.1, low=0.1, high=0.2)
    for _ in range(50):
        rule.learn(Probe(1.0, 0.0))
    assert rule.strength_ == 0.2
    for _ in range(50):
        rule.learn(Probe(1.0, 1.0))
    assert rule.strength_ == 0.1


def test_remarks_say_what_kept_the_rule_from_its_target():
    assert "every=1" in FlipRate().remark()
    rule = FlipRate(every=1)
    rule.n_batches_ = 1
    rule.learn(Probe(0.4, 0.0))
    assert "does not overfit" in rule.remark()
    rule = FlipRate(every=1, high=0.5)
    rule.n_batches_ = 1
    rule.learn(Probe(1.0, 0.0))
    assert rule.remark() is None
    rule.strength_ = 0.5
    assert "raise high" in rule.remark()


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"target": 0.0}, "target"),
        ({"target": 1.0}, "target"),
        ({"every": 0}, "every"),
        ({"low": 10.0}, "start"),
    ],
)
def test_wrong_parameters_are_refused_before_training(wrong, match):
    with pytest.raises(ValueError, match=match):
        Augmentation(nn.Linear(2, 2), GaussianNoise(), FlipRate(**wrong))


def test_a_class_in_place_of_a_rule_is_refused():
    with pytest.raises(ValueError, match=r"pass FlipRate\(\)"):
        Augmentation(nn.Linear(2, 2), GaussianNoise(), FlipRate)


def blobs():
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(60) % 2
    return torch.randn(60, 4, generator=generator) + 2 * y[:, None].float(), y


def train(augmentation, model, n_epochs=30):
    x, y = blobs()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(n_epochs):
        with augmentation(x, y) as (x_seen, y_seen):
            loss = nn.functional.cross_entropy(model(x_seen), y_seen)
            optimizer.zero_grad()
            loss.backward()
        optimizer.step()


def test_the_rule_reaches_its_target_in_a_plain_loop():
    torch.manual_seed(0)
    model = nn.Linear(4, 2)
    augmentation = Augmentation(model, "fast_aba", FlipRate(0.1, every=1, fitted=0.8), random_state=0)
    train(augmentation, model, 200)
    rule = augmentation.strength_
    assert rule.strength_ != rule.start
    assert rule.flip_rate_ == pytest.approx(0.1, abs=0.05)


def test_the_state_is_saved_and_restored():
    model = nn.Linear(4, 2)
    augmentation = Augmentation(model, "fast_aba", "auto", random_state=0)
    train(augmentation, model)
    other = Augmentation(model, "fast_aba", "auto", random_state=1)
    other.load_state_dict(augmentation.state_dict())
    assert other.strength_.state_dict() == augmentation.strength_.state_dict()
    assert augmentation.strength_.n_batches_ == 30


def test_the_users_rule_is_not_changed_and_copies_start_anew():
    given = FlipRate(every=1)
    model = nn.Linear(4, 2)
    train(Augmentation(model, "fast_aba", given, random_state=0), model)
    assert given.n_batches_ == 0
    given.strength_ = 3.0
    assert clone(given).strength_ == given.start
    assert pickle.loads(pickle.dumps(given)).strength_ == 3.0  # noqa: S301


def test_looking_changes_no_draw_and_no_buffer():
    # With a tiny pace the strength stays where it is, so only a trace of looking could change the training.
    def weights(rule):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))
        train(Augmentation(model, "mend_aba", rule, random_state=0), model)
        return torch.cat([value.flatten().float() for value in model.state_dict().values()])

    torch.testing.assert_close(weights(0.1), weights(FlipRate(low=0.1 - 1e-12, high=0.1 + 1e-12, every=1)))
