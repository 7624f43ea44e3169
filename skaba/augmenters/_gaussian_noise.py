"""The control that needs no model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skaba.attribution import normal_like


class GaussianNoise(BaseEstimator):
    """Add normal noise to the input: ``x' = x + s * N(0, 1)``.

    The oldest input regularizer, and a control for attribution: change everywhere, not where the
    model looks. The strength is the noise's standard deviation; set it to the root mean square of
    a method's changes to compare at the same norm.

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
        """
        return x.detach() + strength * normal_like(x, generator)
