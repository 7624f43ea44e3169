"""Categories by percentiles of each sample's map."""

from __future__ import annotations

import math
from itertools import pairwise
from numbers import Real

import torch
from torch import Tensor

from skaba.augmenters.aba._categories import Categories, numpy_reads
from skaba.augmenters.aba._comparing import Boundaries, as_stored, compared, words_of
from skaba.augmenters.aba._order_statistics import order_statistics
from skaba.augmenters.aba._selections import Selection
from skaba.augmenters.aba._ties import exactly_below

PADDING = ("exclude", "include")


class Percentiles(Selection):
    """Boundaries at percentiles of each sample's attribution, over all its features.

    ``ceil(q * (n_features - 1))`` features lie below the boundary for q. The tails below q and above 1 - q differ by at
    most one feature. Without ties the categories are the same as with linearly interpolated percentiles.

    Parameters
    ----------
    *values : float
        Shares in (0, 1), strictly increasing. No value makes one category, one value makes two (low and high), two
        values make three (low, middle and high).
    padding : {"exclude", "include"}, default="exclude"
        Whether padding at an embedding's output counts as features; it never moves. With ``"exclude"`` the percentiles
        are those of the words, so that the padded length does not matter. With ``"include"``, as in the source, they
        are those of all features.

    Raises
    ------
    ValueError
        If the values do not increase strictly or lie outside (0, 1), or there is no such rule for padding.

    Notes
    -----
    If several features have the value of a boundary, as zeros often do, some of them are counted as below, so that the
    number is right. They are spread evenly, from a start that depends on which features are smaller. So no place is
    favoured, nothing is drawn, and the same map always gives the same categories.

    If a map is constant, the sample does not move, since no feature is lower than another.

    References
    ----------
    Kinkel (2023), section 3.1.3, equations 3.4 and 3.5; the named methods use 0.1 and 0.9 (section 3.8).

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import Percentiles
    >>> Percentiles(0.1, 0.9).categories(torch.arange(10.0).reshape(1, 10))
    tensor([[0, 1, 1, 1, 1, 1, 1, 1, 1, 2]])

    Ties do not change how many features are in a category:

    >>> Percentiles(0.25, 0.75).categories(torch.tensor([[0.0, 0.0, 3.0, 0.0, 0.0]]))[0].bincount()
    tensor([1, 2, 2])
    """

    def __init__(self, *values: float, padding: str = "exclude") -> None:
        if not all(isinstance(value, Real) and 0 < value < 1 for value in values):
            raise ValueError(f"Percentiles must lie inside (0, 1), for example 0.1 and 0.9; got {values}.")
        if any(low >= high for low, high in pairwise(values)):
            raise ValueError(f"Percentiles must increase strictly, for example 0.1 and 0.9; got {values}.")
        if padding not in PADDING:
            raise ValueError(f'padding must be "exclude" or "include", got {padding!r}.')
        self.values = tuple(float(value) for value in values)
        self.padding = padding

    def n_below(self, n_features: int) -> list[int]:
        """Return how many of a sample's features lie below each boundary.

        Parameters
        ----------
        n_features : int
            How many of its features count.
        """
        # Without the small number, 0.07 * 100 = 7.000000000000001 would become 8 by rounding up.
        return [max(0, math.ceil(value * (n_features - 1) - 1e-9)) for value in self.values]

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
        return order_statistics(attribution, self.n_below(attribution.shape[1]), wanted)

    def sort(self, attribution: Tensor, wanted: Tensor | None = None, padding: Tensor | None = None) -> Categories:
        """Sort the features of each sample into categories.

        Parameters
        ----------
        attribution : Tensor of shape (n, ...)
            Finite. It need not be contiguous.
        wanted : bool Tensor of shape (n, n_categories - 1), default=None
            Which boundaries are needed, by default all; categories at other boundaries may be wrong.
        padding : bool Tensor, default=None
            True where a sample has padding; the attribution's shape without the last axis. Ignored if padding is
            included.

        Returns
        -------
        Categories
        """
        attribution = attribution.detach()
        if padding is None or self.padding == "include" or not padding.any():
            padding = None
            n_below = torch.tensor([self.n_below(math.prod(attribution.shape[1:]))]).expand(len(attribution), -1)
            boundaries: Boundaries = self.boundaries(as_stored(attribution), wanted)
        else:
            n_counted = (~padding).flatten(1).sum(dim=1) * attribution.shape[-1]
            n_below = torch.tensor([self.n_below(number) for number in n_counted.tolist()])
            boundaries = self._boundaries_of_words(attribution, wanted, padding, n_below)
        n_below = n_below.to(attribution.device)
        categories = compared(attribution, boundaries, wanted, padding)
        if not self.values:  # one category: there are no boundaries
            return categories
        counts = categories.counts()
        off = counts != n_below  # ties at a boundary
        rows = (off if wanted is None else off & wanted).any(dim=1).nonzero().squeeze(1)
        if len(rows):
            at = [each[rows] for each in boundaries if isinstance(each, Tensor)]
            words = None if padding is None else words_of(padding[rows], attribution[rows])
            _break_ties(categories, rows, attribution[rows].flatten(1), at, n_below[rows], words)
        return categories

    def _boundaries_of_words(
        self, attribution: Tensor, wanted: Tensor | None, padding: Tensor, n_below: Tensor
    ) -> list[Tensor]:
        """Return the order statistics of each sample's features without padding."""
        if not numpy_reads(attribution):  # all samples at once: a loop would wait for the device at each sample
            flat = attribution.flatten(1).masked_fill(~words_of(padding, attribution), torch.inf)
            return _columns(flat.sort(dim=1).values.gather(1, n_below.to(flat.device)))
        found = attribution.new_zeros(n_below.shape)
        for row, (values, is_padding) in enumerate(zip(attribution, padding, strict=True)):
            words = values[~is_padding].reshape(1, -1)
            if words.numel() and (wanted is None or wanted[row].any()):
                of_row = self.boundaries(words, None if wanted is None else wanted[row : row + 1])
                for number, boundary in enumerate(of_row):
                    found[row, number] = boundary
        return _columns(found)

    def _state(self) -> tuple[object, ...]:
        return self.values, self.padding

    def __repr__(self) -> str:
        parts = [*map(str, self.values), *([] if self.padding == "exclude" else [f"padding={self.padding!r}"])]
        return f"Percentiles({', '.join(parts)})"


def _columns(values: Tensor) -> list[Tensor]:
    return [values[:, [column]] for column in range(values.shape[1])]


def _break_ties(
    categories: Categories,
    rows: Tensor,
    values: Tensor,
    boundaries: list[Tensor],
    n_below: Tensor,
    counted: Tensor | None,
) -> None:
    """Correct the number of features below each boundary for some samples, and mark constant maps."""
    for number, boundary in enumerate(boundaries):
        categories.below[number][rows] = exactly_below(values, boundary, n_below[:, number, None], counted)
    lowest = values if counted is None else values.masked_fill(~counted, torch.inf)
    highest = values if counted is None else values.masked_fill(~counted, -torch.inf)
    categories.mark_blank(rows, lowest.amin(dim=1) == highest.amax(dim=1))
