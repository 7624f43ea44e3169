"""Feature perturbation augmentation: places are erased at random, so that erasing them says something."""

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

    A network that has never seen missing pixels may answer to the hole instead of to what is missing, and
    then curves that mask the features of a map in order (:mod:`skaba.evaluation.fidelity`) judge the network,
    not the map. Trained with FPA it knows holes. No model is asked.

    A batch is perturbed with a probability, and for a perturbed batch one share of places is drawn uniformly up
    to ``p1_max``. Each place of each sample is erased with that probability, in all its channels; with
    probability ``p2`` an erased place is the first corner of a square that is erased too, of a side
    drawn from 1 to ``max_side``. Squares end at the border.

    A place is a pixel of an image, a time step of a series (a square is a stretch of time), a word at an
    embedding's output. A table's features have no neighbours and are erased one by one.

    Parameters
    ----------
    p1_max : float, default=0.25
        The largest share of places that is drawn.
    p2 : float, default=0.1
        How many of the erased places start a square.
    max_side : int, default=3
        The largest side of a square, in places.
    probability : float, default=0.5
        How many batches are perturbed.
    fill : float or {"zero", "mean", "min", "max", "random", "blur"}, default="zero"
        What replaces a place: a number; the batch's mean, minimum or maximum of the channel (of a table, the
        feature); normal noise of the channel's mean and deviation; or the sample blurred. Choose the fill that
        later masks features.
    clip : (low, high), default=None
        A range that augmentation does not leave: numbers, or arrays that broadcast to a sample. A feature that lies
        outside already is not moved further away. None sets no range.

    See Also
    --------
    RandomErasing : One larger rectangle a sample.

    Notes
    -----
    The strength is the share of the way to the fill, at most 1: 0 is no augmentation, and 1, the default, erases, as
    published.

    The defaults are the published ones for CIFAR10; for ImageNet and Food101 they are ``FPA(0.3, 0.01, 10)``.
    The algorithm as printed draws squares at every place; the text draws them at erased places, and so does this.

    With a small network on few images, networks bear holes better, but the published gain in fidelity showed in
    part only: ``docs/fpa.md``.

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
        own: dict[str, Any] = {"generator": generator_on(x.device, generator), "device": x.device}
        chosen = torch.rand(shape, **own) < p1
        if x.dim() == 2:
            return chosen
        squares = torch.rand(shape, **own) < self.p2
        sides = torch.randint(1, self.max_side + 1, shape, dtype=torch.int32, **own)
        return covered(torch.where(squares, sides, 1) * chosen, self.max_side)


def covered(sides: Tensor, max_side: int) -> Tensor:
    """Return which places squares cover that start at a place each and run towards higher indices.

    Parameters
    ----------
    sides : int Tensor of shape (n, *places)
        0 where no square starts.
    max_side : int
        No side is larger.

    Returns
    -------
    bool Tensor of sides' shape
    """
    # What is left of a square after a step along some of the axes: one less. The largest that reaches a place wins.
    left = sides
    for _ in range(min(max_side, max(sides.shape[1:])) - 1):
        reached = left
        for axis in range(1, sides.dim()):
            reached = torch.maximum(reached, _shifted(reached, axis))
        left = torch.maximum(left, reached - 1)
    return left > 0


def _shifted(values: Tensor, axis: int) -> Tensor:
    """Move values by one place along an axis; what comes in is 0."""
    moved = values.roll(1, axis)
    moved.select(axis, 0).zero_()
    return moved
