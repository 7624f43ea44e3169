"""Masks of features that may matter: checked, and brought to the features' shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaba.network import to_channels


def checked_mask(mask: Any, n_samples: int) -> Tensor:
    """Return the mask of a batch as a tensor.

    Parameters
    ----------
    mask : bool Tensor or array-like of shape (n, ...)
        True where a feature may matter, False where it is known to be irrelevant.
    n_samples : int
        The number of samples in the batch.

    Returns
    -------
    bool Tensor

    Raises
    ------
    ValueError
        If it is not boolean, has no entry per sample, or leaves a sample without any feature.
    """
    values = mask if isinstance(mask, Tensor) else _as_tensor(mask)
    if values.dtype != torch.bool:
        kind = str(values.dtype).removeprefix("torch.")
        raise ValueError(
            f"mask holds {kind} values; it must be boolean, such as mask != 0: True where a feature may matter."
        )
    if values.dim() < 2 or len(values) != n_samples:
        raise ValueError(
            f"mask has shape {tuple(values.shape)}; it needs one entry per sample, and the axes of a sample after the "
            f"first: ({n_samples}, ...)."
        )
    empty = ~values.flatten(1).any(dim=1)
    if empty.any():
        raise ValueError(
            f"mask is False everywhere for {int(empty.sum())} of {n_samples} samples, the first of them sample "
            f"{int(empty.int().argmax())}, so none of their features may matter. True marks features that may matter; "
            "invert the mask, ~mask, if it marks what is irrelevant."
        )
    return values


def _as_tensor(mask: Any) -> Tensor:
    try:
        return torch.as_tensor(np.asarray(mask))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"mask is no boolean array, one entry per sample: {error}. For a sample without feedback pass True "
            "everywhere."
        ) from error


def on_features(mask: Tensor, x: Tensor, channel_axis: int) -> Tensor:
    """Give a mask the shape of the features.

    Parameters
    ----------
    mask : bool Tensor of shape (n, ...)
        With the features' shape, or without the axis of channels: (n, height, width), (n, length).
    x : Tensor of shape (n, ...)
        The features.
    channel_axis : int
        The axis of x that holds channels, 1 or -1.

    Returns
    -------
    bool Tensor of x's shape

    Raises
    ------
    ValueError
        If it has another shape.
    """
    # Other shapes are not broadcast: a mask of one image would fit a batch whose size happens to be the image's height.
    places = x.select(channel_axis, 0).shape if x.dim() > 2 else x.shape
    if mask.shape not in (x.shape, places):
        raise ValueError(
            f"mask has shape {tuple(mask.shape)}, but the features have shape {tuple(x.shape)}: the mask must have the "
            f"shape {' or '.join(sorted({str(tuple(x.shape)), str(tuple(places))}))}."
        )
    whole = mask if mask.shape == x.shape else to_channels(mask, x, channel_axis)
    return whole.to(x.device).expand(x.shape)
