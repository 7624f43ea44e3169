"""The engine: it runs the fits of an experiment, and writes down every finished one at once."""

from __future__ import annotations

import itertools
import logging
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import Parallel, delayed

from skaba._own_code import on_path
from skaba._validation import unknown_name
from skaba.experiment._arms import PLAIN
from skaba.experiment._data import Data
from skaba.experiment._experiment import Experiment
from skaba.experiment._fit import Fit
from skaba.experiment._fits import make_net, run_fit
from skaba.experiment._folder import claimed, write
from skaba.experiment._journal import Journal
from skaba.experiment._results import Results

logger = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]


class OutOfTimeError(RuntimeError):
    """The time limit of a run was reached before its last fit. Finished fits are kept."""


@dataclass(frozen=True)
class Resources:
    """What a run may use. On the CPU no result depends on it.

    Parameters
    ----------
    data : Path, default=None
        Folder of the data; by default the data home.
    device : str, default="cpu"
    n_jobs : int, default=-1
        Number of processes, as joblib counts them; each computes in one thread.
    minutes : float, default=inf
        Time limit: no fit is begun later than that.
    """

    data: Path | None = None
    device: str = "cpu"
    n_jobs: int = -1
    minutes: float = math.inf


class Run:
    """The fits of an experiment in its folder: some are finished, and some are left.

    Parameters
    ----------
    experiment : Experiment
    out : Path
        Its folder, with ``fits.jsonl``.
    resources : Resources
    progress : callable
        Called as ``progress(stage, n_finished, n_fits)``.
    """

    def __init__(self, experiment: Experiment, out: Path, resources: Resources, progress: Progress) -> None:
        self.experiment = experiment
        # Absolute, because a process that joblib started earlier may be in another folder.
        self.resources = replace(resources, data=resources.data and resources.data.resolve())
        self.end = time.monotonic() + 60 * resources.minutes  # no change of the system's clock moves it
        self.progress = progress
        self.journal = Journal(out / "fits.jsonl")
        if self.journal.results:
            logger.info(f"{out} holds {len(self.journal.results)} finished fits, which are not run again.")

    def all(self, fits: Sequence[Fit]) -> list[dict[str, Any]]:
        """Return the results of fits, and run those that are not finished yet."""
        left = [fit for fit in fits if fit not in self.journal.results]
        done = len(fits) - len(left)
        for fit, result in self._run(left):
            self.journal.add(fit, result)
            done += 1
            self.progress(fits[0].stage, done, len(fits))
        if done < len(fits):
            raise OutOfTimeError(
                f"Time is over: {done} of the {len(fits)} fits of this stage ({fits[0].stage}) are finished. Run the "
                "same command again to go on."
            )
        return [self.journal.results[fit] for fit in fits]

    def results(self) -> Results:
        """Run the whole experiment, and return what it reports."""
        fits, chosen = self.experiment.reported(self.all)
        kept = {name: [{**asdict(fit), **self.journal.results[fit]} for fit in one] for name, one in fits.items()}
        tuned = {name: float(np.median([fit.value for fit in one])) for name, one in fits.items()}
        rate = next(iter(fits.values()))[0].learning_rate
        return Results(learning_rate=rate, tuned=tuned, fits=kept, chosen=dict(chosen))

    def _run(self, fits: Sequence[Fit]) -> Iterator[tuple[Fit, dict[str, Any]]]:
        here = Path.cwd()  # a process may have been started for an earlier run, in another folder
        # A fit is taken from this iterator only when a process is free (pre_dispatch), so the time limit holds.
        in_time = itertools.takewhile(lambda fit: time.monotonic() < self.end, fits)
        work = (delayed(_one)(self.experiment, fit, self.resources, here) for fit in in_time)
        # Unordered, so that each result is written when its fit is finished, not when all fits before it are.
        yield from Parallel(n_jobs=self.resources.n_jobs, return_as="generator_unordered", pre_dispatch="n_jobs")(work)


def run(
    experiment: Experiment,
    out: str | os.PathLike[str],
    resources: Resources = Resources(),  # frozen, so all calls may share it
    progress: Progress = lambda stage, n_finished, n_fits: None,
) -> Results:
    """Run an experiment, or what is left of it, and return its results.

    Every finished fit is on the disk before the next is waited for. A run that was killed goes on where it stopped,
    and ends with the same results.

    Parameters
    ----------
    experiment : Experiment
    out : path-like
        Folder of the results, made if it does not exist: ``settings.json``, ``fits.jsonl``, at the end
        ``results.json``.
    resources : Resources
    progress : callable, optional
        Called as ``progress(stage, n_finished, n_fits)``.

    Returns
    -------
    Results
        See :class:`Results`.

    Raises
    ------
    ValueError
        If a setting is not allowed, the network cannot read the data, or the folder holds another experiment. The
        folder is not touched before all else is checked.
    OutOfTimeError
        If the time limit is reached before the last fit.
    """
    experiment, note = _prepared(experiment, resources)
    if note:
        logger.info(note)
    out = Path(out)
    with claimed(out, experiment, resources.device, note):
        results = Run(experiment, out, resources, progress).results()
        write(out / "results.json", results)
    return results


def _prepared(experiment: Experiment, resources: Resources) -> tuple[Experiment, str]:
    """Check what needs the data, and return the experiment for these data with a note about them."""
    arms = [arm.name for arm in experiment.arms()]
    unknown = [name for name in experiment.published if name not in arms]
    if unknown:
        raise ValueError(unknown_name("method or adjustment of [published]", unknown[0], arms))
    (plain,) = experiment.test_fits(experiment.arm(PLAIN), experiment.learning_rates[0], [0.0])
    data = experiment.load(plain, resources.data)
    experiment = experiment.for_data(data)
    experiment.arms()  # with the settings that follow from the data
    _check_network(experiment, plain, data, resources.device)
    return experiment, data.note


def _check_network(experiment: Experiment, plain: Fit, data: Data, device: str) -> None:
    """Let a network read two samples, so that errors show before the folder is touched."""
    X, _ = data.train(0)
    net = make_net(experiment, data, plain, device)
    where = f"module={experiment.module} on {device}"
    try:
        net.initialize()
    except (TypeError, RuntimeError, AssertionError) as error:  # torch asserts that it was compiled for the device
        raise ValueError(f"The network cannot be made with {where}: {error}") from error
    try:
        shape = tuple(net.forward(X[:2]).shape)
    except (TypeError, RuntimeError, IndexError) as error:
        raise ValueError(f"The network of {where} cannot read samples of shape {X.shape[1:]}: {error}") from error
    if shape != (2, len(data.bunch.target_names)):
        raise ValueError(
            f"The network of {where} returns shape {shape} for 2 samples; it must return one logit per class, "
            f"(2, {len(data.bunch.target_names)})."
        )


def _one(experiment: Experiment, fit: Fit, resources: Resources, here: Path) -> tuple[Fit, dict[str, Any]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more threads would change the last digits, and slow the other processes down
    try:
        with on_path(here):  # the user's own networks and augmenters are imported from there
            return fit, run_fit(experiment, fit, resources.data, resources.device)
    finally:
        torch.set_num_threads(threads)
