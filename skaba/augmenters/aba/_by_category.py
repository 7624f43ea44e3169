"""The base of ABA and FreeABA: steps are drawn per sample and category, and added to the features."""

from __future__ import annotations

from functools import partial
from numbers import Real
from typing import Any, ClassVar, TypeVar

import torch
from sklearn.base import clone
from sklearn.utils._param_validation import Interval
from torch import Tensor

from skaba.augmenters._augmenter import Augmenter
from skaba.augmenters._batch import Batch
from skaba.augmenters._clipping import CLIP_CONSTRAINT, Clip, Mover, clipping
from skaba.augmenters.aba._adjustments import AdjustmentSet
from skaba.augmenters.aba._categories import Categories
from skaba.augmenters.aba._changes import Change, Constant
from skaba.augmenters.aba._comparing import words_of
from skaba.augmenters.aba._selections import Selection
from skaba.network import described, finite

_Control = TypeVar("_Control", bound="ByCategory")


class ByCategory(Augmenter):
    """Moves each feature by its category's step."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "selection": [Selection],
        "adjustments": [AdjustmentSet],
        "change": [callable],
        "randomize": ["boolean"],
        "share": [Interval(Real, 0, 1, closed="right")],
        "clip": CLIP_CONSTRAINT,
    }

    default_strength: ClassVar[float] = 0.1
    strength_unit: ClassVar[str] = "units of the input, or of the layer's output"
    is_attribution_based: ClassVar[bool] = True

    selection: Selection
    adjustments: AdjustmentSet
    change: Change
    randomize: bool
    share: float
    clip: Clip | None

    def _draw_steps(self, n_samples: int, strength: float, generator: torch.Generator) -> Tensor:
        """Draw the step of each category for each sample: float32, (n, n_categories), on the CPU."""
        steps = self.adjustments.draw(n_samples, self.selection.n_categories, generator) * strength
        if self.randomize:  # one factor per sample, so that the categories of a sample keep their proportions
            steps *= torch.randn(n_samples, 1, generator=generator).abs()
        if self.share < 1:
            steps[torch.randperm(n_samples, generator=generator)[round(self.share * n_samples) :]] = 0
        return steps

    def _mover(
        self,
        categories: Categories,
        steps: Tensor,
        attribution: Tensor,
        padding: Tensor | None,
        generator: torch.Generator,
        rows: Tensor | None = None,
    ) -> Mover:
        """Return the function that moves a batch.

        Parameters
        ----------
        categories : Categories of n samples
        steps : Tensor of shape (n, n_categories)
        attribution : Tensor of shape (n, ...)
            The samples' maps; any tensor of their shape if the change does not use maps.
        padding : bool Tensor or None
            True where the n samples have padding, which does not move; their shape but for the last axis.
        generator : torch.Generator on the CPU
        rows : int64 Tensor of shape (n,), default=None
            Which samples of the batch move; by default all.
        """
        steps = categories.silenced(steps)
        order = self._order(attribution, padding, generator)
        if order is not None:
            categories, attribution = categories.permuted(order), attribution.flatten(1).gather(1, order)
        # The usual case: steps are added from masks, piece by piece, without a tensor of steps for the whole batch. The
        # exact type, because a subclass may compute something else.
        if type(self.change) is Constant:
            move: Mover = partial(categories.move, by_category=steps, rows=rows, padding=padding)
        else:
            move = partial(self._changed, attribution.flatten(1), categories.steps(steps), padding, rows)
        return clipping(move, self.clip)

    def _changed(
        self, attribution: Tensor, step: Tensor, padding: Tensor | None, rows: Tensor | None, x: Tensor
    ) -> Tensor:
        # Through detach() the change is written past autograd: gradients flow through the features as if they had not
        # moved.
        values = x.detach()
        moved = values if rows is None else values.index_select(0, rows)
        change = self.change(moved.reshape(attribution.shape), attribution, step.to(moved))
        self._check_change(change, attribution.shape)
        change = change.expand(attribution.shape).reshape(moved.shape).to(moved)
        if padding is not None:
            change = change.masked_fill(padding.unsqueeze(-1), 0)
        values.add_(change) if rows is None else values.index_add_(0, rows, change)
        return x

    def _check_change(self, change: Any, shape: torch.Size) -> None:
        if not isinstance(change, Tensor) or tuple(change.shape) not in {tuple(shape), (shape[0], 1)}:
            raise ValueError(
                f"change={self.change!r} returned {described(change)} for samples of shape {tuple(shape)}; it must "
                f"return a torch.Tensor of that shape, or of shape ({shape[0]}, 1)."
            )
        if not finite(change):
            raise ValueError(f"change={self.change!r} returned NaN or infinity.")

    def _order(self, x: Tensor, padding: Tensor | None, generator: torch.Generator) -> Tensor | None:
        """Return the number of the feature whose category each takes, (n, n_features); None for no permutation."""
        return None

    def _finished(self, move: Mover, batch: Batch) -> Mover:
        # The base class compares features before and after, which takes a copy. This function may write into the
        # features: it leaves padding alone and clips.
        return move

    def _as(self, control: type[_Control]) -> _Control:
        """Return an augmenter of another class with copies of all parameters."""
        return control(**{name: clone(value, safe=False) for name, value in self.get_params(deep=False).items()})

    def _check_consistency(self) -> None:
        """Raise a ValueError if the adjustments do not match the selection."""
        super()._check_consistency()
        try:
            n_categories = self.selection.n_categories
        except AttributeError as error:
            raise ValueError(
                f"selection={type(self.selection).__name__}() lacks an attribute: {error}. A selection of your own "
                "sets values, a tuple with one number per boundary."
            ) from error
        self.adjustments.table(n_categories)


class RandomOrder(ByCategory):
    """Lets features take the category of another feature of their sample, drawn at random."""

    def _order(self, x: Tensor, padding: Tensor | None, generator: torch.Generator) -> Tensor:
        """Draw a permutation per sample; padding stays in its place."""
        places = torch.arange(x[0].numel())
        order = places.repeat(len(x), 1)
        words = None if padding is None else words_of(padding, x).cpu()
        # Drawn on the CPU, so that a control gives the same permutations on all devices.
        for row in range(len(x)):
            free = places if words is None else places[words[row]]
            order[row, free] = free[torch.randperm(len(free), generator=generator)]
        return order.to(x.device)


def check_parts(augmenter: Any, *names: str) -> None:
    """Raise a ValueError if a part of an augmenter is a class in place of an instance."""
    for name in names:
        part = getattr(augmenter, name)
        if isinstance(part, type):
            raise ValueError(f"{name}={part.__name__} is a class: make an instance of it, {name}={part.__name__}().")
