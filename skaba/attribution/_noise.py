"""SmoothGrad: the mean map of noisy copies."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor

from skaba.attribution._asking import Model, answer
from skaba.attribution._gradients import Gradient
from skaba.attribution._method import AttributionMethod, Fix, normal_like, per_sample
from skaba.attribution._targets import require_generator


class SmoothGrad(AttributionMethod):
    """The mean of another method's maps over noisy copies of the input.

    ``samples`` times the cost of the method it extends, and one forward pass that fixes
    the target on the clean input, so that all copies explain the same class.

    Parameters
    ----------
    method : attribution method, default=None
        What is averaged; by default ``Gradient()``.
    samples : int, default=10
        Noisy copies.
    noise : float, default=0.15
        Standard deviation of the noise, as a share of each sample's own range
        (maximum minus minimum); the paper recommends 0.1 to 0.2.

    References
    ----------
    Smilkov et al. (2017), "SmoothGrad: removing noise by adding noise", section 3.

    Examples
    --------
    A linear model has the same gradient everywhere, so smoothing changes nothing.

    >>> import torch
    >>> from skaba.attribution import Gradient, PredictedClass, SmoothGrad
    >>> model, x = torch.nn.Linear(3, 2), torch.randn(4, 3)
    >>> smooth = SmoothGrad()(model, x, target=PredictedClass(), generator=torch.Generator())
    >>> torch.allclose(smooth, Gradient()(model, x, target=PredictedClass()))
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "method": [callable],
        "samples": [Interval(Integral, 1, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, method: AttributionMethod | None = None, samples: int = 10, noise: float = 0.15) -> None:
        self.method = Gradient() if method is None else method
        self.samples = samples
        self.noise = noise

    def _attribute(self, model: Model, x: Tensor, fix: Fix, generator: torch.Generator | None) -> Tensor:
        generator = require_generator(generator, self)
        with torch.no_grad():
            score = fix(answer(model, x))
        flat = x.flatten(1)
        deviation = self.noise * per_sample(flat.amax(1) - flat.amin(1), x)
        total = torch.zeros_like(x)
        for _ in range(self.samples):
            noisy = x + deviation * normal_like(x, generator)
            total += self.method(model, noisy, target=lambda *_, **__: score, generator=generator)
        return total / self.samples
