"""Running an experiment: tune, train, and write down every finished fit at once."""

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
from skaba.augmenters import GaussianNoise
from skaba.experiment._arms import LONGER, PLAIN, WITH_CLASSES, Arm, arm_of, arms_of
from skaba.experiment._data import Data, load_data
from skaba.experiment._fits import Fit, make_net, run_fit
from skaba.experiment._folder import claimed, write
from skaba.experiment._journal import Journal
from skaba.experiment._results import Results
from skaba.experiment._settings import Settings

logger = logging.getLogger(__name__)
Progress = Callable[[str, int, int], None]
BASE_SEED = 1000
"""Tuning seeds start here, so that no reported fit has been looked at before."""


class OutOfTimeError(RuntimeError):
    """A run's time was over before its last fit; what is finished is kept."""


@dataclass(frozen=True)
class Place:
    """Where and how long an experiment runs; nothing of it changes a result on the CPU.

    Parameters
    ----------
    data : Path, default=None
        Folder of the data; by default the data home.
    device : str, default="cpu"
    n_jobs : int, default=-1
        Processes, as joblib counts them; each computes in one thread.
    minutes : float, default=inf
        No fit is begun later than that.
    """

    data: Path | None = None
    device: str = "cpu"
    n_jobs: int = -1
    minutes: float = math.inf


class Run:
    """An experiment in its folder: what is finished, and what is left.

    Parameters
    ----------
    settings : Settings
    out : Path
        Its folder: ``settings.json``, ``fits.jsonl``.
    place : Place
    progress : callable
        Is called as ``progress(stage, n_finished, n_fits)``.
    """

    def __init__(self, settings: Settings, out: Path, place: Place, progress: Progress) -> None:
        self.settings = settings
        self.arms = {arm.name: arm for arm in arms_of(settings)}
        self.out = out
        self.place = replace(place, data=place.data and place.data.resolve())
        self.end = time.monotonic() + 60 * place.minutes
        self.progress = progress
        self.journal = Journal(out / "fits.jsonl")

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

    def _run(self, fits: Sequence[Fit]) -> Iterator[tuple[Fit, dict[str, Any]]]:
        here = Path.cwd()  # a process may have been started for an earlier run, in another folder
        in_time = itertools.takewhile(lambda fit: time.monotonic() < self.end, fits)
        work = (delayed(_one)(self.settings, fit, self.place, here) for fit in in_time)
        yield from Parallel(n_jobs=self.place.n_jobs, return_as="generator_unordered", pre_dispatch="n_jobs")(work)

    def learning_rate(self) -> float:
        """Tune the learning rate on plain training."""
        rates = self.settings.learning_rates
        if len(rates) == 1:
            return rates[0]
        return self._best([(rate, self._tuning("learning rate", PLAIN, rate, 0.0)) for rate in rates])

    def strengths(self, rate: float) -> dict[str, float]:
        """Tune each method's strength on the validation set."""
        tuned = {name: arm for name, arm in self.arms.items() if arm.augmenter is not None and not arm.like}
        candidates = {
            name: [(s, self._tuning("strength", name, rate, s)) for s in self._candidates(name)] for name in tuned
        }
        self.all([fit for pairs in candidates.values() for _, fits in pairs for fit in fits])
        return {name: self._best(pairs) for name, pairs in candidates.items()}

    def _candidates(self, name: str) -> list[float]:
        # The adjustment that moves nothing has no strength.
        return self.settings.strengths if name != "0" else self.settings.strengths[:1]

    def _tuning(self, stage: str, arm: str, rate: float, strength: float) -> list[Fit]:
        seeds = range(BASE_SEED, BASE_SEED + self.settings.tuning_seeds)
        return [Fit(stage, arm, rate, strength, self.settings.epochs, seed) for seed in seeds]

    def _best(self, candidates: Sequence[tuple[float, list[Fit]]]) -> float:
        """Return the value with the highest mean validation score, the smaller of equals."""
        results = self.all([fit for _, fits in candidates for fit in fits])
        scores = np.array([result["valid"] for result in results]).reshape(len(candidates), -1).mean(axis=1)
        return candidates[int(scores.argmax())][0]

    def final(self, rate: float, strengths: dict[str, float]) -> dict[str, list[Fit]]:
        """Train every arm on all seeds: methods, then the noise that takes their norm."""
        fits = {name: self._final(arm, rate, strengths) for name, arm in self.arms.items() if not _is_noise(arm)}
        self.all([fit for own in fits.values() for fit in own])
        for name, arm in self.arms.items():
            if _is_noise(arm):
                norms = [self.journal.results[fit]["norm"] for fit in fits[arm.like]]
                fits[name] = [self._test(name, rate, norm, seed) for seed, norm in enumerate(norms)]
        self.all([fit for own in fits.values() for fit in own])
        return fits

    def _final(self, arm: Arm, rate: float, strengths: dict[str, float]) -> list[Fit]:
        strength = strengths.get(arm.like or arm.name, 0.0)
        return [self._test(arm.name, rate, strength, seed) for seed in range(self.settings.seeds)]

    def _test(self, arm: str, rate: float, strength: float, seed: int) -> Fit:
        epochs = self.settings.epochs * (self.settings.equal_time if arm == LONGER else 1)
        return Fit("test", arm, rate, strength, round(epochs), seed)


