"""The control that needs no model."""

from __future__ import annotations

from typing import Any, ClassVar

from skaba.augmenters._augmenter import Augmenter
from skaba.augmenters._batch import Batch
from skaba.augmenters._clipping import CLIP_CONSTRAINT, Clip, Mover
from skaba.network import normal_like


class GaussianNoise(Augmenter):
    """Add normal noise to the input: ``x' = x + s * N(0, 1)``.

    The oldest input regularizer, and a control for attribution: change everywhere, not where the
    model looks. The strength is the noise's standard deviation; set it to the root mean square of
    a method's changes to compare at the same norm.

    Parameters
    ----------
    clip : (low, high), default=None
        A range that augmentation does not leave: numbers, or arrays that broadcast to a sample. A feature that lies
        outside already is not moved further away. None sets no range.

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
