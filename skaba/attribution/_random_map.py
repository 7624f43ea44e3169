"""A map without information, as a control."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from skaba.attribution._checking import BoundTarget
from skaba.attribution._method import About, AttributionMethod
from skaba.network import Model, normal_like, require_generator


class RandomMap(AttributionMethod):
    """Normal noise, no attribution: a control.

    No pass through the model. A measure of map quality must be able to distinguish every method from it. To control
    for attribution in training, use :class:`skaba.augmenters.RandomMapABA`, which shuffles a method's maps: noise has
    neither their zeros nor their ties.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import PredictedClass, RandomMap
    >>> x = torch.zeros(2, 3)
    >>> RandomMap()(None, x, target=PredictedClass(), generator=torch.Generator()).shape
    torch.Size([2, 3])
    """

    about: ClassVar[About] = About("0", "0", signed=True)

    def _attribute(self, model: Model, x: Tensor, target: BoundTarget, generator: torch.Generator | None) -> Tensor:
        return normal_like(x, require_generator(generator, self))
