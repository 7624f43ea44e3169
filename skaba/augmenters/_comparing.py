"""Comparing maps with boundaries: from values to the bits of categories."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaba.augmenters._categories import Categories, as_array, numpy_knows, piece_size, pieces

Boundaries = Sequence[float | Tensor]
"""In ascending order; each is one number for all samples, or a tensor of shape (n, 1) with one per sample."""


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
        Which boundaries are needed, by default all; bits of the others may be wrong.
    padding : bool Tensor, default=None
        True where features take no part: they lie below no boundary. The attribution's shape but for the last axis.

    Returns
    -------
    Categories
    """
    if not numpy_knows(attribution):
        flat = attribution.flatten(1)
        masks = [flat < boundary for boundary in boundaries]
        if padding is not None:
            masks = [mask & words_of(padding, attribution) for mask in masks]
        return Categories.packed(masks, flat)
    values, n_features = attribution.numpy(), math.prod(attribution.shape[1:])
    each = [_per_sample(boundary, values) for boundary in boundaries]
    needed = np.ones((len(values), len(each)), dtype=bool) if wanted is None else wanted.numpy()
    left_out = as_array(padding)
    bits = np.zeros((len(each), len(values), -(-n_features // 8)), dtype=np.uint8)
    below = np.empty((piece_size(n_features), *values.shape[1:]), dtype=bool)
    for piece, numbers in pieces(needed, n_features):  # from comparison to bits while it is in the caches
        mask = below[: len(values[piece])]
        for number in numbers:
            # Compared in the order of memory, then put in that of the axes: much less is read out of order.
            mask[:] = values[piece] < each[number][piece]
            if left_out is not None:
                mask[left_out[piece]] = False
            bits[number, piece] = np.packbits(mask.reshape(len(mask), -1), axis=1)
    return Categories(torch.from_numpy(bits), n_features)


def words_of(padding: Tensor, attribution: Tensor) -> Tensor:
    """Return which features are no padding: bool, of shape (n, n_features)."""
    return ~padding.unsqueeze(-1).expand_as(attribution).flatten(1)


def as_stored(values: Tensor) -> Tensor:
    """Return the features of each sample in the order of memory: what has no order needs no copy."""
    axes = sorted(range(1, values.dim()), key=values.stride, reverse=True)
    return values.permute(0, *axes).flatten(1)


def _per_sample(boundary: float | Tensor, values: Any) -> Any:
    """Return a boundary, one of all samples or of each, such that it is compared with an array of samples."""
    if not isinstance(boundary, Tensor):
        return np.full((len(values), *[1] * (values.ndim - 1)), boundary, dtype=np.result_type(values, boundary))
    return boundary.numpy().reshape(-1, *[1] * (values.ndim - 1))
