"""E2: each of the 27 adjustments alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skaba.attribution import Loss
from skaba.augmenters import ABA, ADJUSTMENTS, GROUPS, AdjustmentSet, group_of
from skaba.experiment._arms import Arm, Augmented
from skaba.experiment._protocol import TunedExperiment
from skaba.experiment._results import Results
from skaba.experiment._tables import beside_published
from skaba.plotting import AdjustmentDisplay


@dataclass(frozen=True, kw_only=True)
class Adjustments(TunedExperiment):
    """Networks that are trained with a single adjustment each, by their scores on the validation set."""

    kind = "adjustments"

    def arms(self) -> list[Arm]:
        """Return an arm per adjustment, named by its index."""
        # The adjustment 0 changes nothing at any strength.
        strengths = {index: self.strengths[:1] if index == 0 else self.strengths for index in range(len(ADJUSTMENTS))}
        return [Augmented(str(index), tuple(own), augmenter=only([index])) for index, own in strengths.items()]

    def table(self, results: Results, folder: Path) -> str:
        """Return the validation accuracy of each adjustment, and the mean of each group."""
        rows = []
        for index, adjustment in enumerate(ADJUSTMENTS):
            name = str(index)
            scores = results.scores(name, "valid")
            row = [name, _signs(adjustment), group_of(adjustment), f"{results.tuned[name]:g}"]
            rows.append([*row, f"{scores.max():.1f}", f"{scores.mean():.1f}", str(self.published.get(name, ""))])
        header = ["index", "low, middle, high", "group", "strength", "max", "mean", "published mean"]
        groups = [[group, f"{group_mean(results, group):.1f}", self._published_mean(group)] for group in GROUPS]
        by_group = beside_published(self.published, ["group", "mean", "published mean"], groups)
        return beside_published(self.published, header, rows) + "\n" + by_group

    def _published_mean(self, group: str) -> str:
        known = [float(self.published[name]) for name in _members(group) if name in self.published]
        return f"{np.mean(known):.1f}" if known else ""

    def figures(self, results: Results, folder: Path) -> dict[str, Any]:
        """Return the accuracy of each adjustment, in its group."""
        scores = {index: results.scores(str(index), "valid") for index in range(len(ADJUSTMENTS))}
        published = {int(index): float(mean) for index, mean in self.published.items()}
        display = AdjustmentDisplay(scores, published=published or None, score_name="validation accuracy, %").plot()
        display.ax_.set_title(self.title, fontsize="medium")
        return {"figure.png": display.figure_}


def only(indices: Sequence[int]) -> ABA:
    """Return an augmenter that draws from these adjustments.

    As in Kinkel (2023), section 3.3.3, the loss is explained, and changes are not randomized.
    """
    return ABA(target=Loss(), adjustments=AdjustmentSet(indices), randomize=False)


def group_mean(results: Results, group: str) -> float:
    """Return the mean validation accuracy of a group's nine adjustments, in percent."""
    return float(np.mean([results.scores(name, "valid").mean() for name in _members(group)]))


def _members(group: str) -> list[str]:
    return [str(index) for index, adjustment in enumerate(ADJUSTMENTS) if group_of(adjustment) == group]


def _signs(adjustment: Sequence[float]) -> str:
    return ", ".join({1: "+", -1: "-", 0: "0"}[int(value)] for value in adjustment)
