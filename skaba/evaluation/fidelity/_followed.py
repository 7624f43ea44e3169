"""What an attribution method is asked about: the score that is followed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.nn.functional import logsigmoid

from skaba.attribution import ClassScore
from skaba.evaluation.fidelity._parts import Task


@dataclass(frozen=True)
class Followed:
    """A target: the followed column of the scores.

    Parameters
    ----------
    columns : int64 Tensor of shape (n,)
    task : {"classes", "labels", "values"}
        What a score stands for. With "classes" the target is the score itself, with "labels" the log-likelihood of the
        label, and with "values" minus the squared distance from the prediction. The last two are for IBA, which would
        turn the score of a class into a cross-entropy.
    """

    columns: Tensor
    task: Task

    def __call__(self, logits: Tensor, y: Any, **_: Any) -> Callable[[Tensor], Tensor]:
        """Return the score as a function of logits, of which there may be several variants of each sample."""
        score = ClassScore(self.columns)
        if self.task == "classes":
            return score
        if self.task == "labels":
            return lambda logits: logsigmoid(score(logits))
        predicted = score(logits).detach()
        return lambda logits: -(score(logits).reshape(-1, len(predicted)) - predicted).square().flatten()
