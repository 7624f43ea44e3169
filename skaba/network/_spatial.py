"""The spatial axes of a sample: height and width, time, or the words of a text."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_INTERPOLATION = {3: "linear", 4: "bilinear"}


def positions(x: Tensor, channel_axis: int) -> torch.Size:
    """Return the sizes of a sample's axes without its channels; for a table the number of features.

    Parameters
    ----------
    x : Tensor of shape (n, ...)
    channel_axis : int
        The axis of channels, 1 or -1.
    """
    return x.shape[1:] if x.dim() == 2 else x.select(channel_axis, 0).shape[1:]


def to_channels(values: Tensor, x: Tensor, channel_axis: int) -> Tensor:
    """Add a channel axis to values of shape (..., n, *positions), so that they broadcast over x's channels."""
    # Counted from the end, because values may have more leading axes than x.
    return values if x.dim() == 2 else values.unsqueeze(channel_axis if channel_axis < 0 else channel_axis - x.dim())


def require_places(who: str, x: Tensor, features: Tensor) -> None:
    """Raise a ValueError unless a layer's output has as many spatial axes as the input, at least one."""
    _require_interpolable(who, x)
    if features.dim() != x.dim():
        raise ValueError(
            f"{who}: the layer's output {tuple(features.shape)} has another number of spatial axes than the input "
            f"{tuple(x.shape)}. Choose a layer between them, for example the last convolution."
        )


def _require_interpolable(who: str, x: Tensor) -> None:
    if x.dim() not in _INTERPOLATION:
        raise ValueError(
            f"{who} needs an input with one or two spatial axes, (n, channels, length) or (n, channels, height, "
            f"width), got shape {tuple(x.shape)}. For tables use another method, for example IntegratedGradients."
        )


def upsample(values: Tensor, x: Tensor, channel_axis: int) -> Tensor:
    """Stretch values of shape (n, *positions of a layer) to x's positions and repeat them for each of its channels."""
    stretched = functional.interpolate(
        values.unsqueeze(1), tuple(positions(x, channel_axis)), mode=_INTERPOLATION[x.dim()], align_corners=False
    )
    return stretched.squeeze(1).unsqueeze(channel_axis).expand_as(x).contiguous()


def scaled(x: Tensor, factor: float, channel_axis: int) -> Tensor:
    """Shrink x along its spatial axes by averaging, each to at least one position.

    Raises
    ------
    ValueError
        If x has no spatial axes, or more than two.
    """
    _require_interpolable("resolution", x)
    size = [max(1, round(factor * length)) for length in positions(x, channel_axis)]
    return functional.interpolate(x.movedim(channel_axis, 1), size, mode="area").movedim(1, channel_axis).contiguous()


def stretched(values: Tensor, x: Tensor, channel_axis: int) -> Tensor:
    """Stretch values, which have x's channels, to x's positions."""
    size = tuple(positions(x, channel_axis))
    mode = _INTERPOLATION[x.dim()]
    # align_corners=False takes values as the centres of cells. With True, the outermost would move to the borders.
    wide = functional.interpolate(values.movedim(channel_axis, 1), size, mode=mode, align_corners=False)
    return wide.movedim(1, channel_axis).contiguous()


def blur(values: Tensor, channel_axis: int, sigma: float) -> Tensor:
    """Smooth values along their spatial axes with a Gaussian that is cut off at two standard deviations.

    Beyond the border the outermost value is repeated, so a constant is not changed.

    Parameters
    ----------
    values : Tensor of shape (n, ...)
    channel_axis : int
        The axis of channels, 1 or -1; it is not smoothed.
    sigma : float
        Standard deviation in positions; below 0.25 nothing changes.
    """
    radius = int(2 * sigma + 0.5)  # rounded as in scipy.ndimage.gaussian_filter with truncate=2
    if radius == 0:
        return values
    offsets = torch.arange(-radius, radius + 1, dtype=values.dtype, device=values.device)
    # A softmax is the Gaussian, normalised to a sum of 1.
    kernel = torch.softmax(-(offsets**2) / (2 * sigma**2), dim=0)
    # A Gaussian is a product of one-dimensional ones: k + k multiplications per value in place of k * k.
    smoothed = values.movedim(channel_axis, 1)
    for axis in range(2, values.dim()):
        smoothed = _convolve(smoothed.movedim(axis, -1), kernel).movedim(-1, axis)
    return smoothed.movedim(1, channel_axis).contiguous()


def _convolve(values: Tensor, kernel: Tensor) -> Tensor:
    radius = len(kernel) // 2
    rows = functional.pad(values.flatten(0, -2).unsqueeze(1), (radius, radius), mode="replicate")
    return functional.conv1d(rows, kernel.reshape(1, 1, -1)).reshape(values.shape)
