"""How the samples of a batch move: steps are drawn per sample and category, and added to the features."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from skaba.augmenters._clipping import Clip, Mover, clipping
from skaba.augmenters.aba._adjustments import AdjustmentSet
from skaba.augmenters.aba._categories import Categories
from skaba.augmenters.aba._changes import Change, Constant
from skaba.augmenters.aba._selections import Selection
from skaba.network import described, finite


def draw_steps(
    adjustments: AdjustmentSet,
    n_categories: int,
    n_samples: int,
    *,
    strength: float,
    randomize: bool,
    share: float,
    generator: torch.Generator,
) -> Tensor:
    """Draw the step of each category for each sample.

    Parameters
    ----------
    adjustments : AdjustmentSet
    n_categories, n_samples : int
    strength : float
    randomize : bool
        Whether a sample's steps are multiplied by a draw of ``|N(0, 1)|``.
    share : float
        The share of samples that move.
    generator : torch.Generator on the CPU

    Returns
    -------
    float32 Tensor of shape (n_samples, n_categories) on the CPU
    """
    steps = adjustments.draw(n_samples, n_categories, generator) * strength
    if randomize:
        steps *= torch.randn(n_samples, 1, generator=generator).abs()
    if share < 1:
        steps[torch.randperm(n_samples, generator=generator)[round(share * n_samples) :]] = 0
    return steps


def mover(
    categories: Categories,
    steps: Tensor,
    change: Change,
    *,
    attribution: Tensor | None = None,
    rows: Tensor | None = None,
    padding: Tensor | None = None,
    order: Tensor | None = None,
    clip: Clip | None = None,
) -> Mover:
    """Return what moves a batch by the steps of its features' categories.

    Parameters
    ----------
    categories : Categories of n samples
    steps : Tensor of shape (n, n_categories)
    change : Change
        What a step does to a feature.
    attribution : Tensor of shape (n, ...), default=None
        The samples' maps; None if the change does not look at them.
    rows : int64 Tensor of shape (n,), default=None
        Which samples of the batch move; by default all.
    padding : bool Tensor, default=None
        True where the n samples have padding, which does not move; their shape but for the last axis.
    order : int64 Tensor of shape (n, n_features), default=None
        From which feature each takes its category; by default from itself.
    clip : (low, high), default=None

    Returns
    -------
    callable
        Takes the batch's features, which may be written into, and returns them moved.
    """
    steps = categories.silenced(steps)
    if order is not None:
        categories = categories.permuted(order)
        attribution = None if attribution is None else attribution.flatten(1).gather(1, order)
    if type(change) is Constant:
        return clipping(partial(categories.move, by_category=steps, rows=rows, padding=padding), clip)
    by_feature = categories.steps(steps)

    def move(x: Tensor) -> Tensor:
        # The features are read as they are in the training step's own pass; no gradient flows through the change.
        own = x.detach() if rows is None else x.detach().index_select(0, rows)
        map_ = own if attribution is None else attribution
        step = change(own.reshape(len(own), -1), map_.reshape(len(own), -1), by_feature.to(own))
        _add(x.detach(), _shaped(step, own, padding, change), rows)
        return x

    return clipping(move, clip)


def _add(x: Tensor, change: Tensor, rows: Tensor | None) -> None:
    x.add_(change) if rows is None else x.index_add_(0, rows, change)


def _shaped(change: Any, x: Tensor, padding: Tensor | None, made_by: Change) -> Tensor:
    """Return a change of flat samples in x's shape and dtype, zero where there is padding."""
    n_features = x[0].numel()
    if not isinstance(change, Tensor) or tuple(change.shape) not in {(len(x), n_features), (len(x), 1)}:
        raise ValueError(
            f"change={made_by!r} returned {described(change)} for samples of shape ({len(x)}, {n_features}); it must "
            f"return a torch.Tensor of that shape, or of shape ({len(x)}, 1)."
        )
    if not finite(change):
        raise ValueError(f"change={made_by!r} returned NaN or infinity.")
    whole = change.expand(len(x), n_features).reshape(x.shape).to(x)
    return whole if padding is None else whole.masked_fill(padding.unsqueeze(-1), 0)


def n_categories(selection: Selection) -> int:
    """Return how many categories a selection makes, or say what an own one lacks."""
    try:
        return selection.n_categories
    except AttributeError as error:
        raise ValueError(
            f"selection={type(selection).__name__}() lacks an attribute: {error}. Your own selection sets values, a "
            "tuple with one number per boundary."
        ) from error


def check_parts(augmenter: Any, *names: str) -> None:
    """Raise a ValueError if a part of an augmenter is a class in place of an instance."""
    for name in names:
        part = getattr(augmenter, name)
        if isinstance(part, type):
            raise ValueError(f"{name}={part.__name__} is a class: make an instance of it, {name}={part.__name__}().")
