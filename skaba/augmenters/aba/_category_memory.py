"""The cache of categories from one visit of a sample to the next."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaba.augmenters.aba._categories import Categories


class CategoryMemory:
    """Caches which features lie below each boundary, as one bit per sample, boundary and feature.

    Two categories take 1 bit per feature, three take 2. Memory is allocated at the first batch.

    Parameters
    ----------
    data : str, default=""
        A name for the data that the samples belong to.
    n_samples : int, default=0
        The number of samples, if it is known: memory for all is allocated at once. Otherwise it grows with the largest
        sample number.
    announce : callable, default=None
        Called with a message about the memory before it is allocated.

    Attributes
    ----------
    shape : tuple of int
        The shape of a sample.
    bits : uint8 Tensor of shape (n_boundaries, n_samples, ceil(n_features / 8)), or None
    blank : bool Tensor of shape (n_samples,), or None
        The samples that do not move; see :class:`Categories`.
    known : bool Tensor of shape (n_samples,) on the CPU, or None
        The samples that have been visited.
    awaited : bool
        Whether the last step should have cached categories.

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import CategoryMemory, Cutoff
    >>> memory = CategoryMemory(n_samples=100)
    >>> memory.prepare(torch.tensor([7]), torch.zeros(1, 784), n_boundaries=1)
    >>> memory.n_bytes
    10000
    >>> memory.keep(torch.tensor([7]), Cutoff(3).sort(torch.arange(784)[None]))
    >>> categories, known = memory.recall(torch.tensor([7, 8]))
    >>> categories.below[0].sum(1).tolist(), known.tolist()
    ([3, 0], [True, False])
    """

    def __init__(self, data: str = "", n_samples: int = 0, announce: Callable[[str], Any] | None = None) -> None:
        self.data = data
        self.n_samples = n_samples
        self.announce = announce
        self.shape: tuple[int, ...] = ()
        self.bits: Tensor | None = None
        self.blank: Tensor | None = None
        self.known: Tensor | None = None
        self.awaited = False

    @property
    def n_bytes(self) -> int:
        """The size in bytes."""
        return sum(tensor.numel() for tensor in (self.bits, self.blank, self.known) if tensor is not None)

    def prepare(self, index: Tensor, x: Tensor, n_boundaries: int) -> None:
        """Allocate memory for a batch of samples.

        Parameters
        ----------
        index : int64 Tensor of shape (n,)
            The samples' numbers.
        x : Tensor of shape (n, ...)
            Their features; the bits are stored on the same device.
        n_boundaries : int

        Raises
        ------
        ValueError
            If the samples' shape differs from that of earlier batches.
        """
        shape = tuple(x.shape[1:])
        if self.bits is not None and shape != self.shape:
            raise ValueError(
                "free_aba keeps a category per feature, so all samples must have one shape; earlier ones had "
                f"{self.shape}, these have {shape}. Pad the samples to one length, or use an augmenter that computes "
                "its own maps, such as fast_aba()."
            )
        n_kept = 0 if self.known is None else len(self.known)
        n_needed = max(self.n_samples, int(index.max()) + 1)
        if n_needed <= n_kept:
            return
        self.shape = shape
        # If the number of samples is not known, the size grows by half each time, so that few copies are made.
        n_samples = self.n_samples if n_needed <= self.n_samples else max(n_needed, n_kept * 3 // 2)
        self._grow(n_samples, n_boundaries, x.device)

    def _grow(self, n_samples: int, n_boundaries: int, device: torch.device) -> None:
        n_features = math.prod(self.shape)
        size = n_boundaries, n_samples, -(-n_features // 8)
        if self.announce is not None:
            n_bytes = math.prod(size) + 2 * n_samples
            self.announce(
                f"Categories of {n_samples:,} samples x {n_features:,} features, {n_boundaries} bit(s) each, "
                f"take {n_bytes / 1e6:,.2f} MB of memory."
            )
        bits = torch.zeros(size, dtype=torch.uint8, device=device)
        blank = torch.zeros(n_samples, dtype=torch.bool, device=device)
        known = torch.zeros(n_samples, dtype=torch.bool)  # on the CPU, as the samples' numbers
        if self.bits is not None:
            old_bits, old_blank, old_known = self._allocated()
            bits[:, : len(old_known)], blank[: len(old_known)], known[: len(old_known)] = old_bits, old_blank, old_known
        self.bits, self.blank, self.known = bits, blank, known

    def recall(self, index: Tensor) -> tuple[Categories, Tensor]:
        """Return the cached categories of some samples.

        Parameters
        ----------
        index : int64 Tensor of shape (n,)

        Returns
        -------
        Categories of n samples
        known : bool Tensor of shape (n,)
            True for those that have been visited.
        """
        bits, blank, known = self._allocated()
        index = index.cpu()
        there = index.to(bits.device, non_blocking=True)
        # Unpacked only for the batch: as bools, the categories of all samples would take eight times the memory.
        n_features = math.prod(self.shape)
        below = [_unpacked(each, n_features) for each in bits.index_select(1, there)]
        return Categories(below, n_features, blank.index_select(0, there)), known[index]

    def is_empty(self) -> bool:
        """Return whether no sample has been visited."""
        return self.known is None or not bool(self.known.any())

    def holds(self, index: Tensor) -> bool:
        """Return whether all samples of ``index``, int64 (n,), have been visited."""
        if self.known is None:
            return False
        known = self._allocated()[2]
        return int(index.max()) < len(known) and bool(known[index.cpu()].all())

    def keep(self, index: Tensor, categories: Categories) -> None:
        """Cache the categories of some samples, in place of earlier ones.

        Parameters
        ----------
        index : int64 Tensor of shape (n,)
        categories : Categories of n samples

        Raises
        ------
        ValueError
            If the number of features or boundaries does not fit.
        """
        bits, blank, known = self._allocated()
        n_features = math.prod(self.shape)
        if (len(categories.below), categories.n_features) != (len(bits), n_features):
            raise ValueError(
                f"The cache has room for {len(bits)} boundaries of {n_features} features, not "
                f"{len(categories.below)} of {categories.n_features}."
            )
        there = index.to(bits.device, non_blocking=True)
        for row, mask in zip(bits, categories.below, strict=True):
            row[there] = _packed(mask).to(bits.device)
        blank[there] = False if categories.blank is None else categories.blank.to(bits.device)
        known[index.cpu()] = True

    def _allocated(self) -> tuple[Tensor, Tensor, Tensor]:
        if self.bits is None or self.blank is None or self.known is None:
            raise ValueError("The cache of categories is empty: call prepare first.")
        self.known = self.known.cpu()  # loading a file onto a device moves it there
        return self.bits, self.blank, self.known

    def state_dict(self) -> dict[str, Any]:
        """Return the state, which ``save_params(f_categories=...)`` writes."""
        # announce may be a function that torch.load does not read with weights_only=True.
        return {name: value for name, value in vars(self).items() if name != "announce"}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load what ``state_dict`` returned."""
        vars(self).update(state)


def _packed(mask: Tensor) -> Tensor:
    """Return masks, bool (n, n_features), as bits, uint8 (n, ceil(n_features / 8))."""
    if mask.device.type == "cpu":  # torch has no packbits
        return torch.from_numpy(np.packbits(mask.numpy(), axis=1))
    # The same bits as NumPy's, highest first, so that a memory can move between devices.
    padded = torch.nn.functional.pad(mask.to(torch.uint8), (0, -mask.shape[1] % 8))
    eights = padded.reshape(len(mask), -1, 8)
    return torch.sum(eights << _places(mask.device), 2, dtype=torch.uint8)


def _unpacked(bits: Tensor, n_features: int) -> Tensor:
    if bits.device.type == "cpu":
        return torch.from_numpy(np.unpackbits(bits.numpy(), axis=1, count=n_features).view(bool))
    return ((bits.unsqueeze(2) >> _places(bits.device)) & 1).flatten(1)[:, :n_features].bool()


def _places(device: torch.device) -> Tensor:
    return torch.arange(7, -1, -1, dtype=torch.uint8, device=device)
