"""Masks of features that may matter, one per sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skorch.dataset import get_len
from torch import Tensor
from torch.utils.data import IterableDataset

from skaba.estimators._sample_weight import positions
from skaba.training import checked_mask


class Masks:
    """The masks of all samples.

    Parameters
    ----------
    values : bool ndarray of shape (n, ...)
    """

    def __init__(self, values: NDArray[np.bool_]) -> None:
        self.values = values

    def of(self, dataset: Any, whole: Any) -> Masks:
        """Return the masks of the samples that are trained on.

        Parameters
        ----------
        dataset : Dataset
            What ``train_split`` returned for the n samples.
        whole : Dataset of the n samples

        Raises
        ------
        ValueError
            If the Dataset holds other samples.
        """
        chosen = positions(dataset, whole, "mask")
        return Masks(self.values[chosen]) if len(chosen) < len(self.values) else self

    def rows(self, index: Tensor) -> Tensor:
        """Return the masks of some samples, given their numbers, int64 (m,)."""
        # The masks of all samples stay on the CPU; the training step moves those of the batch to the device.
        return torch.from_numpy(self.values[index.cpu().numpy()])


def checked_masks(mask: Any, X: Any, *, layer: str | None, names: Any = None) -> Masks | None:
    """Return one mask per sample, or None if no masks are given.

    Parameters
    ----------
    mask : bool array-like of shape (n, ...), or list of n bool arrays or None
        True where a feature may matter, False where it is known to be irrelevant. None stands for a sample without
        feedback: all of its features may matter.
    X : samples, counted by their first axis
    layer : str or None
        The layer whose output is explained; its shape is not known yet.
    names : ndarray of str, default=None
        The names of X's columns.

    Returns
    -------
    Masks or None

    Raises
    ------
    ValueError
        If the masks are not boolean, do not fit the samples, or leave a sample without any feature.
    """
    if mask is None:
        return None
    _check_names(mask, names)
    if isinstance(X, IterableDataset):
        raise ValueError("mask cannot be matched with the samples of an IterableDataset.")
    n_samples = get_len(X)
    if not hasattr(mask, "__len__") or len(mask) != n_samples:
        given = f"{len(mask)} entries" if hasattr(mask, "__len__") else f"the type {type(mask).__name__}"
        raise ValueError(f"mask must have one entry per sample, {n_samples}; it has {given}.")
    X_shape = tuple(getattr(X, "shape", ()))
    values = checked_mask(_stacked(mask, X_shape), n_samples).numpy()
    _check_shape(values.shape, X_shape, layer)
    return Masks(values)


def _check_names(mask: Any, names: Any) -> None:
    """Raise a ValueError if the columns of masks and samples, both data frames, differ in names or order."""
    own = list(getattr(mask, "columns", ()))
    if names is None or not own or not all(isinstance(name, str) for name in own) or own == list(names):
        return
    raise ValueError(
        f"mask has the columns {own[:5]}, but X has {list(names[:5])}: they must be the same, in the same order. Pass "
        "mask[X.columns], or mask.to_numpy() if they are in X's order."
    )


def _stacked(mask: Any, X_shape: tuple[int, ...]) -> Any:
    """Return masks as one array; a sample without feedback has True everywhere."""
    if isinstance(mask, Tensor):
        mask = mask.detach().cpu().numpy()
    if hasattr(mask, "to_numpy"):
        mask = mask.to_numpy()
    if not isinstance(mask, np.ndarray) or mask.dtype == object:  # NumPy stores None in an array of objects
        each = [None if one is None else np.asarray(one) for one in mask]
        shapes = {one.shape for one in each if one is not None}
        if len(shapes) > 1:
            raise ValueError(f"mask has entries of different shapes, {sorted(shapes)}: all samples need the same.")
        # In a fold of a search there may be no sample with feedback.
        shape = shapes.pop() if shapes else X_shape[1:] or (1,)
        mask = np.stack([np.ones(shape, dtype=bool) if one is None else one for one in each])
    return mask


def _check_shape(shape: tuple[int, ...], X_shape: tuple[int, ...], layer: str | None) -> None:
    if not X_shape:  # samples of a Dataset; each batch is checked
        return
    if layer is None:
        allowed = {X_shape, (X_shape[0], *X_shape[2:])} if len(X_shape) > 2 else {X_shape}
        if shape not in allowed:
            raise ValueError(
                f"mask has shape {shape}, but X has shape {X_shape}: the mask must have the shape "
                f"{' or '.join(map(str, sorted(allowed)))}."
            )
    # Of a layer's output nothing is known before it runs, except that an embedding keeps the length of a text.
    elif len(X_shape) == 2 and shape[1] != X_shape[1]:
        raise ValueError(f"mask has shape {shape}, but X has shape {X_shape}: the mask must have the shape {X_shape}.")
