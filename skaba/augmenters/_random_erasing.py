"""Random erasing: one rectangle of a sample is overwritten."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor

from skaba.augmenters._augmenter import Augmenter
from skaba.augmenters._batch import Batch
from skaba.augmenters._clipping import CLIP_CONSTRAINT, Clip, Mover
from skaba.augmenters._erasing import FILL_CONSTRAINT, Fill, boxes, erased, require_places
from skaba.network import positions

ATTEMPTS = 100
"""How many rectangles are drawn per sample; the first that fits is taken."""


class RandomErasing(Augmenter):
    """Overwrite a random rectangle of a sample.

    For an image, the rectangle's share of the area and its aspect ratio are drawn uniformly, then a position where it
    fits. For a series, or a text at its embedding, it is a stretch. The model is not used.

    Parameters
    ----------
    probability : float, default=0.5
        The probability that a sample is changed.
    min_area, max_area : float, default=0.02 and 0.4
        The smallest and largest share of the area, or of the length.
    min_aspect : float, default=0.3
        The smallest ratio of height to width; the largest is its inverse. Not used for series and texts.
    fill : float or str, default="random"
        The value of erased places: a number, or the name of one of ``skaba.network.FILLS``, whose statistics are then
        the batch's. The default is normal noise (in the paper: uniform noise over all grey values).
    clip : (low, high), default=None
        The range that augmentation must not leave: numbers, or arrays that broadcast to a sample. A feature outside the
        range is not moved further away. None means no range.

    See Also
    --------
    FPA : Many small holes per sample.

    Notes
    -----
    The strength is the share of the way from the feature to the fill, at most 1: 0 changes nothing; 1, the default,
    replaces the feature, as published.

    A sample is not changed if none of a hundred rectangles fits. This happens if the area is less than one place, or
    the rectangle longer than the sample.

    References
    ----------
    Zhong et al. (2020), "Random Erasing Data Augmentation", AAAI, algorithm 1.

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import RandomErasing
    >>> erasing = RandomErasing(probability=1, min_area=0.25, max_area=0.25, fill=0.0)
    >>> series = torch.ones(1, 1, 8)
    >>> series = erasing(None, series, None, strength=1, criterion=None, generator=torch.Generator().manual_seed(0))
    >>> int((series == 0).sum())
    2
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "probability": [Interval(Real, 0, 1, closed="both")],
        "min_area": [Interval(Real, 0, 1, closed="both")],
        "max_area": [Interval(Real, 0, 1, closed="both")],
        "min_aspect": [Interval(Real, 0, 1, closed="right")],
        "fill": FILL_CONSTRAINT,
        "clip": CLIP_CONSTRAINT,
    }

    default_strength: ClassVar[float] = 1.0
    strength_unit: ClassVar[str] = "the share of the way to the fill"
    largest_strength: ClassVar[float] = 1.0

    def __init__(
        self,
        probability: float = 0.5,
        min_area: float = 0.02,
        max_area: float = 0.4,
        min_aspect: float = 0.3,
        fill: Fill = "random",
        clip: Clip | None = None,
    ) -> None:
        self.probability = probability
        self.min_area = min_area
        self.max_area = max_area
        self.min_aspect = min_aspect
        self.fill = fill
        self.clip = clip

    def _plan(self, batch: Batch, strength: float) -> Mover:
        def erase(x: Tensor) -> Tensor:
            require_places("RandomErasing", x)
            sides = positions(x, batch.channel_axis)
            start, size = self._draw(len(x), sides, batch.generator)
            places = boxes(start.to(x.device), size.to(x.device), sides)
            return erased(x, places, self.fill, strength=strength, model=batch.model, generator=batch.generator)

        return erase

    def _draw(self, n_samples: int, sides: Sequence[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a box per sample; return starts and sizes, (n, n_axes). A size of 0 means no box."""
        # The paper draws until a rectangle fits. All attempts are drawn at once here, so that no loop waits for a
        # result.
        shape = n_samples, ATTEMPTS
        area = math.prod(sides) * _uniform(shape, self.min_area, self.max_area, generator)
        if len(sides) == 1:
            drawn = area.unsqueeze(2)
        else:
            aspect = _uniform(shape, self.min_aspect, 1 / self.min_aspect, generator)
            drawn = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], dim=2)
        drawn = drawn.round().long()
        whole = torch.tensor(sides)
        fits = ((drawn >= 1) & (drawn <= whole)).all(dim=2)
        # argmax finds the first rectangle that fits, or number 0 if none does; its size becomes 0 below.
        size = drawn[torch.arange(n_samples), fits.int().argmax(dim=1)]
        start = (torch.rand(n_samples, len(sides), generator=generator) * (whole - size + 1)).long()
        chosen = fits.any(dim=1) & (torch.rand(n_samples, generator=generator) < self.probability)
        return start, size * chosen.unsqueeze(1)

    def _check_consistency(self) -> None:
        """Raise a ValueError if the smallest area is larger than the largest."""
        super()._check_consistency()
        if self.min_area > self.max_area:
            raise ValueError(
                f"min_area={self.min_area} is larger than max_area={self.max_area}: they are the ends of a range."
            )


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)
