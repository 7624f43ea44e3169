"""Checks that need the net: samples unlike those of ``fit``, a module that returns too few rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from skorch.dataset import ValidSplit, get_len
from torch import Tensor
from torch.utils.data import IterableDataset

from skaba._samples import is_floating


def check_like_fitted(net: Any, X: Any) -> None:
    """Raise a ValueError if samples differ in kind from those of ``fit``.

    Parameters
    ----------
    net : AugmentedNet
    X : ndarray, Tensor or list of these
        Other types are not checked: the samples of a Dataset are known only when they are read.
    """
    # None for weights that were loaded from a file without shapes.
    known = getattr(net, "sample_shape_", None)
    if known is None:
        return
    if isinstance(X, list):  # skorch reads a list as several inputs
        raise ValueError(
            f"X is a list of {len(X)} arrays, read as several inputs, but the net was fitted on one array of samples "
            f"of shape {known}. If these are the samples, pass np.stack(X)."
        )
    if not isinstance(X, (np.ndarray, Tensor)):
        return
    if X.ndim != len(known) + 1:
        raise ValueError(
            f"X has shape {tuple(X.shape)}, but the net was fitted on samples of shape {known}. The first axis counts "
            "the samples; a single sample needs X[None]."
        )
    if is_floating(X) != net.floats_in_:
        advice = "X.astype('float32'), scaled as in fit" if net.floats_in_ else "the integers that they stand for"
        raise ValueError(
            f"X holds {X.dtype} values, but the net was fitted on {'floats' if net.floats_in_ else 'integers'}. "
            f"Pass {advice}."
        )
    # Only tables have a fixed number of features: word ids may be padded to another length than in fit. The words of
    # the message are those that scikit-learn's check_n_features_in_after_fitting requires.
    tabular = X.ndim == 2 and net.floats_in_
    if tabular and X.shape[1] != net.n_features_in_:
        raise ValueError(
            f"X has {X.shape[1]} features, but {type(net).__name__} is expecting {net.n_features_in_} features as "
            "input."
        )


def check_rows(output: Any, n_samples: int) -> None:
    """Raise a ValueError unless a module's output, an array or tensor, has one row per sample."""
    if output.ndim == 0 or len(output) != n_samples:
        raise ValueError(
            f"The module returned an output of shape {tuple(output.shape)} for {n_samples} samples; it must return one "
            "row per sample. The first axis of X counts the samples: a single sample needs X[None]."
        )


def cannot_read(X: np.ndarray | Tensor, error: Exception) -> str:
    """Return the error message for a module that cannot read X, if the sample shape of ``fit`` is not known."""
    return (
        f"The module cannot read X of shape {tuple(X.shape)} ({X.dtype} values): {str(error).rstrip('.')}. The first "
        "axis counts the samples; a single sample needs X[None]."
    )


def cannot_split(split: Any, X: Any, error: Exception) -> str:
    """Return the error message for a validation split that cannot be made."""
    made = split
    if isinstance(split, ValidSplit):  # its repr does not show its parameters
        made = f"ValidSplit({split.cv!r}{', stratified=True' if split.stratified else ''})"
    samples = "the samples of an IterableDataset" if isinstance(X, IterableDataset) else f"{get_len(X)} sample(s)"
    return (
        f"train_split={made} cannot split {samples}: {str(error).rstrip('.')}. Set train_split=None to train on all of "
        "them, or pass more."
    )
