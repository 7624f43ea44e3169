"""Selections: the categories of features, from low to high attribution."""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from itertools import pairwise
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from skaba.augmenters.aba._categories import Categories
from skaba.augmenters.aba._comparing import Boundaries, as_stored, compared


class Selection(ABC):
    """Boundaries between categories. Selections are immutable; equal ones compare equal.

    Features with an attribution below the first boundary are in the lowest category. A feature that equals a boundary
    is above it, unless the selection fixes the number of features below.

    A subclass sets ``values``, one per boundary, and implements ``boundaries``.
    """

    values: tuple[float, ...]

    @property
    def n_categories(self) -> int:
        """The number of categories: one more than there are boundaries."""
        return len(self.values) + 1

    @abstractmethod
    def boundaries(self, attribution: Tensor, wanted: Tensor | None = None) -> Boundaries:
        """Return the boundaries, in ascending order.

        The boundaries of a sample must not depend on other samples or on the order of its features: the method is
        called only with the samples that move, and with their features in the order of memory.

        Parameters
        ----------
        attribution : Tensor of shape (n, n_features)
        wanted : bool Tensor of shape (n, n_categories - 1), default=None
            The boundaries that are needed, by default all; the others may have any value.

        Returns
        -------
        sequence of float or of Tensors of shape (n, 1)
        """

    def sort(self, attribution: Tensor, wanted: Tensor | None = None, padding: Tensor | None = None) -> Categories:
        """Sort the features of each sample into categories.

        Parameters
        ----------
        attribution : Tensor of shape (n, ...)
            Finite. It need not be contiguous.
        wanted : bool Tensor of shape (n, n_categories - 1), default=None
            Which boundaries are needed, by default all; categories at other boundaries may be wrong.
        padding : bool Tensor, default=None
            True where a sample has padding; the attribution's shape but for the last axis.

        Returns
        -------
        Categories

        Raises
        ------
        TypeError
            If ``boundaries`` cannot be called with these arguments.
        ValueError
            If the boundaries are too few or too many, NaN, or descend.
        """
        attribution = attribution.detach()
        boundaries = self._checked(self._boundaries(as_stored(attribution), wanted), len(attribution))
        self._require_ascending(boundaries, len(attribution), wanted)
        categories = compared(attribution, boundaries, wanted)
        if not self.values:  # one category: there are no boundaries
            return categories
        counts = categories.counts()
        on_one_side = (counts == 0) | (counts == categories.n_features)
        rows = (on_one_side if wanted is None else on_one_side & wanted).any(dim=1).nonzero().squeeze(1)
        # Only samples with all features on one side can have a map of zeros, so that few maps are compared with 0.
        if len(rows):
            categories.mark_blank(rows, (attribution[rows].flatten(1) == 0).all(dim=1))
        return categories

    def _boundaries(self, attribution: Tensor, wanted: Tensor | None) -> Any:
        """Return the boundaries, or raise a TypeError if ``boundaries`` does not take the arguments."""
        try:
            return self.boundaries(attribution, wanted)
        except TypeError as error:
            # A TypeError from inside the method passes; only one of its signature gets another message.
            try:
                inspect.signature(self.boundaries).bind(attribution, wanted)
            except TypeError as unfit:
                raise TypeError(
                    f"selection={self!r} must have a method boundaries(attribution, wanted=None), but it cannot be "
                    f"called with these arguments: {unfit}."
                ) from error
            raise

    def _checked(self, boundaries: Any, n_samples: int) -> Boundaries:
        """Return the boundaries, or raise a ValueError if their number or shape is wrong."""
        try:
            found = [_shape_of(each) for each in boundaries]
        except TypeError as error:
            raise ValueError(
                f"selection={self!r}: boundaries() must return a list of {self.n_categories - 1} numbers or tensors of "
                f"shape ({n_samples}, 1); it returned a {type(boundaries).__name__}."
            ) from error
        if len(found) == self.n_categories - 1 and set(found) <= {(), (n_samples, 1)}:
            checked: Boundaries = boundaries
            return checked
        raise ValueError(
            f"{self!r} makes {self.n_categories} categories, so boundaries() must return {self.n_categories - 1} "
            f"numbers or tensors of shape ({n_samples}, 1); it returned {len(found)}, of shapes {found}."
        )

    def _require_ascending(self, boundaries: Boundaries, n_samples: int, wanted: Tensor | None) -> None:
        """Raise a ValueError if a needed boundary is NaN or below the one before."""
        tensors = [each for each in boundaries if isinstance(each, Tensor)]
        if tensors:
            table = torch.cat([torch.as_tensor(each).to(tensors[0]).expand(n_samples, 1) for each in boundaries], dim=1)
            unsound, descending = table.isnan(), table[:, :-1] > table[:, 1:]
            if wanted is not None:
                unsound, descending = unsound & wanted, descending & wanted[:, :-1] & wanted[:, 1:]
            bad, falls = bool(unsound.any()), bool(descending.any())
        else:
            bad, falls = any(map(math.isnan, boundaries)), any(low > high for low, high in pairwise(boundaries))
        if bad:
            raise ValueError(f"selection={self!r}: boundaries() returned NaN.")
        if falls:
            raise ValueError(f"selection={self!r}: boundaries() returned descending boundaries; they must ascend.")

    def choose(self, attribution: Tensor, by_category: Tensor) -> Tensor:
        """Return the value of each feature's category.

        Parameters
        ----------
        attribution : Tensor of shape (n, n_features)
        by_category : Tensor of shape (n, n_categories)
            Boundaries between equal values may be left out.

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

    def _state(self) -> tuple[object, ...]:
        """Return what is compared for equality."""
        return self.values

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Selection) and type(self) is type(other) and self._state() == other._state()

    def __hash__(self) -> int:
        return hash((type(self), self._state()))


class Cutoff(Selection):
    """A fixed boundary: attribution below it is low, attribution at it or above is high.

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
    With the cut-off 0, a feature whose attribution is exactly 0 is high: FGSM with this selection moves it up, while
    ``sign`` would not move it. If a map is 0 everywhere, the sample does not move.

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


def _shape_of(boundary: Any) -> tuple[int, ...] | str:
    """Return the shape of a boundary, () for a number, or the type's name for anything else."""
    if isinstance(boundary, Tensor):
        return tuple(boundary.shape)
    return () if isinstance(boundary, Real) else type(boundary).__name__


def differing(by_category: Tensor) -> Tensor:
    """Return which boundaries separate categories of different values: the others are not needed.

    Parameters
    ----------
    by_category : Tensor of shape (n, n_categories)

    Returns
    -------
    bool Tensor of shape (n, n_categories - 1)
    """
    return by_category[:, :-1] != by_category[:, 1:]
