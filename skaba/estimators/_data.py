"""Datasets given by the user: which of their targets can be read, and the targets encoded for training."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from skorch.dataset import Dataset as SkorchDataset
from skorch.utils import data_from_dataset
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset

from skaba._samples import check_mask, check_values
from skaba._targets import as_array

Encode = Callable[[np.ndarray], np.ndarray]
"""Turns an array of targets into those of training; unknown labels are refused."""


class EncodedDataset(Dataset[Any]):
    """A user's Dataset with its targets encoded as those of ``fit`` are.

    Parameters
    ----------
    dataset : Dataset
        Yields a sample and its target.
    encode : callable
    """

    def __init__(self, dataset: Any, encode: Encode) -> None:
        self.dataset = dataset
        self.encode = encode

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> Any:
        """Return the sample and its encoded target."""
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: list[Any]) -> list[Any]:
        """Return the samples of a batch, their targets encoded together."""
        # DataLoader calls this method, where there is one, once per batch:
        # https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Dataset
        return _with_encoded_targets([self.dataset[index] for index in indices], self.encode)


class EncodedStream(IterableDataset[Any]):
    """As :class:`EncodedDataset`, for an ``IterableDataset``."""

    def __init__(self, dataset: Any, encode: Encode) -> None:
        self.dataset = dataset
        self.encode = encode

    def __iter__(self) -> Iterator[Any]:
        for sample in self.dataset:
            yield _with_encoded_targets([sample], self.encode)[0]


def encoded(dataset: Any, encode: Encode) -> Any:
    """Return a user's Dataset with encoded targets: the Dataset itself if its targets need no encoding."""
    if _is_plain(dataset):
        y = as_array(_held(dataset, 1))
        wanted = encode(y)
        if wanted.dtype == y.dtype and np.array_equal(wanted, y):
            return dataset
    return (EncodedStream if isinstance(dataset, IterableDataset) else EncodedDataset)(dataset, encode)


def root_of(dataset: Any) -> Any:
    """Return the Dataset that a subset, or a subset of one, was taken from."""
    while isinstance(dataset, Subset):
        dataset = dataset.dataset
    return dataset


def has_no_targets(dataset: Any) -> bool:
    """Return whether a Dataset is one of skorch's without y, which yields zeros in its place."""
    root = root_of(dataset)
    # A DataLoader cannot batch None: https://github.com/skorch-dev/skorch/blob/master/skorch/dataset.py
    return type(root) is SkorchDataset and root.y is None


def targets_inside(dataset: Any) -> np.ndarray | None:
    """Return the targets in the ``y`` of a Dataset, if it yields the same targets.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    ndarray or None
        None if it has no ``y``, or if the first, middle or last sample has another target than ``y``, for example a
        code in place of a name.
    """
    if isinstance(dataset, IterableDataset):  # which has no sample number 0
        return None
    try:
        y = as_array(_held(dataset, 1))
    except (AttributeError, TypeError, ValueError, IndexError):
        return None
    n = len(y) if y.ndim else 0
    if n == 0 or n != len(dataset):
        return None
    # Three samples only: reading all of them may take as long as an epoch.
    looked_at = () if _is_plain(dataset) else (0, n // 2, n - 1)
    return y if all(np.array_equal(as_array(dataset[number][1]), y[number]) for number in looked_at) else None


def check_inside(dataset: Any) -> None:
    """Raise a ValueError if a Dataset is empty, or holds masked values or samples that are not finite.

    Only the Datasets of skorch and torch are checked; others would have to be read sample by sample.
    """
    if isinstance(dataset, IterableDataset):
        return
    if len(dataset) == 0:  # in the words of scikit-learn's check_array
        raise ValueError("X is a Dataset with 0 sample(s) while a minimum of 1 is required.")
    if _is_plain(dataset):
        X, y = data_from_dataset(root_of(dataset))
        check_mask(y, "y")
        if isinstance(X, (np.ndarray, Tensor)):
            check_mask(X, "X")
            check_values(_held(dataset, 0), "X")


def _held(dataset: Any, part: int) -> Any:
    """Return the X (0) or the y (1) that a Dataset has as attributes; of a subset the rows that it takes."""
    if not isinstance(dataset, Subset):
        return data_from_dataset(dataset)[part]
    held, rows = _held(dataset.dataset, part), np.asarray(dataset.indices)
    return held[rows] if isinstance(held, Tensor) else as_array(held)[rows]


def _is_plain(dataset: Any) -> bool:
    """Return whether a Dataset yields what its X and y hold, by its type."""
    root = root_of(dataset)
    # The exact types: a subclass may yield something else than its attributes hold.
    if type(root) is TensorDataset:
        return len(root.tensors) == 2
    return type(root) is SkorchDataset and root.y is not None


def _with_encoded_targets(samples: list[Any], encode: Encode) -> list[Any]:
    targets = encode(np.stack([as_array(y) for _, y in samples]))
    return [(x, y) for (x, _), y in zip(samples, targets, strict=True)]
