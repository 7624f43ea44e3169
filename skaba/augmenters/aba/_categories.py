"""The categories of a batch's features, and the moves of the batch by category."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

PIECE = 2**14
"""How many features a CPU works on at once, so that intermediate results stay in its caches."""

LONG = 2**11
"""On a CPU, rows of at least this many features are counted one row at a time."""


class Categories:
    """The category of each feature of a batch: for every boundary, whether the feature lies below it.

    The step of a feature is the step of the highest category, plus the differences between neighbouring categories at
    all boundaries above the feature (Kinkel 2023, table A.1). The differences are added
    from the highest boundary down, so that every partial sum is the step of a category: sums of 0, s and -s are exact,
    others may be off by a rounding error.

    Parameters
    ----------
    below : sequence of bool Tensors of shape (n, n_features)
        For each boundary, the features below it.
    n_features : int
    blank : bool Tensor of shape (n,), default=None
        Samples that do not move because their map does not rank features: it is constant (``Percentiles``) or all 0
        (``Cutoff``). None if there are none.

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import Percentiles
    >>> categories = Percentiles(0.25, 0.75).sort(torch.tensor([[0.3, -1.0, 2.0, 0.5]]))
    >>> categories.steps(torch.tensor([[0.1, 0.0, -0.1]]))
    tensor([[ 0.0000,  0.1000, -0.1000,  0.0000]])
    """

    def __init__(self, below: Sequence[Tensor], n_features: int, blank: Tensor | None = None) -> None:
        self.below = list(below)
        self.n_features = n_features
        self.blank = blank

    def mark_blank(self, rows: Tensor, blank: Tensor) -> None:
        """Mark samples that do not move: ``blank``, bool (m,), for the samples ``rows``, int64 (m,)."""
        if self.blank is None:
            self.blank = torch.zeros(len(self.below[0]), dtype=torch.bool, device=blank.device)
        self.blank[rows] = blank

    def counts(self) -> Tensor:
        """Return how many features of each sample lie below each boundary: int64, (n, n_boundaries)."""
        if not self.below:
            return torch.empty(0, 0)
        # Short rows are counted in one call, because the loop over rows would cost more than the count.
        if self.below[0].device.type != "cpu" or self.n_features < LONG:
            return torch.stack([mask.sum(dim=1) for mask in self.below], dim=1)
        # count_nonzero of a contiguous row of bools is many times as fast as a sum along an axis, in NumPy and in
        # torch.
        rows = zip(*(mask.numpy() for mask in self.below), strict=True)
        return torch.tensor([[np.count_nonzero(mask) for mask in masks] for masks in rows], dtype=torch.int64)

    def permuted(self, order: Tensor) -> Categories:
        """Return permuted categories; ``order``, int64 (n, n_features), holds the feature that each is taken from."""
        return Categories([mask.gather(1, order) for mask in self.below], self.n_features, self.blank)

    def silenced(self, by_category: Tensor) -> Tensor:
        """Return values per category, (n, n_categories), with 0 for samples that do not move."""
        return by_category if self.blank is None else by_category.masked_fill(self.blank.unsqueeze(1), 0)

    def steps(self, by_category: Tensor) -> Tensor:
        """Return the value of each feature's category.

        Parameters
        ----------
        by_category : Tensor of shape (n, n_categories)

        Returns
        -------
        Tensor of shape (n, n_features), or (n, 1) if there is one category
        """
        values = by_category[:, -1:]
        for boundary, below in reversed(list(enumerate(self.below))):
            step = below * (by_category[:, boundary, None] - by_category[:, boundary + 1, None])
            values = step.add_(values)  # from the highest boundary down, see the class
        return values

    def move(self, x: Tensor, by_category: Tensor, rows: Tensor | None = None, padding: Tensor | None = None) -> Tensor:
        """Add the steps to the features of a batch, in place.

        Parameters
        ----------
        x : Tensor of shape (m, ...)
            Written into; autograd does not record the change.
        by_category : Tensor of shape (n, n_categories)
        rows : int64 Tensor of shape (n,), default=None
            The samples of x that move, without repetition; by default all, with m = n.
        padding : bool Tensor, default=None
            True where the n samples have padding; the features' shape without the last axis.

        Returns
        -------
        Tensor
            x.
        """
        by_category = by_category.to(x.device, x.dtype, non_blocking=True)
        if numpy_reads(x):
            self._move_in_pieces(x.detach().numpy(), by_category.numpy(), as_array(rows), as_array(padding))
            return x
        shape = len(by_category), *x.shape[1:]
        step = self.steps(by_category).expand(-1, self.n_features).reshape(shape)
        # detach(): x may be a layer's output in the graph, and its gradient does not depend on the step.
        step = step if padding is None else step.masked_fill(padding.unsqueeze(-1), 0)
        x.detach().add_(step) if rows is None else x.detach().index_add_(0, rows, step)
        return x

    def _move_in_pieces(self, x: Any, by_category: Any, rows: Any, padding: Any) -> None:
        # All pieces share two buffers: allocating the steps of a whole batch would cost more than adding them.
        below, n_features = [mask.numpy() for mask in self.below], self.n_features
        parting = by_category[:, :-1] - by_category[:, 1:]
        padding = None if padding is None or not padding.any() else padding
        buffers = np.empty((2, piece_size(n_features), n_features), dtype=x.dtype)
        for piece, boundaries in pieces(parting != 0, n_features):
            step = by_category[piece, -1:]
            for boundary in reversed(boundaries):
                buffers = buffers[::-1]  # the buffer that does not hold the current sum
                out = buffers[0, : len(step)]
                term = np.multiply(below[boundary][piece], parting[piece, boundary, None], out=out)
                step = np.add(term, step, out=term)
            if not boundaries:  # all features of the piece are in one category
                step = np.repeat(step, n_features, axis=1)
            changes = step.reshape(len(step), *x.shape[1:])
            if padding is not None:  # changes may be one of the buffers, which the next piece overwrites
                changes[padding[piece]] = 0
            _add(x, piece if rows is None else rows[piece], changes)


def _add(x: Any, at: Any, changes: Any) -> None:
    """Add changes to some samples, given without repetition."""
    if isinstance(at, slice) or len(at) > 1:
        x[at] += changes
    else:
        x[at[0]] += changes[0]  # a view: indexing with an array would copy twice


def pieces(needed: Any, n_features: int) -> Iterator[tuple[slice, list[int]]]:
    """Yield the pieces of a batch that a CPU works on in turn, and the boundaries that each piece needs.

    Parameters
    ----------
    needed : bool ndarray of shape (n, n_boundaries)
    n_features : int
    """
    size = piece_size(n_features)
    starts = range(0, len(needed), size)
    in_pieces = np.logical_or.reduceat(needed, starts, axis=0).tolist() if starts else []
    for start, row in zip(starts, in_pieces, strict=True):
        yield slice(start, start + size), list(itertools.compress(range(len(row)), row))


def piece_size(n_features: int) -> int:
    """Return how many samples a piece holds."""
    return max(1, PIECE // max(1, n_features))


def numpy_reads(values: Tensor) -> bool:
    """Return whether NumPy can use the tensor's memory: it compares and broadcasts several times as fast as torch."""
    return values.device.type == "cpu" and values.dtype != torch.bfloat16


def as_array(values: Tensor | None) -> Any:
    """Return a tensor on the CPU as an array."""
    return None if values is None else values.numpy()
