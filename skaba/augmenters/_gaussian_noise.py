"""Gaussian noise: the control that does not use the model."""

from __future__ import annotations

from typing import Any, ClassVar

from skaba.augmenters._augmenter import Augmenter
from skaba.augmenters._batch import Batch
from skaba.augmenters._clipping import CLIP_CONSTRAINT, Clip, Mover
from skaba.network import normal_like


class GaussianNoise(Augmenter):
    """Add normal noise to the input: ``x' = x + s * N(0, 1)``.

    The oldest regularizer of inputs, and a control for attribution: all features change, wherever the model looks. The
    strength is the standard deviation of the noise. To compare it with another augmenter, set it to the root mean
    square of that augmenter's changes.

    Parameters
    ----------
    clip : (low, high), default=None
        The range that augmentation must not leave: numbers, or arrays that broadcast to a sample. A feature outside the
        range is not moved further away. None means no range.

    References
    ----------
    Bishop (1995), "Training with Noise is Equivalent to Tikhonov Regularization".

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import GaussianNoise
    >>> x = torch.zeros(2, 1000)
    >>> noisy = GaussianNoise()(None, x, None, strength=0.5, criterion=None,
    ...                         generator=torch.Generator().manual_seed(0))
    >>> round(noisy.std().item(), 1)
    0.5
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"clip": CLIP_CONSTRAINT}

    default_strength: ClassVar[float] = 0.1
    strength_unit: ClassVar[str] = "standard deviation, in units of the input, or of the layer's output"

    def __init__(self, clip: Clip | None = None) -> None:
        self.clip = clip

    def _plan(self, batch: Batch, strength: float) -> Mover:
        return lambda x: x + strength * normal_like(x, batch.generator)
