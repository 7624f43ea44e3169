"""How samples are picked and moved, and what has to hold for it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from skaba.augmenters._changes import Change
from skaba.augmenters._selections import Selection
from skaba.network import described, finite


def n_categories(selection: Selection) -> int:
    """Return how many categories a selection makes, or say what an own one lacks."""
    try:
        return selection.n_categories
    except AttributeError as error:
        raise ValueError(
            f"selection={type(selection).__name__}() lacks an attribute: {error}. Your own selection sets values, a "
            "tuple with one number per boundary."
        ) from error


def require_samples(output: Tensor, n_samples: int, layer: str) -> None:
    """Raise a ValueError if a layer's output does not hold one sample after the other."""
    if output.dim() < 2 or len(output) != n_samples:
        raise ValueError(
            f"layer={layer!r} returns a tensor of shape {tuple(output.shape)} for {n_samples} samples; its first axis "
            "must be the samples, and features must follow. Choose another layer, or set batch_first=True."
        )


def picked(y: Tensor | None, rows: Tensor) -> Tensor | None:
    """Return what belongs to some samples, if there is something."""
    return None if y is None else y.index_select(0, rows)


def shaped(change: Any, x: Tensor, still: Tensor | None, made_by: Change) -> Tensor:
    """Return a change of flat samples in x's shape, zero where there is padding."""
    n_features = x[0].numel()
    if not isinstance(change, Tensor) or tuple(change.shape) not in {(len(x), n_features), (len(x), 1)}:
        raise ValueError(
            f"change={made_by!r} returned {described(change)} for samples of shape ({len(x)}, {n_features}); it must "
            f"return a torch.Tensor of that shape, or of shape ({len(x)}, 1)."
        )
    if not finite(change):
        raise ValueError(f"change={made_by!r} returned NaN or infinity.")
    whole: Tensor = change.expand(len(x), n_features).reshape(x.shape)
    return whole if still is None else whole.masked_fill(still.unsqueeze(-1), 0)


def moved(change: Tensor, rows: Tensor | None, x: Tensor) -> Tensor:
    """Return x after a change of some of its samples, or of all."""
    change = change.to(x)
    return x.add_(change) if rows is None else x.index_add_(0, rows.to(x.device), change)
