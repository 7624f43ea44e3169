"""E4: methods against plain training, and against controls without attribution."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skaba._validation import unknown_name
from skaba.augmenters import fgsm
from skaba.evaluation import PGD, score_under_attack, size_of_changes
from skaba.experiment._arms import LONGER, NOISE, PLAIN, RANDOM_MAP, Arm, controls_of
from skaba.experiment._data import Data
from skaba.experiment._fit import Fit
from skaba.experiment._fits import scores_on_test
from skaba.experiment._protocol import MethodsExperiment
from skaba.experiment._results import Results
from skaba.experiment._tables import beside_published, with_interval
from skaba.plotting import ComparisonDisplay

COMPARED = {"plain": PLAIN, "plain, longer": LONGER, "its random map": RANDOM_MAP, "its noise": NOISE}

EQUAL = (
    "An interval of no width comes from seeds with equal differences. It tells little about other seeds: such scores "
    "have few distinct values."
)
"""The note under a table with such an interval."""


@dataclass(frozen=True, kw_only=True)
class Benchmark(MethodsExperiment):
    """Methods against plain training and against controls, by their scores on the test set.

    Parameters
    ----------
    controls_of : list of str, default=()
        Methods that are compared with the same change by a random map, and with noise of the same norm.
    equal_time : float, default=1.67
        Epochs of the longer plain training, in units of ``epochs``: the cost of the most expensive method.
    attack : float, default=0
        Radius of FGSM and PGD at which the fitted networks are scored; 0 leaves them out.
    """

    controls_of: list[str] = field(default_factory=list)
    equal_time: float = 1.67
    attack: float = 0.0

    kind = "benchmark"
    extendable = MethodsExperiment.extendable | {"controls_of", "equal_time"}

    def rules(self) -> dict[str, bool]:
        """Return the rules of a comparison of methods, and those of differences over seeds."""
        return super().rules() | {
            "differences need at least 2 seeds": self.seeds >= 2,
            "equal_time must be more than 0": self.equal_time > 0,
        }

    def arms(self) -> list[Arm]:
        """Return the methods, then the controls."""
        methods = {arm.name: arm for arm in super().arms()}
        for name in self.controls_of:
            if name == PLAIN or name not in methods:
                raise ValueError(unknown_name("method to control", name, methods.keys() - {PLAIN}))
        controls = [control for name in self.controls_of for control in controls_of(methods[name])]
        longer = [Arm(LONGER, None, like=PLAIN, longer=self.equal_time)] if controls else []
        return [*methods.values(), *longer, *controls]

    def measure(self, net: Any, data: Data, fit: Fit) -> dict[str, Any]:
        """Measure scores, calibration, robustness, and the norm of the changes for the noise that takes it."""
        result: dict[str, Any] = scores_on_test(net, data)
        X, y = data.bunch.X_test[: self.n_attacked], data.bunch.y_test[: self.n_attacked]
        if self.attack:
            result["FGSM"] = score_under_attack(net, X, y, fgsm(), self.attack)
            result["PGD"] = score_under_attack(net, X, y, PGD(), self.attack)
        if fit.arm in self.controls_of:  # only the noise needs it, and it costs further maps
            result["norm"] = size_of_changes(net, *data.train(fit.seed), random_state=fit.seed)
        return result

    def table(self, results: Results, folder: Path) -> str:
        """Return the table: each row is a method, with its differences from plain training and its controls.

        All of our figures are means over the seeds, so that each row adds up; the published ones are medians.
        """
        compared = [label for label, other in COMPARED.items() if other != LONGER or LONGER in results.fits]
        labels = {"ece": "ECE", "FGSM": f"FGSM, r = {self.attack:g}", "PGD": f"PGD, r = {self.attack:g}"}
        measured = {what: label for what, label in labels.items() if what in results.fits[PLAIN][0]}
        header = ["", "strength", "mean (std)", *(f"vs {label}" for label in compared)]
        rows = [self._row(results, name, compared, measured) for name in results.fits]
        table = beside_published(self.published, [*header, *measured.values(), "published, median (std)"], rows)
        differences = [found for name in results.fits for found in self.differences(results, name).values()]
        return f"{table}\n{EQUAL}\n" if any(map(_is_equal, differences)) else table

    def differences(self, results: Results, name: str) -> dict[str, tuple[float, float, float]]:
        """Return how much better an arm is than plain training and its controls, as far as they were run.

        Parameters
        ----------
        results : Results
        name : str

        Returns
        -------
        dict of str to tuple of 3 floats
            By "plain", "plain, longer", "its random map" and "its noise": see :meth:`Results.difference`.
        """
        others = {label: other.format(name) for label, other in COMPARED.items()}
        known = {label: other for label, other in others.items() if other in results.fits and other != name}
        return {label: results.difference(name, other) for label, other in known.items()}

    def _row(self, results: Results, name: str, compared: Iterable[str], measured: Iterable[str]) -> list[str]:
        scores, strength = results.scores(name), results.strengths[name]
        differences = self.differences(results, name)
        return [
            *(name, f"{strength:.2g}" if strength else "", f"{scores.mean():.1f} ({scores.std():.1f})"),
            *(with_interval(differences[label]) if label in differences else "" for label in compared),
            *(f"{results.scores(name, what).mean():.1f}" for what in measured),
            str(self.published.get(name, "")),
        ]

    def figures(self, results: Results, folder: Path) -> dict[str, Any]:
        """Return the differences from plain training, with their intervals."""
        scores = {name: results.scores(name) for name in results.fits}
        intervals = {name: results.difference(name, PLAIN)[1:] for name in scores if name != PLAIN}
        score = "test accuracy, %" if "ece" in results.fits[PLAIN][0] else "macro AUC, %"
        display = ComparisonDisplay(scores, reference=PLAIN, intervals=intervals, score_name=score).plot()
        display.ax_.set_title(self.title, fontsize="medium")
        return {"figure.png": display.figure_}


def _is_equal(difference: tuple[float, float, float]) -> bool:
    """Return whether all seeds have the same difference, up to rounding."""
    _, low, high = difference
    return high - low < 1e-9
