"""Which samples are trained on, and in which batches."""

from __future__ import annotations

from numbers import Real
from typing import Any

from skorch.dataset import ValidSplit
from torch.utils.data import DataLoader, IterableDataset


def shuffled_batches(
    dataset: Any, *, shuffle: bool | None = None, drop_last: bool | None = None, **parameters: Any
) -> DataLoader[Any]:
    """Return batches of samples in a new order at every epoch, unless something else decides the order.

    Parameters
    ----------
    dataset : Dataset
    shuffle : bool, default=None
        None shuffles, unless the data set is an ``IterableDataset`` or a sampler is given.
    drop_last : bool, default=None
        Whether to leave out a last batch that is not full. None leaves it out if it holds a single sample, on which
        BatchNorm cannot train, unless it is the only batch.
    **parameters
        Other parameters of ``torch.utils.data.DataLoader``.

    Returns
    -------
    DataLoader
    """
    if shuffle is None:
        has_sampler = parameters.get("sampler") is not None or parameters.get("batch_sampler") is not None
        shuffle = not (has_sampler or isinstance(dataset, IterableDataset))
    if drop_last is None:
        drop_last = _ends_with_one(dataset, **parameters)
    return DataLoader(dataset, shuffle=shuffle, drop_last=drop_last, **parameters)


def _ends_with_one(dataset: Any, batch_size: int | None = 1, sampler: Any = None, **_: Any) -> bool:
    """Return whether the last of several batches holds a single sample."""
    # An IterableDataset need not have a length; batch_size=None switches batching off.
    if isinstance(dataset, IterableDataset) or not batch_size or batch_size == 1:
        return False
    n = len(dataset if sampler is None else sampler)
    return n > batch_size and n % batch_size == 1


def validation_split(train_split: Any, *, stratified: bool, seed: int) -> Any:
    """Return the function that splits off the validation samples.

    Parameters
    ----------
    train_split : float, int, callable or None
        A float is the share of the samples to hold out, drawn at random; an int k holds out a share of 1 / k.
        Anything else is returned unchanged.
    stratified : bool
        Whether the held-out samples have the same proportions of classes as all samples.
    seed : int
        The seed of the draw.

    Returns
    -------
    callable or None
    """
    if not isinstance(train_split, Real):
        return train_split
    # ValidSplit takes the first of k folds in the order of the samples; a share is drawn at random.
    share = train_split if train_split < 1 else 1 / train_split
    # scikit-learn's splitters refuse seeds of 2**32 or more.
    return ValidSplit(share, stratified=stratified, random_state=seed % 2**32)
