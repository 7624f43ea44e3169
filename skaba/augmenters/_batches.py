"""What every augmenter is called with, checked in one place."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from skaba.attribution import as_labels
from skaba.network import described


def require_batch(augmenter: Any, x: Any, strength: Any, generator: Any, *, most: float = math.inf) -> None:
    """Check the arguments that all augmenters share.

    Parameters
    ----------
    augmenter : object
        Is named by its class.
    x, strength, generator : object
    most : float, default=math.inf
        The largest strength: 1 for a share of the way to a fill.

    Raises
    ------
    TypeError
        If x is no tensor, the strength no number, or the generator none of torch's.
    ValueError
        If the strength is negative, not finite or too large.
    """
    name = type(augmenter).__name__
    if not isinstance(x, Tensor):
        raise TypeError(f"{name} takes a batch as torch.Tensor, got {described(x)}: pass torch.as_tensor(x).")
    if not isinstance(strength, Real):
        raise TypeError(f"strength={strength!r} must be a number, one for the whole batch, for example 0.1.")
    if not math.isfinite(strength):
        raise ValueError(f"strength={strength!r} must be finite, for example 0.1.")
    if strength < 0:
        raise ValueError(f"strength={strength!r} must be at least 0; 0 switches augmentation off.")
    if float(strength) > most:
        raise ValueError(
            f"strength={strength!r} is too large for {name}, whose strength is the share of the way to the fill: at "
            f"most {most}."
        )
    if not isinstance(generator, torch.Generator):
        raise TypeError(
            f"{name} draws at random: pass generator=torch.Generator().manual_seed(0), got {described(generator)}."
        )


def labelled(augmenter: Any, x: Tensor, y: Any) -> Tensor | None:
    """Return the labels of a batch whose samples are attributed, of which lists and arrays are taken too.

    Parameters
    ----------
    augmenter : object
        Is named by its class.
    x : Tensor
    y : Tensor, array-like or None

    Returns
    -------
    Tensor or None

    Raises
    ------
    ValueError
        If x has no axis of samples, or y does not hold one number, or row of numbers, per sample.
    """
    if x.dim() < 2:
        raise ValueError(
            f"{type(augmenter).__name__} takes a batch, (n, ...), whose first axis is that of the samples; x has shape "
            f"{tuple(x.shape)}. Pass x.unsqueeze(0) for a single sample."
        )
    labels = as_labels(y, x.device)
    if labels is not None and labels.shape[:1] != x.shape[:1]:
        raise ValueError(
            f"y must hold one target per sample: the batch has {len(x)}, of shape {tuple(x.shape[1:])}, y has shape "
            f"{tuple(labels.shape)}."
        )
    return labels
