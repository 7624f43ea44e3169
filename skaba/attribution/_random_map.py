"""The control for every claim about attribution."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from skaba.attribution._asking import Model
from skaba.attribution._checking import Fix
from skaba.attribution._method import About, AttributionMethod, normal_like
from skaba.attribution._targets import require_generator


class RandomMap(AttributionMethod):
    """Normal noise in place of a map: the same adjustments without any attribution.

    Augmenting with it moves the same number of features by the same amounts, but not where
    the model looks: what a method gains over it is what attribution is worth. (The same number
    as a map without ties; a map that is 0 in many places falls into other shares.) No pass
    through the model.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import PredictedClass, RandomMap
    >>> x = torch.zeros(2, 3)
    >>> RandomMap()(None, x, target=PredictedClass(), generator=torch.Generator()).shape
    torch.Size([2, 3])
    """

    about: ClassVar[About] = About("0", "0", signed=True)

    def _attribute(self, model: Model, x: Tensor, fix: Fix, generator: torch.Generator | None) -> Tensor:
        return normal_like(x, require_generator(generator, self))
