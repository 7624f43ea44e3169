"""What all experiments have in common: settings, fits that are made in stages, and a report."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Self, get_type_hints

import numpy as np

from skaba.experiment._arms import PLAIN, Arm
from skaba.experiment._checks import check_value
from skaba.experiment._data import Data, check_data, load_data
from skaba.experiment._fit import TEST, Fit
from skaba.experiment._results import Results

FitAll = Callable[[Sequence[Fit]], list[dict[str, Any]]]
"""What the engine gives to an experiment: it runs those fits that are not finished, and returns the results of all."""


class Reported(NamedTuple):
    """The fits that an experiment reports.

    Parameters
    ----------
    fits : dict of str to list of Fit
        By arm, in the order of their seeds.
    chosen : dict of str to str, default={}
        The arms with the best validation scores, by what was chosen.
    """

    fits: dict[str, list[Fit]]
    chosen: Mapping[str, str] = {}


class Choice(NamedTuple):
    """The best value of an arm.

    Parameters
    ----------
    value : float
    valid : float
        The mean validation score of its fits.
    """

    value: float
    valid: float


@dataclass(frozen=True, kw_only=True)
class Experiment(ABC):
    """An experiment at one scale.

    Each kind of experiment is a subclass, which declares further settings as fields. All of them are checked when an
    experiment is made.

    Parameters
    ----------
    name : str
        The file's name without its ending.
    scale : {"quick", "cpu", "full"}
    title : str
    data : dict
        ``name`` of the data, ``per_class`` training samples that each seed draws, and further settings of these data:
        see :func:`load_data`.
    module : dict
        ``name`` of a network in ``skaba.modules``, or ``"module:function"`` for one of your own, and its parameters.
        Your function is called with these and ``n_classes``, and returns an ``nn.Module``.
    epochs, batch_size : int
    learning_rates : list of float
        Candidates for plain training; all methods take the one that is best there.
    strengths : list of float
        Candidates for each method, and for each control.
    seeds : int
        Number of reported fits per arm.
    n_scored : int, default=None
        Number of training, of validation and of test samples that networks are scored on; None takes all.
    optimizer : dict
        Further settings of Adam, for example ``weight_decay``.
    published : dict
        Published figures, by arm.

    Raises
    ------
    ValueError
        If a setting is not allowed.
    """

    name: str
    scale: str
    title: str
    data: dict[str, Any]
    module: dict[str, Any]
    epochs: int
    batch_size: int
    learning_rates: list[float]
    strengths: list[float]
    seeds: int
    n_scored: int | None = None
    optimizer: dict[str, Any] = field(default_factory=dict)
    published: dict[str, Any] = field(default_factory=dict)

    kind: ClassVar[str]
    """The name of the kind in a file of settings."""
    shuffle: ClassVar[bool] = True
    """Whether the training samples are shuffled in each epoch."""
    extendable: ClassVar[set[str]] = {"title", "epochs", "learning_rates", "strengths", "seeds", "published"}
    """Settings on which no finished fit depends, so that a run with other values may go on in the same folder."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))  # field.type would be a string, since annotations are not evaluated
        for one in fields(self):
            check_value(one.name, getattr(self, one.name), hints[one.name])
        broken = next((rule for rule, holds in self.rules().items() if not holds), None)
        if broken:
            raise ValueError(f"{broken}.")
        check_data(self.data)

    def rules(self) -> dict[str, bool]:
        """Return what must hold besides the types of the settings, and whether it does."""
        return {
            "[data] needs a name": "name" in self.data,
            "[module] needs a name": isinstance(self.module.get("name"), str),
            "strengths must ascend": self.strengths == sorted(self.strengths),
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the kind and all settings, as they are recorded beside the results."""
        return {"kind": self.kind, **asdict(self)}

    def differing(self, recorded: Mapping[str, Any]) -> list[str]:
        """Return the names of settings on which finished fits depend, and which were recorded with other values."""
        own = json.loads(json.dumps(self.as_dict()))  # as JSON gives back what was recorded
        return [name for name, value in own.items() if name not in self.extendable and recorded.get(name) != value]

    def for_data(self, data: Data) -> Self:
        """Return the experiment with the settings that follow from the data."""
        return self

    def load(self, fit: Fit, folder: Path | None = None) -> Data:
        """Return the data of a fit."""
        return load_data(self.data, folder).with_first(self.n_scored)

    def arm(self, name: str) -> Arm:
        """Return an arm by its name. Plain training, on which the learning rate is tuned, is always one."""
        return {PLAIN: Arm(PLAIN), **{arm.name: arm for arm in self.arms()}}[name]

    @abstractmethod
    def arms(self) -> list[Arm]:
        """Return what is compared.

        Raises
        ------
        ValueError
            If a method does not exist, or cannot be used as the settings say.
        """

    @abstractmethod
    def reported(self, fit_all: FitAll) -> Reported:
        """Make all fits, and return those that are reported."""

    def test_fits(self, arm: Arm, rate: float, values: Sequence[float]) -> list[Fit]:
        """Return an arm's fits of the stage "test"; there is one value per seed."""
        return [
            Fit(TEST, arm.name, rate, value, arm.epochs(self.epochs, value), seed) for seed, value in enumerate(values)
        ]

    def measure(self, net: Any, data: Data, fit: Fit) -> dict[str, Any]:
        """Return what is measured on a network of the stage "test"; its validation score is measured anyway."""
        return {}

    @abstractmethod
    def table(self, results: Results, folder: Path) -> str:
        """Return the results as Markdown; ``folder`` is where they are kept."""

    @abstractmethod
    def figures(self, results: Results, folder: Path) -> dict[str, Any]:
        """Return matplotlib figures by the names of their files."""


def best(fit_all: FitAll, candidates: Mapping[float, Sequence[Fit]]) -> Choice:
    """Return the value whose fits have the highest mean validation score, the first of equals.

    Parameters
    ----------
    fit_all : callable
    candidates : mapping of float to sequence of Fit

    Returns
    -------
    Choice
    """
    results = fit_all(flat(candidates.values()))
    # Every candidate has the same number of fits: one per tuning seed, or per fold.
    scores = np.array([result["valid"] for result in results]).reshape(len(candidates), -1).mean(axis=1)
    first = int(scores.argmax())  # argmax takes the first of equals
    return Choice(list(candidates)[first], float(scores[first]))


def flat(groups: Iterable[Sequence[Fit]]) -> list[Fit]:
    """Return the fits of all groups in one list."""
    return [fit for fits in groups for fit in fits]
