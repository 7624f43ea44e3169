"""What an experiment is: a file of settings."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from skaba._validation import unknown_name
from skaba.experiment._data import check_data

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
        ``name`` of a network in ``skaba.modules``, or ``"module:function"`` for one of your own, and its parameters.
        Your function is called with these and ``n_classes``, and returns an ``nn.Module``.
    epochs, batch_size : int
    learning_rates : list of float
        Tuned on plain training, then the same for all methods.
    methods : list of str
        Of a strength or benchmark experiment, see :func:`arms_of`. ``"module:function"`` names a function of your own
        that is called without arguments and returns an augmenter.
    strengths : list of float
        Each method's is tuned on the validation set.
    seeds, tuning_seeds : int
        Of the reported fits, and of each candidate while tuning.
    k : int, default=None
        Classes that the targets of Challenger, MendABA and FastABA are drawn from; by default 4, or all where there are
        fewer.
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
    k: int | None = None
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
    hints = get_type_hints(Settings)
    for name, value in values.items():
        if not _is_of(value, hints[name]) or not _is_in_range(name, value, hints[name]):
            raise ValueError(f"{path}: {name} must be {_WORDS[hints[name]]}, got {value!r}.")
    settings = Settings(**values)
    if settings.kind not in KINDS:
        raise ValueError(f"{path}: {unknown_name('kind', settings.kind, KINDS)}")
    wrong = next((rule for rule, holds in _rules(settings).items() if not holds), None)
    if wrong:
        raise ValueError(f"{path}: {wrong}.")
    try:
        check_data(settings.data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return settings


_WORDS = {
    str: "a text",
    int: "a whole number of at least 1",
    int | None: "a whole number of at least 1",
    float: "a number of at least 0",
    dict[str, Any]: "a table",
    list[str]: "a list of texts",
    list[float]: "a list of positive numbers",
}


def _is_of(value: Any, hint: Any) -> bool:
    """Return whether a value that TOML gave is of a setting's type."""
    if isinstance(value, bool):
        return False
    if hint is float:
        return isinstance(value, int | float)
    if get_origin(hint) is list:
        return isinstance(value, list) and all(_is_of(one, get_args(hint)[0]) for one in value)
    return isinstance(value, dict if get_origin(hint) is dict else hint)


def _is_in_range(name: str, value: Any, hint: Any) -> bool:
    if hint == list[float]:
        return all(0 < one < math.inf for one in value) and (bool(value) or name == "test_strengths")
    if hint is float:
        return bool(0 <= value < math.inf)
    return not isinstance(value, int) or value >= 1


def _rules(settings: Settings) -> dict[str, bool]:
    """Return what must hold besides, and whether it does."""
    reports_tests = settings.kind in ("strength", "benchmark")
    return {
        "[data] needs a name": "name" in settings.data,
        "[module] needs a name": isinstance(settings.module.get("name"), str),
        "equal_time is more than 0": settings.equal_time > 0,
        'target is "class" or "loss"': settings.target in ("class", "loss"),
        "strengths ascend": settings.strengths == sorted(settings.strengths),
        'methods begin with "plain"': not reports_tests or settings.methods[:1] == ["plain"],
        "differences need at least 2 seeds": settings.kind != "benchmark" or settings.seeds >= 2,
        "a strength experiment needs test_strengths": settings.kind != "strength" or bool(settings.test_strengths),
        "a groups experiment needs averages_from": settings.kind != "groups" or bool(settings.averages_from),
    }
