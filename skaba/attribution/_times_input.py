"""Another method's map, times the input."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from skaba.attribution._checking import BoundTarget
from skaba.attribution._method import About, AttributionMethod, attributed
from skaba.attribution._noise import SmoothGrad
from skaba.network import Model


class TimesInput(AttributionMethod):
    """Another method's map, multiplied by the input element by element.

    It makes the passes of the method. ``TimesInput(SmoothGrad())`` is SG' of Brocki and Chung, the mean gradient over
    noisy copies times the clean input; ``TimesInput(Gradient())`` is VG', or :class:`InputXGradient`. The product
    can tell evidence for the target from evidence against it, which a gradient alone cannot; where the input is 0,
    so is the map.

    Parameters
    ----------
    method : attribution method, default=None
        Whose map is multiplied; by default ``SmoothGrad()``. Any callable with its arguments will do.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {"method": [callable]}

    def __init__(self, method: AttributionMethod | None = None) -> None:
        self.method = SmoothGrad() if method is None else method

    @property
    def mode(self) -> str:  # type: ignore[override]
        """The mode of the method that it asks."""
        return getattr(self.method, "mode", "eval")

    def _attribute(self, model: Model, x: Tensor, target: BoundTarget, generator: torch.Generator | None) -> Tensor:
        return x * attributed(
            self.method, model, x, target=lambda logits, *_, **__: target(logits), generator=generator
        )
