"""Batches that know their samples' numbers, for what an augmenter keeps of them."""

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
        """Return a name by which the same data are known again: from the first, middle and last sample.

        Warns
        -----
        UserWarning
            If samples change whenever they are read. They are known again by their shapes alone.
        """
        n = len(self)
        with random_state_kept():  # reading may draw, which is not to shift what training draws
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
        """Raise a ValueError if samples of different shape are not brought to one shape: first, middle and last sample.

        Parameters
        ----------
        collate : callable
            Makes a batch of samples, and may pad them.
        """
        n = len(self)
        with random_state_kept():  # reading may draw, which is not to shift what training draws
            shapes = [_shapes(_arrays(collate([self.dataset[number]])[0])) for number in (0, n // 2, n - 1)]
        if any(shape != shapes[0] for shape in shapes):
            raise ValueError(
                "free_aba keeps a category for each feature, so all batches need samples of one shape; "
                f"the first, middle and last alone make batches of shapes {', '.join(map(str, shapes))}. Pad the "
                "samples to one length, or use an augmenter that computes its own maps, such as fast_aba()."
            )


class IndexedCollate:
    """Collates samples as before, and their numbers beside them.

    Parameters
    ----------
    collate : callable
        The iterator's own ``collate_fn``.
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
