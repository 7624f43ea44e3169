"""What training does to samples, and the maps that decided it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skaba.estimators import sharing
from skaba.network import stretched
from skaba.plotting._checks import Array


@dataclass
class Draws:
    """Samples before and after augmentation, with their maps and categories; parameters as in AugmentationDisplay."""

    samples: Array
    augmented: Array
    attributions: Array | None
    categories: Array | None
    n_categories: int

    @property
    def change(self) -> Array:
        """Augmented minus sample."""
        return self.augmented - self.samples


def draw(net: Any, X: Array, y: Any, random_state: int, channel_axis: int) -> Draws:
    """Augment each sample by itself, and keep the map that decided its change.

    The samples are not augmented as a batch, because an augmenter makes random draws, for example of the class that
    it explains. With its own seed, a sample's picture does not depend on the other samples.

    Parameters
    ----------
    net : ABAClassifier, ABARegressor or ABAMultiLabelClassifier
        Fitted; not changed.
    X : ndarray of shape (n, ...)
    y : ndarray or data frame of shape (n, ...), or None
    random_state : int
        Sample i is augmented with the seed ``random_state + i``.
    channel_axis : int
        The axis of the channels in what is augmented: 1 or -1.

    Returns
    -------
    Draws
    """
    # At strength 0, augment returns the layer's output as it is.
    samples = X if net.layer is None else sharing(net, strength=0).augment(X, y)
    # Indexed by [[i]], a single sample keeps its first axis, and a data frame stays a data frame.
    rows = y.iloc if hasattr(y, "iloc") else y
    targets = [None if y is None else rows[[i]] for i in range(len(X))]
    pairs = [_draw_one(net, X[[i]], own, random_state + i, channel_axis) for i, own in enumerate(targets)]
    augmented = np.concatenate([augmented for augmented, _ in pairs])
    maps = [attribution for _, attribution in pairs if attribution is not None]
    attributions = np.concatenate(maps) if maps else None
    selection = getattr(net.augmenter_, "selection", None)
    if attributions is None or selection is None:
        return Draws(samples, augmented, attributions, None, 1)
    categories = selection.categories(torch.from_numpy(attributions)).numpy()
    return Draws(samples, augmented, attributions, categories, selection.n_categories)


class _Recorder:
    """An attribution method that keeps the last map that it returned."""

    def __init__(self, method: Callable[..., Tensor]) -> None:
        self.method = method
        self.last: Tensor | None = None

    def __call__(self, model: Any, x: Tensor, y: Tensor | None = None, **arguments: Any) -> Tensor:
        attribution = self.method(model, x, y, **arguments)
        self.last = attribution.detach().cpu()  # keeps no graph, and no memory of a GPU
        return attribution


def _draw_one(net: Any, x: Array, y: Any, seed: int, channel_axis: int) -> tuple[Array, Array | None]:
    """Return a sample augmented, and its map; None if the augmenter uses no maps."""
    method = getattr(net.augmenter_, "attribution", None)
    if method is None:
        return sharing(net, random_state=seed).augment(x, y), None
    augmenter = copy.copy(net.augmenter_)  # the fitted augmenter keeps its method; only this copy records
    augmenter.attribution = recorder = _Recorder(method)
    augmented = sharing(net, random_state=seed, augmenter_=augmenter).augment(x, y)
    if recorder.last is None:  # the adjustment that was drawn is all zero, and needs no map
        target = getattr(augmenter, "target", None)
        return augmented, sharing(net, random_state=seed).attribute(x, y, attribution=method, target=target)
    if recorder.last.shape == augmented.shape:
        return augmented, recorder.last.numpy()
    # The map was computed at a lower resolution; the augmenter stretches it in the same way.
    return augmented, stretched(recorder.last, torch.from_numpy(augmented), channel_axis).numpy()
