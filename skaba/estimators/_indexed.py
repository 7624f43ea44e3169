"""Batches with the numbers of their samples, for weights, masks and augmenters that keep something per sample."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import joblib
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, Subset

from skaba._random_state import random_state_kept
from skaba.estimators._data import EncodedDataset, EncodedStream


class IndexedBatch(NamedTuple):
    """A batch as the iterator would yield it, and the numbers of its samples."""

    batch: Any
    numbers: Tensor


class Indexed(Dataset[Any]):
    """A data set whose samples come with their numbers.

    Parameters
    ----------
    dataset : Dataset
        With a length and numbered samples.

    Raises
    ------
    ValueError
        If it is an ``IterableDataset``, whose samples have no numbers.
    """

    def __init__(self, dataset: Any) -> None:
        inside = dataset
        while isinstance(inside, (Subset, EncodedDataset, EncodedStream)):
            inside = inside.dataset
        if isinstance(inside, IterableDataset):
            raise ValueError(
                "free_aba, sample_weight and mask refer to samples by their number, which an IterableDataset does not "
                "give. Pass arrays or a Dataset with __getitem__ and __len__."
            )
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> tuple[Any, int]:
        return self.dataset[number], number

    def name(self) -> str:
        """Return a name that identifies the data: a hash of the first, middle and last sample.

        Warns
        -----
        UserWarning
            If samples change whenever they are read. The name then depends on their shapes only.
        """
        n = len(self)
        with random_state_kept():  # reading a sample may draw random numbers; training must draw the same as without
            samples, again = ([_arrays(self.dataset[number]) for number in (0, n // 2, n - 1)] for _ in range(2))
        if joblib.hash(samples) == joblib.hash(again):
            return str(joblib.hash([n, samples]))
        warnings.warn(
            "free_aba moves a feature by its gradient from an earlier epoch, but this Dataset changes its samples "
            "whenever they are read. That is right as long as features stay where they are, as with noise; with random "
            "crops or flips use an augmenter that computes its own maps, such as fast_aba().",
            stacklevel=2,
        )
        return str(joblib.hash([n, [_shapes(sample) for sample in samples]]))

    def require_one_shape(self, collate: Callable[[list[Any]], Any]) -> None:
        """Raise a ValueError if the first, middle and last sample make batches of different shapes.

        Parameters
        ----------
        collate : callable
            Makes a batch of samples. It may pad them.
        """
        n = len(self)
        with random_state_kept():  # as in name()
            shapes = [_shapes(_arrays(collate([self.dataset[number]])[0])) for number in (0, n // 2, n - 1)]
        if any(shape != shapes[0] for shape in shapes):
            raise ValueError(
                "free_aba keeps a category for each feature, so all batches need samples of one shape; "
                f"the first, middle and last alone make batches of shapes {', '.join(map(str, shapes))}. Pad the "
                "samples to one length, or use an augmenter that computes its own maps, such as fast_aba()."
            )


# A class, because spawned worker processes pickle their collate_fn, and a function inside another cannot be pickled.
class IndexedCollate:
    """Collates samples as another function does, and adds their numbers.

    Parameters
    ----------
    collate : callable
        The ``collate_fn`` of the iterator.
    """

    def __init__(self, collate: Callable[[list[Any]], Any]) -> None:
        self.collate = collate

    def __call__(self, samples: list[tuple[Any, int]]) -> IndexedBatch:
        return IndexedBatch(self.collate([sample for sample, _ in samples]), torch.tensor([n for _, n in samples]))


def _shapes(arrays: Any) -> Any:
    if isinstance(arrays, dict):
        return {name: _shapes(value) for name, value in arrays.items()}
    return [_shapes(value) for value in arrays] if isinstance(arrays, list) else arrays.shape


def _arrays(sample: Any) -> Any:
    if isinstance(sample, dict):
        return {name: _arrays(value) for name, value in sample.items()}
    if isinstance(sample, (tuple, list)):
        return [_arrays(value) for value in sample]
    if isinstance(sample, Tensor):  # on any device, of any precision; only bfloat16 is unknown to NumPy
        sample = (sample.float() if sample.dtype == torch.bfloat16 else sample).detach().cpu()
    return np.asarray(sample)
