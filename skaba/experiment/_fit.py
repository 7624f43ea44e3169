"""What a fit of an experiment is made with."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

TEST = "test"
"""The stage of the fits that look at the test set."""


@dataclass(frozen=True)
class Fit:
    """One training of one arm.

    Parameters
    ----------
    stage : str
        For example "learning rate", "tuning" or "test". Only a fit of the stage "test" looks at the test set.
    arm : str
    learning_rate : float
    value : float
        The arm's tuned value: the strength of a method or of a control, the factor of longer training, the value of a
        rival. It is 0 if nothing is tuned: for plain training, for outsiders, and for ``strength="auto"``.
    epochs : int
    seed : int
        Decides the training samples, the initialisation and every draw.
    rival_value : float, default=0
        The value of the rival in an arm that combines it with a method.
    """

    stage: str
    arm: str
    learning_rate: float
    value: float
    epochs: int
    seed: int
    rival_value: float = 0.0

    @classmethod
    def taken_from(cls, entry: dict[str, Any]) -> Fit:
        """Take the fields of a fit out of a flat dict, and leave what was measured on it there."""
        return cls(**{field.name: entry.pop(field.name) for field in fields(cls)})
