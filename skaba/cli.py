"""The ``skaba`` command.

Each verb imports what it needs when it is called, so that help comes at once.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

import skaba

if TYPE_CHECKING:
    from skaba.demo import Comparison, Report
    from skaba.judge import Judgement

app = typer.Typer(help="Train networks on little data, augmented where they look.", no_args_is_help=True)
experiments = typer.Typer(help="Rerun the papers' experiments.", no_args_is_help=True)
app.add_typer(experiments, name="experiment")


def _show_version(asked: bool) -> None:
    if asked:
        Console().print(f"skaba {skaba.__version__}", highlight=False)
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train networks on little data, augmented where they look."""


@app.command()
def demo(
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds, each with a training set of its own.")] = 5,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of every training.")] = 30,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the results.")] = Path("skaba-demo"),
    threads: Annotated[int, typer.Option(min=1, help="Threads of PyTorch.")] = 1,
) -> None:
    """Compare augmentation with plain training and with controls, on 100 digits.

    Results of an earlier run in the same folder are replaced once all is done, not before.
    """
    import torch

    from skaba.demo import Report

    _make_folder(out)
    torch.set_num_threads(threads)
    console = Console()
    settings = {"seeds": list(range(seeds)), "epochs": epochs, "threads": threads}
    report = Report(_compare_all(seeds, epochs, console), settings)
    files = report.write(out)
    console.print(_as_table(report))
    console.print(report.conclusion(), highlight=False)
    console.print(f"Wrote {', '.join(file.name for file in files)} into {out.resolve()}", soft_wrap=True)


@app.command()
def methods(
    wide: Annotated[bool, typer.Option("--wide", help="Also what each costs, needs and promises.")] = False,
) -> None:
    """List the attribution methods, and what each one is."""
    from skaba.attribution import DESCRIPTIONS, METHODS, ThroughCaptum

    caption = "* needs captum: pip install 'skaba\\[attribution]'"
    if wide:
        caption += ". Passes forward and backward are counted per sample."
    table = Table(title="Attribution methods", caption=caption, box=SIMPLE_HEAD, pad_edge=False)
    for column in ("method", "what it is", *(WIDE if wide else ())):
        table.add_column(column, no_wrap=True)
    for name, method in METHODS.items():
        about = method.about
        star = "*" if issubclass(method, ThroughCaptum) else ""
        signed, baseline = ("yes" if answer else "no" for answer in (about.signed, about.baseline))
        more = about.forward, about.backward, signed, baseline, about.needs, about.complete
        table.add_row(name + star, DESCRIPTIONS[name], *(more if wide else ()))
    console = Console()
    # Lines that are too long for the terminal are wrapped by it; nothing is cut off.
    console.width = max(console.width, Console(width=1000).measure(table).maximum)
    console.print(table)


WIDE = ("forward", "backward", "signed", "baseline", "needs", "sums to")


@app.command("judge")
def judge_methods(
    estimator: Annotated[str, typer.Argument(help="MODULE:FUNCTION that makes it, or with --trust a pickled file.")],
    data: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=".npz file with X, and y if you like.")],
    weights: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Of its network, as save_params writes them.")
    ] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Unpickle ESTIMATOR, which runs whatever is in it.")] = False,
    samples: Annotated[int, typer.Option(min=2, help="How many samples are drawn from the file.")] = 100,
    seeds: Annotated[int, typer.Option(min=1, help="Networks that learn XOR.")] = 3,
    grid: Annotated[int, typer.Option(min=5, help="Points along each side of XOR's square.")] = 15,
) -> None:
    """Measure all attribution methods that a fitted estimator can use.

    Their fidelity on samples of yours, and how well they agree with the ground truth of XOR. Take samples that the
    estimator was not fitted on. Nothing is unpickled unless you say so.
    """
    from skaba.evaluation.ground_truth import XORBenchmark
    from skaba.judge import judge, load_estimator, load_samples, score_or_reason

    try:
        fitted = load_estimator(estimator, weights=weights, trust=trust)
        X, y = load_samples(data, samples)
        score, unscored = (None, "") if y is None else score_or_reason(fitted, X, y)
        benchmark = XORBenchmark(grid_size=grid, n_seeds=seeds, random_state=0)
        with _progress_of_stages() as advance:
            found = judge(fitted, X, benchmark=benchmark, advance=advance)
    except (ValueError, TypeError, RuntimeError) as error:  # a network raises RuntimeError for X of another shape
        raise typer.BadParameter(str(error)) from error
    Console().print(_judged(found, f"{len(X)} samples" + ("" if score is None else f", score {score:.3f}")))
    if unscored:
        typer.echo(f"no score: {unscored}")
    for warning, names in found.warnings.items():
        typer.echo(f"{', '.join(names)}: {warning}")
    for name, reason in found.reasons.items():
        typer.echo(f"not {name}: {reason}")


