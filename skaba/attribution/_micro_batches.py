"""A limit on memory for any attribution method."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skaba._validation import validate_parameters
from skaba.attribution._checking import Target, as_labels, rows_of_target
from skaba.attribution._constraints import COUNT, METHOD
from skaba.attribution._gradients import Gradient
from skaba.attribution._method import AttributionMethod, OfMethod, attributed, require_differentiable
from skaba.attribution._targets import Criterion
from skaba.network import Model, require_floats, rows_of


class MicroBatches(OfMethod, BaseEstimator):
    """Another method, applied to a few samples at a time to limit memory.

    A pass holds ``batch_size`` samples, times the number of variants of each sample that the method puts into one pass
    (its parameter ``batch_size`` or ``neighbours``, or the ``samples`` of ``IBA`` and ``GradientShap``). The map equals
    that of the whole batch with two exceptions: random numbers are drawn part by part, and methods that compare a
    sample with its batch (``ExpectedGradients``, ``GradientShap`` and ``IBA`` without a background, and any method with
    ``mode="train"``) compare it with its part. With ``create_graph=True`` the graphs of all parts are kept, so memory
    is not limited.

    Parameters
    ----------
    method : attribution method, default=None
        The method that makes the maps; by default ``Gradient()``. Any callable with its arguments will do.
    batch_size : int, default=16
        Samples per part.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import IntegratedGradients, MicroBatches, PredictedClass
    >>> model, x = torch.nn.Linear(3, 2), torch.randn(50, 3)
    >>> whole = IntegratedGradients()(model, x, target=PredictedClass())
    >>> in_parts = MicroBatches(IntegratedGradients(), batch_size=8)(model, x, target=PredictedClass())
    >>> torch.allclose(in_parts, whole)
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"method": METHOD, "batch_size": COUNT}

    def __init__(self, method: AttributionMethod | None = None, batch_size: int = 16) -> None:
        self.method = Gradient() if method is None else method
        self.batch_size = batch_size

    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Tensor | None = None,
        *,
        target: Target,
        criterion: Criterion | None = None,
        generator: torch.Generator | None = None,
        create_graph: bool = False,
    ) -> Tensor:
        """Attribute a batch, part by part.

        Parameters
        ----------
        model, x, y, target, criterion, generator, create_graph
            As for :class:`AttributionMethod`.

        Returns
        -------
        Tensor of x's shape
        """
        validate_parameters(self)
        require_floats(x)
        if create_graph:
            require_differentiable(self)
        labels = as_labels(y, x.device)
        arguments: dict[str, Any] = {"criterion": criterion, "generator": generator, "create_graph": create_graph}

        def attribute(index: Tensor) -> Tensor:
            y_part = None if labels is None else labels[index]
            # Another method that calls this one passes a target that holds one value per sample, and no y.
            part = rows_of_target(target, index)
            return attributed(self.method, rows_of(model, index), x[index], y_part, target=part, **arguments)

        parts = torch.split(torch.arange(len(x), device=x.device), self.batch_size)
        with torch.set_grad_enabled(create_graph or torch.is_grad_enabled()):
            return torch.cat([attribute(index) for index in parts])
