"""E1: frozen networks under a change of growing strength at test time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skaba.attribution import Loss
from skaba.augmenters import ABA, AdjustmentSet, Percentiles
from skaba.evaluation import score_under_attack
from skaba.experiment._data import Data
from skaba.experiment._fit import Fit
from skaba.experiment._fits import scores_on_test
from skaba.experiment._protocol import MethodsExperiment
from skaba.experiment._results import Results
from skaba.experiment._tables import markdown

# The two adjustments of Kinkel (2023), section 3.3.2.
TEST_TIME = {
    name: ABA(target=Loss(), selection=Percentiles(0.1, 0.9), adjustments=AdjustmentSet([adjustment]), randomize=False)
    for name, adjustment in (("Delta", (1, 0, -1)), ("Epsilon", (-1, 0, 1)))
}


@dataclass(frozen=True, kw_only=True)
class Strength(MethodsExperiment):
    """Accuracy of trained networks against the strength of an adjustment at test time.

    Parameters
    ----------
    test_strengths : list of float
        Strengths at test time, besides 0.
    """

    test_strengths: list[float]

    kind = "strength"

    def measure(self, net: Any, data: Data, fit: Fit) -> dict[str, Any]:
        """Measure the scores on the test set, and on changed test samples."""
        result: dict[str, Any] = scores_on_test(net, data)
        X, y = data.bunch.X_test[: self.n_attacked], data.bunch.y_test[: self.n_attacked]
        for name, adjustment in TEST_TIME.items():
            for strength in (0.0, *self.test_strengths):
                result[f"{name} at {strength:g}"] = score_under_attack(net, X, y, adjustment, strength)
        return result

    def table(self, results: Results, folder: Path) -> str:
        """Return the mean accuracy by method, adjustment and strength."""
        header = ["training", "adjustment", "0", *(f"{strength:g}" for strength in self.test_strengths)]
        rows = [
            [name, adjustment, *(f"{mean:.1f}" for mean in means)]
            for name in results.fits
            for adjustment, means in _curves(results, name).items()
        ]
        return markdown(header, rows)

    def figures(self, results: Results, folder: Path) -> dict[str, Any]:
        """Return accuracy against strength as the paper draws it: Delta to the left of 0, Epsilon to the right."""
        import matplotlib.pyplot as plt  # noqa: PLC0415 (heavy; only who plots should pay for it)

        figure, ax = plt.subplots(figsize=(6.8, 4.2), layout="constrained")
        strengths = np.array(self.test_strengths)
        for name in results.fits:
            curves = _curves(results, name)
            x = [*-strengths[::-1], 0, *strengths]
            # Strength 0 is in both curves.
            ax.plot(x, [*curves["Delta"][::-1], *curves["Epsilon"][1:]], "o-", label=name)
        ax.axvline(0, color="grey", linewidth=0.8)
        ax.legend(title="trained with", fontsize="small")
        ax.set_xlabel("strength at test time: Delta (1, 0, -1) left, Epsilon (-1, 0, 1) right")
        ax.set_ylabel("test accuracy, %")
        ax.set_title(self.title, fontsize="medium")
        return {"figure.png": figure}


def _curves(results: Results, name: str) -> dict[str, NDArray[Any]]:
    """Return the mean curves of an arm in percent, by adjustment, from strength 0 on."""
    # A fit lists its scores in the order in which they were measured, and JSON keeps this order.
    curves = {
        adjustment: [
            [score for what, score in fit.items() if what.startswith(f"{adjustment} at ")] for fit in results.fits[name]
        ]
        for adjustment in TEST_TIME
    }
    return {adjustment: 100 * np.mean(scores, axis=0) for adjustment, scores in curves.items()}
