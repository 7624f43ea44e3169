"""E3: sets of adjustments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skaba.augmenters import GROUPS, AdjustmentSet
from skaba.experiment._arms import Arm, Augmented
from skaba.experiment._folder import read_part
from skaba.experiment._protocol import TunedExperiment
from skaba.experiment._results import Results
from skaba.experiment._tables import beside_published
from skaba.experiment.kinds._adjustments import only

SETS = {
    "Neutral": ("neutral",),
    "Delta": ("delta",),
    "Epsilon": ("epsilon",),
    "Eps.&Neu.": ("epsilon", "neutral"),
    "Eps.&Del.": ("epsilon", "delta"),
    "All": GROUPS,
}
"""The sets of Kinkel (2023), table 3.2, by the groups that are in them."""


@dataclass(frozen=True, kw_only=True)
class Groups(TunedExperiment):
    """Networks that are trained with all adjustments of a set, against the mean of networks with one each.

    Parameters
    ----------
    averages_from : str
        Name of the experiment with single adjustments. Its results lie beside those of this one.
    """

    averages_from: str

    kind = "groups"
    extendable = TunedExperiment.extendable | {"averages_from"}

    def arms(self) -> list[Arm]:
        """Return an arm per set."""
        return [Augmented(name, tuple(self.strengths), augmenter=only(members_of(name))) for name in SETS]

    def table(self, results: Results, folder: Path) -> str:
        """Return the validation accuracy of each set, beside the mean of its members."""
        single = Results(**read_part(folder.parent / f"{self.averages_from}-{self.scale}", "results.json"))
        rows = []
        for name in SETS:
            scores = results.scores(name, "valid")
            members = [single.scores(str(index), "valid").mean() for index in members_of(name)]
            cells = [f"{scores.mean():.1f} ({scores.std():.1f})", f"{np.mean(members):.1f}"]
            rows.append([name, f"{results.tuned[name]:g}", *cells, str(self.published.get(name, ""))])
        header = ["set", "strength", "all together, mean (std)", "mean of its members alone", "published: all / mean"]
        return beside_published(self.published, header, rows)

    def figures(self, results: Results, folder: Path) -> dict[str, Any]:
        """Return the mean accuracy of each set, with its standard deviation."""
        import matplotlib.pyplot as plt  # noqa: PLC0415 (heavy; only who plots should pay for it)

        figure, ax = plt.subplots(figsize=(6.8, 3.6), layout="constrained")
        scores = [results.scores(name, "valid") for name in results.fits]
        ax.errorbar(range(len(scores)), [s.mean() for s in scores], [s.std() for s in scores], fmt="o", capsize=4)
        ax.set_xticks(range(len(scores)), labels=list(results.fits))
        ax.set(ylabel="validation accuracy, %\nmean ± standard deviation", title=self.title)
        return {"figure.png": figure}


def members_of(name: str) -> list[int]:
    """Return the adjustments of a set."""
    # Groups hold indices only; the type of a set also allows adjustments as tuples.
    return [index for group in SETS[name] for index in AdjustmentSet.group(group).adjustments if isinstance(index, int)]
