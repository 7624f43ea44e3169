"""Augmenters for series: shifts in time, scaling, and masks of time.

braindecode and torch_ecg have such augmentations too, but install torchaudio or a dozen other packages with them.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from skaba.augmenters._augmenter import Augmenter
from skaba.augmenters._batch import Batch
from skaba.augmenters._clipping import CLIP_CONSTRAINT, Clip, Mover
from skaba.augmenters._erasing import boxes
from skaba.network import positions, to_channels


class TimeShift(Augmenter):
    """Shift each series in time, by a number of steps that is drawn uniformly.

    Steps that come from outside the series take the value at its border, so that there is no jump. All channels of a
    series are shifted together.

    See Also
    --------
    TimeMask : Overwrite a stretch of time.

    Notes
    -----
    The strength is the longest shift, in either direction, as a share of the length. Below one step nothing is shifted.

    References
    ----------
    Um et al. (2017), "Data Augmentation of Wearable Sensor Data for Parkinson's Disease Monitoring using Convolutional
    Neural Networks", where shifts are made by cropping.

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import TimeShift
    >>> series = torch.arange(8.0).reshape(1, 1, 8)
    >>> TimeShift()(None, series, None, strength=0.5, criterion=None, generator=torch.Generator().manual_seed(0))
    tensor([[[0., 0., 0., 0., 0., 1., 2., 3.]]])
    """

    default_strength: ClassVar[float] = 0.1
    strength_unit: ClassVar[str] = "the longest shift, as a share of the length"
    largest_strength: ClassVar[float] = 1.0

    def _plan(self, batch: Batch, strength: float) -> Mover:
        def shift(x: Tensor) -> Tensor:
            require_series("TimeShift", x)
            (length,) = positions(x, batch.channel_axis)
            longest = int(strength * length)
            shifts = torch.randint(-longest, longest + 1, (len(x), 1), generator=batch.generator).to(x.device)
            source = (torch.arange(length, device=x.device) - shifts).clamp(0, length - 1)
            at = source.unsqueeze(batch.channel_axis).expand_as(x)
            return x.gather(2 if batch.channel_axis == 1 else 1, at)

        return shift


class Scaling(Augmenter):
    """Multiply each channel of a sample by a factor near 1: ``x' = x * (1 + s * N(0, 1))``.

    For a series the factor is one per channel, such as a lead of an ECG; for a table one per feature; for an image
    one per colour.

    Parameters
    ----------
    clip : (low, high), default=None
        The range that augmentation must not leave: numbers, or arrays that broadcast to a sample. A feature outside the
        range is not moved further away. None means no range.

    Notes
    -----
    The strength is the standard deviation of the factor; the default is that of the paper.

    References
    ----------
    Um et al. (2017), "Data Augmentation of Wearable Sensor Data for Parkinson's Disease Monitoring using Convolutional
    Neural Networks".

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import Scaling
    >>> series = torch.ones(1, 2, 3)
    >>> Scaling()(None, series, None, strength=0.1, criterion=None, generator=torch.Generator().manual_seed(0))
    tensor([[[1.1541, 1.1541, 1.1541],
             [0.9707, 0.9707, 0.9707]]])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"clip": CLIP_CONSTRAINT}

    default_strength: ClassVar[float] = 0.1
    strength_unit: ClassVar[str] = "standard deviation of the factor"

    def __init__(self, clip: Clip | None = None) -> None:
        self.clip = clip

    def _plan(self, batch: Batch, strength: float) -> Mover:
        def scale(x: Tensor) -> Tensor:
            n_channels = x.shape[batch.channel_axis]
            factors = 1 + strength * torch.randn(len(x), n_channels, generator=batch.generator).to(x)
            shape = [len(x), *[1] * (x.dim() - 1)]
            shape[batch.channel_axis] = n_channels
            return x * factors.reshape(shape)

        return scale


class TimeMask(Augmenter):
    """Set one stretch of time of each series to zero, in all channels.

    The length of the stretch is drawn uniformly, then its place.

    See Also
    --------
    RandomErasing : Stretches or rectangles, with other fills.

    Notes
    -----
    The strength is the length of the longest stretch, as a share of the length of the series.

    References
    ----------
    Park et al. (2019), "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition".

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import TimeMask
    >>> series = torch.ones(1, 1, 8)
    >>> TimeMask()(None, series, None, strength=0.5, criterion=None, generator=torch.Generator().manual_seed(2))
    tensor([[[1., 1., 0., 0., 0., 1., 1., 1.]]])
    """

    default_strength: ClassVar[float] = 0.2
    strength_unit: ClassVar[str] = "the longest stretch, as a share of the length"
    largest_strength: ClassVar[float] = 1.0

    def _plan(self, batch: Batch, strength: float) -> Mover:
        def mask(x: Tensor) -> Tensor:
            require_series("TimeMask", x)
            (length,) = positions(x, batch.channel_axis)
            size = torch.randint(int(strength * length) + 1, (len(x), 1), generator=batch.generator)
            start = (torch.rand(len(x), 1, generator=batch.generator) * (length - size + 1)).long()
            places = boxes(start.to(x.device), size.to(x.device), [length])
            return x.masked_fill(to_channels(places, x, batch.channel_axis), 0)

        return mask


def require_series(who: str, x: Tensor) -> None:
    """Raise a ValueError unless samples have one axis of places."""
    if x.dim() != 3:
        raise ValueError(
            f"{who} needs series, (n, channels, length), or texts at their embedding, (n, length, dimension); got "
            f"shape {tuple(x.shape)}."
        )
