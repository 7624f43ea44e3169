"""The rules of the advice, on tables of scores made by hand."""

from typing import Any

import numpy as np
import pytest

from skaba.evaluation import Comparison
from skaba.evaluation.worth._advice import advice
from skaba.evaluation.worth._gains import Gain, Gains
from skaba.evaluation.worth._training import Course

GROUPS = {
    "plain": "plain",
    "label smoothing": "free rivals",
    "mixup": "free rivals",
    "ABA": "ABA",
    "random map": "ABA",
    "ABA on top of mixup": "ABA",
    "linear SVM": "outsiders",
}
NOISE = np.random.default_rng(0).normal(size=(len(GROUPS), 6))
NOISE -= NOISE.mean(axis=1, keepdims=True)


def gains(spread: float = 0.002, score_name: str = "accuracy", **means: float) -> Gains:
    """Methods not named score as plain training does; the intervals are about as wide as twice the spread."""
    scores = {
        name: 0.8 + means.get(name.replace(" ", "_"), 0.0) + spread * noise
        for name, noise in zip(GROUPS, NOISE, strict=True)
    }
    return Gains(Comparison(scores, "plain", 1, score_name=score_name, test_ratio=1 / 3), GROUPS)


def advised(found: Gains, **more: Any) -> str:
    return advice(found, combinations={"ABA on top of mixup": "mixup"}, **more)


def test_an_outsider_above_all_networks_is_named_first_and_the_network_second() -> None:
    text = advised(gains(linear_SVM=0.1, ABA=0.05))
    assert text.startswith("Use linear SVM instead of a network: +5.0 points [")
    assert "the best network that was tried (ABA). If it has to be a network: ABA is worth it: +5.0 points" in text


def test_an_outsider_that_one_network_reaches_is_no_reason_to_use_it() -> None:
    assert "Use linear SVM instead" not in advised(gains(linear_SVM=0.05, mixup=0.05))


def test_worth_it_above_plain_the_random_map_and_every_free_rival() -> None:
    text = advised(gains(ABA=0.05, random_map=0.02, mixup=0.01))
    assert text.startswith("ABA is worth it: +5.0 points [")
    assert "of which +3.0 points [" in text
    assert "(the best, mixup: +1.0 points [" in text


@pytest.mark.parametrize("rival", ["label_smoothing", "mixup"])
def test_a_free_rival_that_is_not_told_apart_is_tried_first(rival: str) -> None:
    text = advised(gains(ABA=0.05, **{rival: 0.05}))
    assert "worth it" not in text
    assert f"cannot be told apart from {rival.replace('_', ' ')}, which costs nothing: +5.0 points" in text


def test_a_better_free_rival_is_used_instead() -> None:
    text = advised(gains(ABA=0.03, mixup=0.06))
    assert text.startswith("Use mixup instead of ABA: +6.0 points")


def test_a_random_map_that_does_as_well_is_said() -> None:
    text = advised(gains(ABA=0.05, random_map=0.05))
    assert "worth it" not in text
    assert "need not come from attribution" in text


@pytest.mark.parametrize(("alone", "second"), [(0.05, ""), (0.0, "Alone, ABA is not shown to help")])
def test_on_top_of_a_rival(alone: float, second: str) -> None:
    text = advised(gains(ABA=alone, mixup=0.05, ABA_on_top_of_mixup=0.08))
    assert "ABA is worth trying on top of mixup: +3.0 points [" in text
    assert "over mixup alone" in text
    assert second in text


def test_a_combination_below_plain_training_is_not_advised() -> None:
    assert "on top" not in advised(gains(mixup=-0.08, ABA_on_top_of_mixup=-0.05))


def test_a_loss_is_said_with_what_helps() -> None:
    text = advised(gains(ABA=-0.05, label_smoothing=0.02))
    assert text.startswith("Do not use ABA here: -5.0 points [")
    assert text.endswith("over plain training.")
    assert "Use label smoothing: +2.0 points" in text


def test_nothing_shown_says_how_little_could_be_seen() -> None:
    found = gains(spread=0.02, ABA=0.001)
    low, high = found.comparison.intervals()["ABA"]
    assert f"6 repetitions cannot show gains below {50 * (high - low):.1f} points" in advised(found)
    assert "not shown to help" in advised(found)


def test_an_outsider_that_is_not_worse_is_named() -> None:
    assert "Without a network, linear SVM scores as much as plain training: " in advised(gains(linear_SVM=1e-4))
    assert "linear SVM" not in advised(gains(linear_SVM=-0.05))


def test_nothing_shown_gives_the_reason_of_the_rule_and_what_helps() -> None:
    text = advised(gains(mixup=0.05), remark="The strength stayed at 0.01: it does not overfit. Train longer.")
    assert "The strength stayed at 0.01: it does not overfit. Use mixup: +5.0 points" in text
    assert "Train longer" not in text


def test_equal_gains_of_all_repetitions_show_nothing() -> None:
    """Such an interval has no width."""
    text = advised(gains(spread=0.0, ABA=0.05, linear_SVM=0.1))
    assert text.startswith("ABA is not shown to help here: +5.0 points")


def test_short_training_comes_first() -> None:
    course = Course(1.0, train=0.6, before=0.5, after=0.55)
    text = advised(gains(ABA=0.05), course=course)
    assert text.startswith("Train longer first: plain training reaches a score of only 0.60")
    assert text.endswith("over plain training, of which " + text.rsplit("of which ", 1)[1])
    for long in (Course(1.0, 0.95, 0.5, 0.55), Course(1.0, 0.6, 0.55, 0.55)):
        assert advised(gains(ABA=0.05), course=long) == advised(gains(ABA=0.05))


@pytest.mark.parametrize("failed", ["plain", "ABA", "random map"])
def test_no_advice_without_the_methods_that_it_is_about(failed: str) -> None:
    scores = dict(gains(ABA=0.05).comparison.scores)
    scores[failed] = np.full(6, np.nan)
    assert (
        advised(Gains(Comparison(scores, "plain", 1), GROUPS)) == f"There is no advice, because fits failed: {failed}."
    )


def test_failed_rivals_do_not_count() -> None:
    found = gains(ABA=0.05, mixup=0.05)
    found.comparison.scores["mixup"][0] = np.nan
    assert advised(Gains(found.comparison, GROUPS)).startswith("ABA is worth it")


def test_other_scores_are_not_in_points() -> None:
    text = advised(gains(ABA=0.05, score_name="R²"))
    assert text.startswith("ABA is worth it: +0.050 [+0.0")
    assert "points" not in text


@pytest.mark.parametrize(("low", "high", "above", "below"), [(0.1, 0.2, 1, 0), (-0.2, -0.1, 0, 1), (-0.1, 0.1, 0, 0)])
def test_a_gain_is_above_or_below_if_its_interval_excludes_0(low: float, high: float, above: int, below: int) -> None:
    gain = Gain((low + high) / 2, low, high, in_points=True)
    assert (gain.is_above, gain.is_below) == (above, below)


def test_a_gain_as_text() -> None:
    assert str(Gain(0.0123, -0.001, 0.0256, in_points=True)) == "+1.2 points [-0.1, +2.6]"
    assert str(Gain(0.0123, np.nan, np.nan, in_points=False)) == "+0.012"
    assert Gain(-1e-9, 0, 0, in_points=True).written(-1e-9) == "+0.0"