def _judged(found: Judgement, title: str) -> Table:
    caption = escape(found.caption())
    table = Table(title=title, caption=caption, caption_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column, name in enumerate(found.header):
        table.add_column(escape(name), justify="right" if column else "left", no_wrap=column == 0)
    for cells in found.rows():
        table.add_row(*map(escape, cells))
    return table


@experiments.command("run")
def run_experiment(
    file: Annotated[Path, typer.Argument(help="File of settings, for example experiments/e4_digits.toml.")],
    scale: Annotated[str, typer.Option(help="cpu: small networks on 2 cores. full: as published, for a GPU.")] = "cpu",
    out: Annotated[Path | None, typer.Option(file_okay=False, help="Folder for the results.")] = None,
    data: Annotated[Path | None, typer.Option(exists=True, file_okay=False, help="Folder of the data.")] = None,
    jobs: Annotated[int, typer.Option(help="Processes; -1 is one per core.")] = -1,
    device: Annotated[str, typer.Option(help="Where networks are trained.")] = "cpu",
    minutes: Annotated[float, typer.Option(min=0, help="Begin no fit later than that.")] = math.inf,
) -> None:
    """Run an experiment, or what is left of one that was stopped, and show its table.

    Every finished fit is written at once. By default results go to experiments/results/NAME-SCALE. The exit status is
    3 if the time is over before the last fit.
    """
    from skaba.datasets import DatasetError
    from skaba.experiment import OutOfTimeError, Place, read_settings, report, run

    try:
        settings = read_settings(file, scale)
        folder = out or Path("experiments") / "results" / f"{settings.name}-{scale}"
        with _progress_of_stages() as advance:
            run(settings, folder, Place(data, device, jobs, minutes), advance)
        table = report(folder)
    except OutOfTimeError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(3) from error
    except (ValueError, FileNotFoundError, DatasetError) as error:
        raise typer.BadParameter(str(error)) from error
    typer.echo(f"{settings.title}\n\n{table}\nWrote {folder}")


@experiments.command("report")
def report_experiment(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of a finished run.")],
) -> None:
    """Make the table and the figure of a finished run anew."""
    from skaba.experiment import report

    try:
        typer.echo(report(folder))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


@experiments.command("page")
def make_evidence_page(
    results: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of the runs.")] = Path(
        "experiments/results"
    ),
    discussion: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="What goes before the tables.")] = Path(
        "experiments/discussion.md"
    ),
    out: Annotated[Path, typer.Option(dir_okay=False, help="The page.")] = Path("docs/evidence.md"),
) -> None:
    """Make the page of evidence from all finished runs."""
    from skaba.experiment import make_page

    try:
        text = make_page(results, discussion.read_text(encoding="utf-8"), out)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    out.write_text(text, encoding="utf-8")
    typer.echo(f"Wrote {out}")


@contextmanager
def _progress_of_stages() -> Iterator[Callable[[str, int, int], None]]:
    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with _log_on(console), Progress(*columns, console=console, speed_estimate_period=3600) as progress:
        tasks: dict[tuple[str, int], TaskID] = {}

        def advance(stage: str, n_finished: int, n_fits: int) -> None:
            if (stage, n_fits) not in tasks:
                tasks[stage, n_fits] = progress.add_task(stage, total=n_fits)
            progress.update(tasks[stage, n_fits], completed=n_finished)

        yield advance


@contextmanager
def _log_on(console: Console) -> Iterator[None]:
    """Show what the library logs, such as what was done to the data."""
    logger = logging.getLogger("skaba")
    level = logger.level
    handler = RichHandler(console=console, show_time=False, show_level=False, show_path=False)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def _make_folder(out: Path) -> None:
    """Make sure now, not after minutes of work, that the results can be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".skaba-demo"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise typer.BadParameter(f"cannot write into {out}: {error.strerror}.", param_hint="--out") from error


def _compare_all(seeds: int, epochs: int, console: Console) -> list[Comparison]:
    from skaba.demo import compare, count_fits

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    # The estimate averages over all that was done: fits in parallel and timed fits alternate.
    with Progress(*columns, console=console, speed_estimate_period=3600) as progress:
        task = progress.add_task("starting", total=seeds * count_fits())

        def advance(text: str, n_fits: int) -> None:
            progress.update(task, advance=n_fits, description=text)

        return [compare(seed, epochs=epochs, progress=advance) for seed in range(seeds)]


def _as_table(report: Report) -> Table:
    from skaba.demo import CAPTION, HEADER

    table = Table(
        title="Digits: 100 training images, 500 test images",
        caption=CAPTION,
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    for column, name in enumerate(HEADER):
        table.add_column(name, justify="right" if column else "left")
    for cells in report.rows():
        table.add_row(*cells)
    return table
