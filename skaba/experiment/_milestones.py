"""Validation scores on the way, which show whether a network was trained to the end."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from skorch.callbacks import Callback

HALF, LATE = "valid at 1/2", "valid at 3/4"
MILESTONES = {HALF: 0.5, LATE: 0.75}
"""The shares of the epochs after which the validation score is measured, by the names of the scores."""


class Milestones(Callback):
    """Measures the validation score after half and three quarters of the epochs, and writes it into the history.

    Parameters
    ----------
    X, y : ndarray
        The validation set.
    """

    def __init__(self, X: Any, y: Any) -> None:
        self.X = X
        self.y = y

    def on_epoch_end(self, net: Any, **_: Any) -> None:
        """Measure the score if a milestone is reached."""
        due = [name for name, share in MILESTONES.items() if len(net.history) == math.ceil(share * net.max_epochs)]
        if due:
            score = valid_score(net, self.X, self.y)  # once, as both may be reached in the same epoch
            for name in due:
                net.history.record(name, score)


def milestones_of(net: Any) -> dict[str, float]:
    """Return the scores that :class:`Milestones` wrote into the history of a net; none for other estimators."""
    rows = getattr(net, "history", [])
    return {name: row[name] for row in rows for name in MILESTONES if name in row}


def valid_score(estimator: Any, X: Any, y: Any) -> float:
    """Return a score: 0 for a network whose outputs are not finite."""
    # Training with a large learning rate may diverge. Such a candidate must lose, not stop the run.
    if hasattr(estimator, "predict_proba") and not np.isfinite(estimator.predict_proba(X)).all():
        return 0.0
    return float(estimator.score(X, y))
