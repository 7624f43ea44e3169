"""The folder of an experiment: whose it is, and that one run at a time works in it."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from skaba.experiment._settings import Settings

PACKAGES = ("skaba", "torch", "skorch", "scikit-learn", "numpy")

# What a fit's result depends on besides the fit itself; seeds, candidates and methods may be added later.
DECIDING = (
    "name",
    "scale",
    "kind",
    "data",
    "module",
    "batch_size",
    "k",
    "target",
    "attack",
    "n_attacked",
    "test_strengths",
    "optimizer",
)


@contextmanager
def claimed(out: Path, settings: Settings, device: str, note: str = "") -> Iterator[None]:
    """Hold a folder for one run of an experiment, and record settings, device and package versions in it.

    Parameters
    ----------
    out : Path
        Made if need be.
    settings : Settings
    device : str
    note : str, default=""
        Which file the user's own data come from, and what was done to them.

    Raises
    ------
    ValueError
        If the folder holds fits of other settings or data, or another run is working in it.
    """
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / ".lock")  # the system frees it when the process ends, however it ends
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ValueError(
            f"Another run is working in {out}. Wait for it, or choose another folder with --out."
        ) from error
    try:
        _record(out / "settings.json", settings, device, note)
        yield
    finally:
        lock.release()


def _record(file: Path, settings: Settings, device: str, note: str) -> None:
    wanted = json.loads(json.dumps(settings.as_dict()))
    made_with = {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}, "device": device}
    there = _read(file)
    fits = file.with_name("fits.jsonl")
    runs = [made_with]
    if fits.is_file() and b"\n" in fits.read_bytes():  # a run that finished no fit binds nobody
        different = [name for name in DECIDING if there["settings"].get(name) != wanted[name]]
        different += ["the file of data"] if there.get("data", note) != note else []
        if different:
            raise ValueError(
                f"{file.parent} holds results of other settings ({', '.join(different)} differ). Choose another folder "
                "with --out, or delete this one."
            )
        runs = there["versions"] + [made_with] * (made_with not in there["versions"])
    write(file, {"settings": wanted, **({"data": note} if note else {}), "versions": runs})


def _read(file: Path) -> dict[str, Any]:
    """Return what an earlier run recorded; a file of somebody else's is left alone."""
    if not file.exists():
        return {"settings": {}, "versions": []}
    try:
        there = json.loads(file.read_text())
    except ValueError:
        there = None
    if not isinstance(there, dict) or not {"settings", "versions"} <= there.keys():
        raise ValueError(f"{file} was not written by an experiment. Choose another folder with --out.")
    return there


def write(file: Path, content: dict[str, Any]) -> None:
    """Write JSON such that the file is there as a whole or not at all."""
    unfinished = file.with_name(f".{file.name}")
    unfinished.write_text(json.dumps(content, indent=1) + "\n")
    unfinished.replace(file)
