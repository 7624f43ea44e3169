"""The folder of an experiment: it belongs to one experiment, and one run at a time works in it."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from skaba.experiment._experiment import Experiment

PACKAGES = ("skaba", "torch", "skorch", "scikit-learn", "numpy")


@contextmanager
def claimed(out: Path, experiment: Experiment, device: str, note: str = "") -> Iterator[None]:
    """Hold a folder for one run of an experiment, and record settings, device and package versions in it.

    Parameters
    ----------
    out : Path
        Made if it does not exist.
    experiment : Experiment
    device : str
    note : str, default=""
        Which file the user's own data come from, and what was done to them.

    Raises
    ------
    ValueError
        If nothing can be written there, the folder holds fits of other settings or data, or another run is working
        in it.
    """
    # The system frees the lock when the process ends, also when it is killed.
    lock = FileLock(out / ".lock")
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ValueError(
            f"Another run is working in {out}. Wait for it, or choose another folder with --out."
        ) from error
    except OSError as error:
        raise ValueError(f"Results cannot be written into {out}: {error.strerror}.") from error
    try:
        _record(out / "settings.json", experiment, device, note)
        yield
    finally:
        lock.release()


def read_part(out: Path, name: str) -> dict[str, Any]:
    """Return the content of one of a finished run's files.

    Parameters
    ----------
    out : Path
    name : {"settings.json", "results.json"}

    Raises
    ------
    ValueError
        If it is not there.
    """
    file = out / name
    if not file.is_file():
        raise ValueError(f"{out} holds no finished run: {name} is missing. Run the experiment first.")
    content: dict[str, Any] = json.loads(file.read_text())
    return content


def write(file: Path, content: dict[str, Any]) -> None:
    """Write JSON such that the file is there as a whole or not at all."""
    unfinished = file.with_name(f".{file.name}")  # in the same folder, so that replace() only renames
    unfinished.write_text(json.dumps(content, indent=1) + "\n")
    unfinished.replace(file)


def _record(file: Path, experiment: Experiment, device: str, note: str) -> None:
    made_with = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}, "device": device}
    there = _recorded(file)
    fits = file.with_name("fits.jsonl")
    runs = [made_with]
    if fits.is_file() and b"\n" in fits.read_bytes():  # a run without a finished fit does not bind the next one
        different = experiment.differing(there["settings"])
        different += ["the file of data"] if there.get("data", note) != note else []
        if different:
            raise ValueError(
                f"{file.parent} holds results of other settings ({', '.join(different)} differ). Choose another folder "
                "with --out, or delete this one."
            )
        # A run may go on with other versions of the packages; all of them are recorded.
        runs = there["versions"] + [made_with] * (made_with not in there["versions"])
    write(file, {"settings": experiment.as_dict(), **({"data": note} if note else {}), "versions": runs})


def _recorded(file: Path) -> dict[str, Any]:
    """Return what an earlier run recorded. A file that was not written by an experiment is left alone."""
    if not file.exists():
        return {"settings": {}, "versions": []}
    try:
        there = json.loads(file.read_text())
    except ValueError:
        there = None
    if not isinstance(there, dict) or not {"settings", "versions"} <= there.keys():
        raise ValueError(f"{file} was not written by an experiment. Choose another folder with --out.")
    return there
