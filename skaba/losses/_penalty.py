"""The base of all penalties on attributions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import Tensor

from skaba._validation import validate_changed
from skaba.attribution import Criterion
from skaba.network import described, unreached


@dataclass(frozen=True)
class ForwardPass:
    """A forward pass of the training step, while its graph exists.

    Parameters
    ----------
    model : nn.Module
        The network, or its view from the layer whose output is explained.
    features : Tensor of shape (n, ...)
        The batch that is trained on: the input, or the layer's output, after augmentation.
    source : Tensor or GradientEdge
        What to differentiate with respect to, in place of the features: a network may write into these.
    logits : Tensor of shape (n, n_outputs)
    y : Tensor
        The targets that are trained on.
    mask : bool Tensor of the features' shape
        True where a feature may matter, False where it is known to be irrelevant.
    criterion : callable or None
        The loss.
    generator : torch.Generator on the CPU
    """

    model: Any
    features: Tensor
    source: Any
    logits: Tensor
    y: Any
    mask: Tensor
    criterion: Criterion | None
    generator: torch.Generator

    def gradient(self, values: Tensor) -> Tensor:
        """Differentiate the sum of values that were computed from the logits with respect to the features.

        Parameters
        ----------
        values : Tensor of any shape

        Returns
        -------
        Tensor of the features' shape
            Itself differentiable.

        Raises
        ------
        ValueError
            If the values do not depend on the features.
        """
        gradients: tuple[Tensor | None, ...] = (None,)
        if values.requires_grad:
            gradients = torch.autograd.grad(values.sum(), self.source, create_graph=True, allow_unused=True)
        if gradients[0] is None:
            raise unreached()
        return gradients[0]


class Penalty(BaseEstimator, ABC):
    """A loss on the attributions of the batch that is trained on, to be added to the training loss.

    A subclass writes ``_of_samples``.

    Parameters
    ----------
    weight : float, default=1.0
        What the mean over the batch is multiplied by.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"weight": [Interval(Real, 0, None, closed="left")]}

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def __call__(self, forward_pass: ForwardPass) -> Tensor:
        """Return the penalty of a batch.

        Parameters
        ----------
        forward_pass : ForwardPass

        Returns
        -------
        Tensor
            A scalar: ``weight`` times the mean of the samples' penalties. Its gradients reach the network's parameters.

        Raises
        ------
        ValueError
            If a parameter is not allowed, or a subclass does not return one penalty per sample.
        """
        validate_changed(self)
        penalties = self._of_samples(forward_pass)
        n_samples = len(forward_pass.features)
        if not isinstance(penalties, Tensor) or penalties.shape != (n_samples,):
            raise ValueError(
                f"{type(self).__name__}._of_samples returned {described(penalties)}; it must return one penalty per "
                f"sample, shape ({n_samples},)."
            )
        return self.weight * penalties.mean()

    @abstractmethod
    def _of_samples(self, forward_pass: ForwardPass) -> Tensor:
        """Return the penalty of each sample, shape (n,)."""
