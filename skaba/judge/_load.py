"""Estimators and samples named on the command line, read without running unexpected code, and their score."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import joblib
import numpy as np
import torch
from numpy.typing import NDArray

from skaba import ABAClassifier
from skaba._own_code import on_path, own_function
from skaba.estimators import find_net, fitted_net

_READ_AS_CODE = LookupError, TypeError, AttributeError
"""PyTorch raises these if it takes the letters of a text file for the instructions of a pickle."""


def load_estimator(source: str, *, weights: Path | None = None, trust: bool = False) -> Any:
    """Return a fitted estimator.

    Parameters
    ----------
    source : str
        ``"module:function"``: the function is imported (from the current folder too), called without arguments, and
        returns the estimator; or a file that joblib or pickle wrote.
    weights : Path, default=None
        Loaded into the estimator's network: a file of ``save_params(f_params=...)``, or a ``.safetensors`` file.
        Only tensors are read from it, no code.
    trust : bool, default=False
        Whether a pickled ``source`` may be read. Reading it runs any code in it.

    Returns
    -------
    estimator
        A skaba estimator, or a Pipeline that ends in one; for a search, its best estimator.

    Raises
    ------
    ValueError, TypeError
        If there is no such estimator, it must not be read, or it is not fitted.

    Examples
    --------
    >>> from skaba.judge import load_estimator
    >>> load_estimator("nets")
    Traceback (most recent call last):
    ...
    ValueError: There is no file nets. Name a file, or a function that makes the estimator, as module:function.
    """
    if Path(source).is_file():
        estimator = _unpickled(Path(source), trust)
    elif ":" in source:
        estimator = own_function(source, "the estimator")()
    else:
        raise ValueError(
            f"There is no file {source}. Name a file, or a function that makes the estimator, as module:function."
        )
    estimator = getattr(estimator, "best_estimator_", estimator)
    if weights is not None:
        _load_weights(estimator, weights)
    net = find_net(estimator)
    if net is not None and not net.initialized_:
        raise ValueError(
            f"The estimator of {source} is not fitted. Give its weights, --weights FILE, as "
            "save_params(f_params=FILE) writes them."
        )
    fitted_net(estimator)
    return estimator


def load_samples(file: Path, n_samples: int, random_state: int = 0) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Return samples, and their targets if there are any, from a ``.npz`` file of plain arrays.

    Parameters
    ----------
    file : Path
        It holds ``X``, and optionally ``y``, as ``np.savez(file, X=X, y=y)`` writes them. Arrays of objects are
        refused: reading them would run code.
    n_samples : int
        The largest number of samples to return; they are drawn at random and keep the order of the file.
    random_state : int, default=0
        Decides which samples are drawn.

    Returns
    -------
    X : ndarray of shape (n, ...)
    y : ndarray of shape (n, ...) or None

    Raises
    ------
    ValueError
        If it is not such a file, X and y do not fit, or ``n_samples`` is below 1.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skaba.judge import load_samples
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder) / "data.npz"
    ...     np.savez(file, X=np.zeros((10, 3)))
    ...     X, y = load_samples(file, 4)
    >>> X.shape, y
    ((4, 3), None)
    """
    if n_samples < 1:
        raise ValueError(f"n_samples={n_samples!r} must be at least 1.")
    arrays = _read_arrays(file)
    X, y = arrays["X"], arrays.get("y")
    if X.ndim == 0 or not len(X):
        raise ValueError(f"X in {file} has shape {X.shape}: it holds no sample.")
    if y is not None and (y.ndim == 0 or len(y) != len(X)):
        raise ValueError(f"y in {file} has shape {y.shape}, but X holds {len(X)} samples: one target per sample.")
    # A permutation draws without repetition, also if there are fewer samples than n_samples.
    chosen = np.sort(np.random.default_rng(random_state).permutation(len(X))[:n_samples])
    return X[chosen], None if y is None else y[chosen]