def run(
    settings: Settings,
    out: str | os.PathLike[str],
    place: Place = Place(),
    progress: Progress = lambda stage, n_finished, n_fits: None,
) -> Results:
    """Run an experiment, or what is left of it, and return its results.

    Every finished fit is on the disk before the next is waited for; a run that was killed goes on where it stopped
    and ends with the same results.

    Parameters
    ----------
    settings : Settings
    out : path-like
        Folder of the results; made if need be: ``settings.json``, ``fits.jsonl``, at the end ``results.json``.
    place : Place
    progress : callable, optional
        Is called as ``progress(stage, n_finished, n_fits)``.

    Returns
    -------
    Results
        ``learning_rate``; ``strengths`` by arm; ``fits``: by arm the reported fits, in the order of their seeds.
        Experiments of kind adjustments and groups report validation scores at the tuned strength, as the source does;
        the others test scores.

    Raises
    ------
    ValueError
        If a setting is not allowed, the network cannot read the data, or the folder holds another experiment. The
        folder is not touched before all else is checked.
    OutOfTimeError
        If the time is over before the last fit.
    """
    settings, data = _prepared(settings, place)
    if data.note:
        logger.info(data.note)
    out = Path(out)
    with claimed(out, settings, place.device, data.note):
        results = _results(Run(settings, out, place, progress))
        write(out / "results.json", results)
    return results


def _results(own: Run) -> Results:
    settings = own.settings
    rate = own.learning_rate()
    strengths = own.strengths(rate)
    if settings.kind in ("adjustments", "groups"):
        fits = {name: own._tuning("strength", name, rate, strength) for name, strength in strengths.items()}
    else:
        fits = own.final(rate, strengths)
    reported = {name: [{**asdict(fit), **own.journal.results[fit]} for fit in one] for name, one in fits.items()}
    used = {name: float(np.median([fit.strength for fit in one])) for name, one in fits.items()}
    return Results(learning_rate=rate, strengths=used, fits=reported)


def _prepared(settings: Settings, place: Place) -> tuple[Settings, Data]:
    """Load the data, and let a network read two samples: what is wrong shows before the folder is touched."""
    arms = arms_of(settings)
    unknown = [name for name in settings.published if name not in {arm.name for arm in arms}]
    if unknown:
        raise ValueError(unknown_name("method or adjustment of [published]", unknown[0], [arm.name for arm in arms]))
    data = load_data(settings.data, place.data)
    settings = replace(settings, k=_n_candidates(settings, data))
    arms_of(settings)
    X, _ = data.train(0)
    plain = Fit("test", PLAIN, settings.learning_rates[0], 0.0, 1, 0)
    net = make_net(settings, data, Arm(PLAIN, None), plain)
    where = f"module={settings.module} on {place.device}"
    try:
        net.set_params(device=place.device).initialize()
    except (TypeError, RuntimeError, AssertionError) as error:
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
    return settings, data


def _n_candidates(settings: Settings, data: Data) -> int:
    """Return the k of the settings, or its default for these data."""
    if data.bunch.y_train.ndim == 2 and settings.target == "class" and WITH_CLASSES & set(settings.methods):
        raise ValueError('The data have several labels per sample, so there is no class to explain: target = "loss".')
    n_classes = len(data.bunch.target_names)
    if settings.k is not None and settings.k > n_classes:
        raise ValueError(f"k = {settings.k}, but there are only {n_classes} classes. Leave k out, or lower it.")
    return settings.k or min(4, n_classes)


def _one(settings: Settings, fit: Fit, place: Place, here: Path) -> tuple[Fit, dict[str, Any]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with on_path(here):
            # The arm is made here: a new process cannot unpickle an augmenter of a module that it has not found yet.
            arm = arm_of(settings, fit.arm)
            return fit, run_fit(settings, arm, fit, place.data, place.device)
    finally:
        torch.set_num_threads(threads)


def _is_noise(arm: Arm) -> bool:
    return isinstance(arm.augmenter, GaussianNoise)
