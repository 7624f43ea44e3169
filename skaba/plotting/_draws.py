"""What training does to samples, and the maps that decided it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaba.network import stretched
from skaba.plotting._panels import Array


@dataclass
class Draws:
    """Samples, one by one augmented as training does."""

    augmented: Array
    attributions: Array | None
    categories: Array | None
    n_categories: int


def draw(estimator: Any, X: Array, y: Any, random_state: int, channels: int) -> Draws:
    """Augment every sample on its own, and keep the maps that training would have asked for.

    One at a time: ``attribute`` could not repeat the augmenter's own draw of a target class.

    Parameters
    ----------
    estimator : ABAClassifier, ABARegressor or ABAMultiLabelClassifier
        Left unchanged.
    X : ndarray of shape (n, ...)
    y : ndarray or data frame of shape (n, ...), or None
    random_state : int
        Sample i is drawn for with ``random_state + i``.
    channels : int
        The axis of what is augmented that holds channels, 1 or -1.

    Returns
    -------
    Draws
    """
    rows = y.iloc if hasattr(y, "iloc") else y
    targets = [None if y is None else rows[[i]] for i in range(len(X))]
    pairs = [_draw_one(estimator, X[[i]], own, random_state + i, channels) for i, own in enumerate(targets)]
    augmented = np.concatenate([augmented for augmented, _ in pairs])
    maps = [attribution for _, attribution in pairs if attribution is not None]
    attributions = np.concatenate(maps) if maps else None
    selection: Any = getattr(estimator.augmenter_, "selection", None)
    if attributions is None or selection is None:
        return Draws(augmented, attributions, None, 1)
    categories = selection.categories(torch.from_numpy(attributions)).numpy()
    return Draws(augmented, attributions, categories, selection.n_categories)


class _Watched:
    """An attribution method that keeps the last map that it gave."""

    def __init__(self, method: Callable[..., Tensor]) -> None:
        self.method = method
        self.last: Tensor | None = None

    def __call__(self, model: Any, x: Tensor, y: Tensor | None = None, **arguments: Any) -> Tensor:
        attribution = self.method(model, x, y, **arguments)
        self.last = attribution.detach().cpu()
        return attribution


def _draw_one(estimator: Any, x: Array, y: Any, seed: int, channels: int) -> tuple[Array, Array | None]:
    """Return a sample augmented, and its map."""
    estimator = copy.copy(estimator)
    estimator.random_state = seed
    augmenter: Any = getattr(estimator, "augmenter_", None)
    if not hasattr(augmenter, "attribution"):
        return estimator.augment(x, y), None
    watched = _Watched(augmenter.attribution)
    estimator.augmenter_ = copy.copy(augmenter)
    estimator.augmenter_.attribution = watched
    augmented = estimator.augment(x, y)
    if watched.last is None:
        target = getattr(augmenter, "target", None)
        return augmented, estimator.attribute(x, y, attribution=augmenter.attribution, target=target)
    if watched.last.shape == augmented.shape:
        return augmented, watched.last.numpy()
    # Asked at a lower resolution, and stretched as the augmenter does.
    return augmented, stretched(watched.last, torch.from_numpy(augmented), channels).numpy()
