"""What an experiment found: a table beside the published one, and a figure."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from skaba.experiment._arms import PLAIN
from skaba.experiment._results import Results
from skaba.experiment._settings import Settings
from skaba.experiment._tables import (
    adjustments_table,
    benchmark_table,
    curves_of,
    difference,
    groups_table,
    scores_of,
    strength_table,
)


def read_results(out: str | os.PathLike[str]) -> tuple[Settings, Results]:
    """Return what a finished run left in its folder.

    Parameters
    ----------
    out : path-like
        The folder that the experiment ran in.

    Returns
    -------
    settings : Settings
    results : Results
        As :func:`run` returns it.

    Raises
    ------
    ValueError
        If there are no results, or the run is not finished.
    """
    files = {name: Path(out) / name for name in ("settings.json", "results.json")}
    for file in files.values():
        if not file.is_file():
            raise ValueError(f"{out} holds no finished run: {file.name} is missing. Run the experiment first.")
    settings = Settings(**json.loads(files["settings.json"].read_text())["settings"])
    return settings, Results(**json.loads(files["results.json"].read_text()))


def report(out: str | os.PathLike[str]) -> str:
    """Return a finished run's table as Markdown, and write it and the figure beside the results.

    Parameters
    ----------
    out : path-like
        The folder that the experiment ran in.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the run is not finished.
    """
    settings, results = read_results(out)
    out = Path(out)
    table = table_of(settings, results, out)
    (out / "table.md").write_text(f"# {settings.title}\n\n{table}", encoding="utf-8")
    _draw(settings, results, out / "figure.png")
    return table


def table_of(settings: Settings, results: Results, out: Path) -> str:
    """Return the table of an experiment's kind; one of sets looks for that of single adjustments beside it."""
    if settings.kind == "benchmark":
        return benchmark_table(settings, results)
    if settings.kind == "strength":
        return strength_table(settings, results)
    if settings.kind == "adjustments":
        return adjustments_table(settings, results)
    return groups_table(settings, results, read_results(single_ones(settings, out))[1])


def single_ones(settings: Settings, out: Path) -> Path:
    """Return the folder of the experiment that a groups experiment compares with."""
    return out.parent / f"{settings.averages_from}-{settings.scale}"


def _draw(settings: Settings, results: Results, file: Path) -> None:
    import matplotlib.pyplot as plt  # noqa: PLC0415 (heavy; only who plots should pay for it)

    figure = _FIGURES[settings.kind](settings, results)
    figure.savefig(file, dpi=130)
    plt.close(figure)


def _draw_benchmark(settings: Settings, results: Results) -> Any:
    from skaba.plotting import ComparisonDisplay  # noqa: PLC0415 (as above)

    scores = {name: scores_of(results, name) for name in results["fits"]}
    intervals = {name: difference(results, name, PLAIN)[1:] for name in scores if name != PLAIN}
    name = "test accuracy, %" if "ece" in results["fits"][PLAIN][0] else "macro AUC, %"
    display = ComparisonDisplay(scores, reference=PLAIN, intervals=intervals, score_name=name).plot()
    display.ax_.set_title(settings.title, fontsize="medium")
    return display.figure_


def _draw_strength(settings: Settings, results: Results) -> Any:
    """Draw accuracy against strength as the source does: Delta to the left of 0, Epsilon to the right."""
    import matplotlib.pyplot as plt  # noqa: PLC0415 (as above)

    figure, ax = plt.subplots(figsize=(6.8, 4.2), layout="constrained")
    strengths = np.array(settings.test_strengths)
    for name in results["fits"]:
        curves = curves_of(results, name)
        x = [*-strengths[::-1], 0, *strengths]
        ax.plot(x, [*curves["Delta"][::-1], *curves["Epsilon"][1:]], "o-", label=name)
    ax.set(xlabel="strength at test time: Delta (1, 0, -1) left, Epsilon (-1, 0, 1) right", ylabel="test accuracy, %")
    ax.axvline(0, color="grey", linewidth=0.8)
    ax.legend(title="trained with", fontsize="small")
    ax.set_title(settings.title, fontsize="medium")
    return figure


def _draw_adjustments(settings: Settings, results: Results) -> Any:
    from skaba.plotting import AdjustmentDisplay  # noqa: PLC0415 (as above)

    scores = {index: scores_of(results, str(index), "valid") for index in range(27)}
    published = {int(index): float(mean) for index, mean in settings.published.items()}
    display = AdjustmentDisplay(scores, published=published or None, score_name="validation accuracy, %").plot()
    display.ax_.set_title(settings.title, fontsize="medium")
    return display.figure_


def _draw_groups(settings: Settings, results: Results) -> Any:
    import matplotlib.pyplot as plt  # noqa: PLC0415 (as above)

    figure, ax = plt.subplots(figsize=(6.8, 3.6), layout="constrained")
    scores = [scores_of(results, name, "valid") for name in results["fits"]]
    ax.errorbar(range(len(scores)), [s.mean() for s in scores], [s.std() for s in scores], fmt="o", capsize=4)
    ax.set_xticks(range(len(scores)), labels=list(results["fits"]))
    ax.set(ylabel="validation accuracy, %\nmean ± standard deviation", title=settings.title)
    return figure


_FIGURES = {
    "benchmark": _draw_benchmark,
    "strength": _draw_strength,
    "adjustments": _draw_adjustments,
    "groups": _draw_groups,
}