def score_or_reason(estimator: Any, X: Any, y: NDArray[Any]) -> tuple[float | None, str]:
    """Return an estimator's score, or None and the reason why there is none.

    Weights alone do not show which label a logit stands for.

    Parameters
    ----------
    estimator : estimator
        Fitted, or with loaded weights.
    X : array-like of n samples
    y : ndarray of shape (n, ...)
    """
    net = find_net(estimator)
    if isinstance(net, ABAClassifier) and not hasattr(net, "classes_"):
        n_classes = estimator.predict_proba(X[:1]).shape[1]
        if not _are_columns(y, n_classes):
            return None, (
                f"y holds labels such as {np.unique(y)[:3].tolist()}, and weights alone do not show which of the "
                f"{n_classes} logits belongs to which label. Let the function pass classes=[...] to the estimator, or "
                f"write y as column numbers from 0 to {n_classes - 1}, 0 among them."
            )
    return float(estimator.score(X, y)), ""


def _read_arrays(file: Path) -> dict[str, NDArray[Any]]:
    try:
        # Arrays of objects are pickles: https://numpy.org/doc/stable/reference/generated/numpy.load.html
        arrays = np.load(file, allow_pickle=False)
        if isinstance(arrays, np.ndarray):
            raise ValueError("it holds a single array without a name")
        with arrays:
            if "X" not in arrays:
                raise ValueError(f"it holds {', '.join(arrays.files) or 'nothing'}, but no array X")
            return {name: np.asarray(arrays[name]) for name in ("X", "y") if name in arrays}
    except (ValueError, EOFError, OSError, BadZipFile) as error:
        raise ValueError(
            f"{file} is not an .npz file of plain arrays: {error}. Write one with np.savez(file, X=X, y=y); arrays of "
            "objects (such as lists of texts) are not read."
        ) from error


def _unpickled(file: Path, trust: bool) -> Any:
    if not trust:
        raise ValueError(
            f"{file} is a file, and reading a pickled estimator runs any code in it. If you trust its source, add "
            "--trust. Otherwise name a function of yours that makes the estimator, module:function, and a file with "
            "its weights, --weights FILE."
        )
    try:
        # Unpickling imports the modules of the pickled classes, such as the user's network.
        with on_path(Path.cwd()):
            return joblib.load(file)
    except Exception as error:
        raise ValueError(
            f"{file} cannot be read as a pickled estimator: {type(error).__name__}: {error}. For weights "
            "alone use module:function and --weights FILE."
        ) from error


def _load_weights(estimator: Any, file: Path) -> None:
    net = find_net(estimator)
    if net is None:
        raise TypeError(f"Weights belong to a skaba estimator, but this is a {type(estimator).__name__}.")
    if not net.initialized_:
        net.initialize()
    weights = _read_weights(file)
    try:
        net.module_.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:  # AttributeError if keys are not names
        raise ValueError(f"The weights in {file} do not fit the estimator's network: {error}") from error


def _read_weights(file: Path) -> Any:
    """Return a network's parameters by name; only tensors are read."""
    if file.suffix == ".safetensors":
        return _read_safetensors(file)
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, struct.error, EOFError, RuntimeError, ValueError, *_READ_AS_CODE) as error:
        # PyTorch's message would explain how to run the code in the file.
        raise ValueError(
            f"{file} does not hold weights alone. Write them with save_params(f_params=FILE), which --weights reads "
            "without running any code."
        ) from error


def _read_safetensors(file: Path) -> Any:
    try:
        from safetensors import SafetensorError  # noqa: PLC0415 (optional)
        from safetensors.torch import load_file  # noqa: PLC0415 (optional)
    except ImportError as error:
        raise ValueError(f"{file} needs safetensors: pip install safetensors") from error
    try:
        return load_file(file)
    except SafetensorError as error:
        raise ValueError(f"{file} is not a file of safetensors: {error}") from error


def _are_columns(y: NDArray[Any], n_classes: int) -> bool:
    """Return whether labels are column numbers; without a 0, they might count from 1."""
    if y.dtype.kind not in "biuf":
        return False
    return bool(y.min() == 0 and y.max() < n_classes and np.all(y == np.floor(y)))
