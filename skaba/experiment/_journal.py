"""Finished fits on disk: one line per fit, written at once."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from skaba.experiment._fit import Fit


class Journal:
    """A file with one line of JSON per finished fit. The process may be killed at any moment.

    Each line is a flat object: the fields of the fit, then what was measured on it. So
    ``pandas.read_json(file, lines=True)`` reads the file as a table. A last line that was cut off is not a finished
    fit: it is dropped when the file is opened.

    Parameters
    ----------
    file : path-like
        Made if it does not exist.

    Attributes
    ----------
    results : dict of Fit to dict
        What was measured on each finished fit.

    Raises
    ------
    ValueError
        If a line in the middle is damaged.

    Examples
    --------
    >>> import tempfile
    >>> from skaba.experiment import Fit, Journal
    >>> fit = Fit("test", "plain", learning_rate=0.01, value=0.0, epochs=60, seed=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Journal(folder + "/fits.jsonl").add(fit, {"valid": 0.9})
    ...     Journal(folder + "/fits.jsonl").results[fit]
    {'valid': 0.9}
    """

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self.file = Path(file)
        self.results: dict[Fit, dict[str, Any]] = {}
        if self.file.exists():
            self._read()

    def add(self, fit: Fit, result: dict[str, Any]) -> None:
        """Write a result to the disk.

        Parameters
        ----------
        fit : Fit
        result : dict
            Of numbers.
        """
        line = json.dumps({**asdict(fit), **result}) + "\n"
        with self.file.open("ab") as stream:
            stream.write(line.encode())
            stream.flush()
            os.fsync(stream.fileno())  # flush() alone leaves the line in the system's cache
        self.results[fit] = result

    def _read(self) -> None:
        # In bytes: truncate() counts bytes, and a line may be cut in the middle of a character.
        content = self.file.read_bytes()
        complete = content.rfind(b"\n") + 1
        if complete < len(content):
            with self.file.open("r+b") as stream:
                stream.truncate(complete)
        for number, line in enumerate(content[:complete].splitlines(), 1):
            try:
                entry = json.loads(line)
                fit = Fit.taken_from(entry)
            except (json.JSONDecodeError, KeyError, AttributeError) as error:
                raise ValueError(
                    f"line {number} of {self.file} is damaged: delete it, and its fit is run again."
                ) from error
            self.results[fit] = entry
