"""Feature perturbation augmentation: places are erased at random, so that the network learns to handle missing ones."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor

from skaba.augmenters._augmenter import Augmenter
from skaba.augmenters._batch import Batch
from skaba.augmenters._clipping import CLIP_CONSTRAINT, Clip, Mover
from skaba.augmenters._erasing import FILL_CONSTRAINT, Fill, erased
from skaba.network import generator_on, positions


class FPA(Augmenter):
    """Feature perturbation augmentation: erase pixels and small squares at random.

    A network that was trained without missing pixels may react to a hole itself rather than to the missing information.
    Curves that mask features in the order of a map (:mod:`skaba.evaluation.fidelity`) then measure the network instead
    of the map. FPA trains the network on samples with holes. It does not use the model.

    A batch is perturbed with probability ``probability``. For each perturbed batch one share is drawn uniformly from 0
    to ``p1_max``, and each place of each sample is erased with this probability, in all channels. With probability
    ``p2`` an erased place is the first corner of an erased square, whose side is drawn from 1 to ``max_side``. Squares
    end at the border.

    A place is a pixel of an image, a time step of a series, or a word at an embedding's output; a square of a series or
    a text is a stretch. The features of a table have no neighbours and are erased one by one.

    Parameters
    ----------
    p1_max : float, default=0.25
        The largest share of erased places.
    p2 : float, default=0.1
        The probability that an erased place starts a square.
    max_side : int, default=3
        The longest side of a square, in places.
    probability : float, default=0.5
        The probability that a batch is perturbed.
    fill : float or str, default="zero"
        The value of erased places: a number, or the name of one of ``skaba.network.FILLS``, whose statistics are then
        the batch's. Choose the fill that you will evaluate with.
    clip : (low, high), default=None
        The range that augmentation must not leave: numbers, or arrays that broadcast to a sample. A feature outside the
        range is not moved further away. None means no range.

    See Also
    --------
    RandomErasing : One larger rectangle per sample.

    Notes
    -----
    The strength is the share of the way from the feature to the fill, at most 1: 0 changes nothing; 1, the default,
    replaces the feature, as published.

    The defaults are those published for CIFAR10; for ImageNet and Food101 use ``FPA(0.3, 0.01, 10)``. In the paper the
    printed algorithm draws squares at every place, but the text at erased places only, as this class does.

    Our small networks, trained on few images, became more robust to holes, but reached only a part of the published
    gain in fidelity: see ``docs/fpa.md``.

    References
    ----------
    Brocki and Chung (2023), "Feature Perturbation Augmentation for Reliable Evaluation of Importance Estimators
    in Neural Networks", Pattern Recognition Letters, section 3 and algorithm 1.

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import FPA
    >>> fpa, generator = FPA(probability=1), torch.Generator().manual_seed(2)
    >>> image = torch.ones(1, 3, 32, 32)
    >>> holes = fpa(None, image, None, strength=1, criterion=None, generator=generator)
    >>> 0 < (holes == 0).float().mean() < 0.5
    tensor(True)

    In an estimator:

    >>> from skaba import ABAClassifier
    >>> from skaba.modules import ConvNet
    >>> clf = ABAClassifier(ConvNet, augmenter=FPA(), strength=1.0)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "p1_max": [Interval(Real, 0, 1, closed="both")],
        "p2": [Interval(Real, 0, 1, closed="both")],
        "max_side": [Interval(Integral, 1, None, closed="left")],
        "probability": [Interval(Real, 0, 1, closed="both")],
        "fill": FILL_CONSTRAINT,
        "clip": CLIP_CONSTRAINT,
    }

    default_strength: ClassVar[float] = 1.0
    strength_unit: ClassVar[str] = "the share of the way to the fill"
    largest_strength: ClassVar[float] = 1.0

    def __init__(
        self,
        p1_max: float = 0.25,
        p2: float = 0.1,
        max_side: int = 3,
        probability: float = 0.5,
        fill: Fill = "zero",
        clip: Clip | None = None,
    ) -> None:
        self.p1_max = p1_max
        self.p2 = p2
        self.max_side = max_side
        self.probability = probability
        self.fill = fill
        self.clip = clip

    def _plan(self, batch: Batch, strength: float) -> Mover | None:
        if torch.rand((), generator=batch.generator) >= self.probability:
            return None

        def erase(x: Tensor) -> Tensor:
            places = self._draw(x, batch.channel_axis, batch.generator)
            return erased(x, places, self.fill, strength=strength, model=batch.model, generator=batch.generator)

        return erase

    def _draw(self, x: Tensor, channel_axis: int, generator: torch.Generator) -> Tensor:
        """Return which places are erased, of shape (n, *positions)."""
        shape = (len(x), *positions(x, channel_axis))
        p1 = self.p1_max * torch.rand((), generator=generator).item()
        where: dict[str, Any] = {"generator": generator_on(x.device, generator), "device": x.device}
        chosen = torch.rand(shape, **where) < p1
        if x.dim() == 2:
            return chosen
        # All places are drawn, also those that are not erased: the number of draws does not depend on the draws.
        squares = torch.rand(shape, **where) < self.p2
        sides = torch.randint(1, self.max_side + 1, shape, dtype=torch.int32, **where)
        return covered(torch.where(squares, sides, 1) * chosen, self.max_side)


def covered(sides: Tensor, max_side: int) -> Tensor:
    """Return which places are covered by squares.

    Parameters
    ----------
    sides : int Tensor of shape (n, *places)
        The side of the square whose first corner is at the place; 0 for no square.
    max_side : int
        The longest side.

    Returns
    -------
    bool Tensor of sides' shape
    """
    # The remaining side of the largest square that reaches each place: one less with each step along some of the axes.
    left = sides
    for _ in range(min(max_side, max(sides.shape[1:])) - 1):
        reached = left
        for axis in range(1, sides.dim()):
            reached = torch.maximum(reached, _shifted(reached, axis))
        left = torch.maximum(left, reached - 1)
    return left > 0


def _shifted(values: Tensor, axis: int) -> Tensor:
    """Move values by one place along an axis, and fill with 0."""
    moved = values.roll(1, axis)
    moved.select(axis, 0).zero_()
    return moved
