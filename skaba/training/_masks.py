"""Masks of features that may matter, brought to the features' shape."""

from __future__ import annotations

from torch import Tensor

from skaba.network import to_channels


def on_features(mask: Tensor, x: Tensor, channel_axis: int) -> Tensor:
    """Give a mask the shape of the features that it is about.

    Parameters
    ----------
    mask : bool Tensor of shape (n, ...)
        Of the features' shape, or without the axis of channels: (n, height, width), (n, length).
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
        If it does not broadcast.
    """
    whole = to_channels(mask, x, channel_axis) if mask.dim() == x.dim() - 1 else mask
    try:
        return whole.to(x.device).expand(x.shape)
    except RuntimeError as error:
        places = tuple(x.select(channel_axis, 0).shape) if x.dim() > 2 else tuple(x.shape)
        raise ValueError(
            f"mask has shape {tuple(mask.shape)}, but the features have shape {tuple(x.shape)}: pass a mask of that "
            f"shape, or {places}."
        ) from error
