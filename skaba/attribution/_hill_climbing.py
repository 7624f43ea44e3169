"""Attribution by search for the mask with the highest target."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from skaba.attribution._checking import BoundTarget
from skaba.attribution._constraints import BASELINE, COUNT
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
    """Binary mask: 0 where removal raised the target.

    The mask is 1 where the input is kept. The search takes ``iterations * neighbours`` forward passes per sample, one
    more that chooses the target and one with the first mask; there is no backward pass. The first mask is drawn at
    random. In each iteration, every neighbour of a sample's mask removes one random block of positions (for a table: of
    adjacent features), in all channels. The best neighbour becomes the mask if its target is higher than before, so the
    target never falls.

    Parameters
    ----------
    iterations : int, default=50
        Steps of the search.
    neighbours : int, default=10
        Masks that are tried per step, all in one pass.
    block : int, default=2
        Side of the block that a neighbour removes; at most the longest side of the input.
    start : float, default=0.5
        Share of the positions that the first mask keeps. A mask can only shrink, so with the source's
        random start half of the input is lost before the search begins; 1 starts from the whole input.
    baseline : float, Tensor or ndarray, default=0.0
        Value of removed features, in the units of the input: one number, or a tensor
        that broadcasts against a batch.
    climb : {"logit", "probability"}, default="logit"
        The quantity of the explained class that is maximised. "logit" is the target's score, as in every other
        method. "probability" is its softmax among all outputs, which also rises where other classes'
        logits fall; it is for single-label classifiers. Use "logit" for a single output and for the labels of a
        multi-label model, whose probability is the sigmoid of one logit and rises with it. Targets that are not a class
        score, such as ``Loss``, are maximised unchanged.

    Notes
    -----
    The source does not give the numbers. It writes f(x) for the quantity that is maximised (equation 7.1) and reports
    f(x) as a percentage: ``climb="probability"``. For the target ``Loss`` the mask keeps what makes the loss high.

    References
    ----------
    Santos (2023), chapter 7, "iterative post-hoc attribution" (IPHA).

    Examples
    --------
    The model adds up its features, so removing negative features raises the target.

    >>> import torch
    >>> from skaba.attribution import HillClimbing, PredictedClass
    >>> x = torch.tensor([[3.0, -2.0, 1.0, -1.0]])
    >>> model = lambda x: x.sum(1, keepdim=True)
    >>> HillClimbing(block=1, start=1)(model, x, target=PredictedClass(), generator=torch.Generator())
    tensor([[1., 0., 1., 0.]])
    """

    about: ClassVar[About] = About("iterations * neighbours + 2", "0", signed=False, baseline=True)
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **dict.fromkeys(("iterations", "neighbours", "block"), COUNT),
        "start": [Interval(Real, 0, 1, closed="right")],
        "baseline": BASELINE,
        "climb": [StrOptions({"logit", "probability"})],
    }

    def __init__(
        self,
        iterations: int = 50,
        neighbours: int = 10,
        block: int = 2,
        start: float = 0.5,
        baseline: float | Tensor = 0.0,
        climb: str = "logit",
    ) -> None:
        self.iterations = iterations
        self.neighbours = neighbours
        self.block = block
        self.start = start
        self.baseline = baseline
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
        baseline = broadcast("baseline", self.baseline, x)
        score = target(answer(model, x))
        # Masks are drawn on the CPU, so that a seed gives the same masks on every device.
        mask = (torch.rand(len(x), *places, generator=generator) < self.start).to(x.device)
        value = self._height(score, answer(model, torch.where(to_channels(mask, x, axis), x, baseline)))
        for _ in range(self.iterations):
            tried = mask & ~self._blocks(len(x), places, generator).to(x.device)
            kept = to_channels(tried, x, axis)
            logits = answer(model, torch.where(kept, x, baseline).flatten(0, 1))
            values = self._height(score, logits).reshape(tried.shape[:2])
            best, which = values.max(0)
            better = best > value
            # Not best itself, which may be lower: a sample without a better neighbour keeps its mask.
            value = torch.where(better, best, value)
            mask[better] = tried[which, torch.arange(len(x), device=x.device)][better]
        return to_channels(mask, x, axis).to(x.dtype).expand_as(x).contiguous()

    def _height(self, score: Score, logits: Tensor) -> Tensor:
        """Return the quantity to maximise: the score, or the logarithm of its probability, which does not saturate."""
        if self.climb == "probability" and isinstance(score, ClassScore) and logits.shape[1] > 1:
            logits = logits.log_softmax(dim=1)
        return values_of(score, logits)

    def _blocks(self, n: int, places: torch.Size, generator: torch.Generator) -> Tensor:
        """Draw one block per neighbour and sample, shape (neighbours, n, *places): True inside."""
        blocks = torch.ones(self.neighbours, n, *places, dtype=torch.bool)
        for axis, size in enumerate(places, 2):
            shape = [1] * blocks.dim()
            shape[axis] = size
            # Every block lies within the input, so that all have the same size.
            start = torch.randint(max(size - self.block, 0) + 1, (self.neighbours, n), generator=generator)
            offset = torch.arange(size).reshape(shape) - start.reshape(self.neighbours, n, *[1] * len(places))
            blocks &= (offset >= 0) & (offset < self.block)
        return blocks
