"""Scores as displays are given them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def checked_scores(scores: Mapping[Any, ArrayLike], what: str) -> dict[Any, NDArray[np.float64]]:
    """Return the scores as arrays.

    Parameters
    ----------
    scores : mapping to sequences of float
    what : str
        What the keys are, for the error.

    Raises
    ------
    TypeError
        If they are no mapping.
    ValueError
        If there are none, or those of a key are not finite numbers, at least one.
    """
    if not isinstance(scores, Mapping):
        raise TypeError(f"scores must be a mapping of each {what} to its scores; got a {type(scores).__name__}.")
    if not scores:
        raise ValueError(f"scores is empty; give the scores of at least one {what}.")
    arrays = {key: _as_numbers(values) for key, values in scores.items()}
    for key, values in arrays.items():
        if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
            raise ValueError(f"The scores of {what} {key!r} must be finite numbers, at least one; got {scores[key]!r}.")
    return arrays


def _as_numbers(values: ArrayLike) -> NDArray[np.float64]:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        return np.full(1, np.nan)  # refused as all that is no number


def span(values: Sequence[int]) -> str:
    """Write how many there are: one number if all agree, else the lowest and the highest."""
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"
