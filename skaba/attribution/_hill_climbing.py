"""Attribution by search: the mask that the model likes best."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from skaba.attribution._checking import BoundTarget
from skaba.attribution._method import About, AttributionMethod
from skaba.attribution._targets import ClassScore, Score
from skaba.network import (
    Model,
    answer,
    broadcast,
    channel_axis_of,
    positions,
    require_generator,
    to_channels,
    values_of,
)


class HillClimbing(AttributionMethod):
    """A binary mask found by hill climbing: 1 where the input stays, 0 where removing it raised the target.

    ``iterations * neighbours`` forward passes per sample, one that fixes the target and one of the first
    mask; no backward pass. The first mask is drawn at random. In each iteration every neighbour of a
    sample's mask removes one random block of positions (of a table: of neighbouring features), in all
    channels; the best of them becomes the mask if the target is higher than before. So what is climbed
    never falls.

    Parameters
    ----------
    iterations : int, default=50
        Steps of the search.
    neighbours : int, default=10
        Masks that are tried per step; they share a pass.
    block : int, default=2
        Side of the block that a neighbour removes; at most the longest side of the input.
    start : float, default=0.5
        Share of the positions that the first mask keeps. A mask only ever shrinks, so with the source's
        random start half of the input is given up before the model is asked; 1 starts from all of it.
    fill : float, Tensor or ndarray, default=0.0
        What stands for removed features, in the units of the input: one number, or a tensor
        that broadcasts against a batch.
    climb : {"logit", "probability"}, default="logit"
        What of the explained class is climbed. "logit" is the target's score as it is, as every other method
        explains it. "probability" is its softmax among all outputs, which also rises where other classes'
        logits fall; it is for single-label classifiers. For a single output, and for a label of a multi-label
        model, whose probability is the sigmoid of its own logit, use "logit": the probability rises with it. Targets
        that are not a class score, such as ``Loss``, are climbed as they are.

    Notes
    -----
    The source leaves the numbers open. It writes f(x) for what is climbed (equation 7.1) and gives f(x) as
    a percentage: ``climb="probability"``. Of the target ``Loss`` the mask keeps what makes the loss high.

    References
    ----------
    Santos (2023), chapter 7, "iterative post-hoc attribution" (IPHA).

    Examples
    --------
    The model adds up its features, so removing what is negative raises the target.

    >>> import torch
    >>> from skaba.attribution import HillClimbing, PredictedClass
    >>> x = torch.tensor([[3.0, -2.0, 1.0, -1.0]])
    >>> model = lambda x: x.sum(1, keepdim=True)
    >>> HillClimbing(block=1, start=1)(model, x, target=PredictedClass(), generator=torch.Generator())
    tensor([[1., 0., 1., 0.]])
    """

    about: ClassVar[About] = About("iterations * neighbours + 2", "0", signed=False, baseline=True)

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "iterations": [Interval(Integral, 1, None, closed="left")],
        "neighbours": [Interval(Integral, 1, None, closed="left")],
        "block": [Interval(Integral, 1, None, closed="left")],
        "start": [Interval(Real, 0, 1, closed="right")],
        "fill": [Real, Tensor, np.ndarray],
        "climb": [StrOptions({"logit", "probability"})],
    }

    def __init__(
        self,
        iterations: int = 50,
        neighbours: int = 10,
        block: int = 2,
        start: float = 0.5,
        fill: float | Tensor = 0.0,
        climb: str = "logit",
    ) -> None:
        self.iterations = iterations
        self.neighbours = neighbours
        self.block = block
        self.start = start
        self.fill = fill
        self.climb = climb

    @torch.no_grad()
    def _attribute(self, model: Model, x: Tensor, target: BoundTarget, generator: torch.Generator | None) -> Tensor:
        generator = require_generator(generator, self)
        axis = channel_axis_of(model)
        places = positions(x, axis)
        if self.block > max(places):
            raise ValueError(
                f"HillClimbing(block={self.block}) removes blocks that are larger than the input, of shape "
                f"{tuple(x.shape[1:])}: nothing would be left. Set block to less than {max(places)}."
            )
        fill = broadcast("fill", self.fill, x)
        score = target(answer(model, x))
        mask = (torch.rand(len(x), *places, generator=generator) < self.start).to(x.device)
        value = self._height(score, answer(model, torch.where(to_channels(mask, x, axis), x, fill)))
        for _ in range(self.iterations):
            tried = mask & ~self._blocks(len(x), places, generator).to(x.device)
            kept = to_channels(tried, x, axis)
            logits = answer(model, torch.where(kept, x, fill).flatten(0, 1))
            values = self._height(score, logits).reshape(tried.shape[:2])
            best, which = values.max(0)
            better = best > value
            value = torch.where(better, best, value)
            mask[better] = tried[which, torch.arange(len(x), device=x.device)][better]
        return to_channels(mask, x, axis).to(x.dtype).expand_as(x).contiguous()

    def _height(self, score: Score, logits: Tensor) -> Tensor:
        """Return what is climbed: the target's score, or the logarithm of its probability, which has no ceiling."""
        if self.climb == "probability" and isinstance(score, ClassScore) and logits.shape[1] > 1:
            logits = logits.log_softmax(dim=1)
        return values_of(score, logits)

    def _blocks(self, n: int, places: torch.Size, generator: torch.Generator) -> Tensor:
        """Draw one block per neighbour and sample, shape (neighbours, n, *places): True inside."""
        blocks = torch.ones(self.neighbours, n, *places, dtype=torch.bool)
        for axis, size in enumerate(places, 2):
            shape = [1] * blocks.dim()
            shape[axis] = size
            start = torch.randint(max(size - self.block, 0) + 1, (self.neighbours, n), generator=generator)
            offset = torch.arange(size).reshape(shape) - start.reshape(self.neighbours, n, *[1] * len(places))
            blocks &= (offset >= 0) & (offset < self.block)
        return blocks
