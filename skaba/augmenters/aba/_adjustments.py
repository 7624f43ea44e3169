"""Adjustments, which say how far each category moves, and the sets that they are drawn from."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from numbers import Integral, Real

import torch
from torch import Tensor

from skaba._validation import unknown_name

Adjustment = tuple[float, ...]

# In the order of Kinkel (2023), tables 3.1 and A.1: (low, middle, high).
ADJUSTMENTS: tuple[Adjustment, ...] = (
    (0, 0, 0),
    (0, 1, 0),
    (0, -1, 0),
    (0, 0, 1),
    (0, 0, -1),
    (1, 0, 0),
    (-1, 0, 0),
    (0, 1, 1),
    (0, -1, 1),
    (0, 1, -1),
    (0, -1, -1),
    (1, 1, 0),
    (1, -1, 0),
    (-1, 1, 0),
    (-1, -1, 0),
    (1, 0, 1),
    (1, 0, -1),
    (-1, 0, 1),
    (-1, 0, -1),
    (1, 1, 1),
    (1, -1, 1),
    (1, 1, -1),
    (1, -1, -1),
    (-1, 1, 1),
    (-1, -1, 1),
    (-1, 1, -1),
    (-1, -1, -1),
)

GROUPS = ("delta", "epsilon", "neutral")


def group_of(adjustment: Adjustment) -> str:
    """Return the group of an adjustment.

    Parameters
    ----------
    adjustment : tuple of float
        From the lowest category to the highest.

    Returns
    -------
    {"epsilon", "delta", "neutral"}
        By the sign of ``high - low``: positive is Epsilon, which makes the prediction harder if the target is the loss;
        negative is Delta; zero is Neutral. If the target is the score of a class, Epsilon and Delta swap roles.

    References
    ----------
    Kinkel (2023), section 3.3.1.

    Examples
    --------
    >>> from skaba.augmenters import group_of
    >>> group_of((-1, 0, 1)), group_of((1, 0, -1)), group_of((0, 1, 0))
    ('epsilon', 'delta', 'neutral')
    """
    difference = adjustment[-1] - adjustment[0]
    if difference == 0:
        return "neutral"
    return "epsilon" if difference > 0 else "delta"


class AdjustmentSet:
    """A set of adjustments, from which one is drawn per sample.

    It is immutable; equal sets compare equal.

    Parameters
    ----------
    adjustments : sequence of int or of tuples of float
        Indices of the paper's 27 adjustments of three categories, or vectors with one number per category, from the
        lowest to the highest: factors of the strength, so that ``(0.5, 0, -2)`` gives each category a strength of its
        own. An adjustment that appears twice is drawn twice as often. With two categories, an index stands for the
        first and last number of its adjustment.
    probabilities : sequence of float, default=None
        The probability of each adjustment; they sum to 1. By default all are equal.

    Raises
    ------
    ValueError
        If the set is empty, an index is not from 0 to 26, the vectors differ in length or are not finite, or the
        probabilities do not fit.

    References
    ----------
    Kinkel (2023), section 3.1.6 and table 3.1.

    Examples
    --------
    >>> from skaba.augmenters import AdjustmentSet
    >>> mend_aba = AdjustmentSet([1, 2, 3, 4, 5, 6])
    >>> mend_aba.table(3)[:2]
    tensor([[ 0.,  1.,  0.],
            [ 0., -1.,  0.]])
    >>> AdjustmentSet.group("epsilon")
    AdjustmentSet([3, 6, 7, 8, 13, 14, 17, 23, 24])
    >>> AdjustmentSet([3, (0.5, 0, -1)]).opposites()
    AdjustmentSet([4, (-0.5, 0, 1)])
    """

    def __init__(
        self,
        adjustments: Sequence[int | Sequence[float]],
        probabilities: Sequence[float] | None = None,
    ) -> None:
        if not isinstance(adjustments, Iterable):
            raise ValueError(f"AdjustmentSet takes a sequence of adjustments, for example [3, 4]; got {adjustments!r}.")
        self.adjustments = tuple(_checked(adjustment) for adjustment in adjustments)
        if not self.adjustments:
            raise ValueError("AdjustmentSet got no adjustments; give at least one, for example [3, 4, 5, 6].")
        lengths = {3 if isinstance(a, int) else len(a) for a in self.adjustments}
        if len(lengths) > 1:
            raise ValueError(
                f"The adjustments have different lengths {sorted(lengths)} (an index stands for 3); "
                "all must have one number per category."
            )
        self.probabilities = _checked_probabilities(probabilities, len(self.adjustments))

    @classmethod
    def group(cls, name: str) -> AdjustmentSet:
        """Return all adjustments of a group.

        Parameters
        ----------
        name : {"epsilon", "delta", "neutral"}

        Returns
        -------
        AdjustmentSet
            Nine indices.

        Raises
        ------
        ValueError
            If there is no such group.
        """
        if name not in GROUPS:
            raise ValueError(unknown_name("group of adjustments", name, GROUPS))
        return cls([index for index, vector in enumerate(ADJUSTMENTS) if group_of(vector) == name])

    def opposites(self) -> AdjustmentSet:
        """Return the set in which every adjustment moves the other way.

        Returns
        -------
        AdjustmentSet
            With the same probabilities.
        """
        return AdjustmentSet([_opposite(adjustment) for adjustment in self.adjustments], self.probabilities)

    def table(self, n_categories: int) -> Tensor:
        """Return the adjustments as rows.

        Parameters
        ----------
        n_categories : int
            The number of categories of the selection.

        Returns
        -------
        float32 Tensor of shape (n_adjustments, n_categories)

        Raises
        ------
        ValueError
            If they do not match the selection.
        """
        return _table(self.adjustments, n_categories).clone()

    def draw(self, n_samples: int, n_categories: int, generator: torch.Generator) -> Tensor:
        """Draw an adjustment for each sample.

        Parameters
        ----------
        n_samples, n_categories : int
        generator : torch.Generator on the CPU

        Returns
        -------
        float32 Tensor of shape (n_samples, n_categories) on the CPU
        """
        table = _table(self.adjustments, n_categories)
        if self.probabilities is None:
            index = torch.randint(len(table), (n_samples,), generator=generator)
        else:
            weights = torch.tensor(self.probabilities)
            index = torch.multinomial(weights, n_samples, replacement=True, generator=generator)
        return table[index]

    def __repr__(self) -> str:
        probabilities = "" if self.probabilities is None else f", probabilities={list(self.probabilities)}"
        return f"AdjustmentSet({list(self.adjustments)}{probabilities})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, AdjustmentSet):
            return NotImplemented
        return (self.adjustments, self.probabilities) == (other.adjustments, other.probabilities)

    def __hash__(self) -> int:
        return hash((self.adjustments, self.probabilities))


def _checked(adjustment: int | Sequence[float]) -> int | Adjustment:
    if isinstance(adjustment, Integral):
        index = int(adjustment)
        if 0 <= index < len(ADJUSTMENTS):
            return index
        raise ValueError(f"There is no adjustment {adjustment}; the indices go from 0 to 26.")
    # A string is iterable too, and would fail later with a message about its letters.
    if isinstance(adjustment, Real | str) or not isinstance(adjustment, Iterable):
        raise ValueError(f"An adjustment is an index from 0 to 26 or a vector of numbers, got {adjustment!r}.")
    vector = tuple(value.item() if hasattr(value, "item") else value for value in adjustment)
    if not vector or not all(isinstance(value, Real) and math.isfinite(value) for value in vector):
        raise ValueError(f"An adjustment must hold one finite number per category, got {vector}.")
    return vector


def _checked_probabilities(probabilities: Sequence[float] | None, n: int) -> tuple[float, ...] | None:
    if probabilities is None:
        return None
    probabilities = tuple(float(p) for p in probabilities)
    if len(probabilities) != n:
        raise ValueError(f"Got {len(probabilities)} probabilities for {n} adjustments; give one for each.")
    if not all(0 <= p <= 1 for p in probabilities) or not math.isclose(sum(probabilities), 1, abs_tol=1e-6):
        raise ValueError(
            f"The probabilities {list(probabilities)} sum to {sum(probabilities):g}; "
            "they must lie between 0 and 1 and sum to 1."
        )
    return probabilities


@lru_cache(maxsize=256)
def _table(adjustments: tuple[int | Adjustment, ...], n_categories: int) -> Tensor:
    # Cached, because each training step needs it; sets are immutable.
    return torch.tensor([_row(adjustment, n_categories) for adjustment in adjustments])


def _row(adjustment: int | Adjustment, n_categories: int) -> list[float]:
    vector = ADJUSTMENTS[adjustment] if isinstance(adjustment, int) else adjustment
    if isinstance(adjustment, int) and n_categories == 2:
        vector = (vector[0], vector[-1])
    if len(vector) != n_categories:
        raise ValueError(
            f"The adjustment {adjustment} is for {len(vector)} categories, but the selection makes "
            f"{n_categories}. Give vectors of length {n_categories}, or change the selection."
        )
    return [float(value) for value in vector]


def _opposite(adjustment: int | Adjustment) -> int | Adjustment:
    if isinstance(adjustment, int):
        return ADJUSTMENTS.index(tuple(-value for value in ADJUSTMENTS[adjustment]))
    return tuple(-value if value else value for value in adjustment)  # no -0.0, which would show in the repr
