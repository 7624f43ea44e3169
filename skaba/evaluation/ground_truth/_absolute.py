"""Maps without their sign."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from torch import Tensor

from skaba._validation import validate_parameters
from skaba.attribution import Gradient


class Absolute(BaseEstimator):
    """The absolute value of another method's maps. ``Absolute(Gradient())`` is called saliency.

    Parameters
    ----------
    method : attribution method, default=None
        By default ``Gradient()``; or any callable with the same arguments.

    References
    ----------
    Simonyan, Vedaldi and Zisserman (2014), "Deep Inside Convolutional Networks", for saliency.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import InputXGradient, PredictedClass
    >>> from skaba.evaluation.ground_truth import Absolute
    >>> x = torch.tensor([[1.0, -2.0]])
    >>> Absolute(InputXGradient())(lambda x: 3 * x.sum(1, keepdim=True), x, target=PredictedClass())
    tensor([[3., 6.]])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"method": [callable]}

    def __init__(self, method: Callable[..., Tensor] | None = None) -> None:
        self.method = Gradient() if method is None else method

    def __call__(self, model: Any, x: Tensor, y: Tensor | None = None, **arguments: Any) -> Tensor:
        """Attribute a batch.

        Parameters
        ----------
        model, x, y, **arguments
            As for :class:`skaba.attribution.AttributionMethod`; ``arguments`` are target, criterion and generator.

        Returns
        -------
        Tensor of x's shape
        """
        validate_parameters(self)
        return self.method(model, x, y, **arguments).abs()
