"""Seeded splits, balanced subsets, and the Bunch that all loaders of published data sets return."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from skaba._validation import unknown_name

Indices: TypeAlias = NDArray[np.int64]
RandomState: TypeAlias = int | np.random.Generator | None

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Plan:
    """How a data set is cut into training, validation and test sets.

    Parameters
    ----------
    dataset : str
        Its name in error messages.
    per_class : mapping of str to int or None
        Training samples per class, for each subset; None takes all samples that are in neither of the other sets.
    n_valid : int
        Size of the validation set, which is the same for all subsets.
    n_test : int, default=0
        Size of the test set; 0 if the data set has an official one.
    """

    dataset: str
    per_class: Mapping[str, int | None]
    n_valid: int
    n_test: int = 0


def check_name(what: str, name: object, known: Iterable[str]) -> None:
    """Raise an error that lists the known names, unless the name is one of them.

    Parameters
    ----------
    what : str
        What kind of thing the name should refer to, for the message.
    name : object
        The name given.
    known : iterable of str
        The names that exist.

    Raises
    ------
    ValueError
        If there is no such name.
    """
    known = list(known)
    if name not in known:
        raise ValueError(unknown_name(what, str(name), known))


def cut(y: NDArray[np.int64], plan: Plan, subset: str, random_state: RandomState) -> dict[str, Indices]:
    """Draw a training, a validation and a test set that do not overlap.

    Test and validation sets are drawn first, so that they are the same for all subsets of one seed.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), int64
        The classes.
    plan : Plan
        The sizes.
    subset : str
        One of the plan's training sets.
    random_state : int, numpy.random.Generator or None
        The seed; None draws another one at each call. The global random state is neither read nor changed.

    Returns
    -------
    dict of str to ndarray, int64
        Indices into ``y`` for "train", "valid" and "test".

    Raises
    ------
    ValueError
        If the subset does not exist, or there are fewer samples than it needs.
    """
    check_name(f"{plan.dataset} subset", subset, plan.per_class)
    held_out = plan.n_valid + plan.n_test
    if len(y) <= held_out:
        raise ValueError(
            f"{plan.dataset} needs more than {held_out} samples ({plan.n_valid} to validate, {plan.n_test} "
            f"to test, and some to train), but there are {len(y)}."
        )
    generator = np.random.default_rng(random_state)
    order = generator.permutation(len(y))
    test, valid, pool = np.split(order, [plan.n_test, held_out])
    per_class = plan.per_class[subset]
    train = pool if per_class is None else draw_balanced(y, pool, per_class, generator, plan.dataset)
    return {"train": train, "valid": valid, "test": test}


def draw_balanced(
    y: NDArray[np.int64], pool: Indices, per_class: int, generator: np.random.Generator, dataset: str
) -> Indices:
    """Draw the same number of samples of each class, in random order.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), int64
        The classes.
    pool : ndarray, int64
        The indices to draw from, already shuffled.
    per_class : int
        Number of samples per class.
    generator : numpy.random.Generator
        Shuffles the result, so that the classes are mixed.
    dataset : str
        The data set's name in error messages.

    Returns
    -------
    ndarray of shape (n_classes * per_class,), int64
        Indices into ``y``.

    Raises
    ------
    ValueError
        If a class has too few samples in the pool.
    """
    drawn = []
    for label in np.unique(y):
        members = pool[y[pool] == label]
        if len(members) < per_class:
            raise ValueError(
                f"This subset of {dataset} takes {per_class} training samples of each class, but class "
                f"{label} has {len(members)} left after the validation and test sets."
            )
        drawn.append(members[:per_class])
    return generator.permutation(np.concatenate(drawn))


def to_bunch(
    splits: Mapping[str, tuple[Any, Any]], target_names: Sequence[str], description: str, **extras: Any
) -> Bunch:
    """Put splits into the form that all loaders of published data sets return.

    Parameters
    ----------
    splits : mapping of str to (X, y)
        Samples and targets of "train", "valid" and "test".
    target_names : sequence of str
        Names of the classes, by their number in ``y``.
    description : str
        The entry ``DESCR``.
    **extras
        Further entries.

    Returns
    -------
    sklearn.utils.Bunch
        ``X_train, y_train, X_valid, y_valid, X_test, y_test, target_names, DESCR`` and the extras.
    """
    arrays = {f"{part}_{name}": splits[name][i] for name in SPLITS for i, part in enumerate("Xy")}
    return Bunch(**arrays, target_names=list(target_names), DESCR=description, **extras)


def to_unit(pixels: NDArray[np.uint8], largest: int = 255) -> NDArray[np.float32]:
    """Scale pixels to [0, 1].

    Parameters
    ----------
    pixels : ndarray, uint8
        The pixels, from 0 to `largest`.
    largest : int, default=255
        The value that becomes 1.

    Returns
    -------
    ndarray, float32
        Of the same shape.
    """
    scaled: NDArray[np.float32] = np.divide(pixels, largest, dtype=np.float32)
    return scaled
