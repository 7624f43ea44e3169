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
        For example "learning rate", "strength" or "test". Only a fit of the stage "test" looks at the test set.
    arm : str
    learning_rate, strength : float
    epochs : int
    seed : int
        Decides the training samples, the initialisation and every draw.
    """

    stage: str
    arm: str
    learning_rate: float
    strength: float
    epochs: int
    seed: int

    @classmethod
    def taken_from(cls, entry: dict[str, Any]) -> Fit:
        """Take the fields of a fit out of a flat dict, and leave what was measured on it there."""
        return cls(**{field.name: entry.pop(field.name) for field in fields(cls)})
