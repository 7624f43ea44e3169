"""What fits into the time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from time import monotonic

from skaba.evaluation.worth._arms import ABA_COST

FEWEST, WANTED, MOST = 3, 5, 10
"""Repetitions: the fewest that are reported, those that further methods must leave room for, and the most."""
SCREENING = 0.3
"""The largest share of the time that is spent before the first repetition."""
SLACK = 1.1
"""Fits take longer than their training: samples are cut, and scores are computed."""


class Budget:
    """A time limit.

    Parameters
    ----------
    minutes : float
    """

    def __init__(self, minutes: float) -> None:
        self.start = monotonic()
        self.seconds = 60 * minutes

    def left(self, reserve: float = 0.0) -> float:
        """Return the seconds that are left until a reserve is all that is left; negative if the time is over."""
        return self.seconds - reserve - (monotonic() - self.start)

    def spent_minutes(self) -> float:
        """Return the minutes that have passed."""
        return (monotonic() - self.start) / 60

    def check(self, needed: float) -> None:
        """Raise a ValueError unless there are as many minutes in all as are needed."""
        if 60 * needed > self.seconds:
            raise ValueError(
                f"minutes={self.seconds / 60:g} is too short: {FEWEST} repetitions of plain training, ABA, its random "
                f"map and a free rival need about {math.ceil(10 * needed) / 10:g} minutes. Give more time, fewer "
                "epochs, or a smaller train_size."
            )


def least_seconds(plain_seconds: float, aba_seconds: float) -> float:
    """Return the time of the fewest repetitions of plain training, ABA, its random map and a free rival.

    Parameters
    ----------
    plain_seconds, aba_seconds : float
        The times of plain training and of training with ABA.

    Returns
    -------
    float
    """
    return SLACK * FEWEST * 2 * (plain_seconds + aba_seconds)


def needed_minutes(plain_seconds: float, *, n_jobs: int = 1) -> float:
    """Return the shortest time for an answer: plain training and ABA are timed, and then come the repetitions.

    Parameters
    ----------
    plain_seconds : float
        The time of plain training.
    n_jobs : int, default=1
        How many fits run at the same time.

    Returns
    -------
    float
    """
    aba_seconds = ABA_COST * plain_seconds  # by its operations, until it is timed
    return (SLACK * (plain_seconds + aba_seconds) + least_seconds(plain_seconds, aba_seconds) / n_jobs) / 60


def affordable(
    required: Sequence[str], optional: Sequence[Sequence[str]], seconds_of: Mapping[str, float], seconds: float
) -> list[str]:
    """Choose the methods that are repeated.

    Parameters
    ----------
    required : sequence of str
        These are repeated in any case.
    optional : sequence of sequences of str
        Groups of further methods, the most important first. A group is added if ``WANTED`` repetitions of all that
        was chosen still fit, or as many as fit of the required methods alone.
    seconds_of : mapping of str to float
        The time of a fit.
    seconds : float
        The time for all repetitions.

    Returns
    -------
    list of str
        The required methods, then the added ones.
    """
    # Further methods must not cost repetitions, without which no interval is narrow.
    chosen = list(dict.fromkeys(required))
    repetitions = min(WANTED, max(FEWEST, int(seconds / sum(seconds_of[name] for name in chosen))))
    for group in optional:
        more = list(dict.fromkeys([*chosen, *group]))
        if repetitions * sum(seconds_of[name] for name in more) <= seconds:
            chosen = more
    return chosen
