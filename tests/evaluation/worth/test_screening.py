"""What is repeated, and what is said about the rest."""

import pytest

from skaba.evaluation._folds import Result
from skaba.evaluation.worth._arms import Arm, Arms
from skaba.evaluation.worth._screening import Screening, choose

CORE = ["plain", "ABA", "random map"]


def screening(*runs: dict[str, float], failed: tuple[str, ...] = ()) -> Screening:
    """A second per fit; the scores are given; mixup and shift cannot be combined with ABA."""

    def arms(names: list[str], group: str) -> list[Arm]:
        return [Arm(name, group, None) for name in names]

    free = arms(["label smoothing", "mixup", "shift", "dropout"], "free rivals")
    combined = {name: Arm(f"ABA on top of {name}", "ABA", None) for name in ("label smoothing", "dropout")}
    every = Arms(arms(CORE, "ABA"), free, combined, arms(["SVM", "boosting"], "outsiders"))
    results = [
        {
            name: Result(failure="it broke") if name in failed else Result(score, seconds=1.0)
            for name, score in run.items()
        }
        for run in runs
    ]
    return Screening(every, results, plain_seconds=1.0)


FIRST = {"ABA": 0.9, "SVM": 0.1, "boosting": 0.1, "label smoothing": 0.5, "mixup": 0.8, "shift": 0.3, "dropout": 0.4}
SECOND = {"label smoothing": 0.5, "mixup": 0.3, "shift": 0.35, "dropout": 0.5}


def names(found: Screening, seconds: float) -> list[str]:
    return [arm.name for arm in choose(found, seconds)]


def test_rivals_are_ranked_by_their_mean_over_the_splits() -> None:
    assert list(screening(FIRST).scores()) == ["mixup", "label smoothing", "dropout", "shift"]
    assert screening(FIRST, SECOND).scores()["mixup"] == pytest.approx(0.55)


def test_the_best_are_chosen_and_aba_goes_on_top_of_the_best_that_it_can_be_combined_with() -> None:
    chosen = names(screening(FIRST), 1e6)
    assert chosen == [*CORE, "label smoothing", "mixup", "dropout", "ABA on top of label smoothing", "SVM", "boosting"]


def test_with_little_time_the_outsiders_come_before_further_rivals() -> None:
    found = screening(FIRST)
    # A round of the required four takes 4.4 seconds, and five rounds are wanted.
    assert names(found, 5 * 4.5) == [*CORE, "mixup"]
    assert names(found, 5 * 6.7) == [*CORE, "mixup", "SVM", "boosting"]
    assert "Left out for lack of time: ABA on top of label smoothing, dropout, label smoothing." in found.notes(
        choose(found, 5 * 6.7)
    )


def test_what_failed_is_said_and_not_repeated() -> None:
    found = screening(FIRST, SECOND, failed=("mixup", "boosting"))
    chosen = choose(found, 1e6)
    assert not {"mixup", "boosting"} & {arm.name for arm in chosen}
    notes = found.notes(chosen)
    assert "mixup failed before the first repetition: it broke." in notes
    assert "boosting failed before the first repetition: it broke." in notes
    assert not any("lack of time" in note for note in notes)


def test_what_was_not_tried_in_time_is_left_out() -> None:
    found = screening({name: FIRST[name] for name in ("ABA", "SVM", "label smoothing")})
    chosen = choose(found, 1e6)
    assert [arm.name for arm in chosen] == [*CORE, "label smoothing", "ABA on top of label smoothing", "SVM"]
    assert found.notes(chosen) == ["Left out for lack of time: boosting, dropout, mixup, shift."]


def test_if_no_free_rival_was_tried_in_time_the_first_one_is_required() -> None:
    found = screening({"ABA": 0.9})
    assert names(found, 0.0) == [*CORE, "label smoothing"]
    assert found.notes(choose(found, 0.0)) == [
        "Left out for lack of time: ABA on top of label smoothing, SVM, boosting, dropout, mixup, shift."
    ]


def test_an_aba_that_failed_is_expected_to_take_its_counted_time() -> None:
    seconds = screening(FIRST, failed=("ABA",)).seconds()
    assert seconds["ABA"] == seconds["random map"] == pytest.approx(1.1 * 1.67)


def test_without_free_rivals_the_core_is_required() -> None:
    found = screening({"ABA": 0.9, "SVM": 0.1})
    found = Screening(Arms(found.arms.core, [], {}, []), found.runs, 1.0)
    assert names(found, 0.0) == CORE
