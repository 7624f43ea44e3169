"""Files of settings: those that come with the package, and your own."""

from __future__ import annotations

import os
import tomllib
from dataclasses import MISSING, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

from skaba._validation import unknown_name
from skaba.experiment._experiment import Experiment
from skaba.experiment.kinds import KINDS

SCALES = ("quick", "cpu", "full")

QUICK: dict[str, Any] = {
    "epochs": 2,
    "seeds": 2,
    "tuning_seeds": 1,
    "n_scored": 200,
    "n_attacked": 20,
    "longer": [2.0],
    "published": {},
}
"""Settings of the scale "quick", unless a file says otherwise."""
SHORTENED = ("learning_rates", "strengths", "test_strengths")
"""Lists of candidates that are cut to their first one at the scale "quick"."""


def list_experiments() -> dict[str, str]:
    """Return the experiments that come with the package.

    Returns
    -------
    dict of str to str
        Titles by name.

    Examples
    --------
    >>> from skaba.experiment import list_experiments
    >>> list_experiments()["e4_digits"]
    'E4, digits: 100 training images of 8 x 8'
    """
    return {name: _parsed(name, text)["title"] for name, text in sorted(_bundled().items())}


def read_experiment(name: str | os.PathLike[str], scale: str = "cpu") -> Experiment:
    """Read the settings of an experiment.

    Parameters
    ----------
    name : str or path-like
        The name of an experiment that comes with the package, see :func:`list_experiments`; or the path of a file that
        ends in ``.toml``. Settings in the table of a scale, such as ``[cpu]``, take precedence over those outside.
    scale : {"quick", "cpu", "full"}, default="cpu"
        "cpu" takes hours on two cores, "full" needs a GPU. "quick" takes a minute or so, and shows only that everything
        runs: it takes the settings of "cpu" with two epochs, two seeds, and one candidate each, and then those in
        ``[quick]``.

    Returns
    -------
    Experiment

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If there is no such experiment, the file is not TOML, or a setting is missing, unknown, or not allowed.

    Examples
    --------
    >>> from skaba.experiment import read_experiment
    >>> experiment = read_experiment("e4_digits", "cpu")
    >>> experiment.kind, experiment.data["name"]
    ('benchmark', 'digits')
    """
    if scale not in SCALES:
        raise ValueError(unknown_name("scale", scale, SCALES))
    found = _parsed(name, _text(name))
    scales = {name: found.pop(name, {}) for name in SCALES}
    settings = _quick(_merged(found, scales["cpu"])) if scale == "quick" else found
    merged = {"name": Path(name).stem, "scale": scale, **_merged(settings, scales[scale])}
    try:
        return _made(merged)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _quick(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings with which an experiment takes a minute or so."""
    kind = KINDS.get(settings.get("kind", ""))
    known = {one.name for one in fields(kind)} if kind else set()
    # A candidate that stands alone is still tuned, so all stages of a run are made.
    lists = {name: settings[name][:1] for name in SHORTENED if isinstance(settings.get(name), list)}
    return settings | {name: value for name, value in QUICK.items() if name in known} | lists


def recorded_experiment(settings: dict[str, Any]) -> Experiment:
    """Return an experiment from the settings beside its results.

    Earlier versions recorded the settings of all kinds, so those of other kinds are left out.
    """
    known = {one.name for one in fields(KINDS[settings["kind"]])}
    return _made({name: value for name, value in settings.items() if name in known | {"kind"}})


def _bundled() -> dict[str, str]:
    # TOML is always UTF-8; without encoding=, the text would be read in the encoding of the locale.
    folder = files("skaba.experiment") / "settings"
    return {Path(file.name).stem: file.read_text(encoding="utf-8") for file in folder.iterdir()}


def _text(name: str | os.PathLike[str]) -> str:
    path = Path(name)
    if path.suffix == ".toml":
        if not path.is_file():
            raise FileNotFoundError(f"There is no file of settings {path}.")
        return path.read_text(encoding="utf-8")
    bundled = _bundled()
    if str(name) not in bundled:
        known = unknown_name("experiment", str(name), bundled)
        raise ValueError(f"{known} A file of your own is given by its path, which ends in .toml.")
    return bundled[str(name)]


def _parsed(name: str | os.PathLike[str], text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{name} is not TOML: {error}.") from error


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {name: _merged(below[name], above[name]) for name in below if isinstance(above.get(name), dict)}
    return {**below, **above, **both}


def _made(settings: dict[str, Any]) -> Experiment:
    """Return the experiment of the kind that the settings name."""
    own = dict(settings)
    kind = own.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(unknown_name("kind", kind, KINDS))
    known = {one.name: one for one in fields(KINDS[kind])}
    for name in own:
        if name not in known:
            raise ValueError(unknown_name(f"setting of the kind {kind}", name, known))
    needed = [name for name, one in known.items() if one.default is MISSING and one.default_factory is MISSING]
    missing = [name for name in needed if name not in own]
    if missing:
        raise ValueError(f"at scale {own['scale']} these settings are missing: {', '.join(missing)}.")
    return KINDS[kind](**own)
