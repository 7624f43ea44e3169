"""What augmentation does to a network's predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from skaba.augmenters import Batch, Plan
from skaba.network import answer, asking


@dataclass(frozen=True)
class Probe:
    """How well a batch is predicted before augmentation, and what augmentation changes.

    Parameters
    ----------
    fit : float
        How well the unchanged samples are predicted, at most 1: the share of right predictions; for labels the mean of
        the shares among positive and negative ones; for other targets the share of their loss that the network removes.
    flips : float
        How much of this is lost by augmentation: the share of right predictions that become wrong; for other targets
        the increase of the loss. For targets without classes it is a share of the loss of a constant prediction.
    """

    fit: float
    flips: float


def probed(batch: Batch, plan: Plan) -> Probe:
    """Compare a network's predictions of a batch before and after augmentation, both in evaluation mode.

    Parameters
    ----------
    batch : Batch
        With targets.
    plan : Plan
        How the batch is augmented.

    Returns
    -------
    Probe

    Raises
    ------
    ValueError
        If there are no targets, if augmentation changes them, or if targets without classes come without a criterion.
    """
    y, criterion = batch.y, batch.criterion
    if not isinstance(y, Tensor) or plan.y is not y:
        raise ValueError(
            "A rule for the strength compares predictions with the targets: it needs y with each batch, and an "
            "augmenter that keeps the targets. Give a number as strength."
        )
    batch = batch.with_features()
    x = batch.features()
    with asking(batch.model), torch.no_grad():
        clean = answer(batch.model, x)
        moved = clean if plan.move is None else answer(batch.model, plan.move(x.clone()))
    if not y.is_floating_point():
        return _of_classes(clean.argmax(dim=1) == y, moved.argmax(dim=1) == y)
    if isinstance(criterion, nn.BCEWithLogitsLoss):
        y = y.reshape(clean.shape) > 0.5
        return _of_labels((clean > 0) == y, (moved > 0) == y, y)
    if criterion is None:
        raise ValueError("A rule for the strength needs the loss if the targets are not classes: pass criterion=.")
    return _of_losses(clean, moved, y, criterion)


def _of_classes(before: Tensor, after: Tensor) -> Probe:
    return Probe(_share(before), _share(~after[before]))


def _of_labels(before: Tensor, after: Tensor, y: Tensor) -> Probe:
    # Most labels are negative, so predicting none would look like a good fit if both kinds counted together.
    kinds = [_of_classes(before[kind], after[kind]) for kind in (y, ~y) if kind.any()]
    return Probe(sum(kind.fit for kind in kinds) / len(kinds), sum(kind.flips for kind in kinds) / len(kinds))


def _of_losses(clean: Tensor, moved: Tensor, y: Tensor, criterion: Any) -> Probe:
    constant = y.mean(dim=0, keepdim=True).expand_as(y).reshape(clean.shape)
    before, after, worst = (
        float(criterion(output, y.reshape(clean.shape)).mean()) for output in (clean, moved, constant)
    )
    if worst <= 0:  # a batch of equal targets tells nothing
        return Probe(1.0, 0.0)
    return Probe(1 - before / worst, (after - before) / worst)


def _share(right: Tensor) -> float:
    """Return the share of True; 0 if there is nothing."""
    return float(right.float().mean()) if right.numel() else 0.0
