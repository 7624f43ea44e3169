"""The data of an experiment, ready for its network."""

from __future__ import annotations

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
from skaba.datasets._subsets import Plan, cut, draw_balanced, to_bunch, to_unit
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
    """

    bunch: Bunch
    per_class: int | None = None
    layer: str | None = None
    module: dict[str, Any] = field(default_factory=dict)

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
        ``name``: digits, mnist, newsgroups, ptbxl or arrays (an .npz file with X and y); ``per_class``; and
        what the data set itself takes.
    folder : Path, default=None
        Where the files are, or will be downloaded to; by default the data home.

    Returns
    -------
    Data

    Raises
    ------
    ValueError
        If there are no such data.
    """
    name = settings["name"]
    if name not in LOADERS:
        raise ValueError(unknown_name("data of an experiment", name, LOADERS))
    return _cached(tuple(sorted((key, _hashable(value)) for key, value in settings.items())), folder)


@lru_cache(maxsize=2)
def _cached(settings: tuple[tuple[str, Any], ...], folder: Path | None) -> Data:
    # A process fits many networks on the same data.
    own = dict(settings)
    return LOADERS[own.pop("name")](own, folder)


def _digits(own: dict[str, Any], folder: Path | None) -> Data:
    return Data(load_digits("full"), own.get("per_class"))


def _mnist(own: dict[str, Any], folder: Path | None) -> Data:
    bunch = fetch_mnist("full", pool=own.get("pool", "official"), data_home=folder, progress=False)
    return Data(bunch, own.get("per_class"))


def _arrays(own: dict[str, Any], folder: Path | None) -> Data:
    """Read images, uint8, from a file of one's own, and cut it."""
    file = (folder or Path()) / own["file"]
    if not file.is_file():
        raise ValueError(f"There is no file {file}: name the folder that it is in with --data.")
    with np.load(file, allow_pickle=False) as arrays:
        X, y = arrays["X"], arrays["y"].astype(np.int64)
    plan = Plan(file.name, {"full": None}, n_valid=own["n_valid"], n_test=own["n_test"])
    splits = {name: (to_unit(X[index]), y[index]) for name, index in cut(y, plan, "full", 0).items()}
    return Data(to_bunch(splits, [str(label) for label in np.unique(y)], file.name), own.get("per_class"))


def _newsgroups(own: dict[str, Any], folder: Path | None) -> Data:
    archive = folder / own["archive"] if folder and "archive" in own else None
    bunch = fetch_newsgroups(
        "full", remove=("headers", "footers", "quotes"), archive=archive, data_home=folder, progress=False
    )
    if folder and "vectors" in own:
        vectors = read_vectors(folder / own["vectors"], limit=own["n_words"])
    else:
        vectors = fetch_glove(dimension=100, limit=own["n_words"], data_home=folder, progress=False)
    words = WordSequences(vectors, length=own["length"]).fit(bunch.X_train)
    for part in ("X_train", "X_valid", "X_test"):
        bunch[part] = words.transform(bunch[part])
    return Data(bunch, own.get("per_class"), "embedding", {"vectors": words.embedding_matrix()})


def _ptbxl(own: dict[str, Any], folder: Path | None) -> Data:
    bunch = fetch_ptbxl(labels=own["labels"], data_home=folder, progress=False)
    scaler = ECGScaler().fit(bunch.X_train)
    for part in ("X_train", "X_valid", "X_test"):
        bunch[part] = scaler.transform(bunch[part])[:, :, : own["length"]]
    return Data(bunch)


LOADERS: dict[str, Callable[[dict[str, Any], Path | None], Data]] = {
    "arrays": _arrays,
    "digits": _digits,
    "mnist": _mnist,
    "newsgroups": _newsgroups,
    "ptbxl": _ptbxl,
}


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
