"""The data of an experiment, ready for its network."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from skaba._validation import unknown_name
from skaba.datasets import fetch_glove, fetch_mnist, fetch_newsgroups, fetch_ptbxl, load_digits, read_vectors
from skaba.datasets._subsets import Plan, cut, draw_balanced, to_bunch
from skaba.experiment._arrays import read_arrays
from skaba.preprocessing import ECGScaler, WordSequences

Array = NDArray[Any]


@dataclass(frozen=True)
class Data:
    """A pool of training samples, of which each seed draws its own, and fixed validation and test sets.

    Parameters
    ----------
    bunch : Bunch
        As the loaders return it, X as the network takes it.
    per_class : int or None
        Samples that a seed draws of each class; None takes all.
    layer : str or None
        Where the network is augmented.
    module : dict
        Parameters of the network that the data decide.
    note : str, default=""
        Which file the user's own data come from, and what was done to them.
    """

    bunch: Bunch
    per_class: int | None = None
    layer: str | None = None
    module: dict[str, Any] = field(default_factory=dict)
    note: str = ""

    def train(self, seed: int) -> tuple[Array, Array]:
        """Return a seed's training samples and their targets.

        Parameters
        ----------
        seed : int

        Returns
        -------
        X, y : ndarrays
        """
        X, y = self.bunch.X_train, self.bunch.y_train
        if self.per_class is None:
            return X, y
        generator = np.random.default_rng(seed)
        index = draw_balanced(y, generator.permutation(len(y)), self.per_class, generator, "the training pool")
        return X[index], y[index]


def load_data(settings: dict[str, Any], folder: Path | None = None) -> Data:
    """Load the data that an experiment names.

    Parameters
    ----------
    settings : dict
        ``name``: digits, mnist, newsgroups, ptbxl or arrays (a user's own .npz file); ``per_class``, the training
        samples that each seed draws of each class, by default all; and what the data set itself takes.
    folder : Path, default=None
        Where the files are, or will be downloaded to; by default the data home.

    Returns
    -------
    Data

    Raises
    ------
    ValueError
        If there are no such data, or one of their settings is unknown, missing or of the wrong kind.

    Notes
    -----
    What the data sets take besides ``name``, with * where it must be given:

    * digits: ``per_class``
    * mnist: ``per_class``, ``pool``, as :func:`skaba.datasets.fetch_mnist` takes it
    * newsgroups: ``per_class``, ``n_words`` * and ``length`` * of the word sequences, and the files ``archive`` and
      ``vectors``; without them both are downloaded as published
    * ptbxl: ``labels`` *, and ``length`` *, the number of samples from each record's start
    * arrays: ``file`` *, a user's own .npz file of ``X`` and ``y``; ``n_valid`` * and ``n_test`` *, samples drawn from
      it once for all seeds; ``per_class``; and ``layer``, the embedding's name in a network of one's own, if X holds
      word ids. X of uint8 is divided by 255, other numbers are taken as they are. Labels may be any integers or
      strings; for several labels per sample, y holds one column of 0 and 1 per label.

    Examples
    --------
    >>> from skaba.experiment import load_data
    >>> data = load_data({"name": "digits", "per_class": 3})
    >>> X, y = data.train(seed=0)
    >>> X.shape
    (30, 1, 8, 8)
    """
    check_data(settings)
    return _cached(tuple(sorted(settings.items())), folder)


def check_data(settings: dict[str, Any]) -> None:
    """Check the settings of data without loading any.

    Parameters
    ----------
    settings : dict
        As for :func:`load_data`.

    Raises
    ------
    ValueError
        As for :func:`load_data`.
    """
    own = dict(settings)
    name = own.pop("name", None)
    if name not in LOADERS:
        raise ValueError(unknown_name("data of an experiment", str(name), LOADERS))
    known = {key: p for key, p in inspect.signature(LOADERS[name], eval_str=True).parameters.items() if key != "folder"}
    for key, value in own.items():
        if key not in known:
            raise ValueError(unknown_name(f"setting of the data {name}", key, known))
        wanted = known[key].annotation
        if not isinstance(value, wanted) or isinstance(value, bool) or (isinstance(value, int) and value < 1):
            what = "a text" if wanted in (str, str | None) else "a whole number of at least 1"
            raise ValueError(f"The setting {key} of the data {name} must be {what}, got {value!r}.")
    missing = [key for key, p in known.items() if p.default is p.empty and key not in own]
    if missing:
        raise ValueError(f"The data {name} need more settings: {', '.join(missing)}.")


@lru_cache(maxsize=2)
def _cached(settings: tuple[tuple[str, Any], ...], folder: Path | None) -> Data:
    # A process fits many networks on the same data.
    own = dict(settings)
    return LOADERS[own.pop("name")](folder, **own)


def _digits(folder: Path | None, *, per_class: int | None = None) -> Data:
    return Data(load_digits("full"), per_class)


def _mnist(folder: Path | None, *, per_class: int | None = None, pool: str = "official") -> Data:
    return Data(fetch_mnist("full", pool=pool, data_home=folder, progress=False), per_class)


def _arrays(
    folder: Path | None, *, file: str, n_valid: int, n_test: int, per_class: int | None = None, layer: str | None = None
) -> Data:
    """Cut a user's own arrays; with ``layer``, the network's embedding, X holds word ids."""
    own = read_arrays((folder or Path()) / file, word_ids=layer is not None)
    if own.y.ndim == 2 and per_class is not None:
        raise ValueError(f"y in {file} has several labels per sample, so per_class cannot be drawn: leave it out.")
    parts = cut(own.y, Plan(file, {"full": None}, n_valid=n_valid, n_test=n_test), "full", 0)
    splits = {name: (own.X[index], own.y[index]) for name, index in parts.items()}
    return Data(to_bunch(splits, own.target_names, own.note), per_class, layer, note=own.note)


def _newsgroups(
    folder: Path | None,
    *,
    n_words: int,
    length: int,
    per_class: int | None = None,
    archive: str | None = None,
    vectors: str | None = None,
) -> Data:
    bunch = fetch_newsgroups(
        "full",
        remove=("headers", "footers", "quotes"),
        archive=folder / archive if folder and archive else None,
        data_home=folder,
        progress=False,
    )
    if folder and vectors:
        known_words = read_vectors(folder / vectors, limit=n_words)
    else:
        known_words = fetch_glove(dimension=100, limit=n_words, data_home=folder, progress=False)
    words = WordSequences(known_words, length=length).fit(bunch.X_train)
    for part in ("X_train", "X_valid", "X_test"):
        bunch[part] = words.transform(bunch[part])
    return Data(bunch, per_class, "embedding", {"vectors": words.embedding_matrix()})


def _ptbxl(folder: Path | None, *, labels: str, length: int) -> Data:
    bunch = fetch_ptbxl(labels=labels, data_home=folder, progress=False)
    if length > bunch.X_train.shape[2]:
        raise ValueError(f"Records of PTB-XL have {bunch.X_train.shape[2]} samples, fewer than length = {length}.")
    scaler = ECGScaler().fit(bunch.X_train)
    for part in ("X_train", "X_valid", "X_test"):
        bunch[part] = scaler.transform(bunch[part])[:, :, :length]
    return Data(bunch)


LOADERS: dict[str, Callable[..., Data]] = {
    "arrays": _arrays,
    "digits": _digits,
    "mnist": _mnist,
    "newsgroups": _newsgroups,
    "ptbxl": _ptbxl,
}
