"""The choice of what is repeated, on splits that are not reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from skaba.evaluation._folds import Result
from skaba.evaluation.worth._arms import ABA, ABA_COST, PLAIN, RANDOM_MAP, Arm, Arms
from skaba.evaluation.worth._budget import SCREENING, SLACK, affordable
from skaba.evaluation.worth._repeating import Repeater

MOST_RIVALS = 3


@dataclass
class Screening:
    """What the fits before the first repetition showed.

    Parameters
    ----------
    seconds : dict of str to float
        By method, the expected time of a fit; of methods that were not tried in time, there is none.
    ranked : list of str
        The free rivals, the best first.
    notes : list of str
    """

    seconds: dict[str, float]
    ranked: list[str]
    notes: list[str] = field(default_factory=list)


def screen(repeater: Repeater, arms: Arms, seed: int, plain_seconds: float) -> Screening:
    """Fit ABA, the outsiders and the free rivals once, and the free rivals twice if there is time.

    Parameters
    ----------
    repeater : Repeater
    arms : Arms
    seed : int
        Decides the first split; the next seed decides the second one.
    plain_seconds : float
        The time of plain training.

    Returns
    -------
    Screening
    """
    aba = next(arm for arm in arms.core if arm.name == ABA)
    first = repeater.once([aba, *arms.outsiders, *arms.free], seed, SCREENING)
    second: dict[str, Result] = {}
    if arms.free and repeater.budget.left(SCREENING) > SLACK * len(arms.free) * plain_seconds:
        second = repeater.once(arms.free, seed + 1, SCREENING)
    tried = {arm.name: [run[arm.name] for run in (first, second) if arm.name in run] for arm in arms.free}
    # Scores of different splits cannot be compared, so a second split counts only if all rivals were fitted on it.
    splits = 2 if len(second) == len(arms.free) else 1
    scores = {name: np.mean([run.score for run in runs[:splits]]) for name, runs in tried.items() if runs}
    ranked = sorted((name for name, score in scores.items() if np.isfinite(score)), key=lambda name: -scores[name])
    shown = ", ".join(f"{name} {scores[name]:.3f}" for name in ranked)
    notes = (
        [f"Free rivals were chosen on {splits} other split{'s' * (splits > 1)}: {shown}."] if len(ranked) > 1 else []
    )
    failed = {name: run.failure for name, run in {**second, **first}.items() if run.failure}
    notes += [
        f"{name} failed before the first repetition: {failure}." for name, failure in failed.items() if name != ABA
    ]
    return Screening(_seconds(first, arms, plain_seconds), ranked, notes)


def _seconds(first: Mapping[str, Result], arms: Arms, plain: float) -> dict[str, float]:
    """Return the expected times of fits, with those of methods that resemble a method that was timed."""
    found = {name: run.seconds for name, run in first.items() if not run.failure}
    aba = found.setdefault(ABA, ABA_COST * plain)
    found |= {PLAIN: plain, RANDOM_MAP: aba}
    combined = {arm.name: aba + found[rival] - plain for rival, arm in arms.combined.items() if rival in found}
    return {name: SLACK * max(seconds, 0.0) for name, seconds in {**found, **combined}.items()}


def choose(arms: Arms, screening: Screening, seconds: float) -> list[Arm]:
    """Return the arms that are repeated: plain training, ABA, its random map, the best free rival, and what fits.

    Then come the outsiders, ABA on top of the best rival that it can be combined with, and further rivals.

    Parameters
    ----------
    arms : Arms
    screening : Screening
    seconds : float
        The time for all repetitions.

    Returns
    -------
    list of Arm
    """
    required = [*(arm.name for arm in arms.core), *screening.ranked[:1]]
    optional = [[arm.name] for arm in arms.outsiders if arm.name in screening.seconds]
    rival = next((name for name in screening.ranked if name in arms.combined), None)
    if rival is not None:
        optional.append([rival, arms.combined[rival].name])
    optional += [[name] for name in screening.ranked[:MOST_RIVALS]]
    chosen = affordable(required, optional, screening.seconds, seconds)
    wanted = {name for group in [required, *optional] for name in group}
    late = [name for name in [*(arm.name for arm in arms.outsiders), *wanted] if name not in chosen]
    if late := list(dict.fromkeys(late)):
        screening.notes.append(f"Left out for lack of time: {', '.join(sorted(late))}.")
    return [arm for arm in arms if arm.name in chosen]
