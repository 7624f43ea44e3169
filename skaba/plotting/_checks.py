"""Checks of the values that displays are given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Array = NDArray[Any]
MOST_SAMPLES = 50


def as_array(values: Any) -> Array:
    """Return an array, tensor or sequence as an array."""
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)


def as_numbers(values: Any, name: str) -> Array:
    """Return values as an array.

    Parameters
    ----------
    values : array-like or Tensor
    name : str
        The name of the values, for the error message.

    Raises
    ------
    ValueError
        If they are not finite numbers.
    """
    array = as_array(values)
    # Objects and strings are refused too: isfinite, below, does not take them.
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold numbers, but its values are {array.dtype}.")
    n_bad = array.size - int(np.isfinite(array).sum())
    if n_bad:
        raise ValueError(f"{name} holds NaN or infinity in {n_bad} of {array.size} places, which have no colour.")
    return array


def check_count(n_samples: int) -> None:
    """Raise a ValueError unless a figure with this number of samples is readable."""
    if not 1 <= n_samples <= MOST_SAMPLES:
        raise ValueError(f"n_samples={n_samples} cannot be shown; a figure shows from 1 to {MOST_SAMPLES} samples.")


def checked_scores(scores: Mapping[Any, ArrayLike], what: str) -> dict[Any, NDArray[np.float64]]:
    """Return the scores as arrays.

    Parameters
    ----------
    scores : mapping to sequences of float
    what : str
        What the keys are, for the error message.

    Raises
    ------
    TypeError
        If the scores are not a mapping.
    ValueError
        If there are no scores, or the scores of a key are not finite numbers, at least one.
    """
    if not isinstance(scores, Mapping):
        raise TypeError(f"scores must be a mapping of each {what} to its scores; got a {type(scores).__name__}.")
    if not scores:
        raise ValueError(f"scores is empty; give the scores of at least one {what}.")
    return {key: _checked(values, f"{what} {key!r}") for key, values in scores.items()}


def _checked(values: ArrayLike, owner: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)  # so that the one error below names the owner
    if array.ndim != 1 or len(array) == 0 or not np.isfinite(array).all():
        raise ValueError(f"The scores of {owner} must be finite numbers, at least one; got {values!r}.")
    return array
