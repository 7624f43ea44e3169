"""Write docs/evidence.md from the discussion and all finished runs.

    python docs/pages.py

Run it in the root of the repository after an experiment has been run or reported again.
"""

from __future__ import annotations

import os
from pathlib import Path

from skaba.experiment import (
    Experiment,
    Gain,
    Results,
    draw_gains,
    find_gains,
    markdown,
    read_results,
    with_interval,
)
from skaba.experiment.kinds import Benchmark

RESULTS = Path("experiments/results")
DISCUSSION = Path("experiments/discussion.md")
PAGE = Path("docs/evidence.md")
PICTURE = "where_it_helps.png"

SCORES = {
    "plain": "plain",
    "best rival": "{rival}",
    "best ABA": "{method}",
    "its random map": "{method}, random map",
    "both": "{both}",
}
"""What a row of the answers shows, and the arm, given those with the best validation scores."""
QUESTIONS = {
    "ABA beats plain?": ("{method}", "plain"),
    "ABA beats its random map?": ("{method}", "{method}, random map"),
    "ABA beats the best rival?": ("{method}", "{rival}"),
    "both beat the best rival?": ("{both}", "{rival}"),
}
"""The question, and the two arms that answer it."""
ANSWERS = (
    "Test scores in percent: accuracy, or macro AUC for PTB-XL. The best rival and the best method are those with the "
    "best validation scores. Differences are means in points with Student's 95 % interval over the seeds and the "
    "p-value of Wilcoxon's signed-rank test, here and in the tables below. They cover other seeds on the same test "
    "set, not other test sets."
)
GAINS = (
    "The gain of the best method over plain training, against how much better plain training does on its training "
    "samples than on the validation set."
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
    parts = [MADE, discussion.strip(), "## Answers", answers(list(runs.values())), ANSWERS]
    gains = find_gains(folders)
    parts += ["## Where it helps", gains_table(gains), GAINS, f"![Gain against gap]({PICTURE})"] if gains else []
    parts += ["## Tables"]
    for folder, (experiment, found) in runs.items():
        figure = os.path.relpath(folder / "figure.png", page.parent)
        parts += [
            f"### {experiment.title} ({experiment.scale})",
            protocol(experiment, found),
            command(folder, experiment),
        ]
        parts += [experiment.table(found, folder), f"![{experiment.title}]({Path(figure).as_posix()})"]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def answers(runs: list[tuple[Experiment, Results]]) -> str:
    """Return a table of all benchmarks: scores of the main arms, and each question with its answer by the interval."""
    rows = []
    for experiment, results in runs:
        if isinstance(experiment, Benchmark) and experiment.kind == "benchmark":
            known = {"rival": "", "method": "", "both": ""} | results.chosen
            scores = [score(results, arm.format(**known)) for arm in SCORES.values()]
            pairs = [[arm.format(**known) for arm in pair] for pair in QUESTIONS.values()]
            outside = "; ".join(score(results, name) for name in experiment.outsiders)
            rows.append([experiment.title, *scores, outside, *(answer(results, *pair) for pair in pairs)])
    return markdown(["experiment", *SCORES, "without a network", *QUESTIONS], rows) if rows else "No benchmark was run."


def score(results: Results, name: str) -> str:
    """Return the mean test score of an arm with its name, as far as it was run."""
    return f"{name}: {results.scores(name).mean():.1f}" if name in results.fits else ""


def answer(results: Results, name: str, other: str) -> str:
    """Return whether an arm is shown to be better than another, and the difference; nothing if one was not run."""
    if not {name, other} <= results.fits.keys():
        return ""
    difference = results.difference(name, other)
    shown = {1: "yes", -1: "no, it is worse", 0: "not shown"}[difference.shown]
    return f"{shown}: {with_interval(difference)}"


def gains_table(gains: list[Gain]) -> str:
    """Return the gain of each benchmark, by growing gap of plain training."""
    rows = [[title, f"{gap:.1f}", method, with_interval(gain)] for title, method, gap, gain in gains]
    return markdown(["experiment", "gap of plain training, points", "best method", "its gain, points"], rows)


def command(folder: Path, experiment: Experiment) -> str:
    """Return the command that makes the results of a folder."""
    name = folder.name.removesuffix(f"-{experiment.scale}")
    return f"`skaba experiment run {name} --scale {experiment.scale}`"


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
    if gains := find_gains(file.parent for file in RESULTS.glob("*/results.json")):
        draw_gains(gains).savefig(PAGE.with_name(PICTURE), dpi=130)
    PAGE.write_text(evidence(RESULTS, DISCUSSION.read_text(encoding="utf-8"), PAGE), encoding="utf-8")
