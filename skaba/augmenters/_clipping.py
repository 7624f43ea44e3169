"""The range that augmentation must not leave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

Clip = Sequence[Any]
"""``(low, high)``: numbers, or arrays that broadcast to a sample."""

Mover = Callable[[Tensor], Tensor]
"""Takes features, which are the input or the output of a layer, and returns them augmented."""

CLIP_CONSTRAINT: list[Any] = [tuple, list, None]


def clipped(x_augmented: Tensor, x: Tensor, clip: Clip | None) -> Tensor:
    """Return augmented samples, clipped so that no feature has moved out of a range.

    A feature that was outside the range may move towards it, but not away from it. So features that are not augmented,
    such as padding, never change.

    Parameters
    ----------
    x_augmented, x : Tensor of shape (n, ...)
        After and before.
    clip : (low, high) or None

    Returns
    -------
    Tensor of x's shape

    Raises
    ------
    ValueError
        If the range does not broadcast to a sample.

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters._clipping import clipped
    >>> x = torch.tensor([[0.9, 0.2, 1.5]])
    >>> clipped(x + 0.3, x, (0, 1))
    tensor([[1.0000, 0.5000, 1.5000]])
    """
    if clip is None:
        return x_augmented
    low, high = (_broadcast(bound, x, clip) for bound in clip)
    return x_augmented.clamp(min=torch.minimum(low, x), max=torch.maximum(high, x))


def clipping(move: Mover, clip: Clip | None) -> Mover:
    """Return a function that augments a batch in place and clips it; no gradient flows through either change."""
    return move if clip is None else partial(_moved_within, move, clip)


def _moved_within(move: Mover, clip: Clip, x: Tensor) -> Tensor:
    before = x.detach().clone()  # move writes into x
    x = move(x)
    x.detach().copy_(clipped(x.detach(), before, clip))
    return x


def check_clip(clip: Clip | None) -> None:
    """Raise a ValueError unless a range has a low end below its high end."""
    if clip is None:
        return
    try:
        low, high = (torch.as_tensor(bound, dtype=torch.float64) for bound in clip)
        valid = bool((low < high).all())  # False for NaN
    except (TypeError, ValueError, RuntimeError):  # not two bounds, not numbers, or shapes that do not broadcast
        valid = False
    if not valid:
        raise ValueError(
            f"clip={clip!r} must be (low, high) with low < high: two numbers, such as (0, 1), or arrays that broadcast "
            "to a sample."
        )


def _broadcast(bound: Any, x: Tensor, clip: Clip) -> Tensor:
    values = torch.as_tensor(bound, dtype=x.dtype, device=x.device)
    try:
        return values.expand(x.shape[1:])
    except RuntimeError as error:
        raise ValueError(
            f"clip={clip!r} has a part of shape {tuple(values.shape)}, which does not broadcast to a sample of shape "
            f"{tuple(x.shape[1:])}."
        ) from error
