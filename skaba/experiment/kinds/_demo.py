"""The demo: a benchmark whose tuned values are given, with its result in one sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skaba.experiment._arms import BOTH, PLAIN, RANDOM_MAP, Arm
from skaba.experiment._experiment import Choice, FitAll, Reported
from skaba.experiment._fit import Fit
from skaba.experiment._fits import make_net
from skaba.experiment._results import Results
from skaba.experiment._tables import interval, markdown
from skaba.experiment.kinds._benchmark import Benchmark
from skaba.plotting import AugmentationDisplay

CAPTION = (
    "Accuracy on the test set: mean (standard deviation) over {} seeds. Differences are means in points with Student's "
    "95 % interval. All methods of a seed share its training samples."
)
VERDICTS = {1: "better than", -1: "worse than", 0: "not shown to differ from"}


@dataclass(frozen=True, kw_only=True)
class Demo(Benchmark):
    """A benchmark that tunes nothing: the values were chosen before, on validation samples of other seeds.

    Methods are compared with plain training and with the first rival. The first method after plain training is also
    compared with its random map, and is combined with the first rival.

    Parameters
    ----------
    subject : str
        The data, as the conclusion names them.
    values : dict of str to float, default={}
        The values of all methods, rivals and controls.
    """

    subject: str
    values: dict[str, Any] = field(default_factory=dict)

    kind = "demo"
    extendable = Benchmark.extendable | {"subject", "values"}

    def rules(self) -> dict[str, bool]:
        """Return the rules of a benchmark, and what the table and the conclusion need."""
        needed = [*self.methods[1:], *self.rivals, *(RANDOM_MAP.format(name) for name in self.methods[1:2])]
        return super().rules() | {
            "methods must hold a method after plain training": len(self.methods) > 1,
            "rivals must hold a rival": bool(self.rivals),
            "the learning rate is not tuned, so learning_rates must hold one": len(self.learning_rates) == 1,
            f"[values] must give the values of {', '.join(needed)}": self.values.keys() == set(needed),
        }

    def arms(self) -> list[Arm]:
        """Return plain training, and the arms whose values are given."""
        return [arm for arm in super().arms() if arm.name == PLAIN or arm.name in self.values]

    @property
    def compared(self) -> dict[str, str]:
        """The arms that methods are compared with, by what the table calls them."""
        method, rival = self.methods[1], self.rivals[0]
        return {"plain training": PLAIN, rival: rival, "its random map": RANDOM_MAP.format(method)}

    def reported(self, fit_all: FitAll) -> Reported:
        """Return the test fits of all arms, and of the first rival together with the first method."""
        choices = {name: Choice(value, math.nan) for name, value in self.values.items()}
        method, rival = self.methods[1], self.rivals[0]
        chosen = {"rival": rival, "combined method": method, "both": BOTH.format(rival, method)}
        return self.tested(fit_all, self.learning_rates[0], self.arms(), choices, chosen)

    def table(self, results: Results, folder: Path) -> str:
        """Return the table, and the conclusion in one sentence."""
        header = ["", "value", "accuracy, %", *(f"vs {label}" for label in self.compared)]
        rows = [self._row(results, name) for name in results.fits]
        caption = CAPTION.format(len(results.fits[PLAIN]))
        return f"{markdown(header, rows)}\n{caption}\n\n{self.conclusion(results)}\n"

    def _row(self, results: Results, name: str) -> list[str]:
        scores, others = results.scores(name), self.others(name)
        return [
            *(name, self.tuned_value(results, name), f"{scores.mean():.1f} ({scores.std():.1f})"),
            *(interval(results.difference(name, others[label])) if label in others else "" for label in self.compared),
        ]

    def others(self, name: str) -> dict[str, str]:
        """Return the arms that an arm is compared with: all, plain training and the first rival, or plain training."""
        if name == PLAIN:
            return {}
        if name == self.methods[1]:
            return self.compared
        is_control = name in self.rivals or name == self.compared["its random map"]
        return dict(list(self.compared.items())[: 1 if is_control else 2])

    def conclusion(self, results: Results) -> str:
        """Say in one sentence what the intervals show about the methods and the rivals."""
        clauses = [self._clause(results, name) for name in [*self.methods[1:], *self.rivals]]
        return f"On {self.subject}, {'; '.join(clauses)}."

    def _clause(self, results: Results, name: str) -> str:
        found: dict[str, list[str]] = {}
        for label, other in self.others(name).items():
            difference = results.difference(name, other)
            points = f" ({interval(difference)} points)" if other == PLAIN else ""
            found.setdefault(VERDICTS[difference.shown], []).append(label + points)
        return f"{name} is {', and '.join(f'{verdict} {_listed(labels)}' for verdict, labels in found.items())}"

    def figures(self, results: Results, folder: Path) -> dict[str, Any]:
        """Return the differences from plain training, and what the first method does to three training samples."""
        # Networks are not kept; this one is fitted again, with the same result.
        fit = Fit.taken_from(dict(results.fits[self.methods[1]][0]))
        data = self.load(fit)
        X, y = data.train(fit.seed)
        net = make_net(self.for_data(data), data, fit).fit(X, y)
        display = AugmentationDisplay.from_estimator(net, X, y, n_samples=3, words=data.bunch.get("words"))
        return super().figures(results, folder) | {"augmentation.png": display.figure_}


def _listed(words: list[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
