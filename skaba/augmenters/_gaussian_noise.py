"""The control that needs no model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skaba._validation import validate_parameters
from skaba.augmenters._batches import require_batch
from skaba.augmenters._clipping import CLIP_CONSTRAINT, Clip, check_clip, clipped
from skaba.network import normal_like


class GaussianNoise(BaseEstimator):
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

    def __call__(
        self,
        model: Callable[[Tensor], Any] | None,
        x: Tensor,
        y: Tensor | None,
        *,
        strength: float,
        criterion: Any,
        generator: torch.Generator,
    ) -> Tensor:
        """Add noise to a batch.

        Parameters
        ----------
        model, y, criterion
            Not used.
        x : floating-point Tensor of shape (n, ...)
        strength : float
            Standard deviation, in the units of x.
        generator : torch.Generator

        Returns
        -------
        Tensor of x's shape
            Detached.

        Raises
        ------
        TypeError
            If x is no tensor, the strength no number, or the generator none of torch's.
        ValueError
            If a parameter is not allowed.
        """
        validate_parameters(self)
        require_batch(self, x, strength, generator)
        x = x.detach()
        return clipped(x + strength * normal_like(x, generator), x, self.clip)

    def _check_consistency(self) -> None:
        """Raise a ValueError if the range has no inside."""
        check_clip(self.clip)
