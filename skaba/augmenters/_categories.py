"""Categories of a batch's features, a bit a boundary, and the steps by which they move a batch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

ONES = np.array([value.bit_count() for value in range(256)], dtype=np.uint8)
"""How many bits of a byte are set."""

PIECE = 2**14
"""Features that a CPU works on at once: few enough for what is made of them to stay in its caches."""


class Categories:
    """The category of each feature of a batch: for every boundary one bit, whether the feature lies below it.

    What a feature moves by is the highest category's step, and from each boundary above it what the category below
    that boundary differs by (Kinkel 2023, table A.1), so that no category is ever held as a mask of its own. They
    are added up from above, so that every partial sum is a category's step: sums of 0, s and -s are exact, others
    may be off by a rounding.

    Parameters
    ----------
    bits : uint8 Tensor of shape (n_boundaries, n, ceil(n_features / 8))
        They last as long as a training step does, so they are packed.
    n_features : int
    blank : bool Tensor of shape (n,), default=None
        Samples whose map ranks nothing: constant (``Percentiles``) or all 0 (``Cutoff``); None if there are none.

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import Percentiles
    >>> categories = Percentiles(0.25, 0.75).sort(torch.tensor([[0.3, -1.0, 2.0, 0.5]]))
    >>> categories.steps(torch.tensor([[0.1, 0.0, -0.1]]))
    tensor([[ 0.0000,  0.1000, -0.1000,  0.0000]])
    """

    def __init__(self, bits: Tensor, n_features: int, blank: Tensor | None = None) -> None:
        self.bits = bits
        self.n_features = n_features
        self.blank = blank

    @classmethod
    def packed(cls, below: Sequence[Tensor], like: Tensor) -> Categories:
        """Pack masks.

        Parameters
        ----------
        below : sequence of bool Tensors of shape (n, n_features)
            Of each boundary, the features below it.
        like : Tensor of shape (n, n_features)
            What the features are of.
        """
        n_samples, n_features = like.shape
        bits = torch.empty(len(below), n_samples, -(-n_features // 8), dtype=torch.uint8, device=like.device)
        for row, mask in zip(bits, below, strict=True):
            row.copy_(_packed(mask))
        return cls(bits, n_features)

    def to(self, device: torch.device) -> Categories:
        """Return the same on a device."""
        blank = None if self.blank is None else self.blank.to(device)
        return Categories(self.bits.to(device, non_blocking=device.type != "cpu"), self.n_features, blank)

    def put(self, boundary: int, rows: Tensor, below: Tensor) -> None:
        """Replace what is known of a boundary in some samples.

        Parameters
        ----------
        boundary : int
        rows : int64 Tensor of shape (m,)
        below : bool Tensor of shape (m, n_features)
        """
        self.bits[boundary, rows] = _packed(below)

    def mark_blank(self, rows: Tensor, blank: Tensor) -> None:
        """Mark those of some samples whose map says nothing.

        Parameters
        ----------
        rows : int64 Tensor of shape (m,)
        blank : bool Tensor of shape (m,)
        """
        if self.blank is None:
            self.blank = torch.zeros(self.bits.shape[1], dtype=torch.bool, device=self.bits.device)
        self.blank[rows] = blank

    def counts(self) -> Tensor:
        """Return how many features of each sample lie below each boundary: int64, (n_boundaries, n)."""
        if self.bits.device.type == "cpu":
            return torch.from_numpy(ONES.take(self.bits.numpy()).sum(axis=2, dtype=np.int64))
        return torch.from_numpy(ONES).to(self.bits.device)[self.bits.int()].sum(dim=2)

    def permuted(self, order: Tensor) -> Categories:
        """Return the categories of each sample in another order.

        Parameters
        ----------
        order : int64 Tensor of shape (n, n_features)
            Where each feature's category is taken from.
        """
        below = [mask.gather(1, order) for mask in self.below()]
        bits = [_packed(mask) for mask in below]
        return Categories(torch.stack(bits) if bits else self.bits, self.n_features, self.blank)

    def silenced(self, by_category: Tensor) -> Tensor:
        """Return values of categories that are 0 for samples whose map says nothing.

        Parameters
        ----------
        by_category : Tensor of shape (n, n_categories)
        """
        return by_category if self.blank is None else by_category.masked_fill(self.blank.unsqueeze(1), 0)

    def below(self) -> list[Tensor]:
        """Return, for each boundary, the features below it: bool Tensors of shape (n, n_features)."""
        return [_unpacked(bits, self.n_features) for bits in self.bits]

    def steps(self, by_category: Tensor) -> Tensor:
        """Give every feature the value of its category.

        Parameters
        ----------
        by_category : Tensor of shape (n, n_categories)

        Returns
        -------
        Tensor of shape (n, n_features), or (n, 1) if there is one category
        """
        if len(self.bits) == 0:
            return by_category
        if numpy_knows(by_category):
            return self.move(by_category.new_zeros(len(by_category), self.n_features), by_category)
        values = by_category[:, -1:]
        for boundary, below in reversed(list(enumerate(self.below()))):
            step = below * (by_category[:, boundary, None] - by_category[:, boundary + 1, None])
            values = step.add_(values)
        return values

    def move(self, x: Tensor, by_category: Tensor, rows: Tensor | None = None, still: Tensor | None = None) -> Tensor:
        """Add every feature's step to a batch, in place.

        Parameters
        ----------
        x : Tensor of shape (m, ...)
            Is written into, behind autograd's back: what is added has no gradient.
        by_category : Tensor of shape (n, n_categories)
        rows : int64 Tensor of shape (n,), default=None
            Which samples of x move, each once; by default all, with m = n.
        still : bool Tensor, default=None
            True where samples have padding, of the shape of the n samples but for the last axis.

        Returns
        -------
        Tensor
            x.
        """
        by_category = by_category.to(x.device, x.dtype, non_blocking=True)
        if numpy_knows(x):
            self._move_in_pieces(x.detach().numpy(), by_category.numpy(), as_array(rows), as_array(still))
            return x
        shape = len(by_category), *x.shape[1:]
        step = self.steps(by_category).expand(-1, self.n_features).reshape(shape)
        step = step if still is None else step.masked_fill(still.unsqueeze(-1), 0)
        x.detach().add_(step) if rows is None else x.detach().index_add_(0, rows, step)
        return x

    def _move_in_pieces(self, x: Any, by_category: Any, rows: Any, still: Any) -> None:
        # Buffers serve all pieces: whole batches of steps would each be fresh memory, which costs more than a sum.
        bits, n_features = self.bits.numpy(), self.n_features
        parting = by_category[:, :-1] - by_category[:, 1:]
        still = None if still is None or not still.any() else still
        buffers = np.empty((2, piece_size(n_features), n_features), dtype=x.dtype)
        for piece, boundaries in pieces(parting != 0, n_features):
            step = by_category[piece, -1:]
            for boundary in reversed(boundaries):
                below = np.unpackbits(bits[boundary, piece], axis=1, count=n_features).view(bool)
                buffers = buffers[::-1]  # the one that does not hold the sum so far
                term = np.multiply(below, parting[piece, boundary, None], out=buffers[0, : len(step)])
                step = np.add(term, step, out=term)
            if not boundaries:  # one category in the whole piece
                step = np.repeat(step, n_features, axis=1)
            changes = step.reshape(len(step), *x.shape[1:])
            if still is not None:
                changes[still[piece]] = 0
            _add(x, piece if rows is None else rows[piece], changes)


def _add(x: Any, at: Any, changes: Any) -> None:
    """Add changes to some samples, each named once."""
    if isinstance(at, slice) or len(at) > 1:
        x[at] += changes
    else:
        x[at[0]] += changes[0]  # a view: an array of rows would be copied there and back


def pieces(needed: Any, n_features: int) -> Iterator[tuple[slice, list[int]]]:
    """Return the parts of a batch that a CPU works on one after the other, and which boundaries each needs.

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


def numpy_knows(values: Tensor) -> bool:
    """Return whether a tensor can be seen as an array: NumPy compares and spreads several times as fast as torch."""
    return values.device.type == "cpu" and values.dtype != torch.bfloat16


def as_array(values: Tensor | None) -> Any:
    """Return a tensor on the CPU as an array."""
    return None if values is None else values.numpy()


def _packed(mask: Tensor) -> Tensor:
    if mask.device.type == "cpu":
        return torch.from_numpy(np.packbits(mask.numpy(), axis=1))
    padded = torch.nn.functional.pad(mask.to(torch.uint8), (0, -mask.shape[1] % 8))
    eights = padded.reshape(len(mask), -1, 8)
    return torch.sum(eights << _places(mask.device), 2, dtype=torch.uint8)


def _unpacked(bits: Tensor, n_features: int) -> Tensor:
    if bits.device.type == "cpu":
        return torch.from_numpy(np.unpackbits(bits.numpy(), axis=1, count=n_features).view(bool))
    return ((bits.unsqueeze(2) >> _places(bits.device)) & 1).flatten(1)[:, :n_features].bool()


def _places(device: torch.device) -> Tensor:
    return torch.arange(7, -1, -1, dtype=torch.uint8, device=device)
