"""Finished fits on disk: one line each, written at once."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """A file with one line of JSON a finished fit, which survives being killed at any moment.

    A line that was cut off in the middle is no finished fit: it is dropped when the file is opened.

    Parameters
    ----------
    file : path-like
        Made if it does not exist.

    Attributes
    ----------
    results : dict of str to dict
        The results by their fit's key.

    Raises
    ------
    ValueError
        If a line in the middle is damaged.

    Examples
    --------
    >>> import tempfile
    >>> from skaba.experiment import Journal
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Journal(folder + "/fits.jsonl").add("a fit", {"valid": 0.9})
    ...     Journal(folder + "/fits.jsonl").results
    {'a fit': {'valid': 0.9}}
    """

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self.file = Path(file)
        self.results: dict[str, dict[str, Any]] = {}
        if self.file.exists():
            self._read()

    def add(self, key: str, result: dict[str, Any]) -> None:
        """Write a result, and return when it is on the disk.

        Parameters
        ----------
        key : str
        result : dict
            Of what JSON knows.
        """
        line = json.dumps({"fit": key, "result": result}) + "\n"
        with self.file.open("ab") as stream:
            stream.write(line.encode())
            stream.flush()
            os.fsync(stream.fileno())
        self.results[key] = result

    def _read(self) -> None:
        content = self.file.read_bytes()
        complete = content.rfind(b"\n") + 1
        if complete < len(content):
            with self.file.open("r+b") as stream:
                stream.truncate(complete)
        for number, line in enumerate(content[:complete].splitlines(), 1):
            try:
                entry = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(
                    f"line {number} of {self.file} is damaged: delete it, and it is fitted anew."
                ) from error
            self.results[entry["fit"]] = entry["result"]
