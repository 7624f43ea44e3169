"""The ``skaba`` command.

Each verb is a function that parses its arguments and calls the library. It imports what it needs when it is called, so
that help comes at once.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import skaba

if TYPE_CHECKING:
    from skaba.experiment import Experiment, Resources

app = typer.Typer(help="Train networks on little data, augmented where they look.", no_args_is_help=True)
experiments = typer.Typer(help="Rerun the papers' experiments.", no_args_is_help=True)
app.add_typer(experiments, name="experiment")

Out = Annotated[Path, typer.Option(file_okay=False, help="Folder for the results.")]
Jobs = Annotated[int, typer.Option(help="Processes; -1 is one per core.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"skaba {skaba.__version__}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        # Eager, so that it is answered before other options are checked:
        # https://typer.tiangolo.com/tutorial/options/version/
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Train networks on little data, augmented where they look."""


@app.command()
def demo(
    seeds: Annotated[int, typer.Option(min=2, help="Number of seeds, each with its own training samples.")] = 10,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of every training; by default to the end.")] = None,
    out: Out = Path("skaba-demo"),
    jobs: Jobs = -1,
) -> None:
    """Compare augmentation with plain training and free rivals, on 100 digits and on 150 synthetic messages.

    Fits that are finished in the same folder are not run again.
    """
    from skaba.experiment import Resources, read_experiment

    for name in ("digits", "messages"):
        experiment = read_experiment(f"demo_{name}")
        experiment = replace(experiment, seeds=seeds, epochs=epochs or experiment.epochs)
        _run(experiment, out / name, Resources(n_jobs=jobs))


@app.command()
def methods(
    wide: Annotated[bool, typer.Option("--wide", help="Also the cost and the properties of each.")] = False,
) -> None:
    """List the attribution methods, each with a line of description."""
    from skaba.attribution import DESCRIPTIONS, METHODS, ThroughCaptum

    header = ["method", "description"]
    rows = [[name + "*" * issubclass(method, ThroughCaptum), DESCRIPTIONS[name]] for name, method in METHODS.items()]
    if wide:
        header += ["forward", "backward", "signed", "baseline", "needs", "sums to"]
        for row, about in zip(rows, (method.about for method in METHODS.values()), strict=True):
            signed, baseline = ("yes" if answer else "no" for answer in (about.signed, about.baseline))
            row += [about.forward, about.backward, signed, baseline, about.needs, about.complete]
    typer.echo(_aligned(header, rows))
    typer.echo("\n* needs captum: pip install 'skaba[attribution]'")
    if wide:
        typer.echo("Passes forward and backward are counted per sample.")


@app.command("judge")  # the function cannot be called judge, which is the name of what it imports
def judge_methods(
    estimator: Annotated[str, typer.Argument(help="MODULE:FUNCTION that makes it, or with --trust a pickled file.")],
    data: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=".npz file with X, and y if you like.")],
    weights: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Weights of its network, as save_params writes them."),
    ] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Unpickle ESTIMATOR, which runs whatever is in it.")] = False,
    samples: Annotated[int, typer.Option(min=2, help="Number of samples drawn from the file.")] = 100,
    seeds: Annotated[int, typer.Option(min=1, help="Number of networks that learn XOR.")] = 3,
    grid: Annotated[int, typer.Option(min=5, help="Points along each side of XOR's square.")] = 15,
) -> None:
    """Measure all attribution methods that a fitted estimator can use.

    Their fidelity on your samples, and how well they agree with the ground truth of XOR. Take samples that the
    estimator was not fitted on. Nothing is unpickled without --trust.
    """
    from skaba.evaluation.ground_truth import XORBenchmark
    from skaba.judge import judge, load_estimator, load_samples, score_or_reason

    # A network raises RuntimeError for X of another shape.
    with _errors_in_a_line(ValueError, TypeError, RuntimeError):
        fitted = load_estimator(estimator, weights=weights, trust=trust)
        X, y = load_samples(data, samples)
        score, unscored = (None, "") if y is None else score_or_reason(fitted, X, y)
        with _progress() as advance:
            benchmark = XORBenchmark(grid_size=grid, n_seeds=seeds, random_state=0)
            found = judge(fitted, X, benchmark=benchmark, advance=advance)
    typer.echo(f"{len(X)} samples" + ("" if score is None else f", score {score:.3f}") + "\n")
    typer.echo(f"{_aligned(found.header, found.rows())}\n\n{found.caption()}")
    if unscored:
        typer.echo(f"no score: {unscored}")
    for warning, names in found.warnings.items():
        typer.echo(f"{', '.join(names)}: {warning}")
    for name, reason in found.reasons.items():
        typer.echo(f"not {name}: {reason}")


