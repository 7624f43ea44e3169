"""How kinds of experiments tune and test: on a validation set first, then on the test set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from skaba.attribution import Loss
from skaba.experiment._arms import PLAIN, WITH_CLASSES, Arm, augmenter_of, method_arm
from skaba.experiment._data import Data
from skaba.experiment._experiment import Choice, Experiment, FitAll, Reported, best, flat
from skaba.experiment._fit import Fit

BASE_SEED = 1000
"""Tuning seeds start here, so that no reported fit has been looked at before."""


@dataclass(frozen=True, kw_only=True)
class TunedExperiment(Experiment):
    """An experiment that tunes on the validation set, and reports the validation scores at the tuned values.

    The learning rate is tuned on plain training, then the value of each arm with this rate.

    Parameters
    ----------
    tuning_seeds : int
        Number of fits per candidate.
    """

    tuning_seeds: int

    extendable = Experiment.extendable | {"tuning_seeds"}

    def tuned_rate(self, fit_all: FitAll) -> float:
        """Tune the learning rate on plain training."""
        if len(self.learning_rates) == 1:  # there is nothing to choose, so no fit is made
            return self.learning_rates[0]
        plain = self.arm(PLAIN)
        rates = {rate: self._fits("learning rate", plain, rate, 0.0) for rate in self.learning_rates}
        return best(fit_all, rates).value

    def tuned(self, fit_all: FitAll, rate: float, arms: Iterable[Arm]) -> dict[str, Choice]:
        """Tune the value of each of these arms that has candidates."""
        grids = {
            arm.name: {value: self._fits("tuning", arm, rate, value) for value in arm.candidates}
            for arm in arms
            if arm.is_tuned
        }
        # All at once, so that no process waits for the last fit of an arm.
        fit_all([fit for grid in grids.values() for fit in flat(grid.values())])
        return {name: best(fit_all, grid) for name, grid in grids.items()}

    def reported(self, fit_all: FitAll) -> Reported:
        """Return the fits at the tuned values."""
        rate = self.tuned_rate(fit_all)
        choices = self.tuned(fit_all, rate, self.arms())
        return Reported(
            {name: self._fits("tuning", self.arm(name), rate, choice.value) for name, choice in choices.items()}
        )

    def _fits(self, stage: str, arm: Arm, rate: float, value: float) -> list[Fit]:
        epochs = arm.epochs(self.epochs, value)
        seeds = range(BASE_SEED, BASE_SEED + self.tuning_seeds)
        return [Fit(stage, arm.name, rate, value, epochs, seed) for seed in seeds]


@dataclass(frozen=True, kw_only=True)
class MethodsExperiment(TunedExperiment):
    """An experiment that tunes methods on the validation set, and tests them on new seeds.

    Parameters
    ----------
    methods : list of str
        Names of methods, "plain" first. ``"module:function"`` names a function of your own that is called without
        arguments and returns an augmenter.
    k : int, default=None
        Number of classes that the targets of Challenger, MendABA and FastABA are drawn from; by default 4, or all if
        there are fewer.
    target : {"class", "loss"}, default="class"
        ``"loss"`` explains the loss in these methods too: for data with several labels per sample.
    n_attacked : int, default=300
        Number of test samples that are attacked.
    """

    methods: list[str]
    k: int | None = None
    target: Literal["class", "loss"] = "class"
    n_attacked: int = 300

    extendable = TunedExperiment.extendable | {"methods"}

    def rules(self) -> dict[str, bool]:
        """Return the rules of every experiment, and that plain training comes first."""
        return super().rules() | {'methods must begin with "plain"': self.methods[:1] == [PLAIN]}

    def arms(self) -> list[Arm]:
        """Return one arm per method."""
        augmenters = {name: self.augmenter(name, self.k) for name in self.methods}
        return [method_arm(name, augmenter, self.strengths) for name, augmenter in augmenters.items()]

    def augmenter(self, name: str, k: int | None) -> Any:
        """Return a method's augmenter with the target that the settings give."""
        if self.target == "loss":
            return augmenter_of(name, target=Loss())
        return augmenter_of(name) if k is None else augmenter_of(name, k=k)

    def for_data(self, data: Data) -> Self:
        """Return the experiment with its ``k`` for these data."""
        if data.bunch.y_train.ndim == 2 and self.target == "class" and WITH_CLASSES & set(self.methods):
            raise ValueError(
                'The data have several labels per sample, so there is no class to explain: set target = "loss".'
            )
        n_classes = len(data.bunch.target_names)
        if self.k is not None and self.k > n_classes:
            raise ValueError(f"k = {self.k}, but there are only {n_classes} classes. Leave k out, or lower it.")
        return replace(self, k=self.k or min(4, n_classes))

    def reported(self, fit_all: FitAll) -> Reported:
        """Return the test fits of all arms."""
        rate = self.tuned_rate(fit_all)
        fits = self.test_fits_of_all(rate, self.arms(), self.tuned(fit_all, rate, self.arms()))
        fit_all(flat(fits.values()))  # all arms in one call, so that no process waits for the last fit of an arm
        return Reported(fits)

    def test_fits_of_all(self, rate: float, arms: Iterable[Arm], choices: Mapping[str, Choice]) -> dict[str, list[Fit]]:
        """Return the fits of the stage "test" of these arms, at their tuned values."""
        values = {name: choice.value for name, choice in choices.items()}
        return {arm.name: self.test_fits(arm, rate, [values.get(arm.name, 0.0)] * self.seeds) for arm in arms}
