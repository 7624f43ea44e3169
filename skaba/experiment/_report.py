"""The report of a finished run: its table and its figures."""

from __future__ import annotations

import os
from pathlib import Path

from skaba.experiment._experiment import Experiment
from skaba.experiment._folder import read_part
from skaba.experiment._results import Results
from skaba.experiment._settings import recorded_experiment


def read_results(out: str | os.PathLike[str]) -> tuple[Experiment, Results]:
    """Return what a finished run left in its folder.

    Parameters
    ----------
    out : path-like
        The folder that the experiment ran in.

    Returns
    -------
    experiment : Experiment
    results : Results
        As :func:`run` returns it.

    Raises
    ------
    ValueError
        If there are no results, or the run is not finished.
    """
    settings, results = (read_part(Path(out), name) for name in ("settings.json", "results.json"))
    return recorded_experiment(settings["settings"]), Results(**results)


def report(out: str | os.PathLike[str]) -> str:
    """Return a finished run's table as Markdown, and write it and the figures beside the results.

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
    import matplotlib.pyplot as plt  # noqa: PLC0415 (heavy; only who plots should pay for it)

    experiment, results = read_results(out)
    out = Path(out)
    table = experiment.table(results, out)
    (out / "table.md").write_text(f"# {experiment.title}\n\n{table}", encoding="utf-8")
    for name, figure in experiment.figures(results, out).items():
        figure.savefig(out / name, dpi=130)
        plt.close(figure)  # pyplot keeps a figure in memory until it is closed
    return table