@app.command("worth")
def worth_of_augmentation(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help=".npz file with X and y.")],
    module: Annotated[str | None, typer.Option(help="Your network, as my_nets:Net.")] = None,
    layer: Annotated[str | None, typer.Option(help="Its embedding, if X holds word ids.")] = None,
    minutes: Annotated[float, typer.Option(help="Time limit.")] = 5.0,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of every training.")] = 100,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = 1e-3,
    batch_size: Annotated[int, typer.Option(min=1, help="Samples of a training step.")] = 32,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first repetition.")] = 0,
    out: Annotated[Path | None, typer.Option(file_okay=False, help="Folder for the table and the picture.")] = None,
    jobs: Jobs = 1,
) -> None:
    """Say whether attribution-based augmentation is worth it for your data and network.

    It is compared with plain training, with regularisers that cost nothing, and with models other than networks.
    Without --module, a network of skaba is taken that suits the samples.
    """
    from skaba.experiment import Network, worth_of_file, write_worth

    with _errors_in_a_line(ValueError, TypeError):
        network = Network(module, layer, epochs, lr, batch_size)
        found = worth_of_file(file, network, minutes=minutes, random_state=seed, n_jobs=jobs, progress=True)
    typer.echo(found.table())
    if out is not None:
        write_worth(found, out)
        typer.echo(f"\nThe table and the picture are in {out.resolve()}")


@experiments.command("list")
def list_names() -> None:
    """List the experiments that come with the package."""
    from skaba.experiment import list_experiments

    typer.echo(_aligned(["experiment", "title"], [list(row) for row in list_experiments().items()]))


@experiments.command("run")
def run_experiment(
    name: Annotated[str, typer.Argument(help="Name, such as e4_digits, or path of your own file of settings.")],
    scale: Annotated[str, typer.Option(help="quick: a trial run. cpu: hours on 2 cores. full: for a GPU.")] = "cpu",
    out: Annotated[Path | None, typer.Option(file_okay=False, help="Folder for the results.")] = None,
    data: Annotated[Path | None, typer.Option(exists=True, file_okay=False, help="Folder of the data.")] = None,
    jobs: Jobs = -1,
    device: Annotated[str, typer.Option(help="Where networks are trained.")] = "cpu",
    minutes: Annotated[float, typer.Option(min=0, help="Time limit: no fit is begun later than that.")] = math.inf,
) -> None:
    """Run an experiment, or what is left of one that was stopped, and show its table.

    Every finished fit is written at once. By default results go to experiments/results/NAME-SCALE. The exit status is
    3 if the time limit is reached before the last fit.
    """
    from skaba.experiment import Resources, read_experiment

    with _errors_in_a_line(ValueError, FileNotFoundError):
        experiment = read_experiment(name, scale)
    folder = out or Path("experiments") / "results" / f"{experiment.name}-{scale}"
    _run(experiment, folder, Resources(data, device, jobs, minutes))


@experiments.command("report")
def report_experiment(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of a finished run.")],
) -> None:
    """Make the table and the figures of a finished run again."""
    from skaba.experiment import report

    with _errors_in_a_line(ValueError):
        typer.echo(report(folder))


def _run(experiment: Experiment, folder: Path, resources: Resources) -> None:
    from skaba.datasets import DatasetError
    from skaba.experiment import OutOfTimeError, report, run

    with _errors_in_a_line(ValueError, DatasetError):
        try:
            with _progress() as advance:
                run(experiment, folder, resources, advance)
        except OutOfTimeError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(3) from error  # as the help of "experiment run" says
        typer.echo(f"{experiment.title}\n\n{report(folder)}\nResults are in {folder.resolve()}")


@contextmanager
def _errors_in_a_line(*kinds: type[Exception]) -> Iterator[None]:
    """Show errors of these kinds without a traceback."""
    # Errors of other kinds are bugs; they keep their traceback.
    try:
        yield
    except kinds as error:
        raise typer.BadParameter(str(error)) from error


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar per stage, and the messages that the library logs."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    logger = logging.getLogger("skaba")
    level = logger.level
    bars: dict[tuple[str, int], Any] = {}

    def advance(stage: str, n_finished: int, n_fits: int) -> None:
        if (stage, n_fits) not in bars:
            bars[stage, n_fits] = tqdm(total=n_fits, desc=stage)
        bars[stage, n_fits].update(n_finished - bars[stage, n_fits].n)
        if n_finished == n_fits:  # so that the next bar takes the next line
            bars[stage, n_fits].close()

    # Only for this command: a program that uses the library sets its own level.
    logger.setLevel(logging.INFO)
    try:
        with logging_redirect_tqdm([logger]):  # messages would otherwise break the line of a bar
            yield advance
    finally:
        logger.setLevel(level)
        for bar in bars.values():
            bar.close()


def _aligned(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of text in columns."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)
