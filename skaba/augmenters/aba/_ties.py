"""Ties: the choice of features below a boundary among those that equal it."""

from __future__ import annotations

import torch
from torch import Tensor

GOLDEN = 0.618
"""A stride of this share of n spreads the visited places evenly, for any number of visits."""

NEARBY = 64
"""Among this many consecutive integers, one is coprime to n, for any n below 10 ** 12."""


def exactly_below(values: Tensor, boundary: Tensor, n_below: Tensor, counted: Tensor | None = None) -> Tensor:
    """Return the features below a boundary, exactly ``n_below`` of them.

    If too few features are smaller than the boundary, some of those that equal it are added. They are spread evenly,
    from a start that depends on which features are smaller. So no place is favoured, nothing is drawn, the same map
    always gives the same features, and a larger number includes the features of a smaller one.

    Parameters
    ----------
    values : Tensor of shape (n, n_features)
    boundary : Tensor of shape (n, 1)
    n_below : int64 Tensor of shape (n, 1)
        At least the number of smaller features, at most the number of features up to the boundary.
    counted : bool Tensor of shape (n, n_features), default=None
        Features that count, by default all; the others are never below.

    Returns
    -------
    bool Tensor of shape (n, n_features)

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters.aba._ties import exactly_below
    >>> values = torch.tensor([[0.0, 0.0, 5.0, 0.0, -1.0, 0.0]])
    >>> exactly_below(values, torch.tensor([[0.0]]), torch.tensor([[3]])).int()
    tensor([[0, 1, 0, 1, 1, 0]], dtype=torch.int32)
    """
    if counted is None:
        counted = torch.ones_like(values, dtype=torch.bool)
    smaller, tied = (values < boundary) & counted, (values == boundary) & counted
    lacking = n_below - smaller.sum(dim=1, keepdim=True)
    n_tied = tied.sum(dim=1, keepdim=True).clamp(min=1)
    # Positions are counted without padding, so that the padded length does not change the choice.
    place = counted.cumsum(dim=1)
    start = (place * (smaller | tied)).sum(dim=1, keepdim=True)
    number = tied.cumsum(dim=1) - 1
    return smaller | (tied & ((number * _stride(n_tied) + start) % n_tied < lacking))


def _stride(n: Tensor) -> Tensor:
    """Return strides coprime to n, so that steps around n places visit all of them; n has shape (n_rounds, 1)."""
    candidates = (GOLDEN * n).long().clamp(min=1) + torch.arange(NEARBY, device=n.device)
    coprime = torch.gcd(candidates, n) == 1
    return candidates.gather(1, coprime.int().argmax(dim=1, keepdim=True))
