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

STRIDE = 17
"""Every 17th value is in the sample that narrows a row down: a prime, which divides no usual length of an axis."""

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
    low, high = _bracket(row, rank)
    rank_among_near = rank - int(np.count_nonzero(row < low))
    near = row[(row >= low) & (row <= high)]
    if not 0 <= rank_among_near < len(near):
        near, rank_among_near = row, rank
    return np.partition(near, rank_among_near)[rank_among_near]


def _bracket(row: Row, rank: int) -> tuple[Any, Any]:
    """Return two values between which, most likely, lies the one of the given rank."""
    sample = np.sort(row[::STRIDE])
    share = (rank + 0.5) / len(row)
    # Three standard deviations of the sample's own rank, as if it were drawn at random.
    margin = 3 * math.sqrt(len(sample) * share * (1 - share)) + 1
    first, last = math.floor(share * len(sample) - margin), math.ceil(share * len(sample) + margin)
    low = sample[first] if first >= 0 else -np.inf
    high = sample[last] if last < len(sample) else np.inf
    return low, high
