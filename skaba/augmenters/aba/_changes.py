"""Changes: what a step does to a feature."""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Real
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import Tensor


class Change(ABC, BaseEstimator):
    """Turns a batch, its map and a step a feature into what is to be added to the batch."""

    @abstractmethod
    def __call__(self, x: Tensor, attribution: Tensor, step: Tensor) -> Tensor:
        """Return how far features move.

        Parameters
        ----------
        x, attribution : Tensor of shape (n, n_features)
        step : Tensor of shape (n, n_features) or (n, 1)
            The feature's adjustment times the strength times the sample's random factor.

        Returns
        -------
        Tensor of shape (n, n_features) or (n, 1)
            What is to be added to x.
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

    An adjustment says which way a category moves, so with several categories the size of the
    attribution counts: ``step * |A| / max|A|``. A single category has no low and high to
    speak of; there the attribution's own sign is the direction: ``step * A / max|A|``.

    Notes
    -----
    Kinkel (2023), section 3.1.4, names the variant and leaves the formula open. A sample with a
    single feature has a relative attribution of 1, whatever the number of categories.

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
        # An all-zero map moves nothing; the clamp keeps 0 / 0 out.
        largest = size.amax(dim=1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
        return step * (attribution if one_category else size) / largest


class Baseline(Change):
    """Move the chosen features towards a baseline: attribution-guided dropout.

    A feature is chosen if its adjustment is not zero; the sign does not matter. The
    step's size is the share of the way, at most 1, so strength 1 without randomization
    drops the features to the baseline: ``min(|step|, 1) * (value - x)``.

    Parameters
    ----------
    value : float, default=0.0
        The baseline, in the units of the input.

    Notes
    -----
    Kinkel (2023), sections 3.1.4 and 3.7, names the variant; the share of the way is this library's
    reading, so that strength keeps its meaning and 0 still changes nothing.

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
        return step.abs().clamp(max=1) * (self.value - x)
