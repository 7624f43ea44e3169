"""One page of all results: what was asked, what was found, our figures beside the published ones."""

from __future__ import annotations

import os
from pathlib import Path

from skaba.experiment._arms import LONGER, NOISE, PLAIN, RANDOM_MAP
from skaba.experiment._report import read_results, table_of
from skaba.experiment._results import Results
from skaba.experiment._settings import Settings
from skaba.experiment._tables import difference, markdown, written

QUESTIONS = {"plain training": PLAIN, "the random map": RANDOM_MAP, "noise": NOISE, "longer plain training": LONGER}
ANSWERS = (
    "Mean difference in points with Student's 95 % interval over the seeds, here and in the tables below. It speaks of "
    "other seeds on the same test set."
)
MADE = "<!-- Made by `skaba experiment page`: edit experiments/discussion.md, not this file. -->"


def make_page(results: Path, discussion: str, page: Path) -> str:
    """Return the page of all finished runs in a folder, as Markdown.

    Parameters
    ----------
    results : Path
        A folder with one folder a finished run.
    discussion : str
        Markdown that goes before the tables.
    page : Path
        Where the page will be, for the links to the figures.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If there is no finished run.
    """
    folders = sorted(file.parent for file in results.glob("*/results.json"))
    if not folders:
        raise ValueError(f"{results} holds no finished run: run an experiment first.")
    runs = {folder: read_results(folder) for folder in folders}
    parts = [MADE, discussion.strip(), "## Answers", _answers(list(runs.values())), ANSWERS, "## Tables"]
    for folder, (settings, found) in runs.items():
        figure = os.path.relpath(folder / "figure.png", page.parent)
        parts += [f"### {settings.title} ({settings.scale})", _protocol(settings, found)]
        parts += [table_of(settings, found, folder), f"![{settings.title}]({Path(figure).as_posix()})"]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _answers(runs: list[tuple[Settings, Results]]) -> str:
    """Return for every benchmark which of its questions the intervals answer."""
    header = ["experiment", "method", *(f"beats {other}?" for other in QUESTIONS)]
    rows = [
        [settings.title, method, *(_answer(results, method, other.format(method)) for other in QUESTIONS.values())]
        for settings, results in runs
        for method in settings.controls_of
    ]
    return markdown(header, rows) if rows else "No benchmark with controls was run."


def _answer(results: Results, method: str, other: str) -> str:
    found = difference(results, method, other)
    _, low, high = found
    answer = "yes" if low > 0 else "no, it is worse" if high < 0 else "not shown"
    return f"{answer}: {written(found)}"


def _protocol(settings: Settings, results: Results) -> str:
    n_seeds = len(next(iter(results["fits"].values())))
    seconds = sum(fit["seconds"] for fits in results["fits"].values() for fit in fits)
    module = ", ".join(f"{key} {value}" for key, value in settings.module.items() if key != "name")
    per_class = settings.data.get("per_class")
    return (
        f"{settings.module['name']}{f' ({module})' if module else ''}, {settings.epochs} epochs, batches of "
        f"{settings.batch_size}, learning rate {results['learning_rate']:g}, {n_seeds} seeds"
        f"{f', {per_class} training samples a class' if per_class else ''}; "
        f"{seconds / 60:.0f} minutes of training in the reported fits."
    )
