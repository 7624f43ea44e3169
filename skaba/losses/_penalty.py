"""The base of all penalties on attributions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn
from torch.nn import functional

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
        The features that are trained on: the input, or the layer's output, after augmentation.
    source : Tensor or GradientEdge
        The point of the graph to differentiate with respect to. It replaces the features, which a network may
        overwrite.
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
        """Return the gradient of a sum of values with respect to the features.

        Parameters
        ----------
        values : Tensor of any shape
            Computed from the logits.

        Returns
        -------
        Tensor of the features' shape
            It is differentiable itself.

        Raises
        ------
        ValueError
            If the values do not depend on the features.
        """
        # autograd.grad and not backward(): the parameters' gradients belong to the loss, whose backward pass follows.
        # One pass over the sum gives the gradients of all samples, as long as a sample's values do not depend on other
        # samples.
        gradients: tuple[Tensor | None, ...] = (None,)
        if values.requires_grad:
            gradients = torch.autograd.grad(values.sum(), self.source, create_graph=True, allow_unused=True)
        if gradients[0] is None:
            raise unreached()
        return gradients[0]

    def log_probabilities(self) -> Tensor:
        """Return the log-probabilities of the classes; for labels that do not exclude each other, of their presence.

        Returns
        -------
        Tensor of the logits' shape

        Raises
        ------
        ValueError
            If the task is a regression, which has no probabilities.
        """
        if isinstance(self.criterion, nn.BCEWithLogitsLoss):
            return functional.logsigmoid(self.logits)
        # A custom criterion with class indices is a classification too.
        is_index = isinstance(self.y, Tensor) and not self.y.is_floating_point()
        if isinstance(self.criterion, nn.CrossEntropyLoss) or is_index:
            return torch.log_softmax(self.logits, dim=1)
        y = f"holds {self.y.dtype} targets" if isinstance(self.y, Tensor) else f"is {described(self.y)}"
        raise ValueError(
            f"The penalty needs log-probabilities, but y {y} and the loss is {self.criterion!r}: it fits "
            "CrossEntropyLoss and BCEWithLogitsLoss."
        )


class Penalty(BaseEstimator, ABC):
    """A loss on the attributions of the batch that is trained on, to be added to the training loss.

    A subclass implements ``_of_samples``.

    Parameters
    ----------
    weight : float, default=1.0
        The factor of the mean over the batch.

    Examples
    --------
    A penalty of your own: the absolute gradients at irrelevant features.

    >>> from skaba.losses import Penalty
    >>> class AbsoluteGradient(Penalty):
    ...     def _of_samples(self, forward_pass):
    ...         gradient = forward_pass.gradient(forward_pass.log_probabilities())
    ...         return gradient.masked_fill(forward_pass.mask, 0).abs().flatten(1).sum(dim=1)
    >>> AbsoluteGradient(weight=2.0)
    AbsoluteGradient(weight=2.0)
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
        validate_changed(self)  # parameters may have been set since the last call, for example by a search
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
