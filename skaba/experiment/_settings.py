"""What an experiment is: a file of settings."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from skaba._validation import unknown_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KINDS = ("strength", "adjustments", "groups", "benchmark")
SCALES = ("cpu", "full")


@dataclass(frozen=True)
class Settings:
    """An experiment at one scale.

    Parameters
    ----------
    name : str
        The file's name without its ending.
    scale : {"cpu", "full"}
    title : str
    kind : {"strength", "adjustments", "groups", "benchmark"}
        E1: accuracy of frozen networks against the strength of an adjustment at test time. E2: each of the 27
        adjustments alone. E3: sets of them. E4: methods, with controls.
    data : dict
        ``name`` of the data, ``per_class`` training samples that each seed draws, and the data's own settings.
    module : dict
        ``name`` of a network in ``skaba.modules``, and its parameters.
    epochs, batch_size : int
    learning_rates : list of float
        Tuned on plain training, then the same for all methods.
    methods : list of str
        Of a strength or benchmark experiment, see :func:`arms_of`.
    strengths : list of float
        Each method's is tuned on the validation set.
    seeds, tuning_seeds : int
        Of the reported fits, and of each candidate while tuning.
    k : int, default=4
        Classes that the targets of Challenger, MendABA and FastABA are drawn from.
    target : {"class", "loss"}, default="class"
        ``"loss"`` explains the loss in these methods too: for multi-label data.
    controls_of : list of str, default=()
        Methods that are compared with the same change on a random map, and with noise of the same norm.
    equal_time : float, default=1.67
        Epochs of the longer plain training, in units of ``epochs``: what the dearest method costs.
    attack : float, default=0
        Radius of FGSM and PGD at which the fitted networks are scored; 0 leaves them out.
    n_attacked : int, default=300
        Test samples that are attacked.
    test_strengths : list of float, default=()
        Of a strength experiment.
    optimizer : dict
        Further settings of Adam, for example ``weight_decay``.
    averages_from : str, default=""
        Of a groups experiment: the adjustments experiment with the single ones.
    published : dict
        Published figures, by method, adjustment or set.
    """

    name: str
    scale: str
    title: str
    kind: str
    data: dict[str, Any]
    module: dict[str, Any]
    epochs: int
    batch_size: int
    learning_rates: list[float]
    strengths: list[float]
    seeds: int
    tuning_seeds: int
    methods: list[str] = field(default_factory=list)
    k: int = 4
    target: str = "class"
    controls_of: list[str] = field(default_factory=list)
    equal_time: float = 1.67
    attack: float = 0.0
    n_attacked: int = 300
    test_strengths: list[float] = field(default_factory=list)
    optimizer: dict[str, Any] = field(default_factory=dict)
    averages_from: str = ""
    published: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return all settings, as they are recorded beside the results."""
        return asdict(self)


def read_settings(file: str | os.PathLike[str], scale: str = "cpu") -> Settings:
    """Read a file of settings.

    Parameters
    ----------
    file : path-like
        TOML. What stands in the table of a scale, ``[cpu]`` or ``[full]``, goes before what stands outside.
    scale : {"cpu", "full"}, default="cpu"

    Returns
    -------
    Settings

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not TOML, or a setting is missing, unknown, or of the wrong kind.

    Examples
    --------
    >>> from skaba.experiment import read_settings
    >>> settings = read_settings("experiments/e4_digits.toml", "cpu")
    >>> settings.kind, settings.data["name"]
    ('benchmark', 'digits')
    """
    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of settings {path}.")
    if scale not in SCALES:
        raise ValueError(unknown_name("scale", scale, SCALES))
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}.") from error
    scales = {name: found.pop(name, {}) for name in SCALES}
    merged = {"name": path.stem, "scale": scale, **_merged(found, scales[scale])}
    return _checked(path, merged)


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {name: _merged(below[name], above[name]) for name in below if isinstance(above.get(name), dict)}
    return {**below, **above, **both}


def _checked(path: Path, values: dict[str, Any]) -> Settings:
    known = {field.name: field for field in fields(Settings)}
    for name in values:
        if name not in known:
            raise ValueError(f"{path}: {unknown_name('setting', name, known)}")
    missing = [
        name for name, field in known.items() if name not in values and field.default is field.default_factory
    ]  # both say MISSING
    if missing:
        raise ValueError(f"{path}: at scale {values['scale']} these settings are missing: {', '.join(missing)}.")
    settings = Settings(**values)
    if settings.kind not in KINDS:
        raise ValueError(f"{path}: {unknown_name('kind', settings.kind, KINDS)}")
    for name in ("epochs", "batch_size", "seeds", "tuning_seeds"):
        value = getattr(settings, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{path}: {name} must be a whole number of at least 1, got {value!r}.")
    for name in ("learning_rates", "strengths"):
        value = getattr(settings, name)
        if not isinstance(value, list) or not value or not all(isinstance(v, int | float) and v > 0 for v in value):
            raise ValueError(f"{path}: {name} must be a list of positive numbers, got {value!r}.")
    for name in ("data", "module"):
        if not isinstance(getattr(settings, name), dict) or "name" not in getattr(settings, name):
            raise ValueError(f"{path}: [{name}] needs a name.")
    wrong = next((rule for rule, holds in _rules(settings).items() if not holds), None)
    if wrong:
        raise ValueError(f"{path}: {wrong}.")
    return settings


def _rules(settings: Settings) -> dict[str, bool]:
    """Return what must hold besides, and whether it does."""
    reports_tests = settings.kind in ("strength", "benchmark")
    numbers = [settings.attack, settings.equal_time, *settings.test_strengths]
    return {
        "attack, equal_time and test_strengths are numbers of at least 0": all(
            isinstance(number, int | float) and number >= 0 for number in numbers
        ),
        "equal_time is more than 0": settings.equal_time > 0,
        'target is "class" or "loss"': settings.target in ("class", "loss"),
        "n_attacked is at least 1": settings.n_attacked >= 1,
        "strengths ascend": settings.strengths == sorted(settings.strengths),
        'methods begin with "plain"': not reports_tests or settings.methods[:1] == ["plain"],
        "differences need at least 2 seeds": settings.kind != "benchmark" or settings.seeds >= 2,
        "a strength experiment needs test_strengths": settings.kind != "strength" or bool(settings.test_strengths),
        "a groups experiment needs averages_from": settings.kind != "groups" or bool(settings.averages_from),
    }
