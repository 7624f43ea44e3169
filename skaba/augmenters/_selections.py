"""Selections: which category a feature belongs to, from low attribution to high."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaba.augmenters._categories import Categories, numpy_knows, piece_size, pieces
from skaba.augmenters._order_statistics import order_statistics


class Selection(ABC):
    """Boundaries between categories. An immutable value: it compares, prints and pickles.

    A feature whose attribution is lower than the first boundary is in the lowest
    category; one that equals a boundary is above it.
    """

    values: tuple[float, ...]

    @property
    def n_categories(self) -> int:
        """One more than there are boundaries."""
        return len(self.values) + 1

    @abstractmethod
    def boundaries(self, attribution: Tensor, wanted: Tensor | None = None) -> Sequence[float | Tensor]:
        """Return the boundaries, in ascending order.

        A sample's must not depend on the other samples, nor on the order of its features: those that move are
        asked about alone, with features in the order of memory.

        Parameters
        ----------
        attribution : Tensor of shape (n, n_features)
        wanted : bool Tensor of shape (n, n_categories - 1), default=None
            Which are needed, by default all; the others may be anything.

        Returns
        -------
        sequence of float or of Tensors of shape (n, 1)
        """

    def sort(self, attribution: Tensor, wanted: Tensor | None = None) -> Categories:
        """Sort the features of each sample into categories.

        Parameters
        ----------
        attribution : Tensor of shape (n, ...)
            It need not be contiguous.
        wanted : bool Tensor of shape (n, n_categories - 1), default=None
            Which boundaries are needed, by default all; categories beside the others may be wrong.

        Returns
        -------
        Categories
        """
        attribution = attribution.detach()
        rows = _as_stored(attribution)
        boundaries = self.boundaries(rows, wanted)
        if not numpy_knows(attribution):
            flat = attribution.reshape(len(attribution), -1)
            return Categories.packed([flat < boundary for boundary in boundaries], flat)
        values, n_features = attribution.numpy(), rows.shape[1]
        each = [_per_sample(boundary, values) for boundary in boundaries]
        needed = np.ones((len(rows), len(each)), dtype=bool) if wanted is None else wanted.numpy()
        bits = np.zeros((len(each), len(rows), -(-n_features // 8)), dtype=np.uint8)
        below = np.empty((piece_size(n_features), *values.shape[1:]), dtype=bool)
        for piece, numbers in pieces(needed, n_features):  # from comparison to bits while it is in the caches
            mask = below[: len(values[piece])]
            for number in numbers:
                # Compared in the order of memory, then put in that of the axes: much less is read out of order.
                mask[:] = values[piece] < each[number][piece]
                bits[number, piece] = np.packbits(mask.reshape(len(mask), -1), axis=1)
        return Categories(torch.from_numpy(bits), n_features)

    def choose(self, attribution: Tensor, by_category: Tensor) -> Tensor:
        """Give every feature the value of its category.

        Parameters
        ----------
        attribution : Tensor of shape (n, n_features)
        by_category : Tensor of shape (n, n_categories)
            A boundary between equal values is not computed where that saves time.

        Returns
        -------
        Tensor of shape (n, n_features), or (n, 1) if there is one category
        """
        return self.sort(attribution, wanted=differing(by_category)).steps(by_category)

    def categories(self, attribution: Tensor) -> Tensor:
        """Return each feature's category.

        Parameters
        ----------
        attribution : Tensor of shape (n, ...)

        Returns
        -------
        int64 Tensor of the same shape
            0 is the lowest category.
        """
        numbers = torch.arange(self.n_categories, device=attribution.device).expand(len(attribution), -1)
        flat = attribution.reshape(len(attribution), -1)
        return self.choose(flat, numbers).expand_as(flat).reshape(attribution.shape)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(map(str, self.values))})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.values == getattr(other, "values", None)

    def __hash__(self) -> int:
        return hash((type(self), self.values))


class Percentiles(Selection):
    """Boundaries at percentiles of the sample's own attribution, over all its features.

    The boundary for q is the order statistic of rank ceil(q * (n_features - 1)), counted from 0.
    It sorts features into the same categories as the linearly interpolated percentile does, since
    no feature lies between the two, and the tails of q and 1 - q are of one size.

    Parameters
    ----------
    *values : float
        Shares in (0, 1), strictly increasing: none make one category, one makes two (low
        and high), two make three (low, middle, high).

    Raises
    ------
    ValueError
        If they do not increase strictly or lie outside (0, 1).

    References
    ----------
    Kinkel (2023), section 3.1.3, equations 3.4 and 3.5; the named methods use 0.1 and 0.9 (section 3.8).

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import Percentiles
    >>> Percentiles(0.1, 0.9).categories(torch.arange(10.0).reshape(1, 10))
    tensor([[0, 1, 1, 1, 1, 1, 1, 1, 1, 2]])
    """

    def __init__(self, *values: float) -> None:
        if not all(isinstance(value, Real) and 0 < value < 1 for value in values):
            raise ValueError(f"Percentiles must lie inside (0, 1), for example 0.1 and 0.9; got {values}.")
        if any(low >= high for low, high in pairwise(values)):
            raise ValueError(f"Percentiles must increase strictly, for example 0.1 and 0.9; got {values}.")
        self.values = tuple(float(value) for value in values)

    def boundaries(self, attribution: Tensor, wanted: Tensor | None = None) -> list[Tensor]:
        """Return the order statistics of each sample.

        Parameters
        ----------
        attribution : Tensor of shape (n, n_features)
        wanted : bool Tensor of shape (n, n_categories - 1), default=None

        Returns
        -------
        list of Tensors of shape (n, 1)
        """
        n_features = attribution.shape[1]
        # The small number keeps 0.07 * 100 = 7.000000000000001 from counting as 8.
        ranks = [math.ceil(value * (n_features - 1) - 1e-9) for value in self.values]
        return order_statistics(attribution, ranks, wanted)


class Cutoff(Selection):
    """A fixed boundary: low attribution is below it, high is at it or above.

    Parameters
    ----------
    value : float, default=0.0
        The boundary, in the units of the attribution.

    Raises
    ------
    ValueError
        If the value is not finite.

    Notes
    -----
    A feature whose attribution is exactly 0 is high at the cut-off 0, where ``sign`` would
    leave it alone. FGSM made with this selection moves it up.

    References
    ----------
    Kinkel (2023), section 3.1.3, equation 3.3: FastABA and FGSM use 0 (sections 3.8 and 3.7).

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import Cutoff
    >>> Cutoff().categories(torch.tensor([[-1.0, 0.0, 1.0]]))
    tensor([[0, 1, 1]])
    """

    def __init__(self, value: float = 0.0) -> None:
        if not isinstance(value, Real) or not math.isfinite(value):
            raise ValueError(f"Cutoff must be a finite number, got {value!r}.")
        self.values = (float(value),)

    def boundaries(self, attribution: Tensor, wanted: Tensor | None = None) -> tuple[float, ...]:
        """Return the fixed value.

        Parameters
        ----------
        attribution : Tensor of shape (n, n_features)
        wanted : bool Tensor of shape (n, 1), default=None
            Not used.

        Returns
        -------
        tuple of float
        """
        return self.values


def differing(by_category: Tensor) -> Tensor:
    """Return which boundaries part categories of different values: all that have to be known.

    Parameters
    ----------
    by_category : Tensor of shape (n, n_categories)

    Returns
    -------
    bool Tensor of shape (n, n_categories - 1)
    """
    return by_category[:, :-1] != by_category[:, 1:]


def _per_sample(boundary: float | Tensor, values: Any) -> Any:
    """Return a boundary, one of all samples or of each, such that it is compared with an array of samples."""
    if not isinstance(boundary, Tensor):
        return np.full((len(values), *[1] * (values.ndim - 1)), boundary, dtype=np.result_type(values, boundary))
    return boundary.numpy().reshape(-1, *[1] * (values.ndim - 1))


def _as_stored(values: Tensor) -> Tensor:
    """Return the features of each sample in the order of memory: what has no order needs no copy."""
    axes = sorted(range(1, values.dim()), key=values.stride, reverse=True)
    return values.permute(0, *axes).flatten(1)
