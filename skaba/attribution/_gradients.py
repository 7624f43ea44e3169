"""Attribution methods made of plain input gradients."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor

from skaba.attribution._asking import Model, answer, input_gradient
from skaba.attribution._method import About, AttributionMethod, Fix


class Gradient(AttributionMethod):
    """The gradient of the target with respect to the input ("vanilla gradient").

    One forward and one backward pass a sample. Needs no baseline and fits every
    differentiable model; the papers' choice for augmentation.

    References
    ----------
    Simonyan, Vedaldi and Zisserman (2014), "Deep Inside Convolutional Networks"; Kinkel
    (2023), section 3.3.

    Examples
    --------
    The map of a linear model is the row of weights that belongs to the class.

    >>> import torch
    >>> from skaba.attribution import Gradient, TrueClass
    >>> model = torch.nn.Linear(3, 2, bias=False)
    >>> x, y = torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    >>> map_ = Gradient()(model, x, y, target=TrueClass())
    >>> torch.equal(map_, model.weight[y])
    True
    """

    about: ClassVar[About] = About("1", "1", signed=True, needs="differentiable")

    def _attribute(self, model: Model, x: Tensor, fix: Fix, generator: torch.Generator | None) -> Tensor:
        return input_gradient(model, x, lambda logits: fix(logits)(logits))


class InputXGradient(AttributionMethod):
    """The gradient times the input.

    One forward and one backward pass a sample. For a piecewise linear model without
    biases it is complete: the map sums to the target.

    References
    ----------
    Shrikumar et al. (2016), "Not Just a Black Box"; Kinkel (2023), section 3.3.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import InputXGradient, TrueClass
    >>> model = torch.nn.Linear(3, 2, bias=False)
    >>> x, y = torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    >>> map_ = InputXGradient()(model, x, y, target=TrueClass())
    >>> torch.allclose(map_.sum(1), model(x).gather(1, y[:, None])[:, 0], atol=1e-6)
    True
    """

    about: ClassVar[About] = About(
        "1", "1", signed=True, complete="target, if piecewise linear without bias", needs="differentiable"
    )

    def _attribute(self, model: Model, x: Tensor, fix: Fix, generator: torch.Generator | None) -> Tensor:
        return x * input_gradient(model, x, lambda logits: fix(logits)(logits))


class IntegratedGradients(AttributionMethod):
    """Gradients along the straight path from a baseline to the input.

    ``steps`` forward and backward passes a sample, and one more forward pass that fixes
    the target. Complete: the map sums to the target's difference between input and
    baseline, up to the error of the quadrature.

    Parameters
    ----------
    steps : int, default=20
        Points of the Gauss-Legendre quadrature on the path.
    baseline : float or Tensor, default=0.0
        Where the path starts, in the units of the input: one number, or a tensor that
        broadcasts against a batch.
    steps_at_once : int, default=10
        How many points share a pass. Memory grows with it, the result does not change.

    References
    ----------
    Sundararajan, Taly and Yan (2017), "Axiomatic Attribution for Deep Networks".

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import IntegratedGradients, PredictedClass
    >>> model = lambda x: torch.stack([(x**3).sum(1), -(x**2).sum(1)], dim=1)
    >>> x = torch.tensor([[1.0, 2.0]])
    >>> IntegratedGradients(steps=4)(model, x, target=PredictedClass())
    tensor([[1., 8.]])
    """

    about: ClassVar[About] = About(
        "steps + 1",
        "steps",
        signed=True,
        complete="target - target of the baseline",
        baseline=True,
        needs="differentiable",
    )

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "steps": [Interval(Integral, 1, None, closed="left")],
        "baseline": [Real, Tensor],
        "steps_at_once": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, steps: int = 20, baseline: float | Tensor = 0.0, steps_at_once: int = 10) -> None:
        self.steps = steps
        self.baseline = baseline
        self.steps_at_once = steps_at_once

    def _attribute(self, model: Model, x: Tensor, fix: Fix, generator: torch.Generator | None) -> Tensor:
        with torch.no_grad():
            score = fix(answer(model, x))
        baseline = torch.as_tensor(self.baseline, dtype=x.dtype, device=x.device)
        path = x - baseline
        nodes, weights = np.polynomial.legendre.leggauss(self.steps)
        # From the quadrature's own interval [-1, 1] to the path's [0, 1].
        positions = torch.as_tensor((nodes + 1) / 2, dtype=x.dtype, device=x.device)
        shares = torch.as_tensor(weights / 2, dtype=x.dtype, device=x.device)
        mean_gradient = torch.zeros_like(x)
        for start in range(0, self.steps, self.steps_at_once):
            chunk = positions[start : start + self.steps_at_once]
            points = baseline + chunk.reshape(-1, *[1] * x.dim()) * path
            gradients = input_gradient(model, points.flatten(0, 1), score).reshape(points.shape)
            mean_gradient += torch.tensordot(shares[start : start + len(chunk)], gradients, dims=1)
        return path * mean_gradient
