"""Order statistics: the value of a given rank in each row."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LONG = 2048
"""Rows of this length or more are narrowed down to candidates before they are partitioned."""

STRIDE = 23
"""Each 23rd value is sampled to find candidates: a prime, so that it divides no usual length of an axis."""

DEVIATIONS = 1.5, 5
"""The margins around a rank, in standard deviations: first a narrow one, with few candidates, then a wide one."""

Row = NDArray[Any]


def order_statistics(values: Tensor, ranks: Sequence[int], wanted: Tensor | None = None) -> list[Tensor]:
    """Return the values of the given ranks (0 is the smallest) along the second axis, exactly.

    On a CPU, NumPy partitions short rows; long rows are first narrowed down to a few candidates, and only the wanted
    values are computed. On other devices, and for dtypes that NumPy lacks, ``kthvalue`` runs on all rows, so that the
    device is not waited for.

    Parameters
    ----------
    values : Tensor of shape (n, d)
    ranks : sequence of int
        Each from 0 to d - 1.
    wanted : bool Tensor of shape (n, n_ranks), default=None
        The values that are needed, by default all; the others may be wrong.

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
    # A full partition of a long row costs several passes over it; a bracket around the value takes two comparisons.
    found = np.zeros((len(rows), len(ranks)), dtype=rows.dtype)
    needed = np.ones(found.shape, dtype=bool) if wanted is None else wanted.numpy()
    brackets = [_brackets(rank, rows.shape[1]) for rank in ranks]
    masks = np.empty((2, rows.shape[1]), dtype=bool)  # allocated once for all rows
    for row, columns, statistics in zip(rows, needed.tolist(), found, strict=True):
        if not any(columns):
            continue
        sample = np.sort(row[::STRIDE])
        for column in itertools.compress(range(len(ranks)), columns):
            statistics[column] = _order_statistic(row, ranks[column], sample, brackets[column], masks)
    return [torch.from_numpy(found[:, [column]]) for column in range(len(ranks))]


def _brackets(rank: int, n_values: int) -> list[tuple[int, int]]:
    """Return the places in a row's sorted sample between which the value lies: likely, then almost surely."""
    n_sampled, share = len(range(0, n_values, STRIDE)), (rank + 0.5) / n_values
    # The standard deviation of the rank in the sample, as if the sample were drawn at random.
    margins = [deviations * math.sqrt(n_sampled * share * (1 - share)) + 1 for deviations in DEVIATIONS]
    return [(math.floor(share * n_sampled - margin), math.ceil(share * n_sampled + margin)) for margin in margins]


def _order_statistic(row: Row, rank: int, sample: Row, brackets: Sequence[tuple[int, int]], masks: Row) -> Any:
    """Find one value: among the few candidates near it by the sorted sample, or among all if it is not there."""
    # Exact whatever the sample looks like: a bracket counts only if the rank lies in it, and a partition of the whole
    # row is the last resort.
    for first, last in brackets:
        low = sample[first] if first >= 0 else -np.inf
        high = sample[last] if last < len(sample) else np.inf
        lower, up_to = np.less(row, low, out=masks[0]), np.less_equal(row, high, out=masks[1])
        rank_in_near = rank - np.count_nonzero(lower)
        near = _few(row, np.greater(up_to, lower, out=up_to))
        if 0 <= rank_in_near < len(near):
            near.partition(rank_in_near)
            return near[rank_in_near]
    return np.partition(row, rank)[rank]


def _few(row: Row, mask: Row) -> Row:
    """Return the values under a mask that is mostly False; groups of eight without any are skipped first."""
    if len(row) % 8:
        return row.compress(mask)
    # Read as 64-bit words, eight bools are tested by one comparison.
    eights = mask.view(np.uint64)
    some = (eights != 0).nonzero()[0]
    chosen: Row = row.reshape(-1, 8).take(some, axis=0).reshape(-1).compress(eights.take(some).view(bool))
    return chosen
