"""Weights of samples in the loss of training."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import _check_sample_weight
from skorch.dataset import get_len
from torch import Tensor
from torch.utils.data import IterableDataset, Subset

from skaba.estimators._data import EncodedDataset


def checked_weights(sample_weight: Any, X: Any) -> NDArray[Any] | None:
    """Return one weight per sample, or None if no weights are given.

    Parameters
    ----------
    sample_weight : array-like of shape (n,), float or None
    X : samples, counted by their first axis

    Returns
    -------
    float64 ndarray of shape (n,), or None

    Raises
    ------
    ValueError
        If a weight is negative or not finite, all are 0, or there is not one per sample.
    """
    if sample_weight is None:
        return None
    if isinstance(X, IterableDataset):
        raise ValueError("sample_weight cannot be matched with the samples of an IterableDataset.")
    # scikit-learn needs only the number of samples; X may be a Dataset or a mapping, which it does not take.
    samples = np.empty((get_len(X), 0))
    weights: NDArray[Any] = _check_sample_weight(sample_weight, samples, dtype=np.float64, ensure_non_negative=True)
    if not weights.any():
        raise ValueError("sample_weight is 0 for every sample, so there is nothing to train on.")
    return weights


def weights_of(dataset: Any, whole: Any, weights: NDArray[Any]) -> Tensor:
    """Return the weights of the samples that are trained on, with mean 1.

    Parameters
    ----------
    dataset : Dataset
        What ``train_split`` returned of the n samples.
    whole : Dataset of the n samples
    weights : ndarray of shape (n,)

    Returns
    -------
    float32 Tensor of shape (len(dataset),)

    Raises
    ------
    ValueError
        If it is not a part of them, or all of its weights are 0.
    """
    kept = weights[positions(dataset, whole, "sample_weight")]
    if not kept.any():
        raise ValueError(
            f"sample_weight is 0 for all of the {len(kept)} samples that train_split leaves for training. Use another "
            "split, or train_split=None."
        )
    return torch.as_tensor(kept / kept.mean(), dtype=torch.float32)


def weighted_loss(criterion: Any, y_pred: Any, y_true: Any, weights: Tensor) -> Tensor:
    """Return the mean of the samples' losses, each times its weight.

    Parameters
    ----------
    criterion : nn.Module
        With a ``reduction``, as torch's losses have.
    y_pred, y_true : Tensor of n samples
    weights : Tensor of shape (n,)

    Returns
    -------
    Tensor
        A scalar.

    Raises
    ------
    ValueError
        If the criterion cannot return one loss per sample.
    """
    # A shallow copy, so that gradients reach the criterion's own parameters.
    unreduced = copy.copy(criterion)
    unreduced.reduction = "none"
    losses = unreduced(y_pred, y_true)
    if losses.dim() == 0 or len(losses) != len(weights):
        raise ValueError(
            f"sample_weight and class_weight need the loss of each sample, but {type(criterion).__name__} does not "
            'return it with reduction="none". Use one of torch\'s losses, or drop the weights.'
        )
    return (losses.reshape(len(losses), -1).mean(dim=1) * weights.to(losses)).mean()


def positions(dataset: Any, whole: Any, name: str) -> NDArray[Any]:
    """Return the numbers that the samples of a Dataset have in the whole of which it is a part.

    Parameters
    ----------
    dataset : Dataset
        The whole itself, a Subset of it, or a Subset of such a Subset.
    whole : Dataset
    name : str
        What is known of each sample, for the error message.

    Returns
    -------
    int64 ndarray of shape (len(dataset),)

    Raises
    ------
    ValueError
        If it is no part of the whole.
    """
    if dataset is whole:
        return np.arange(len(whole))
    if isinstance(dataset, EncodedDataset):
        return positions(dataset.dataset, whole, name)
    if isinstance(dataset, Subset):
        return positions(dataset.dataset, whole, name)[np.asarray(dataset.indices, dtype=np.int64)]
    raise ValueError(
        f"{name} has one entry per sample of X, but train_split returned a Dataset of other samples. Use a split that "
        "returns torch.utils.data.Subset."
    )
