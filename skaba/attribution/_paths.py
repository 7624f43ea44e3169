"""Attribution methods that average gradients along paths from a baseline to the input."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from skaba.attribution._checking import BoundTarget, score_on
from skaba.attribution._constraints import BACKGROUND, BASELINE, COUNT
from skaba.attribution._method import About, AttributionMethod
from skaba.network import Model, broadcast, input_gradient, require_generator


class IntegratedGradients(AttributionMethod):
    """Gradients along the straight path from a baseline.

    ``steps`` forward and backward passes per sample, and one more forward pass that chooses
    the target. Complete: the map sums to the target's difference between input and
    baseline, up to the error of the quadrature.

    Parameters
    ----------
    steps : int, default=20
        Points of the Gauss-Legendre quadrature on the path.
    baseline : float, Tensor or ndarray, default=0.0
        Start of the path, in the units of the input: one number, or a tensor that
        broadcasts against a batch.
    batch_size : int, default=10
        Points of each sample's path per pass. Memory grows with it; the result does not change.

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
        "steps + 1", "steps", True, "target - target of the baseline", baseline=True, needs="a gradient"
    )
    is_differentiable: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {"steps": COUNT, "baseline": BASELINE, "batch_size": COUNT}

    def __init__(self, steps: int = 20, baseline: float | Tensor = 0.0, batch_size: int = 10) -> None:
        self.steps = steps
        self.baseline = baseline
        self.batch_size = batch_size

    def _attribute(self, model: Model, x: Tensor, target: BoundTarget, generator: torch.Generator | None) -> Tensor:
        score = score_on(target, model, x)
        baseline = broadcast("baseline", self.baseline, x)
        path = x - baseline
        # Gauss-Legendre is exact for polynomials up to degree 2 * steps - 1, a Riemann sum of as many steps only for
        # constants: complete maps take far fewer passes.
        nodes, weights = np.polynomial.legendre.leggauss(self.steps)
        # From the quadrature's interval [-1, 1] to the path's [0, 1].
        positions = torch.as_tensor((nodes + 1) / 2, dtype=x.dtype, device=x.device)
        shares = torch.as_tensor(weights / 2, dtype=x.dtype, device=x.device)
        mean_gradient = torch.zeros_like(x)
        for start in range(0, self.steps, self.batch_size):
            chunk = positions[start : start + self.batch_size]
            points = baseline + chunk.reshape(-1, *[1] * x.dim()) * path
            gradients = input_gradient(model, points.flatten(0, 1), score, x.requires_grad).reshape(points.shape)
            mean_gradient += torch.tensordot(shares[start : start + len(chunk)], gradients, dims=1)
        return path * mean_gradient


class ExpectedGradients(AttributionMethod):
    """Integrated gradients, baselines drawn from a background.

    ``samples`` forward and backward passes per sample, and one more forward pass that chooses
    the target. In expectation complete: the map sums to the target's difference between the
    input and the mean over the background.

    Parameters
    ----------
    background : Tensor or ndarray of shape (m, ...), default=None
        Samples of the input's shape; at a hidden layer, of the features' shape. By default the batch itself; the map of
        a batch of one sample is then zero.
    samples : int, default=20
        The number of draws. Each draw is a baseline and a point on the path from it to the input.
    batch_size : int, default=10
        Draws for each sample per pass. Memory grows with it; the result does not change.

    References
    ----------
    Erion, Janizek, Sturmfels, Lundberg and Lee (2021), "Improving performance of deep learning
    models with axiomatic attribution priors and expected gradients", section 3.

    Examples
    --------
    The gradient of a linear model is the same everywhere, so with a single baseline nothing is random.

    >>> import torch
    >>> from skaba.attribution import ExpectedGradients, TrueClass
    >>> model, x, y = torch.nn.Linear(3, 2), torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    >>> method = ExpectedGradients(background=torch.ones(1, 3))
    >>> map_ = method(model, x, y, target=TrueClass(), generator=torch.Generator())
    >>> torch.allclose(map_, (x - 1) * model.weight[y], atol=1e-6)
    True
    """

    about: ClassVar[About] = About(
        "samples + 1",
        "samples",
        signed=True,
        complete="target - mean target of the background, in expectation",
        baseline=True,
        needs="a gradient",
    )
    is_differentiable: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "background": BACKGROUND,
        "samples": COUNT,
        "batch_size": COUNT,
    }

    def __init__(self, background: Tensor | np.ndarray | None = None, samples: int = 20, batch_size: int = 10) -> None:
        self.background = background
        self.samples = samples
        self.batch_size = batch_size

    def _attribute(self, model: Model, x: Tensor, target: BoundTarget, generator: torch.Generator | None) -> Tensor:
        generator = require_generator(generator, self)
        background = background_of(self, x)
        score = score_on(target, model, x)
        # Everything is drawn before the first pass, so that they do not depend on batch_size.
        chosen = torch.randint(len(background), (self.samples, len(x)), generator=generator).to(x.device)
        positions = torch.rand(self.samples, len(x), generator=generator, dtype=x.dtype).to(x.device)
        total = torch.zeros_like(x)
        for start in range(0, self.samples, self.batch_size):
            chunk = slice(start, start + self.batch_size)
            baselines = background[chosen[chunk]]
            paths = x - baselines
            points = baselines + positions[chunk].reshape(-1, len(x), *[1] * (x.dim() - 1)) * paths
            gradients = input_gradient(model, points.flatten(0, 1), score, x.requires_grad).reshape(points.shape)
            total += (paths * gradients).sum(0)
        return total / self.samples


def background_of(method: Any, x: Tensor) -> Tensor:
    """Return a method's ``background`` with x's dtype and device; None stands for the batch itself.

    Raises
    ------
    ValueError
        If it holds no samples of x's shape.
    """
    if method.background is None:
        return x
    background = torch.as_tensor(method.background, dtype=x.dtype, device=x.device)
    if background.shape[1:] != x.shape[1:] or not len(background):
        shape = ", ".join(map(str, x.shape[1:]))
        raise ValueError(
            f"The background of {type(method).__name__} has shape {tuple(background.shape)}; it must hold at least "
            f"one sample of the same shape as those that are explained: (m, {shape})."
        )
    return background
