"""The demo: what attribution is worth to a network that sees 100 images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import Bunch

from skaba.augmenters import GaussianNoise
from skaba.experiment._arms import PLAIN, Arm, Augmented, augmenter_of, method_arm
from skaba.experiment._data import Data, load_data
from skaba.experiment._experiment import Experiment, FitAll, Reported, best, flat
from skaba.experiment._fit import TEST, Fit
from skaba.experiment._fits import make_net
from skaba.experiment._journal import Journal
from skaba.experiment._results import Results
from skaba.experiment._tables import markdown
from skaba.plotting import AugmentationDisplay, StrengthCurve, StrengthDisplay

CONTROLLED = "MendABA"
CONTROLS = ["Gaussian noise", "random map"]
HEADER = ["method", "accuracy, %", "vs plain, points", "time", "strength"]
CAPTION = "Mean (range) over the seeds. Time: of an epoch, in units of plain training."
SEEDS_FOR_A_CLAIM = 5


@dataclass(frozen=True, kw_only=True)
class Demo(Experiment):
    """Methods, and two controls of MendABA, that are tuned by cross-validation on each seed's training samples.

    Each seed has its own training, validation and test sets.

    Parameters
    ----------
    methods : list of str
    folds : int
        Of the cross-validation.
    timed_epochs : int
        Epochs of the plain training that each reported training is timed against.
    """

    methods: list[str]
    folds: int
    timed_epochs: int

    kind = "demo"
    extendable = Experiment.extendable | {"methods"}
    shuffle: ClassVar[bool] = False  # as when the other settings were tuned; the images come in random order

    def rules(self) -> dict[str, bool]:
        """Return the rules of every experiment, and what the report needs."""
        return super().rules() | {
            f'methods must hold "{PLAIN}" and "{CONTROLLED}"': {PLAIN, CONTROLLED} <= set(self.methods),
            "the learning rate is not tuned, so learning_rates must hold one": len(self.learning_rates) == 1,
            "folds must be at least 2": self.folds >= 2,
        }

    def arms(self) -> list[Arm]:
        """Return the methods, then the controls."""
        controls = zip(CONTROLS, (GaussianNoise(), augmenter_of(CONTROLLED).random_map()), strict=True)
        return [
            *(method_arm(name, augmenter_of(name), self.strengths) for name in self.methods),
            *(Augmented(name, tuple(self.strengths), augmenter=augmenter) for name, augmenter in controls),
        ]

    def load(self, fit: Fit, folder: Path | None = None) -> Data:
        """Return the data of the fit's seed. While tuning, a fold is held out in place of the validation set."""
        data = load_data(self.data, folder, split=fit.seed)
        if fit.stage == TEST:
            return data
        X, y = data.bunch.X_train, data.bunch.y_train
        # The same folds for all methods and strengths of a seed, so that their scores are paired.
        folds = StratifiedKFold(self.folds, shuffle=True, random_state=fit.seed).split(X, y)
        train, valid = list(folds)[int(fit.stage.removeprefix("fold ")) - 1]
        own = {"X_train": X[train], "y_train": y[train], "X_valid": X[valid], "y_valid": y[valid]}
        return replace(data, bunch=Bunch(**{**data.bunch, **own}))

    def reported(self, fit_all: FitAll) -> Reported:
        """Tune each arm for each seed, and return the test fits of all arms."""
        grids = {arm.name: [self._grid(arm, seed) for seed in range(self.seeds)] for arm in self.arms()}
        # Fold by fold, so that progress has a stage per fold.
        for fold in range(self.folds):
            fit_all([fits[fold] for own in grids.values() for grid in own for fits in grid.values()])
        rate = self.learning_rates[0]
        fits = {
            arm.name: self.test_fits(arm, rate, [best(fit_all, grid).value for grid in grids[arm.name]])
            for arm in self.arms()
        }
        fit_all(flat(fits.values()))  # all arms in one call, so that no process waits for the last fit of an arm
        return Reported(fits)

    def _grid(self, arm: Arm, seed: int) -> dict[float, list[Fit]]:
        """Return the fits that tune an arm, by their value; one per fold."""
        stages = [f"fold {fold}" for fold in range(1, self.folds + 1)]
        return {
            value: [Fit(stage, arm.name, self.learning_rates[0], value, self.epochs, seed) for stage in stages]
            for value in arm.candidates or (0.0,)
        }

    def measure(self, net: Any, data: Data, fit: Fit) -> dict[str, Any]:
        """Measure the test score, and the time of an epoch beside that of plain training."""
        X, y = data.train(fit.seed)
        short = replace(fit, arm=PLAIN, value=0.0, epochs=self.timed_epochs)
        # Right after the training that it is compared with, so that both find the machine in the same state.
        plain = make_net(self, data, short, net.device).fit(X, y)
        result = {"test": float(net.score(data.bunch.X_test, data.bunch.y_test))}
        return result | {"epoch": _median_epoch(net), "plain epoch": _median_epoch(plain)}

    def table(self, results: Results, folder: Path) -> str:
        """Return the table, and the conclusion in one sentence."""
        rows = [self._row(results, name) for name in [*self.methods, *CONTROLS]]
        return f"{markdown(HEADER, rows)}\n{CAPTION}\n\n{self.conclusion(results)}\n"

    def _row(self, results: Results, name: str) -> list[str]:
        times = [fit["epoch"] / fit["plain epoch"] for fit in results.fits[name]]
        return [
            *(name, _span(results.scores(name), ".1f")),
            "" if name == PLAIN else _span(_gain(results, name, PLAIN), "+.1f", ", "),
            f"{np.mean(times):.2f}",
            "" if name == PLAIN else _span(np.array([fit["value"] for fit in results.fits[name]]), ".2g"),
        ]

    def conclusion(self, results: Results) -> str:
        """Say in one sentence what was measured.

        The sentence claims that attribution helps only if there are at least five seeds, and MendABA beats both
        controls and plain training on each of them. Against an equally good method, it would win on five seeds by
        chance with a probability of 1 in 32.
        """
        changes = [
            f"{_gain(results, name, PLAIN).mean():+.1f} points with {name} (better on {_wins(results, name, PLAIN)})"
            for name in self.methods
            if name != PLAIN
        ]
        against = [f"better than the {control} on {_wins(results, CONTROLLED, control)}" for control in CONTROLS]
        always = all(_gain(results, CONTROLLED, other).min() > 0 for other in [PLAIN, *CONTROLS])
        n_seeds = len(results.fits[PLAIN])
        shown = "shows" if always and n_seeds >= SEEDS_FOR_A_CLAIM else "does not show"
        return (
            f"Over {n_seeds} {'seed' if n_seeds == 1 else 'seeds'}, the mean change of test accuracy against plain "
            f"training was {', '.join(changes)}; {CONTROLLED} was {' and '.join(against)}, so this run {shown} that "
            "attribution itself helps here."
        )

    def figures(self, results: Results, folder: Path) -> dict[str, Any]:
        """Return what each augmentation does to three images, and the accuracy in cross-validation by strength."""
        import matplotlib.pyplot as plt  # noqa: PLC0415 (heavy; only who plots should pay for it)

        figure = plt.figure(figsize=(17, 17), layout="constrained")
        panels = figure.subfigures(3, 2, hspace=0.04, wspace=0.03).T.flat
        for panel, name in zip(panels, [arm.name for arm in self.arms() if arm.is_tuned], strict=False):
            # Networks are not kept; this one is fitted again, with the same result.
            fit = Fit.taken_from(dict(results.fits[name][0]))
            data = self.load(fit)
            X, y = data.train(fit.seed)
            net = make_net(self, data, fit).fit(X, y)
            AugmentationDisplay.from_estimator(net, X[::30], y[::30], n_samples=3, figure=panel)
            panel.suptitle(f"{name}, s = {fit.value:.2g}", fontweight="bold")
        tried = Journal(folder / "fits.jsonl").results
        curves = [self._curve(arm, tried) for arm in self.arms()]
        display = StrengthDisplay(curves, score_name="accuracy in cross-validation").plot()
        return {"augmentation.png": figure, "strength.png": display.figure_}

    def _curve(self, arm: Arm, tried: dict[Fit, dict[str, Any]]) -> StrengthCurve:
        grids = [self._grid(arm, seed) for seed in range(self.seeds)]
        strengths = np.array(list(grids[0]))
        scores = np.array([[tried[fit]["valid"] for grid in grids for fit in grid[strength]] for strength in strengths])
        is_plain = not arm.is_tuned
        return StrengthCurve(arm.name, strengths, scores.mean(axis=1), scores.std(axis=1), scores.shape[1], is_plain)


def _median_epoch(net: Any) -> float:
    """Return the median duration of an epoch in seconds, on which bursts of other work have little effect."""
    return float(np.median(net.history[:, "dur"]))


def _gain(results: Results, name: str, other: str) -> NDArray[Any]:
    """Return the paired differences in points."""
    gain: NDArray[Any] = results.scores(name) - results.scores(other)
    return gain.round(6)  # equal accuracies must not differ by rounding errors


def _wins(results: Results, name: str, other: str) -> str:
    gain = _gain(results, name, other)
    return f"{(gain > 0).sum()} of {len(gain)}"


def _span(values: NDArray[Any], form: str, to: str = "-") -> str:
    """Write the mean, and in brackets the range."""
    low, middle, high = (format(value, form) for value in (values.min(), values.mean(), values.max()))
    return middle if low == high else f"{middle} ({low}{to}{high})"
