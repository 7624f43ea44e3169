"""The samples that a display shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from skorch.utils import is_dataset
from torch import nn

from skaba.estimators import split_pipeline
from skaba.network import find_layer, unwrapped
from skaba.plotting._checks import Array, as_array, check_count
from skaba.plotting._spelling import spelled, word_step, words_as_written
from skaba.preprocessing import WordSequences


@dataclass
class Shown:
    """The first samples, as the net takes them.

    Parameters
    ----------
    net : ABAClassifier, ABAMultiLabelClassifier or ABARegressor
        Fitted.
    X : ndarray of shape (n, ...)
    y : ndarray or data frame of shape (n, ...), or None
    words : ndarray of str of shape (n, length) or None
        The words of texts, empty where there is padding.
    names : list of str or None
        The names of a table's features, if they have names.
    """

    net: Any
    X: Array
    y: Any
    words: Array | None = None
    names: list[str] | None = None


def shown(
    estimator: Any, X: Any, y: Any, *, n_samples: int, words: WordSequences | Sequence[str] | None = None
) -> Shown:
    """Take the first samples, and transform them as the estimator does.

    Parameters
    ----------
    estimator : estimator
        A fitted skaba estimator, or a Pipeline or search that ends in one.
    X : array-like of n samples
    y : array-like of shape (n, ...) or None
    n_samples : int
        The largest number of samples.
    words : WordSequences or sequence of str, default=None
        The words of word ids; by default the words of the texts that a Pipeline takes.

    Raises
    ------
    ValueError, TypeError, NotFittedError
        If a parameter is not allowed.
    """
    check_count(n_samples)
    first = _first(X, n_samples)  # before they are transformed, which may take long for all
    net, inputs = split_pipeline(estimator, first)
    embedding = _embedding(net)
    inputs = as_array(inputs)
    targets = None if y is None else _first_targets(y, _length(X), n_samples)
    if embedding is not None:
        return Shown(net, inputs, targets, words=_words(estimator, first, inputs, words, embedding.padding_idx))
    if words is not None:
        raise ValueError("words= is for texts, augmented at their embedding; this estimator has layer=None.")
    return Shown(net, inputs, targets, names=_names(estimator, X) if inputs.ndim == 2 else None)


def _words(estimator: Any, X: Any, ids: Array, words: Any, padding: int | None) -> Array:
    """Return the words of word ids, spelled as in the texts if a Pipeline takes texts."""
    if ids.ndim != 2 or ids.size == 0 or not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(
            f"X has shape {ids.shape} and holds {ids.dtype}; at an embedding a display shows word ids, integers of "
            "shape (n, length), at least one."
        )
    if words is not None:
        return spelled(words, ids, padding)
    step = word_step(estimator, X)
    if step is not None:
        return words_as_written(*step, ids.shape[1])
    raise ValueError(
        "Texts need words=: the WordSequences that made the ids, or a sequence with entry i for id i. A Pipeline "
        "of WordSequences and the estimator does not need it."
    )


def _length(X: Any) -> int:
    return X.shape[0] if getattr(X, "shape", ()) else len(X)  # len() of a sparse matrix raises an error


def _first(X: Any, n_samples: int) -> Any:
    """Return the first samples; scalars are returned as they are, and the net refuses them."""
    if is_dataset(X) or isinstance(X, Mapping) or not (hasattr(X, "shape") or hasattr(X, "__len__")):
        raise TypeError(f"A display takes X as an array, a data frame or a list of texts; got a {type(X).__name__}.")
    if isinstance(X, str) or getattr(X, "shape", None) == ():
        return X
    return X.iloc[:n_samples] if hasattr(X, "iloc") else X[:n_samples]


def _first_targets(y: Any, n: int, n_samples: int) -> Any:
    """Return the first targets; a data frame stays one, since the net checks the names of its columns."""
    y = y if hasattr(y, "iloc") else as_array(y)
    if y.ndim == 0 or len(y) != n:
        given = f"the scalar {y!r}" if y.ndim == 0 else f"of length {len(y)}"
        raise ValueError(f"X has {n} samples, counted by its first axis, but y is {given}. Pass one target per sample.")
    return _first(y, n_samples)


def _embedding(net: Any) -> nn.Embedding | None:
    """Return the embedding whose output is augmented, or None if the input is."""
    if net.layer is None:
        return None
    layer = find_layer(unwrapped(net.module_), net.layer)
    if isinstance(layer, nn.Embedding):
        return layer
    raise ValueError(
        f"The estimator augments and explains the output of layer={net.layer!r}, a {type(layer).__name__}, "
        "which cannot be shown. A display shows inputs (layer=None), and texts at their nn.Embedding."
    )


def _names(estimator: Any, X: Any) -> list[str] | None:
    """Return the names of the features that the net takes, None if they have no names."""
    if isinstance(estimator, Pipeline) and len(estimator.steps) > 1:
        try:
            return [str(name) for name in estimator[:-1].get_feature_names_out()]
        except (AttributeError, ValueError):  # a step does not support it
            return None
    return [str(name) for name in X.columns] if hasattr(X, "columns") else None
