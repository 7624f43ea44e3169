"""Where attribution helps: its gain in all finished benchmarks, against how much plain training overfits."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from skaba.experiment._arms import PLAIN
from skaba.experiment._report import read_results
from skaba.experiment._results import Difference


class Gain(NamedTuple):
    """What attribution gained on one network and one data set.

    Parameters
    ----------
    title : str
        Of the experiment.
    method : str
        The method with the best validation score.
    gap : float
        Mean score of plain training on its training samples minus that on the validation set, in points.
    gain : Difference
        Of the method's test scores from those of plain training, in points.
    """

    title: str
    method: str
    gap: float
    gain: Difference


def find_gains(folders: Iterable[str | os.PathLike[str]]) -> list[Gain]:
    """Return the gain of each benchmark, by growing gap.

    Parameters
    ----------
    folders : iterable of path-like
        Of finished runs. Those of other kinds, and of benchmarks without a method that has maps, are left out.

    Returns
    -------
    list of Gain

    Raises
    ------
    ValueError
        If a run is not finished.
    """
    gains = []
    for experiment, results in map(read_results, map(Path, folders)):
        method = results.chosen.get("method")
        if experiment.kind == "benchmark" and method is not None:
            gap = float((results.scores(PLAIN, "train") - results.scores(PLAIN, "valid")).mean())
            gains.append(Gain(experiment.title, method, gap, results.difference(method, PLAIN)))
    return sorted(gains, key=lambda gain: gain.gap)


def draw_gains(gains: list[Gain]) -> Any:
    """Return a picture of gains against gaps, with Student's 95 % intervals.

    Parameters
    ----------
    gains : list of Gain

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt  # noqa: PLC0415 (heavy; only who plots should pay for it)

    figure, ax = plt.subplots(figsize=(9, 4.2), layout="constrained")
    for title, method, gap, gain in gains:
        around = [[gain.mean - gain.low], [gain.high - gain.mean]]
        ax.errorbar(gap, gain.mean, around, fmt="o", capsize=3, label=f"{title}: {method}")
    ax.axhline(0, color="grey", linewidth=0.8)
    ax.set_xlabel("plain training: score on training samples\nminus validation score, points")
    ax.set_ylabel("gain of the best method\nover plain training, points")
    ax.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1, 1))
    return figure
