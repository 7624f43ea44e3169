"""Changes, which turn the step of a feature into its change."""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Real
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import Tensor


class Change(ABC, BaseEstimator):
    """Turns a batch, its map and a step per feature into the change of the batch."""

    @abstractmethod
    def __call__(self, x: Tensor, attribution: Tensor, step: Tensor) -> Tensor:
        """Return the change of the features.

        Parameters
        ----------
        x, attribution : Tensor of shape (n, n_features)
        step : Tensor of shape (n, n_features) or (n, 1)
            The feature's adjustment times the strength times the sample's random factor.

        Returns
        -------
        Tensor of shape (n, n_features) or (n, 1)
            Added to x.
        """


class Constant(Change):
    """Move every feature of a category by the same amount: by the step itself.

    References
    ----------
    Kinkel (2023), section 3.1.5, equations 3.7 to 3.9.

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import Constant
    >>> Constant()(torch.ones(1, 2), torch.zeros(1, 2), torch.tensor([[0.5, -0.5]]))
    tensor([[ 0.5000, -0.5000]])
    """

    def __call__(self, x: Tensor, attribution: Tensor, step: Tensor) -> Tensor:
        """Return the step.

        Parameters
        ----------
        x, attribution : Tensor of shape (n, n_features)
        step : Tensor of shape (n, n_features) or (n, 1)

        Returns
        -------
        Tensor of step's shape
        """
        return step


class Proportional(Change):
    """Move features in proportion to their attribution, scaled to at most 1 per sample.

    With several categories the adjustment sets the direction, so only the absolute attribution is used:
    ``step * |A| / max|A|``. With a single category the sign of the attribution sets the direction:
    ``step * A / max|A|``.

    Notes
    -----
    Kinkel (2023), section 3.1.4, names the variant without a formula. For samples with a single feature, the relative
    attribution is always 1.

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import Proportional
    >>> attribution = torch.tensor([[-4.0, 2.0]])
    >>> Proportional()(torch.zeros(1, 2), attribution, torch.tensor([[-0.1, 0.1]]))
    tensor([[-0.1000,  0.0500]])
    >>> Proportional()(torch.zeros(1, 2), attribution, torch.tensor([[0.1]]))
    tensor([[-0.1000,  0.0500]])
    """

    def __call__(self, x: Tensor, attribution: Tensor, step: Tensor) -> Tensor:
        """Return the step times the relative attribution.

        Parameters
        ----------
        x, attribution : Tensor of shape (n, n_features)
        step : Tensor of shape (n, n_features), or (n, 1) for a single category

        Returns
        -------
        Tensor of shape (n, n_features)
        """
        one_category = step.shape[1] == 1 and x.shape[1] > 1
        size = attribution.abs()
        # The clamp avoids 0 / 0, so that a map of zeros moves nothing instead of giving NaN.
        largest = size.amax(dim=1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
        return step * (attribution if one_category else size) / largest


class Baseline(Change):
    """Move the chosen features towards a baseline: attribution-guided dropout.

    Features with an adjustment other than zero move, whatever its sign. The size of the step is the share of the way,
    at most 1: ``min(|step|, 1) * (value - x)``. So strength 1 without randomization sets the features to the baseline.

    Parameters
    ----------
    value : float, default=0.0
        The baseline, in the units of the input.

    Notes
    -----
    Kinkel (2023), sections 3.1.4 and 3.7, names the variant without a formula. Here the step is a share of the way, so
    that a strength of 0 changes nothing.

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import Baseline
    >>> Baseline()(torch.tensor([[2.0, 3.0]]), torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]))
    tensor([[-2., -0.]])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"value": [Interval(Real, None, None, closed="neither")]}

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def __call__(self, x: Tensor, attribution: Tensor, step: Tensor) -> Tensor:
        """Return the share of the way to the baseline.

        Parameters
        ----------
        x, attribution : Tensor of shape (n, n_features)
        step : Tensor of shape (n, n_features) or (n, 1)

        Returns
        -------
        Tensor of shape (n, n_features)
        """
        # Beyond 1 the feature would pass the baseline: |N(0, 1)| has no upper end.
        return step.abs().clamp(max=1) * (self.value - x)
