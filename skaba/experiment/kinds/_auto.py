"""How close ``strength="auto"`` comes to the best of several fixed strengths."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skaba.experiment._arms import AUTO, PLAIN, Arm, Augmented
from skaba.experiment._experiment import FitAll, Reported, flat
from skaba.experiment._protocol import MethodsExperiment
from skaba.experiment._results import Difference, Results
from skaba.experiment._tables import markdown, with_interval

FIXED = "{}, s = {:g}"


@dataclass(frozen=True, kw_only=True)
class Auto(MethodsExperiment):
    """Methods at every strength and with ``strength="auto"``, by their scores on the validation set.

    No test set is looked at, so that a rule may be changed after the results.
    """

    kind = "auto"

    def arms(self) -> list[Arm]:
        """Return the methods, then each with ``strength="auto"``."""
        methods = super().arms()
        autos = [
            Augmented(AUTO.format(arm.name), augmenter=arm.augmenter) for arm in methods if isinstance(arm, Augmented)
        ]
        return [*methods, *autos]

    def reported(self, fit_all: FitAll) -> Reported:
        """Return all fits: by method and strength."""
        rate = self.tuned_rate(fit_all)
        fits = {}
        for arm in self.arms():
            for value in arm.candidates or (0.0,):
                name = FIXED.format(arm.name, value) if arm.candidates else arm.name
                fits[name] = self._fits("tuning", arm, rate, value)
        fit_all(flat(fits.values()))
        return Reported(fits)

    def table(self, results: Results, folder: Path) -> str:
        """Return the mean score of each method at each strength and with auto, and how far auto is from the best."""
        rows = [[name, _mean(results, name), with_interval(_against(results, name, PLAIN))] for name in results.fits]
        summary = [self._summary(results, name) for name in self.augmented]
        header = ["", "best strength", "strength at the end with auto", "auto against the best strength"]
        return (
            f"{markdown(['', 'mean', 'against plain training'], rows)}\n{markdown(header, summary)}\n"
            "Validation scores. The best strength is chosen by the same scores, so it is a little too good.\n"
        )

    @property
    def augmented(self) -> list[str]:
        """The methods that augment."""
        return [name for name in self.methods if name != PLAIN]

    def _summary(self, results: Results, name: str) -> list[str]:
        means = [results.scores(FIXED.format(name, value), "valid").mean() for value in self.strengths]
        best = self.strengths[int(np.argmax(means))]
        ends = [fit["strength"] for fit in results.fits[AUTO.format(name)]]
        span = f"{min(ends):.2g} to {max(ends):.2g}"
        return [name, f"{best:g}", span, with_interval(_against(results, AUTO.format(name), FIXED.format(name, best)))]

    def figures(self, results: Results, folder: Path) -> dict[str, Any]:
        """Return the score of each method by strength, and with auto."""
        import matplotlib.pyplot as plt  # noqa: PLC0415 (heavy; only who plots should pay for it)

        figure, ax = plt.subplots(figsize=(6.8, 4.2), layout="constrained")
        ax.axhline(results.scores(PLAIN, "valid").mean(), color="grey", label=PLAIN)
        for name in self.augmented:
            means = [results.scores(FIXED.format(name, value), "valid").mean() for value in self.strengths]
            (line,) = ax.plot(self.strengths, means, "o-", label=name)
            ends = np.median([fit["strength"] for fit in results.fits[AUTO.format(name)]])
            ax.plot(ends, results.scores(AUTO.format(name), "valid").mean(), "*", color=line.get_color(), markersize=14)
        ax.set(xscale="log", xlabel="strength (star: auto, at the end)", ylabel="validation score, %", title=self.title)
        ax.legend(fontsize="small")
        return {"figure.png": figure}


def _mean(results: Results, name: str) -> str:
    return f"{results.scores(name, 'valid').mean():.1f}"


def _against(results: Results, name: str, other: str) -> Difference:
    return Difference.of(results.scores(name, "valid") - results.scores(other, "valid"))
