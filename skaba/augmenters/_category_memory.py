"""Categories that are kept from one visit of a sample to the next."""

from __future__ import annotations

import math
import os
import tempfile
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaba.augmenters._categories import Categories


class CategoryMemory:
    """For every sample and boundary, which features lay below: one bit each.

    Two categories take 1 bit per feature, three take 2. It is empty until ``allocate``.

    Parameters
    ----------
    data : str, default=""
        A name for the data that the samples belong to: what is kept of others is worth nothing.

    Attributes
    ----------
    shape : tuple of int
        Of a sample.
    bits : uint8 Tensor of shape (n_boundaries, n_samples, ceil(n_features / 8)), or None
    blank : bool Tensor of shape (n_samples,), or None
        Which samples had a map that ranks nothing; see :class:`Categories`.
    known : bool Tensor of shape (n_samples,) on the CPU, or None
        Which samples have been visited.

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import CategoryMemory, Cutoff
    >>> memory = CategoryMemory()
    >>> memory.allocate(n_samples=100, shape=(784,), n_boundaries=1, device=torch.device("cpu"))
    >>> memory.n_bytes
    10000
    >>> memory.keep(torch.tensor([7]), Cutoff(3).sort(torch.arange(784)[None]))
    >>> categories, known = memory.recall(torch.tensor([7, 8]))
    >>> categories.below()[0].sum(1).tolist(), known.tolist()
    ([3, 0], [True, False])
    """

    def __init__(self, data: str = "") -> None:
        self.data = data
        self.shape: tuple[int, ...] = ()
        self.bits: Tensor | None = None
        self.blank: Tensor | None = None
        self.known: Tensor | None = None

    @staticmethod
    def bytes_for(n_samples: int, n_features: int, n_boundaries: int) -> int:
        """Return how much memory it will take."""
        return n_samples * (n_boundaries * -(-n_features // 8) + 2)

    @property
    def n_bytes(self) -> int:
        """How much memory it takes."""
        return sum(tensor.numel() for tensor in (self.bits, self.blank, self.known) if tensor is not None)

    @property
    def n_features(self) -> int:
        """How many features a sample has."""
        return math.prod(self.shape)

    def allocate(
        self,
        n_samples: int,
        shape: tuple[int, ...],
        n_boundaries: int,
        device: torch.device,
        folder: str | os.PathLike[str] | None = None,
    ) -> None:
        """Make room, and forget what was there.

        Parameters
        ----------
        n_samples : int
        shape : tuple of int
            Of a sample.
        n_boundaries : int
        device : torch.device
            Where the bits are, unless a folder is given.
        folder : path-like, default=None
            Keep the bits in a file on this disk, which is deleted when they are no longer needed.
        """
        self.shape = tuple(shape)
        size = n_boundaries, n_samples, -(-self.n_features // 8)
        if folder is None:
            self.bits = torch.zeros(size, dtype=torch.uint8, device=device)
        else:
            # The mapping keeps the file alive after this block; it has no name and cannot be left behind.
            with tempfile.TemporaryFile(dir=folder) as file:
                self.bits = torch.from_numpy(np.memmap(file, dtype=np.uint8, mode="w+", shape=size))
        self.blank = torch.zeros(n_samples, dtype=torch.bool, device=self.bits.device)
        self.known = torch.zeros(n_samples, dtype=torch.bool)  # on the CPU, as samples' numbers are

    def recall(self, index: Tensor) -> tuple[Categories, Tensor]:
        """Return what is known of some samples.

        Parameters
        ----------
        index : int64 Tensor of shape (n,)

        Returns
        -------
        Categories of n samples
        known : bool Tensor of shape (n,)
        """
        bits, blank, known = self._allocated()
        index = index.cpu()
        there = index.to(bits.device, non_blocking=True)
        return Categories(bits.index_select(1, there), self.n_features, blank.index_select(0, there)), known[index]

    def knows_any(self) -> bool:
        """Return whether any sample has been visited."""
        return self.known is not None and bool(self.known.any())

    def knows(self, index: Tensor) -> bool:
        """Return whether all of some samples have been visited.

        Parameters
        ----------
        index : int64 Tensor of shape (n,)
        """
        return self.known is not None and bool(self._allocated()[2][index.cpu()].all())

    def keep(self, index: Tensor, categories: Categories) -> None:
        """Keep what was found of some samples, in place of what was known.

        Parameters
        ----------
        index : int64 Tensor of shape (n,)
        categories : Categories of n samples

        Raises
        ------
        ValueError
            If they are of other features or boundaries than the memory was allocated for.
        """
        bits, blank, known = self._allocated()
        if (len(categories.bits), categories.n_features) != (len(bits), self.n_features):
            raise ValueError(
                f"The memory was allocated for {len(bits)} boundaries of {self.n_features} features, not "
                f"{len(categories.bits)} of {categories.n_features}."
            )
        there = index.to(bits.device, non_blocking=True)
        bits[:, there] = categories.bits.to(bits.device)
        blank[there] = False if categories.blank is None else categories.blank.to(bits.device)
        known[index.cpu()] = True

    def _allocated(self) -> tuple[Tensor, Tensor, Tensor]:
        if self.bits is None or self.blank is None or self.known is None:
            raise ValueError("The memory of categories is empty: call allocate first.")
        self.known = self.known.cpu()  # a file that was loaded onto a device holds all there
        return self.bits, self.blank, self.known

    def state_dict(self) -> dict[str, Any]:
        """Return all of it, as ``save_params(f_categories=...)`` wants it."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over what ``state_dict`` returned."""
        vars(self).update(state)
