"""E4: methods against plain training, and against controls without attribution."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from skaba._validation import unknown_name
from skaba.augmenters import fgsm
from skaba.evaluation import PGD, score_under_attack
from skaba.experiment._arms import (
    AUTO,
    BOTH,
    LONGER,
    NOISE,
    PLAIN,
    RANDOM_MAP,
    Arm,
    Augmented,
    Both,
    Longer,
    Outside,
    RivalArm,
    controls_of,
    has_map,
    numbers_samples,
    rival_of,
)
from skaba.experiment._data import Data
from skaba.experiment._experiment import Choice, FitAll, Reported, flat
from skaba.experiment._fit import Fit
from skaba.experiment._fits import make_net, scores_on_test
from skaba.experiment._outsiders import outsider_of
from skaba.experiment._protocol import MethodsExperiment
from skaba.experiment._results import Difference, Results
from skaba.experiment._tables import beside_published, with_interval
from skaba.plotting import ComparisonDisplay

COMPARED = ("plain", "plain, longer", "its random map", "its noise", "its rival", "its method")
"""What an arm may be compared with, in the order of the columns."""
BEST = "best"
RISING = 0.5
"""Points by which the validation score of an arm may rise in the last quarter without a note."""

EQUAL = (
    "An interval of no width comes from seeds with equal differences. It tells little about other seeds: such scores "
    "have few distinct values."
)
"""The note under a table with such an interval."""


@dataclass(frozen=True, kw_only=True)
class Benchmark(MethodsExperiment):
    """Methods against plain training, controls, rivals and outsiders, by their scores on the test set.

    If there are rivals, the one with the best validation score is also combined with the best method that works on
    single samples: each keeps its tuned value. FreeABA, which keeps something per sample, is not combined.

    Parameters
    ----------
    controls_of : list of str, default=()
        Methods that are compared with the same change by a random map, and with noise. ``"best"`` stands for the method
        with the best validation score. Each control is tuned as its method is. If there are any controls, there is
        longer plain training too.
    auto : list of str, default=()
        Methods that are also trained with ``strength="auto"``.
    rivals : list of str, default=()
        Names of rivals, see :func:`skaba.evaluation.find_rivals`.
    grids : dict of str to list of float, default={}
        Candidates of rivals in place of their own.
    outsiders : list of str, default=()
        Models of scikit-learn in place of the network, see :func:`skaba.evaluation.rivals`.
    longer : list of float, default=(1, 1.67, 3)
        Candidates for the epochs of the longer plain training, in units of ``epochs``.
    attack : float, default=0
        Radius of FGSM and PGD at which the fitted networks are scored; 0 leaves them out.
    """

    controls_of: list[str] = field(default_factory=list)
    auto: list[str] = field(default_factory=list)
    rivals: list[str] = field(default_factory=list)
    grids: dict[str, Any] = field(default_factory=dict)
    outsiders: list[str] = field(default_factory=list)
    longer: list[float] = field(default_factory=lambda: [1.0, 1.67, 3.0])
    attack: float = 0.0

    kind = "benchmark"
    extendable = MethodsExperiment.extendable | {"controls_of", "auto", "rivals", "grids", "outsiders", "longer"}

    def rules(self) -> dict[str, bool]:
        """Return the rules of a comparison of methods, and those of differences over seeds."""
        return super().rules() | {
            "differences need at least 2 seeds": self.seeds >= 2,
            "grids must give candidates of rivals": self.grids.keys() <= set(self.rivals),
        }

    def arms(self) -> list[Arm]:
        """Return the methods, then everything that they are compared with."""
        methods = {arm.name: arm for arm in super().arms()}
        auto = [self._known(methods, name, "method for the automatic strength") for name in self.auto]
        controlled = [self._known(methods, name, "method to control") for name in self.controls_of if name != BEST]
        return [
            *methods.values(),
            *(replace(method, name=AUTO.format(method.name), candidates=()) for method in auto),
            *([Longer(LONGER, tuple(self.longer))] if self.controls_of else []),
            *(control for method in controlled for control in controls_of(method)),
            *(RivalArm(name, tuple(self.grids.get(name, ()))) for name in self.rivals),
            *(Outside(name) for name in self.outsiders),
        ]

    def _known(self, methods: Mapping[str, Arm], name: str, what: str) -> Arm:
        known = methods.keys() - {PLAIN}
        if name not in known:
            raise ValueError(unknown_name(what, name, known))
        return methods[name]

    def arm(self, name: str) -> Arm:
        """Return an arm by its name, also one that follows from what was chosen."""
        arms = {arm.name: arm for arm in self.arms()}
        methods = [arms[method] for method in self.methods]
        controls = [control for method in methods if has_map(method) for control in controls_of(method)]
        both = [
            Both(BOTH.format(rival, method.name), rival=arms[rival], method=method)
            for rival in self.rivals
            for method in methods
            if isinstance(method, Augmented)
        ]
        return {arm.name: arm for arm in [*controls, *both, *arms.values()]}[name]

    def for_data(self, data: Data) -> Self:
        """Return the experiment with its ``k``, and with the candidates of rivals, for these data."""
        moved = [arm.name for arm in super().arms() if numbers_samples(arm)] if data.crop else []
        if moved:
            raise ValueError(
                f"methods: {moved[0]} keeps the positions of features from one epoch to the next, so it cannot be "
                "used with random crops. Leave it out, or set length in place of crop."
            )
        (plain,) = self.test_fits(Arm(PLAIN), self.learning_rates[0], [0.0])
        net = make_net(self, data, plain)
        for name in self.outsiders:
            outsider_of(net, data, name)  # an error if it does not exist
        own = {name: list(rival_of(net, data, name).values) for name in self.rivals}
        return replace(super().for_data(data), grids=own | self.grids)

    def reported(self, fit_all: FitAll) -> Reported:
        """Return the test fits of all arms, and of the best rival together with the best method."""
        rate = self.tuned_rate(fit_all)
        choices = self.tuned(fit_all, rate, self.arms())
        chosen = self._chosen(choices)
        arms = {arm.name: arm for arm in [*self.arms(), *self._controls_of_best(chosen)]}
        choices |= self.tuned(fit_all, rate, [arm for arm in arms.values() if arm.name not in choices])
        return self.tested(fit_all, rate, arms.values(), choices, chosen)

    def tested(
        self,
        fit_all: FitAll,
        rate: float,
        arms: Iterable[Arm],
        choices: Mapping[str, Choice],
        chosen: Mapping[str, str],
    ) -> Reported:
        """Return the test fits of arms at their tuned values, and of the chosen rival together with a method."""
        fits = self.test_fits_of_all(rate, arms, choices)
        if "both" in chosen:
            rival, method = chosen["rival"], chosen["combined method"]
            both = self.test_fits(self.arm(chosen["both"]), rate, [choices[method].value] * self.seeds)
            fits[chosen["both"]] = [replace(fit, rival_value=choices[rival].value) for fit in both]
        fit_all(flat(fits.values()))  # all arms in one call, so that no process waits for the last fit of an arm
        return Reported(fits, chosen)

    def _controls_of_best(self, chosen: Mapping[str, str]) -> list[Arm]:
        return controls_of(self.arm(chosen["method"])) if BEST in self.controls_of and "method" in chosen else []

    def _chosen(self, choices: Mapping[str, Choice]) -> dict[str, str]:
        """Return the arms that are best on the validation set."""
        methods = [arm for arm in super().arms() if has_map(arm)]
        candidates = {
            "rival": self.rivals,
            "method": [arm.name for arm in methods],
            "combined method": [arm.name for arm in methods if not numbers_samples(arm)],
        }
        chosen = {what: max(names, key=lambda name: choices[name].valid) for what, names in candidates.items() if names}
        if {"rival", "combined method"} <= chosen.keys():
            chosen["both"] = BOTH.format(chosen["rival"], chosen["combined method"])
        return chosen

    def measure(self, net: Any, data: Data, fit: Fit) -> dict[str, Any]:
        """Measure scores, calibration and robustness."""
        result: dict[str, Any] = scores_on_test(net, data)
        if self.attack and fit.arm not in self.outsiders:
            X, y = data.bunch.X_test[: self.n_attacked], data.bunch.y_test[: self.n_attacked]
            result["FGSM"] = score_under_attack(net, X, y, fgsm(), self.attack)
            result["PGD"] = score_under_attack(net, X, y, PGD(), self.attack)
        return result

    def table(self, results: Results, folder: Path) -> str:
        """Return the table: each row is an arm, with its differences from what it is compared with.

        All of our figures are means over the seeds, so that each row adds up; the published ones are medians.
        """
        differences = {name: self.differences(results, name) for name in results.fits}
        compared = [label for label in COMPARED if any(label in own for own in differences.values())]
        labels = {"ece": "ECE", "FGSM": f"FGSM, r = {self.attack:g}", "PGD": f"PGD, r = {self.attack:g}"}
        measured = {what: label for what, label in labels.items() if what in results.measured(PLAIN)}
        header = ["", "tuned value", "mean (std)", *(f"vs {label}" for label in compared), *measured.values()]
        rows = [
            [
                *(name, self.tuned_value(results, name)),
                f"{results.scores(name).mean():.1f} ({results.scores(name).std():.1f})",
                *(with_interval(own[label]) if label in own else "" for label in compared),
                *(_mean(results, name, what) for what in measured),
                str(self.published.get(name, "")),
            ]
            for name, own in differences.items()
        ]
        notes = [beside_published(self.published, [*header, "published, median (std)"], rows)]
        notes += [_rising(results)] if _rising(results) else []
        notes += [f"{EQUAL}\n"] if any(one.is_equal for own in differences.values() for one in own.values()) else []
        return "\n".join(notes)

    def differences(self, results: Results, name: str) -> dict[str, Difference]:
        """Return how much better an arm is than what it is compared with, as far as that was run.

        Parameters
        ----------
        results : Results
        name : str

        Returns
        -------
        dict of str to Difference
            By "plain", "plain, longer", "its random map", "its noise", "its rival" and "its method".
        """
        others = self.others(name)
        known = {label: other for label, other in others.items() if other in results.fits and other != name}
        return {label: results.difference(name, other) for label, other in known.items()}

    def others(self, name: str) -> dict[str, str]:
        """Return the arms that an arm is compared with, by "plain" and so on; some may not be run."""
        others = {"plain": PLAIN, "plain, longer": LONGER}
        others |= {"its random map": RANDOM_MAP.format(name), "its noise": NOISE.format(name)}
        auto = {AUTO.format(method): {"its method": method} for method in self.auto}
        both = {
            BOTH.format(rival, method): {"its rival": rival, "its method": method}
            for rival in self.rivals
            for method in self.methods
        }
        return others | {**auto, **both}.get(name, {})

    def tuned_value(self, results: Results, name: str) -> str:
        """Return the values of an arm, as the table shows them."""
        if name in [AUTO.format(method) for method in self.auto]:
            return "auto"
        values = [results.fits[name][0]["rival_value"], results.tuned[name]]
        return " + ".join(f"{value:.2g}" for value in values if value)

    def figures(self, results: Results, folder: Path) -> dict[str, Any]:
        """Return the differences from plain training, with their intervals."""
        scores = {name: results.scores(name) for name in results.fits}
        intervals = {name: results.difference(name, PLAIN)[1:3] for name in scores if name != PLAIN}
        score = "test accuracy, %" if "ece" in results.measured(PLAIN) else "macro AUC, %"
        display = ComparisonDisplay(scores, reference=PLAIN, intervals=intervals, score_name=score).plot()
        display.ax_.set_title(self.title, fontsize="medium")
        return {"figure.png": display.figure_}


def _mean(results: Results, name: str, what: str) -> str:
    return f"{results.scores(name, what).mean():.1f}" if what in results.measured(name) else ""


def _rising(results: Results) -> str:
    """Return a note that names the arms that were not trained to the end."""
    rises = {name: results.late_rise(name) for name in results.fits}
    named = [f"{name} ({rise:+.1f})" for name, rise in rises.items() if rise > RISING]
    if not named:
        return ""
    return f"Mean validation scores that rose by more than {RISING} points in the last quarter: {', '.join(named)}.\n"
