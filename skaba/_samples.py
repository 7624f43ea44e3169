"""Checks of samples before any work. A message says what was given, what is allowed and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy import sparse
from skorch.dataset import get_len
from skorch.helper import SliceDataset
from skorch.utils import is_dataset
from torch import Tensor
from torch.utils.data import IterableDataset

LARGEST = float(np.finfo(np.float32).max)


def check_samples(X: Any, *, floats: bool) -> Any:
    """Check X, and turn everything but tensors into arrays that PyTorch can read.

    Parameters
    ----------
    X : array-like, Tensor, DataFrame, Dataset, mapping or sequence of arrays
        Samples along the first axis. A mapping, or a list or tuple of arrays, has several inputs.
    floats : bool
        Whether the input itself is augmented, which is impossible with integers.

    Returns
    -------
    X
        An array in native byte order and with positive strides, or a tensor; for several inputs, a dict
        or a list of these. Values and shape are those of X. A Dataset or a ``SliceDataset`` is
        returned unchanged: its samples are loaded when they are needed.

    Raises
    ------
    TypeError, ValueError
        If X has no batch axis, no samples, masked or missing values, integers where floats are
        needed, or values that are not finite in float32.
    """
    if is_dataset(X) or isinstance(X, SliceDataset):
        return X
    if isinstance(X, Mapping) and not sparse.issparse(X):  # SciPy's dok_matrix is a mapping too
        named = {f"X[{name!r}]": part for name, part in X.items()}
        return dict(zip(X, _check_parts(named), strict=True))
    if _is_list_of_arrays(X):
        return _check_parts({f"X[{number}]": part for number, part in enumerate(X)})
    if X is None:
        raise ValueError("X is None; pass the samples, an array of shape (n, ...).")
    X = _as_numbers(X, "X")
    _check_shape(X)
    if floats and not is_floating(X):
        raise ValueError(
            f"X holds {X.dtype} values; augmentation changes the input and needs floats. Scale images with "
            "X.astype('float32') / 255; for word ids, give the name of the embedding: layer='embedding'."
        )
    return X


def check_length(X: Any, y: Any) -> None:
    """Raise a ValueError unless there is one target per sample; an ``IterableDataset`` has no length and passes."""
    if isinstance(X, IterableDataset):
        return
    n_samples, n_targets = get_len(X), len(y)
    if n_samples == n_targets:
        return
    shape = f", of shape {tuple(X.shape)}," if hasattr(X, "shape") else ""
    if isinstance(X, (list, tuple)):
        shape = ", read as several inputs because it is a list of arrays (np.stack(X) makes one input of them),"
    raise ValueError(
        f"X{shape} has {n_samples} samples, counted by its first axis, but y has {n_targets}. Pass one target "
        "per sample; a single sample needs a batch axis, X[None]."
    )


def check_values(values: Any, name: str) -> None:
    """Raise a ValueError if an array or tensor has floats that are not finite in float32.

    Parameters
    ----------
    values : ndarray or Tensor
        Numbers of other kinds pass.
    name : str
        Name of the values in the error message.
    """
    # The array shares the tensor's memory; only bfloat16, which NumPy lacks, is copied.
    if isinstance(values, Tensor):
        values = (values.float() if values.dtype == torch.bfloat16 else values).detach().cpu().numpy()
    if values.dtype.kind != "f" or values.size == 0:
        return
    extremes = np.array([values.min(), values.max()], dtype=np.float64)  # both are NaN if any value is NaN
    if np.all(np.abs(extremes) <= LARGEST):
        return
    bad = ~np.isfinite(values)
    if bad.any():
        raise ValueError(
            f"{name} contains NaN or infinity: {bad.sum()} of {bad.size} values, the first in sample {_first(bad)}. "
            "A network can only learn from finite numbers; impute or drop these samples."
        )
    bad = np.abs(values) > LARGEST
    raise ValueError(
        f"{name} holds {values[bad][0]:g} in sample {_first(bad)}, a {values.dtype} value that overflows to infinity "
        f"in float32, in which networks compute (largest value: {LARGEST:.3g}). Scale it."
    )


def check_mask(values: Any, name: str) -> None:
    """Raise a ValueError if an array has masked values, because a network would read the numbers under the mask."""
    if np.ma.is_masked(values):
        n_masked = int(np.ma.getmaskarray(values).sum())
        raise ValueError(
            f"{name} is a masked array with {n_masked} masked values, and a network would read what the mask hides. "
            f"Fill them in, {name}.filled(value), or drop these samples."
        )


def check_no_arrays(objects: np.ndarray, name: str) -> None:
    """Raise a ValueError if an array of objects contains arrays."""
    if any(np.ndim(value) for value in objects.ravel()):
        raise ValueError(
            f"{name} is an array of arrays, one per sample; np.stack({name}) makes one array of them. Pad them first "
            "if their shapes differ."
        )


def is_missing(value: Any) -> bool:
    """Return whether a value is missing: None, NaN, NaT or pandas' NA."""
    if value is None:
        return True
    try:
        return bool(value != value)  # noqa: PLR0124 - only NaN and NaT do not equal themselves
    except TypeError:  # NA == NA is NA, which cannot be converted to a bool
        return True


def numbers_of(objects: np.ndarray) -> np.ndarray:
    """Turn an array whose objects are numbers into an array of integers, booleans or floats.

    Parameters
    ----------
    objects : ndarray of dtype object
        Missing values become NaN.

    Returns
    -------
    ndarray of the same shape

    Raises
    ------
    TypeError, ValueError
        If an object is not a number; text such as "1" is not.
    """
    values = objects.ravel().tolist()
    for value in values:
        if isinstance(value, (str, bytes)):
            raise ValueError(f"{value!r} is text")
    # NumPy finds the type that all values fit into, except for Decimal and Fraction, which stay objects.
    numbers = np.array([np.nan if is_missing(value) else value for value in values])
    if numbers.dtype.kind not in "biufc":
        numbers = numbers.astype(np.float64)
    return numbers.reshape(objects.shape)


