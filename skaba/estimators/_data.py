"""Checks of X and y: what was given, what is allowed, what to do; before any work."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from scipy import sparse
from skorch.dataset import get_len
from skorch.utils import is_dataset
from torch import Tensor
from torch.utils.data import Dataset, Subset


def check_samples(X: Any, *, floats: bool) -> Any:
    """Check X, and turn lists into an array.

    Parameters
    ----------
    X : array-like, Tensor, DataFrame, Dataset, mapping or sequence of arrays
        Datasets and several inputs (a mapping, or a sequence of arrays) are left to skorch.
    floats : bool
        Whether the input itself is augmented, which integers do not allow.

    Returns
    -------
    X, as an array if it was a list of numbers or a data frame

    Raises
    ------
    TypeError, ValueError
        If X has no batch axis, no samples, integers where floats are needed, or values that are no
        finite numbers.
    """
    if sparse.issparse(X):
        raise TypeError("X is a sparse matrix, which this network cannot read; pass X.toarray().")
    if hasattr(X, "iloc"):  # skorch would take a frame's columns for inputs of their own
        X = X.to_numpy(copy=True)  # a view of a frame is not writable, which torch warns about
    if isinstance(X, Mapping):
        for name, values in X.items():
            _check_finite(values if isinstance(values, Tensor) else np.asarray(values), f"X[{name!r}]")
    if is_dataset(X) or _has_several_inputs(X):
        return X
    if not isinstance(X, (np.ndarray, Tensor)):
        X = np.asarray(X)
    if isinstance(X, np.ndarray) and X.dtype == object:
        X = _from_objects(X)
    _check_dtype(X, floats)
    _check_shape(X)
    _check_finite(X, "X")
    return X


def check_length(X: Any, y: Any) -> None:
    """Raise a ValueError unless there is one target a sample."""
    n_samples, n_targets = get_len(X), len(y)
    if n_samples == n_targets:
        return
    shape = f", of shape {tuple(X.shape)}," if hasattr(X, "shape") else ""
    if isinstance(X, (list, tuple)):
        shape = ", read as several inputs because it is a list of arrays (np.stack(X) makes one input of them),"
    raise ValueError(
        f"X{shape} has {n_samples} samples, counted by its first axis, but y has {n_targets}. Pass one target "
        "a sample; a single sample needs a batch axis, X[None]."
    )


def check_targets(y: Any) -> np.ndarray:
    """Turn targets into an array of finite values.

    Parameters
    ----------
    y : array-like or Tensor

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If y is a scalar or holds values that are no finite numbers.
    """
    if sparse.issparse(y):
        raise ValueError("y is a sparse matrix; pass y.toarray().")
    y = y.detach().cpu().numpy() if isinstance(y, Tensor) else np.asarray(y)
    if y.ndim == 0:
        raise ValueError(f"y must hold one target a sample, got the scalar {y!r}.")
    if np.issubdtype(y.dtype, np.complexfloating):
        raise ValueError("Complex data not supported: y has complex numbers.")
    if y.dtype == object and any(map(_is_missing, y.ravel())):
        raise ValueError("y contains None or NaN: every sample needs a target; drop those without one.")
    if np.issubdtype(y.dtype, np.floating):
        _check_finite(y, "y")
    return y


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def is_floating(X: Any) -> bool:
    """Return whether an array or tensor holds floats."""
    return bool(X.is_floating_point() if isinstance(X, Tensor) else X.dtype.kind == "f")


def root_of(dataset: Any) -> Any:
    """Return the data set that a subset, or a subset of one, was taken from."""
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return dataset


class EncodedDataset(Dataset[Any]):
    """A user's data set with its targets encoded as those of ``fit`` are.

    Parameters
    ----------
    dataset : Dataset
        Yields a sample and its target.
    encode : callable
        Turns an array of targets into what training wants, and refuses what it does not know.
    """

    def __init__(self, dataset: Any, encode: Callable[[np.ndarray], np.ndarray]) -> None:
        self.dataset = dataset
        self.encode = encode

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> Any:
        """Return the sample and its encoded target."""
        x, y = self.dataset[index]
        return x, self.encode(np.asarray(y).reshape(-1))[0]


def _has_several_inputs(X: Any) -> bool:
    return isinstance(X, Mapping) or (
        isinstance(X, (list, tuple)) and len(X) > 0 and all(hasattr(part, "shape") for part in X)
    )


def _check_shape(X: np.ndarray | Tensor) -> None:
    shape = tuple(X.shape)
    if len(shape) < 2:
        raise ValueError(
            f"X has shape {shape} and so no batch axis; the first axis counts the samples. Reshape your data: "
            "X.reshape(-1, 1) if it has a single feature, X[None] if it is a single sample."
        )
    if 0 in shape:
        what = "0 sample(s)" if shape[0] == 0 else "0 feature(s)"
        raise ValueError(f"X has {what} (shape={shape}) while a minimum of 1 is required.")


def _from_objects(X: np.ndarray) -> np.ndarray:
    try:
        return X.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"X holds objects that are no numbers ({error}). Encode them first, for example texts with WordSequences."
        ) from error


def _check_dtype(X: np.ndarray | Tensor, floats: bool) -> None:
    kind = X.dtype.kind if isinstance(X, np.ndarray) else _kind(X)
    if kind == "c":
        raise ValueError("Complex data not supported: X has complex numbers.")
    if kind in "USMmV":
        raise ValueError(
            f"X holds {X.dtype} values; a network needs numbers. Encode them first, for example texts "
            "with WordSequences."
        )
    if floats and kind != "f":
        raise ValueError(
            f"X holds {X.dtype} values; augmentation changes the input and needs floats. Scale images with "
            "X.astype('float32') / 255; for word ids name the embedding, layer='embedding'."
        )


def _kind(X: Tensor) -> str:
    """Return NumPy's letter for a tensor's kind of numbers."""
    if X.is_complex():
        return "c"
    return "f" if X.is_floating_point() else "i"


def _check_finite(values: np.ndarray | Tensor, name: str) -> None:
    # A tensor's memory is read as an array; only bfloat16, which NumPy lacks, is copied.
    if isinstance(values, Tensor):
        values = (values.float() if values.dtype == torch.bfloat16 else values).detach().cpu().numpy()
    if values.dtype.kind != "f":
        return
    # The sum of finite values is finite unless it overflows; it spares the mask.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum()):
            return
    bad = ~np.isfinite(values)
    if not bad.any():
        return
    first = bad.reshape(len(bad), -1).any(axis=1).argmax()
    raise ValueError(
        f"{name} contains NaN or infinity: {bad.sum()} of {bad.size} values, the first in sample {first}. "
        "Only finite numbers can be learned from; impute or drop these samples."
    )
