"""A user's own arrays, checked and made ready for a network."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True)
class OwnArrays:
    """Samples and targets of a file, ready for a network.

    Parameters
    ----------
    X : ndarray of shape (n, ...), float32, or int64 for word ids
    y : ndarray of shape (n,), int64, numbering the classes; or of shape (n, n_labels), float32, 0 or 1
    target_names : list of str
        Names of the classes, by their number in ``y``, or of the labels, by their column.
    note : str
        The file, what it holds, and what was done to it.
    """

    X: Array
    y: Array
    target_names: list[str]
    note: str


def read_arrays(file: Path, *, word_ids: bool = False) -> OwnArrays:
    """Read X and y from a ``.npz`` file.

    Parameters
    ----------
    file : Path
        As ``np.savez(file, X=X, y=y)`` writes it. ``X`` of uint8 holds pixels and is divided by 255; any other numbers
        are taken as they are. ``y`` holds one class per sample, as integers or strings, or for multi-label data one
        row of 0 and 1 per sample.
    word_ids : bool, default=False
        Whether the integers in ``X`` are word ids, which are not scaled.

    Returns
    -------
    OwnArrays

    Raises
    ------
    ValueError
        If the file does not exist or does not hold such arrays.
    """
    X, y = _read(file)
    if X.ndim < 2 or not len(X):
        raise ValueError(f"X in {file} has shape {X.shape}; it must be (n, ...), with at least one axis per sample.")
    if y.ndim == 0 or len(y) != len(X):
        raise ValueError(f"y in {file} has shape {y.shape}, but X holds {len(X)} samples: give one target per sample.")
    samples, done = _samples(X, file, word_ids)
    targets, names = _labels(y, file) if y.ndim == 2 and y.shape[1] > 1 else _classes(y, file)
    kind = "labels" if targets.ndim == 2 else "classes"
    # The note is recorded with the results, so that a file that was replaced does not mix with finished fits.
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    note = (
        f"{file.name} (SHA-256 {sha256}): {len(X)} samples of shape {X.shape[1:]}, {X.dtype} {done}; "
        f"{len(names)} {kind}: {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}."
    )
    return OwnArrays(samples, targets, names, note)


def _read(file: Path) -> tuple[Array, Array]:
    if not file.is_file():
        raise ValueError(f"There is no file {file}: name the folder that it is in with --data.")
    try:
        arrays = np.load(file, allow_pickle=False)  # reading a pickle can run code
        if isinstance(arrays, np.ndarray):  # the file is in the .npy format, whatever its name
            raise ValueError("it holds a single array without a name")
        with arrays:
            missing = [name for name in ("X", "y") if name not in arrays]
            if missing:
                raise ValueError(f"it holds {', '.join(arrays.files) or 'nothing'}, but not {' and '.join(missing)}")
            return arrays["X"], arrays["y"]
    except (ValueError, EOFError, OSError, BadZipFile) as error:
        raise ValueError(
            f"{file} is not a .npz file with the arrays X and y: {error}. Write one with np.savez(file, X=X, y=y); "
            "arrays of objects are not read, so turn labels into strings with y.astype(str)."
        ) from error


def _samples(X: Array, file: Path, word_ids: bool) -> tuple[Array, str]:
    if X.dtype.kind not in "biuf":
        raise ValueError(
            f"X in {file} holds {X.dtype}, not numbers that a network takes. Give floats, or uint8 pixels."
        )
    if word_ids:
        if X.dtype.kind not in "iu":
            raise ValueError(f"X in {file} holds {X.dtype}, but with layer= it must hold word ids, which are integers.")
        return X.astype(np.int64), "word ids, taken as they are"
    if X.dtype == np.uint8:
        return X.astype(np.float32) / 255, "divided by 255"
    samples = X.astype(np.float32)
    if not np.isfinite(samples).all():  # after the conversion, which turns too large numbers into infinity
        raise ValueError(f"X in {file} has NaN, infinity or numbers too large for float32. Replace them first.")
    return samples, "taken as it is, as float32"


def _classes(y: Array, file: Path) -> tuple[Array, list[str]]:
    values = y.reshape(len(y))
    # Whole numbers may come as floats, as pandas stores them in a column with gaps.
    if values.dtype.kind == "f" and not np.array_equal(values, np.round(values)):
        raise ValueError(f"y in {file} holds fractions or NaN, but an experiment compares classifiers: give classes.")
    if values.dtype.kind not in "biufU":
        raise ValueError(f"y in {file} holds {y.dtype}; give classes as integers or strings.")
    classes, numbers = np.unique(values, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"y in {file} holds a single class, {classes[0]}; there must be at least 2.")
    whole = classes.astype(np.int64) if classes.dtype.kind == "f" else classes
    return numbers.astype(np.int64), [str(label) for label in whole]


def _labels(y: Array, file: Path) -> tuple[Array, list[str]]:
    if y.dtype.kind not in "biuf" or not np.isin(y, (0, 1)).all():
        raise ValueError(f"y in {file} has shape {y.shape}, so it must hold 0 and 1, one column per label.")
    return y.astype(np.float32), [str(label) for label in range(y.shape[1])]
