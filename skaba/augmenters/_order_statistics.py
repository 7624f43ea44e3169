"""Order statistics: the value of a given rank in each row."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LONG = 2048
"""Rows of this length and more are narrowed down before they are partitioned."""

STRIDE = 23
"""Every 23rd value is in the sample that narrows a row down: a prime, which divides no usual length of an axis."""

DEVIATIONS = 1.5, 5
"""How far the sample is trusted: first a little, so that few values are near, then more."""

Row = NDArray[Any]


def order_statistics(values: Tensor, ranks: Sequence[int], wanted: Tensor | None = None) -> list[Tensor]:
    """Return the values of the given ranks (0 is the smallest) along the second axis, exactly.

    On a CPU short rows are partitioned by NumPy, long ones are first narrowed down to a few
    candidates, and what is not wanted is not computed. Other devices, and dtypes that NumPy lacks,
    take ``kthvalue`` for all rows, which asks nothing of the host.

    Parameters
    ----------
    values : Tensor of shape (n, d)
    ranks : sequence of int
        Each from 0 to d - 1.
    wanted : bool Tensor of shape (n, n_ranks), default=None
        Which are needed; the others may be anything. By default all.

    Returns
    -------
    list of Tensors of shape (n, 1)
    """
    if values.device.type != "cpu" or values.dtype not in (torch.float32, torch.float64):
        return [values.kthvalue(rank + 1, dim=1, keepdim=True).values for rank in ranks]
    rows = values.numpy()
    if values.shape[1] < LONG:
        ordered = torch.from_numpy(np.partition(rows, ranks, axis=1)) if ranks else values
        return [ordered.narrow(1, rank, 1) for rank in ranks]
    found = np.zeros((len(ranks), len(rows), 1), dtype=rows.dtype)
    needed = np.ones(found.shape[1::-1], dtype=bool) if wanted is None else wanted.numpy()
    for sample, column in zip(*needed.nonzero(), strict=True):
        found[column, sample] = _order_statistic(rows[sample], ranks[column])
    return list(torch.from_numpy(found))


def _order_statistic(row: Row, rank: int) -> Any:
    """Find one value: among the few that a sorted sample says are near, if it is right, else among all."""
    sample = np.sort(row[::STRIDE])
    for deviations in DEVIATIONS:
        low, high = _bracket(sample, (rank + 0.5) / len(row), deviations)
        lower, up_to = row < low, row <= high
        n_lower = np.count_nonzero(lower)
        if n_lower <= rank < np.count_nonzero(up_to):
            near = row.take(np.flatnonzero(lower != up_to))
            return np.partition(near, rank - n_lower)[rank - n_lower]
    return np.partition(row, rank)[rank]


def _bracket(sample: Row, share: float, deviations: float) -> tuple[Any, Any]:
    """Return two values of a sorted sample between which, most likely, the value lies that this share is below."""
    # Standard deviations of the sample's own rank, as if it were drawn at random.
    margin = deviations * math.sqrt(len(sample) * share * (1 - share)) + 1
    first, last = math.floor(share * len(sample) - margin), math.ceil(share * len(sample) + margin)
    low = sample[first] if first >= 0 else -np.inf
    high = sample[last] if last < len(sample) else np.inf
    return low, high
