"""What the demo says: table, conclusion, files and pictures."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skaba.demo._experiment import CONTROLS, GRIDS, Comparison, Run
from skaba.plotting import AugmentationDisplay, StrengthDisplay

HEADER = ["method", "accuracy, %", "vs plain, points", "time", "strength"]
CAPTION = "Mean (range) over the seeds. Time: of an epoch, in units of plain training."
SEEDS_FOR_A_CLAIM = 5


@dataclass(frozen=True)
class Report:
    """The numbers of all seeds, and what follows from them.

    Parameters
    ----------
    comparisons : sequence of Comparison
        One a seed.
    settings : dict
        Written into ``results.json``.
    """

    comparisons: Sequence[Comparison]
    settings: dict[str, Any]

    @property
    def runs(self) -> list[Run]:
        """Every training, seed after seed."""
        return [run for comparison in self.comparisons for run in comparison.runs]

    def rows(self) -> list[list[str]]:
        """Return the table's cells below ``HEADER``, one row a method."""
        return [self._row(method) for method in [*GRIDS, *CONTROLS]]

    def markdown(self) -> str:
        """Return the table and the conclusion as Markdown."""
        rule = ["---", *["---:"] * (len(HEADER) - 1)]
        lines = [f"| {' | '.join(cells)} |" for cells in [HEADER, rule, *self.rows()]]
        return "\n".join([*lines, "", CAPTION, "", self.conclusion(), ""])

    def conclusion(self) -> str:
        """Say in one sentence what was measured.

        That attribution helps is claimed only if MendABA beats both controls and plain training
        on every seed, and there are five seeds or more: by chance alone that happens to one
        comparison of two equal methods in 32.
        """
        n_seeds = len(self.comparisons)
        changes = [
            f"{np.mean(self._gain(method)):+.1f} points with {method} (better on {self._wins(method, 'plain')})"
            for method in GRIDS
            if method != "plain"
        ]
        against = [f"better than the {control} on {self._wins('MendABA', control)}" for control in CONTROLS]
        always = all(min(self._gain("MendABA", other)) > 0 for other in ["plain", *CONTROLS])
        shown = "shows" if always and n_seeds >= SEEDS_FOR_A_CLAIM else "does not show"
        return (
            f"Over {n_seeds} {'seed' if n_seeds == 1 else 'seeds'}, the mean change of test accuracy against plain "
            f"training was {', '.join(changes)}; MendABA was {' and '.join(against)}, so this run {shown} that "
            "attribution itself helps here."
        )

    def as_dict(self) -> dict[str, Any]:
        """Return settings, versions, every run, every fold's score of the tuning, and the conclusion."""
        net = self.comparisons[0].nets["plain"]
        trained_with = {"optimizer": net.optimizer.__name__, "lr": net.lr, "batch_size": net.batch_size}
        packages = ["skaba", "torch", "skorch", "scikit-learn", "numpy"]
        return {
            "settings": {**self.settings, **trained_with, "grids": GRIDS},
            "versions": {"python": platform.python_version(), **{name: version(name) for name in packages}},
            "platform": platform.platform(),
            "runs": [{**asdict(run), "difference": gain} for run, gain in zip(self.runs, self._gains(), strict=True)],
            "tuning": [
                {"seed": comparison.runs[0].seed, "method": method, **_candidate(search, index)}
                for comparison in self.comparisons
                for method, search in comparison.searches.items()
                for index in range(len(search.cv_results_["params"]))
            ],
            "conclusion": self.conclusion(),
        }

    def write(self, folder: Path) -> list[Path]:
        """Write all files, each atomically and none before all are made.

        Parameters
        ----------
        folder : Path
            Exists. Files of an earlier run are replaced.

        Returns
        -------
        list of Path
            ``augmentation.png``, ``results.json``, ``strength.png``, ``table.md``.
        """
        with TemporaryDirectory(dir=folder, prefix=".unfinished-") as name:
            unfinished = Path(name)
            (unfinished / "results.json").write_text(json.dumps(self.as_dict(), indent=2) + "\n")
            (unfinished / "table.md").write_text(self.markdown(), encoding="utf-8")
            draw_augmentation(self.comparisons[0], unfinished / "augmentation.png")
            draw_strength(self.comparisons, unfinished / "strength.png")
            files = sorted(unfinished.iterdir())
            for file in files:
                os.replace(file, folder / file.name)
        return [folder / file.name for file in files]

    def _of(self, method: str) -> list[Run]:
        return [run for run in self.runs if run.method == method]

    def _accuracies(self, method: str) -> NDArray[Any]:
        return np.array([run.accuracy for run in self._of(method)])

    def _gain(self, method: str, other: str = "plain") -> NDArray[Any]:
        """Return the paired differences in percentage points, one a seed."""
        gain: NDArray[Any] = 100 * (self._accuracies(method) - self._accuracies(other))
        return gain.round(6)  # equal accuracies must not differ by rounding

    def _gains(self) -> list[float]:
        plain = {run.seed: run.accuracy for run in self._of("plain")}
        return [run.accuracy - plain[run.seed] for run in self.runs]

    def _wins(self, method: str, other: str) -> str:
        gain = self._gain(method, other)
        return f"{(gain > 0).sum()} of {len(gain)}"

    def _row(self, method: str) -> list[str]:
        accuracy, gain = 100 * self._accuracies(method), self._gain(method)
        return [
            method,
            _span(accuracy, ".1f"),
            "" if method == "plain" else _span(gain, "+.1f", ", "),
            f"{np.mean([run.time_ratio for run in self._of(method)]):.2f}",
            "" if method == "plain" else _span([run.strength for run in self._of(method)], ".2g"),
        ]


