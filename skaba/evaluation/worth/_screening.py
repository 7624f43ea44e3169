"""The choice of what is repeated, on splits that are not reported."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skaba.evaluation._folds import Result
from skaba.evaluation.worth._arms import ABA, ABA_COST, PLAIN, RANDOM_MAP, Arm, Arms
from skaba.evaluation.worth._budget import FEWEST, SCREENING, SLACK, WANTED, affordable, least_seconds
from skaba.evaluation.worth._repeating import Repeater

MOST_RIVALS = 3
MOST_SPLITS = 2


@dataclass(frozen=True)
class Screening:
    """What the fits before the first repetition showed.

    Parameters
    ----------
    arms : Arms
    runs : list of dict of str to Result
        Split by split, the results of ABA, the outsiders and the free rivals, as far as there was time.
    plain_seconds : float
        The time of plain training.
    """

    arms: Arms
    runs: list[dict[str, Result]]
    plain_seconds: float

    def scores(self) -> dict[str, float]:
        """Return the mean scores of the free rivals whose fits succeeded, the best first."""
        tried = {arm.name: [run[arm.name].score for run in self.runs if arm.name in run] for arm in self.arms.free}
        means = {name: float(np.mean(scores)) for name, scores in tried.items() if scores}
        ranked = sorted(means, key=means.__getitem__, reverse=True)
        return {name: means[name] for name in ranked if np.isfinite(means[name])}

    def ranked(self) -> list[str]:
        """Return the free rivals, the best first; if none was tried in time, the first one."""
        untried = [arm.name for arm in self.arms.free if arm.name not in self.failures()]
        return list(self.scores()) or untried[:1]

    def seconds(self) -> dict[str, float]:
        """Return the expected times of fits. Combinations take the extra time of both of their parts."""
        failed = self.failures()
        found = {name: run.seconds for name, run in self.runs[0].items() if name not in failed}
        # Measured times include what operations do not count, such as preparing samples and launching kernels.
        aba = found.setdefault(ABA, ABA_COST * self.plain_seconds)
        found = {**dict.fromkeys(self.ranked(), self.plain_seconds), **found}
        found |= {PLAIN: self.plain_seconds, RANDOM_MAP: aba}
        for rival, arm in self.arms.combined.items():
            if rival in found:
                found[arm.name] = max(aba, aba + found[rival] - self.plain_seconds)
        return {name: SLACK * seconds for name, seconds in found.items()}

    def failures(self) -> dict[str, str]:
        """Return by method why a fit failed."""
        return {name: run.failure for every in self.runs for name, run in every.items() if run.failure}

    def notes(self, chosen: list[Arm]) -> list[str]:
        """Return what was tried, what failed, and what is not among the chosen arms for lack of time."""
        scores, failures = self.scores(), self.failures()
        notes = [f"{name} failed before the first repetition: {failure}." for name, failure in failures.items()]
        if len(scores) > 1:
            tried = ", ".join(f"{name} {score:.3f}" for name, score in scores.items())
            notes.append(f"Free rivals were chosen by their scores on other splits ({len(self.runs)}): {tried}.")
        late = {arm.name for arm in [*self.arms.free, *self.arms.outsiders] if arm.name not in self.runs[0]}
        late |= {name for group in self.options() for name in group}
        late -= {arm.name for arm in chosen}
        return [*notes, f"Left out for lack of time: {', '.join(sorted(late))}."] if late else notes

    def options(self) -> list[list[str]]:
        """Return what may be repeated besides plain training, ABA and its random map, the most important first.

        They are the best free rival, the outsiders, ABA on top of the best rival that it can be combined with, and
        further rivals.
        """
        ranked, seconds = self.ranked(), self.seconds()
        outsiders = [[arm.name] for arm in self.arms.outsiders if arm.name in seconds]
        combined = [[name, self.arms.combined[name].name] for name in ranked if name in self.arms.combined]
        return [
            *([name] for name in ranked[:1]),
            *outsiders,
            *combined[:1],
            *([name] for name in ranked[1:MOST_RIVALS]),
        ]


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
    budget, n_workers = repeater.budget, repeater.n_workers
    first = repeater.once([*(arm for arm in arms.core if arm.name == ABA), *arms.outsiders], seed)
    aba_seconds = Screening(arms, [first], plain_seconds).seconds()[ABA]
    # What is spent here is lost for the repetitions, whose time is known better now than by counted costs.
    reserve = max((1 - SCREENING) * budget.seconds, least_seconds(plain_seconds, aba_seconds) / n_workers)
    if budget.left(reserve) > 0:
        first |= repeater.once(arms.free, seed, reserve)
    reserve = max(reserve, WANTED / FEWEST * least_seconds(plain_seconds, aba_seconds) / n_workers)
    second: dict[str, Result] = {}
    if arms.free and budget.left(reserve) > SLACK * len(arms.free) * plain_seconds / n_workers:
        second = repeater.once(arms.free, seed + 1, reserve)
    # Scores of different splits cannot be compared, so a second split counts only if all rivals were fitted on it.
    return Screening(arms, [first, second] if second and len(second) == len(arms.free) else [first], plain_seconds)


def choose(screening: Screening, seconds: float) -> list[Arm]:
    """Return the arms that are repeated: plain training, ABA, its random map and the best free rival, and what fits.

    Parameters
    ----------
    screening : Screening
    seconds : float
        The time for all repetitions.

    Returns
    -------
    list of Arm
    """
    best, *others = screening.options() or [[]]
    required = [*(arm.name for arm in screening.arms.core), *best]
    names = affordable(required, others, screening.seconds(), seconds)
    return [arm for arm in screening.arms if arm.name in names]