def is_floating(X: Any) -> bool:
    """Return whether the values of an array or tensor are floats."""
    return bool(X.is_floating_point() if isinstance(X, Tensor) else X.dtype.kind == "f")


def _is_list_of_arrays(X: Any) -> bool:
    return isinstance(X, (list, tuple)) and len(X) > 0 and all(len(getattr(part, "shape", ())) > 0 for part in X)


def _check_parts(parts: Mapping[str, Any]) -> list[Any]:
    """Check several inputs by name, and return them in the same order."""
    if not parts:
        raise ValueError("X has no inputs; pass at least one array.")
    checked = {
        name: part if isinstance(part, SliceDataset) else _as_numbers(part, name) for name, part in parts.items()
    }
    lengths = {name: len(part) if part.shape else 0 for name, part in checked.items()}
    fewest, most = min(lengths, key=lengths.__getitem__), max(lengths, key=lengths.__getitem__)
    if lengths[fewest] == 0:
        raise ValueError(f"{fewest} has 0 sample(s) while a minimum of 1 is required.")
    if lengths[fewest] != lengths[most]:
        raise ValueError(
            f"X has {len(parts)} inputs with different numbers of samples: {lengths[fewest]} in {fewest}, "
            f"{lengths[most]} in {most}. If X is a list of samples, pad them to one shape and make one array of them, "
            "np.stack(X)."
        )
    return list(checked.values())


def _as_numbers(values: Any, name: str) -> np.ndarray | Tensor:
    """Return one input as an array or tensor of finite numbers that PyTorch can read."""
    if sparse.issparse(values) or (isinstance(values, Tensor) and values.layout != torch.strided):
        dense = "to_dense" if isinstance(values, Tensor) else "toarray"
        raise TypeError(f"{name} is a sparse matrix, which this network cannot read; pass {name}.{dense}().")
    check_mask(values, name)
    checked: np.ndarray | Tensor = values.detach() if isinstance(values, Tensor) else _as_array(values, name)
    if checked.is_complex() if isinstance(checked, Tensor) else checked.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} has complex numbers.")
    check_values(checked, name)
    return checked


def _as_array(values: Any, name: str) -> np.ndarray:
    if hasattr(values, "iloc"):  # skorch would treat each column of a frame as a separate input
        values = values.to_numpy(copy=True)  # torch warns about arrays that are not writable, as views of a frame are
    try:
        values = np.asarray(values)
    except ValueError as error:
        raise ValueError(
            f"{name} is a list of samples of different lengths ({error}). Pad them to one length; for texts, "
            "WordSequences does so."
        ) from error
    # pandas' nullable columns and lists that hold None become arrays of objects.
    if values.dtype == object:
        values = _from_objects(values, name)
    if values.dtype.kind not in "biufc":
        raise ValueError(
            f"{name} holds {values.dtype} values; a network needs numbers. Encode them first, for example texts "
            "with WordSequences."
        )
    return readable(values, name)


def _from_objects(values: np.ndarray, name: str) -> np.ndarray:
    check_no_arrays(values, name)
    try:
        return numbers_of(values)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{name} holds objects that are not numbers ({error}). Encode them first, for example texts with "
            "WordSequences."
        ) from error


def readable(values: np.ndarray, name: str) -> np.ndarray:
    """Return an array with the same values in a layout and dtype that PyTorch supports.

    Parameters
    ----------
    values : ndarray of booleans, integers, floats or complex numbers
    name : str
        Name of the array in the error message.

    Raises
    ------
    ValueError
        If an integer is too large for PyTorch.
    """
    dtype = values.dtype.newbyteorder("=")
    if dtype.kind == "f" and dtype.itemsize > 8:  # torch has no long double
        dtype = np.dtype(np.float64)
    elif dtype.kind in "iu" and dtype not in (np.uint8, np.int32):  # an embedding reads int32 and int64 only
        dtype = np.dtype(np.int64)
        if values.size and values.max() > np.iinfo(dtype).max:
            raise ValueError(f"{name} holds {values.max()}, which is beyond int64, PyTorch's widest integer.")
    with np.errstate(over="ignore"):  # check_values reports infinity
        values = values.astype(dtype, copy=False)
    # As X[::-1] has: https://github.com/pytorch/pytorch/issues/92680. np.ascontiguousarray would keep the stride of an
    # axis of length 1: https://github.com/numpy/numpy/issues/23349.
    return values.copy() if any(stride < 0 for stride in values.strides) else values


def _check_shape(X: np.ndarray | Tensor) -> None:
    shape = tuple(X.shape)
    if 0 in shape:
        what = "0 sample(s)" if shape[0] == 0 else "0 feature(s)"
        raise ValueError(f"X has {what} (shape={shape}) while a minimum of 1 is required.")
    if len(shape) < 2:
        raise ValueError(
            f"X has shape {shape} and so no batch axis; the first axis is that of the samples. Reshape your data: "
            "X.reshape(-1, 1) if it has a single feature (X.to_frame() for a Series), X[None] if it is a single "
            "sample."
        )


def _first(bad: np.ndarray) -> int:
    """Return the index of the first sample that has a True."""
    return int(bad.reshape(len(bad), -1).any(axis=1).argmax())