def draw_augmentation(comparison: Comparison, file: Path) -> None:
    """Draw what each augmentation does to three training images.

    Parameters
    ----------
    comparison : Comparison
        Its fitted networks and data are shown.
    file : Path
        Where the PNG goes.
    """
    import matplotlib.pyplot as plt  # noqa: PLC0415 (heavy; `skaba --version` should not pay for it)

    nets = {method: net for method, net in comparison.nets.items() if net.augmenter is not None}
    figure = plt.figure(figsize=(17, 17), layout="constrained")
    panels = figure.subfigures(3, 2, hspace=0.04, wspace=0.03).T.flat
    digits = comparison.digits
    for panel, (method, net) in zip(panels, nets.items(), strict=False):
        AugmentationDisplay.from_estimator(net, digits.X_train[::30], digits.y_train[::30], n_samples=3, figure=panel)
        panel.suptitle(f"{method}, s = {net.strength_:.2g}", fontweight="bold")
    figure.savefig(file, dpi=100)
    plt.close(figure)


def draw_strength(comparisons: Sequence[Comparison], file: Path) -> None:
    """Draw the accuracy in cross-validation against the strength, over all seeds.

    Parameters
    ----------
    comparisons : sequence of Comparison
    file : Path
        Where the PNG goes.
    """
    import matplotlib.pyplot as plt  # noqa: PLC0415 (as above)

    searches = [search for comparison in comparisons for search in comparison.searches.values()]
    display = StrengthDisplay.from_search(
        searches,
        labels={"challenger": "Challenger", "mend_aba": "MendABA", "fast_aba": "FastABA"},
        score_name="accuracy in cross-validation",
    )
    display.figure_.savefig(file, dpi=150)
    plt.close(display.figure_)


def _candidate(search: Any, index: int) -> dict[str, Any]:
    results = search.cv_results_
    scores = [float(results[f"split{fold}_test_score"][index]) for fold in range(search.n_splits_)]
    return {"strength": results["params"][index]["strength"], "scores": scores}


def _span(values: Sequence[float] | NDArray[Any], form: str, to: str = "-") -> str:
    """Write the mean, and in brackets the range."""
    low, middle, high = (format(value, form) for value in (min(values), np.mean(values), max(values)))
    return middle if low == high else f"{middle} ({low}{to}{high})"
