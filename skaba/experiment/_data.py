"""The data of an experiment, ready for its network."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets as sklearn_datasets
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Bunch

from skaba import datasets
from skaba._validation import unknown_name
from skaba.experiment._arrays import read_arrays
from skaba.experiment._checks import check_value
from skaba.modules import SlidingCrops
from skaba.preprocessing import ECGScaler, RandomCrops, WordSequences

Array = NDArray[Any]


@dataclass(frozen=True)
class Data:
    """A pool of training samples, from which each seed draws, and validation and test sets.

    Parameters
    ----------
    bunch : Bunch
        As the loaders return it, with X as the network takes it.
    per_class : int, default=None
        Number of samples that each seed draws per class; None takes all.
    layer : str, default=None
        The layer whose output is augmented; None augments the input.
    module : dict
        Parameters of the network that follow from the data.
    note : str, default=""
        Which file the user's own data come from, and what was done to them.
    crop : int, default=None
        In training, each batch takes random crops of this length from the series; predictions are the mean over
        sliding crops. None trains on whole samples.
    """

    bunch: Bunch
    per_class: int | None = None
    layer: str | None = None
    module: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    crop: int | None = None

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
        generator = np.random.default_rng(seed)  # of its own, so that the draw does not depend on earlier fits
        index = datasets.draw_balanced(y, generator.permutation(len(y)), self.per_class, generator, "the training pool")
        return X[index], y[index]

    def with_first(self, n: int | None) -> Data:
        """Return the data with the first n validation and test samples; None keeps all."""
        if n is None:
            return self
        held_out = {name: self.bunch[name][:n] for name in ("X_valid", "y_valid", "X_test", "y_test")}
        return replace(self, bunch=Bunch(**{**self.bunch, **held_out}))

    def in_training(self, seed: int) -> dict[str, Any]:
        """Return parameters of the estimator that cut the training samples."""
        return {} if self.crop is None else {"iterator_train__collate_fn": RandomCrops(self.crop, random_state=seed)}

    def network(self, module: Any, parameters: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Return the network for these data, given the one that reads single crops, and its parameters."""
        if self.crop is None:
            return module, parameters
        crops = {"length": self.crop, "stride": self.crop // 2, "multi_label": self.bunch.y_train.ndim == 2}
        return SlidingCrops, {"network": module, **crops, **parameters}


def load_data(settings: dict[str, Any], folder: Path | None = None, *, split: int = 0) -> Data:
    """Load the data that an experiment names.

    Parameters
    ----------
    settings : dict
        ``name``: digits, mnist, messages, newsgroups, ptbxl, breast_cancer, wine or arrays (a user's own .npz file);
        ``per_class``, the number of training samples that each seed draws per class, by default all; and the data
        set's own settings.
    folder : Path, default=None
        Where the files are, or will be downloaded to; by default the data home.
    split : int, default=0
        Seeds the draw of the validation and test sets, if these are not published with the data.

    Returns
    -------
    Data

    Raises
    ------
    ValueError
        If there are no such data, or one of their settings is unknown, missing or of the wrong kind.

    Notes
    -----
    The settings besides ``name``; those with * are required:

    * digits: ``per_class``, ``subset``, as :func:`skaba.datasets.load_digits` takes it
    * mnist: ``per_class``, ``pool``, as :func:`skaba.datasets.fetch_mnist` takes it
    * messages: ``per_class``; synthetic, see :func:`skaba.datasets.make_message_ids`
    * newsgroups: ``per_class``, ``n_words`` * and ``length`` * of the word sequences, and the files ``archive`` and
      ``vectors``; without them both are downloaded as published
    * ptbxl: ``labels`` *, and either ``length``, the number of samples from each record's start, or ``crop``: each
      training batch takes random crops of this length from the whole records, and predictions are the mean over
      sliding crops that start half a crop apart, as in Strodthoff et al. (2021)
    * breast_cancer, wine: ``per_class``. The features are standardised by the training pool.
    * arrays: ``file`` *, a user's own .npz file of ``X`` and ``y``; ``n_valid`` * and ``n_test`` *, the number of
      samples drawn from it once for all seeds; ``per_class``; and ``layer``, the embedding's name in your network, if
      X holds word ids. X of uint8 is divided by 255, other numbers are taken as they are. Labels may be any integers
      or strings; for several labels per sample, y holds one column of 0 and 1 per label.

    Examples
    --------
    >>> from skaba.experiment import load_data
    >>> data = load_data({"name": "digits", "per_class": 3})
    >>> X, y = data.train(seed=0)
    >>> X.shape
    (30, 1, 8, 8)
    """
    check_data(settings)
    return _cached(tuple(sorted(settings.items())), folder, split)  # a cache needs hashable arguments


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
    # The annotations of this file are strings; eval_str turns them into types.
    parameters = inspect.signature(LOADERS[name], eval_str=True).parameters.items()
    known = {key: parameter for key, parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    for key, value in own.items():
        if key not in known:
            raise ValueError(unknown_name(f"setting of the data {name}", key, known))
        check_value(f"The setting {key} of the data {name}", value, known[key].annotation)
    missing = [key for key, parameter in known.items() if parameter.default is parameter.empty and key not in own]
    if missing:
        raise ValueError(f"The data {name} need more settings: {', '.join(missing)}.")


@lru_cache(maxsize=2)
def _cached(settings: tuple[tuple[str, Any], ...], folder: Path | None, split: int) -> Data:
    # A process fits many networks on the same data. Large data must not pile up, so only two are kept.
    own = dict(settings)
    return LOADERS[own.pop("name")](folder, split, **own)


def _digits(folder: Path | None, split: int, *, per_class: int | None = None, subset: str = "full") -> Data:
    return Data(datasets.load_digits(subset, random_state=split), per_class)


def _mnist(folder: Path | None, split: int, *, per_class: int | None = None, pool: str = "official") -> Data:
    # All of it, because each seed draws its own training images.
    bunch = datasets.fetch_mnist("full", pool=pool, data_home=folder, progress=False, random_state=split)
    return Data(bunch, per_class)


def _arrays(
    folder: Path | None,
    split: int,
    *,
    file: str,
    n_valid: int,
    n_test: int,
    per_class: int | None = None,
    layer: str | None = None,
) -> Data:
    """Split a user's own arrays. If ``layer``, the network's embedding, is given, X holds word ids."""
    own = read_arrays((folder or Path()) / file, word_ids=layer is not None)
    if own.y.ndim == 2 and per_class is not None:
        raise ValueError(f"y in {file} has several labels per sample, so per_class cannot be drawn: leave it out.")
    # The training set is what is left, so that each seed can draw from it.
    parts = datasets.cut(own.y, datasets.Plan(file, {"full": None}, n_valid=n_valid, n_test=n_test), "full", split)
    splits = {name: (own.X[index], own.y[index]) for name, index in parts.items()}
    return Data(datasets.to_bunch(splits, own.target_names, own.note), per_class, layer, note=own.note)


def _messages(folder: Path | None, split: int, *, per_class: int | None = None) -> Data:
    bunch = datasets.make_message_ids(random_state=split)
    return Data(bunch, per_class, "embedding", {"vectors": bunch.vectors})


def _newsgroups(
    folder: Path | None,
    split: int,
    *,
    n_words: int,
    length: int,
    per_class: int | None = None,
    archive: str | None = None,
    vectors: str | None = None,
) -> Data:
    bunch = datasets.fetch_newsgroups(
        "full",
        remove=("headers", "footers", "quotes"),  # they reveal the group
        archive=folder / archive if folder and archive else None,
        data_home=folder,
        progress=False,
        random_state=split,
    )
    if folder and vectors:
        known_words = datasets.read_vectors(folder / vectors, limit=n_words)
    else:
        known_words = datasets.fetch_glove(dimension=100, limit=n_words, data_home=folder, progress=False)
    words = WordSequences(known_words, length=length).fit(bunch.X_train)
    for part in ("X_train", "X_valid", "X_test"):
        bunch[part] = words.transform(bunch[part])
    return Data(bunch, per_class, "embedding", {"vectors": words.embedding_matrix()})


def _ptbxl(folder: Path | None, split: int, *, labels: str, length: int | None = None, crop: int | None = None) -> Data:
    if (length is None) == (crop is None):
        raise ValueError("The data ptbxl need either length, for the start of each record, or crop, for random crops.")
    # The published folds are the split.
    bunch = datasets.fetch_ptbxl(labels=labels, data_home=folder, progress=False)
    needed, n_samples = length or crop, bunch.X_train.shape[2]
    if needed is not None and needed > n_samples:
        raise ValueError(f"Records of PTB-XL have {n_samples} samples, fewer than {needed}.")
    scaler = ECGScaler().fit(bunch.X_train)  # never on validation or test records
    for part in ("X_train", "X_valid", "X_test"):
        bunch[part] = scaler.transform(bunch[part])[:, :, :length]
    return Data(bunch, crop=crop)


def _table(
    name: str, held_out: tuple[int, int], folder: Path | None, split: int, *, per_class: int | None = None
) -> Data:
    """Return one of scikit-learn's tables; ``held_out`` gives the sizes of the validation and test sets."""
    table = getattr(sklearn_datasets, f"load_{name}")()
    plan = datasets.Plan(name, {"full": None}, *held_out)
    parts = datasets.cut(table.target, plan, "full", split)
    scaler = StandardScaler().fit(table.data[parts["train"]])
    splits = {
        part: (scaler.transform(table.data[index]).astype(np.float32), table.target[index].astype(np.int64))
        for part, index in parts.items()
    }
    bunch = datasets.to_bunch(splits, [str(label) for label in table.target_names], table.DESCR)
    return Data(bunch, per_class, module={"n_features": table.data.shape[1]})


LOADERS: dict[str, Callable[..., Data]] = {
    "arrays": _arrays,
    "breast_cancer": partial(_table, "breast_cancer", (150, 200)),
    "digits": _digits,
    "messages": _messages,
    "mnist": _mnist,
    "newsgroups": _newsgroups,
    "ptbxl": _ptbxl,
    "wine": partial(_table, "wine", (50, 60)),
}
