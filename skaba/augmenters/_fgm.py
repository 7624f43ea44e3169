"""Adversarial training with a step of fixed length."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from skaba.attribution import Gradient, Loss
from skaba.augmenters._augmenter import Augmenter
from skaba.augmenters._batch import Batch
from skaba.augmenters._clipping import CLIP_CONSTRAINT, Clip, Mover
from skaba.network import per_sample


class FGM(Augmenter):
    """Move each sample along the gradient of its loss: ``x' = x + s * g / ||g||``, with the Euclidean norm.

    Parameters
    ----------
    clip : (low, high), default=None
        The range that augmentation must not leave: numbers, or arrays that broadcast to a sample. A feature outside the
        range is not moved further away. None means no range.

    See Also
    --------
    fgsm : Every feature moves by s, in the direction of the gradient's sign.

    Notes
    -----
    The strength is the length of the step of a sample. At the embedding of a text it is that over all words, without
    padding. The paper trains on the plain and on the moved samples, and on word vectors that are normalised; here the
    network is trained on the moved samples alone, and the strength is in the units of the features.

    The gradient is that in evaluation mode. A sample whose gradient is zero does not move.

    References
    ----------
    Miyato et al. (2017), "Adversarial Training Methods for Semi-Supervised Text Classification", equation 5.

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import FGM
    >>> model, x, y = torch.nn.Linear(2, 1), torch.zeros(1, 2), torch.zeros(1, 1)
    >>> moved = FGM()(model, x, y, strength=0.5, criterion=torch.nn.BCEWithLogitsLoss(), generator=torch.Generator())
    >>> round(float(moved.norm()), 4)
    0.5
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"clip": CLIP_CONSTRAINT}

    default_strength: ClassVar[float] = 1.0
    strength_unit: ClassVar[str] = "length of a sample's step, in units of the input, or of the layer's output"

    def __init__(self, clip: Clip | None = None) -> None:
        self.clip = clip

    def _plan(self, batch: Batch, strength: float) -> Mover:
        gradient = batch.attribute(Gradient(), Loss())
        if (padding := batch.padding) is not None:
            gradient = gradient.masked_fill(padding.unsqueeze(-1), 0)
        # Divided by the largest entry first, since the squares of small gradients are 0 in single precision.
        largest = gradient.abs().flatten(1).amax(dim=1).clamp(min=torch.finfo(gradient.dtype).tiny)
        direction = gradient / per_sample(largest, gradient)
        length = direction.flatten(1).norm(dim=1).clamp(min=1)
        step = strength * direction / per_sample(length, direction)
        return lambda x: x + step
