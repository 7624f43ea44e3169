"""Another method's map times the input."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from skaba.attribution._checking import BoundTarget
from skaba.attribution._constraints import METHOD
from skaba.attribution._method import About, AttributionMethod, OfMethod, attributed
from skaba.attribution._noise import SmoothGrad
from skaba.network import Model


class TimesInput(OfMethod, AttributionMethod):  # type: ignore[override]
    """Another method's map times the input.

    It makes the same passes as the method. ``TimesInput(SmoothGrad())`` is SG' of Brocki and Chung, the mean gradient
    over noisy copies times the clean input; ``TimesInput(Gradient())`` is VG', which equals
    :class:`InputXGradient`. The product distinguishes evidence for the target from evidence against it, which a
    gradient alone cannot. Where the input is 0, so is the map.

    Parameters
    ----------
    method : attribution method, default=None
        The method whose map is multiplied; by default ``SmoothGrad()``. Any callable with its arguments will do.

    References
    ----------
    Brocki and Chung (2023), "Feature Perturbation Augmentation for Reliable Evaluation of Importance Estimators
    in Neural Networks", section 3 and appendix B.

    Examples
    --------
    The gradient of a linear model is the same everywhere, so smoothing changes nothing.

    >>> import torch
    >>> from skaba.attribution import InputXGradient, PredictedClass, TimesInput
    >>> model, x = torch.nn.Linear(3, 2), torch.randn(4, 3)
    >>> map_ = TimesInput()(model, x, target=PredictedClass(), generator=torch.Generator())
    >>> torch.allclose(map_, InputXGradient()(model, x, target=PredictedClass()))
    True
    """

    about: ClassVar[About] = About("method", "method", signed=True, needs="what method needs")

    _parameter_constraints: ClassVar[dict[str, Any]] = {"method": METHOD}

    def __init__(self, method: AttributionMethod | None = None) -> None:
        self.method = SmoothGrad() if method is None else method

    def _attribute(self, model: Model, x: Tensor, target: BoundTarget, generator: torch.Generator | None) -> Tensor:
        return x * attributed(self.method, model, x, target=target, generator=generator, create_graph=x.requires_grad)
