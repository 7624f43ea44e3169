"""A bound on memory for any attribution method."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import Tensor

from skaba._validation import validate_parameters
from skaba.attribution._checking import Target, as_labels
from skaba.attribution._gradients import Gradient
from skaba.attribution._method import AttributionMethod, attributed
from skaba.attribution._targets import Criterion
from skaba.network import Model, require_floats, rows_of


class MicroBatches(BaseEstimator):
    """Another method, asked about a few samples at a time, so that memory has a bound.

    A pass holds ``size`` samples, times what the method puts into one pass itself
    (``steps_at_once``, ``samples_at_once``, ``neighbours``). The map is that of the whole batch,
    except that random draws follow the parts, and that methods which compare a sample with
    its batch (``ExpectedGradients``, ``GradientShap`` and ``IBA`` without a background, and any method with
    ``mode="train"``) see the part.

    Parameters
    ----------
    method : attribution method, default=None
        What is asked; by default ``Gradient()``. Any callable with its arguments will do.
    size : int, default=16
        Samples in one part.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import IntegratedGradients, MicroBatches, PredictedClass
    >>> model, x = torch.nn.Linear(3, 2), torch.randn(50, 3)
    >>> whole = IntegratedGradients()(model, x, target=PredictedClass())
    >>> in_parts = MicroBatches(IntegratedGradients(), size=8)(model, x, target=PredictedClass())
    >>> torch.allclose(in_parts, whole)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "method": [callable],
        "size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, method: AttributionMethod | None = None, size: int = 16) -> None:
        self.method = Gradient() if method is None else method
        self.size = size

    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Tensor | None = None,
        *,
        target: Target,
        criterion: Criterion | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Attribute a batch, part by part.

        Parameters
        ----------
        model, x, y, target, criterion, generator
            As for :class:`AttributionMethod`.

        Returns
        -------
        Tensor of x's shape
        """
        validate_parameters(self)
        require_floats(x)
        labels = as_labels(y, x.device)

        def attribute(index: Tensor) -> Tensor:
            return attributed(
                self.method,
                rows_of(model, index),
                x[index],
                None if labels is None else labels[index],
                target=target,
                criterion=criterion,
                generator=generator,
            )

        parts = torch.split(torch.arange(len(x), device=x.device), self.size)
        return torch.cat([attribute(index) for index in parts])
