"""Write docs/evidence.md from the discussion and all finished runs.

    python docs/pages.py

Run it in the root of the repository after an experiment has been run or reported again.
"""

from __future__ import annotations

import os
from pathlib import Path

from skaba.experiment import Experiment, Results, markdown, read_results, with_interval
from skaba.experiment.kinds import Benchmark

RESULTS = Path("experiments/results")
DISCUSSION = Path("experiments/discussion.md")
PAGE = Path("docs/evidence.md")

QUESTIONS = {
    "plain training": "plain",
    "the random map": "its random map",
    "noise": "its noise",
    "longer plain training": "plain, longer",
}
"""What a method may beat, and its name in :meth:`Benchmark.differences`."""
ANSWERS = (
    "Mean difference in points with Student's 95 % interval over the seeds, here and in the tables below. It "
    "covers other seeds on the same test set, not other test sets."
)
MADE = "<!-- Made by `python docs/pages.py`: edit experiments/discussion.md, not this file. -->"


def evidence(results: Path, discussion: str, page: Path) -> str:
    """Return the page of all finished runs in a folder, as Markdown.

    Parameters
    ----------
    results : Path
        A folder with one folder per finished run.
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
    parts = [MADE, discussion.strip(), "## Answers", answers(list(runs.values())), ANSWERS, "## Tables"]
    for folder, (experiment, found) in runs.items():
        figure = os.path.relpath(folder / "figure.png", page.parent)
        parts += [f"### {experiment.title} ({experiment.scale})", protocol(experiment, found)]
        parts += [experiment.table(found, folder), f"![{experiment.title}]({Path(figure).as_posix()})"]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def answers(runs: list[tuple[Experiment, Results]]) -> str:
    """Return a table of the questions of all benchmarks, each with its answer by the interval."""
    header = ["experiment", "method", *(f"beats {other}?" for other in QUESTIONS)]
    rows = []
    for experiment, results in runs:
        for method in experiment.controls_of if isinstance(experiment, Benchmark) else ():
            differences = experiment.differences(results, method)
            rows.append([experiment.title, method, *(answer(differences[other]) for other in QUESTIONS.values())])
    return markdown(header, rows) if rows else "No benchmark with controls was run."


def answer(difference: tuple[float, float, float]) -> str:
    """Return whether a difference is shown to be above 0, and the difference."""
    _, low, high = difference
    shown = "yes" if low > 0 else "no, it is worse" if high < 0 else "not shown"
    return f"{shown}: {with_interval(difference)}"


def protocol(experiment: Experiment, results: Results) -> str:
    """Return how the networks of an experiment were trained, in one line."""
    n_seeds = len(next(iter(results.fits.values())))
    seconds = sum(fit["seconds"] for fits in results.fits.values() for fit in fits)
    module = ", ".join(f"{key} {value}" for key, value in experiment.module.items() if key != "name")
    per_class = experiment.data.get("per_class")
    return (
        f"{experiment.module['name']}{f' ({module})' if module else ''}, {experiment.epochs} epochs, batches of "
        f"{experiment.batch_size}, learning rate {results.learning_rate:g}, {n_seeds} seeds"
        f"{f', {per_class} training samples per class' if per_class else ''}; "
        f"{seconds / 60:.0f} min of training in the reported fits."
    )


if __name__ == "__main__":
    PAGE.write_text(evidence(RESULTS, DISCUSSION.read_text(encoding="utf-8"), PAGE), encoding="utf-8")
