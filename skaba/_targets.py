"""Checks of targets before any work. A message says what was given, what is allowed and what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from skaba._samples import check_mask, check_no_arrays, check_values, is_missing, numbers_of


def check_targets(y: Any) -> np.ndarray:
    """Turn targets into an array without missing values.

    Parameters
    ----------
    y : array-like or Tensor of shape (n, ...)
        Numbers, or labels of any sortable kind.

    Returns
    -------
    ndarray of the same shape
        Objects that are numbers, for example from pandas' nullable columns, become numbers.

    Raises
    ------
    ValueError
        If y is a scalar, has masked or missing values, or contains arrays, bytes, complex numbers, dates,
        or floats that are not finite in float32.
    """
    if sparse.issparse(y):
        raise ValueError("y is a sparse matrix; pass y.toarray().")
    check_mask(y, "y")
    # np.asarray would drop a mask, so masks are checked before.
    targets = as_array(y)
    if targets.ndim == 0:
        raise ValueError(f"y must hold one target per sample, got the scalar {targets!r}.")
    if targets.dtype == object:
        targets = _from_objects(targets)
    if targets.dtype.kind == "c":
        raise ValueError("Complex data not supported: y has complex numbers.")
    if targets.dtype.kind == "S":
        raise ValueError("y holds bytes, which scikit-learn's metrics cannot read; pass text, y.astype(str).")
    if targets.dtype.kind in "mM":
        raise ValueError(
            f"y holds {targets.dtype} values. Turn dates into labels, y.astype(str), or into numbers in a unit of your "
            "choice, (y - y.min()) / np.timedelta64(1, 'D')."
        )
    check_values(targets, "y")
    return targets


def as_array(values: Any) -> np.ndarray:
    """Return targets as an array, also if they are a list of scalar tensors.

    Parameters
    ----------
    values : array-like or Tensor
        On any device.

    Returns
    -------
    ndarray
        It shares the memory of a tensor, unless that is on another device, or of bfloat16, which NumPy lacks.

    Raises
    ------
    ValueError
        If the values have no common shape.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return np.asarray((values.float() if values.dtype == torch.bfloat16 else values).numpy())
    try:
        return np.asarray(values)
    except ValueError as error:
        raise ValueError(f"y has targets of different lengths ({error}); all samples need the same number.") from error


def _from_objects(y: np.ndarray) -> np.ndarray:
    check_no_arrays(y, "y")
    if any(map(is_missing, y.ravel())):
        raise ValueError("y contains None or NaN (or pandas' NA): every sample needs a target; drop those without one.")
    try:
        return numbers_of(y)
    except (TypeError, ValueError):  # they are labels, not numbers
        return y
