"""Comparing maps with boundaries."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaba.augmenters.aba._categories import Categories, as_array, numpy_reads, pieces

Boundaries = Sequence[float | Tensor]
"""In ascending order; each is one number for all samples, or a tensor of shape (n, 1) with one number per sample."""


def compared(
    attribution: Tensor, boundaries: Boundaries, wanted: Tensor | None = None, padding: Tensor | None = None
) -> Categories:
    """Compare each feature with the boundaries.

    Parameters
    ----------
    attribution : Tensor of shape (n, ...)
        It need not be contiguous.
    boundaries : sequence of float or of Tensors of shape (n, 1)
    wanted : bool Tensor of shape (n, n_boundaries), default=None
        Which boundaries are needed, by default all; categories at other boundaries may be wrong.
    padding : bool Tensor, default=None
        True where features do not count; they are not below any boundary. The attribution's shape without the last
        axis.

    Returns
    -------
    Categories
    """
    n_features = math.prod(attribution.shape[1:])
    if numpy_reads(attribution):
        below = _below(attribution.numpy(), boundaries, as_array(wanted), as_array(padding))
        return Categories(list(torch.from_numpy(below)), n_features)
    flat = attribution.flatten(1)
    masks = [flat < boundary for boundary in boundaries]
    if padding is not None:
        masks = [mask & words_of(padding, attribution) for mask in masks]
    return Categories(masks, n_features)


def _below(values: Any, boundaries: Boundaries, wanted: Any, padding: Any) -> Any:
    """Return which features lie below each boundary, (n_boundaries, n, n_features)."""
    n_samples, n_features = len(values), math.prod(values.shape[1:])
    each = [_per_sample(boundary, values) for boundary in boundaries]
    needed = np.ones((n_samples, len(each)), dtype=bool) if wanted is None else wanted
    below = np.zeros((len(each), n_samples, n_features), dtype=bool)
    for piece, numbers in pieces(needed, n_features):
        for number in numbers:
            mask = below[number, piece].reshape(values[piece].shape)
            # The comparison runs in the order of memory, and only its result is copied in the order of the axes. So one
            # byte per feature of a strided map is read out of order instead of four or eight.
            mask[...] = values[piece] < each[number][piece]
            if padding is not None:
                mask[padding[piece]] = False
    return below


def words_of(padding: Tensor, attribution: Tensor) -> Tensor:
    """Return which features are not padding: bool, (n, n_features)."""
    return ~padding.unsqueeze(-1).expand_as(attribution).flatten(1)


def as_stored(values: Tensor) -> Tensor:
    """Return the features of each sample in the order of memory, without a copy."""
    # A convolution's gradient may be channels-last; boundaries do not depend on the order of the features.
    axes = sorted(range(1, values.dim()), key=values.stride, reverse=True)
    return values.permute(0, *axes).flatten(1)


def _per_sample(boundary: float | Tensor, values: Any) -> Any:
    """Return a boundary, one number or one per sample, as an array that broadcasts to the values."""
    if not isinstance(boundary, Tensor):
        return np.full((len(values), *[1] * (values.ndim - 1)), boundary, dtype=np.result_type(values, boundary))
    return boundary.numpy().reshape(-1, *[1] * (values.ndim - 1))
