"""Tune, train and compare on 100 digits; everything here uses public names only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, ParameterGrid, StratifiedKFold
from sklearn.utils import Bunch

from skaba import ABAClassifier
from skaba.datasets import load_digits
from skaba.evaluation import controls
from skaba.modules import ConvNet

FOLDS = 3
TIMED_EPOCHS = 10
STRENGTHS = [0.03, 0.1, 0.3, 1.0]
GRIDS: dict[str, dict[str, list[Any]]] = {
    "plain": {"augmenter": [None], "strength": [0.0]},
    "Challenger": {"augmenter": ["challenger"], "strength": STRENGTHS},
    "MendABA": {"augmenter": ["mend_aba"], "strength": STRENGTHS},
    "FastABA": {"augmenter": ["fast_aba"], "strength": STRENGTHS},
}
CONTROLS = ["Gaussian noise", "random map"]

Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Run:
    """One training, and the time of a short plain training right before it.

    Parameters
    ----------
    method : str
    seed : int
        Decides the training images, the initialisation and every draw.
    strength : float
    accuracy : float
        On the 500 test images.
    epoch_seconds, plain_epoch_seconds : float
        Median duration of an epoch, of this training and of its plain neighbour.
    """

    method: str
    seed: int
    strength: float
    accuracy: float
    epoch_seconds: float
    plain_epoch_seconds: float

    @property
    def time_ratio(self) -> float:
        """The time of an epoch, in units of plain training's."""
        return self.epoch_seconds / self.plain_epoch_seconds


@dataclass
class Comparison:
    """All that one seed gives.

    Parameters
    ----------
    digits : Bunch
        The data, as ``load_digits("tiny", random_state=seed)`` returns them.
    searches : dict of str to GridSearchCV
        The fitted searches over strength.
    nets : dict of str to ABAClassifier
        The fitted networks of every method, plain training and controls included.
    runs : list of Run
        In the order of ``nets``.
    """

    digits: Bunch
    searches: dict[str, GridSearchCV] = field(default_factory=dict)
    nets: dict[str, ABAClassifier] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)


def make_net(seed: int, epochs: int) -> ABAClassifier:
    """Return the plain network that every method starts from.

    Its optimiser, learning rate and batch size were tuned without augmentation, on the validation
    images of eight other seeds, where accuracy stops rising after 30 epochs; every method keeps them.

    Parameters
    ----------
    seed, epochs : int

    Returns
    -------
    ABAClassifier

    Examples
    --------
    >>> from skaba.demo import make_net
    >>> make_net(seed=0, epochs=40).max_epochs
    40
    """
    return ABAClassifier(
        ConvNet,
        augmenter=None,
        max_epochs=epochs,
        optimizer=torch.optim.Adam,
        lr=0.003,
        batch_size=50,
        iterator_train__shuffle=False,  # as when the settings above were tuned; the images come in random order
        train_split=None,
        random_state=seed,
        verbose=0,
    )


def compare(seed: int, *, epochs: int, progress: Progress = lambda text, n_fits: None) -> Comparison:
    """Compare tuned augmentation with plain training and with two controls, for one seed.

    Parameters
    ----------
    seed : int
        Decides the split of the data, the initialisation and every draw, for all methods alike.
    epochs : int
    progress : callable, optional
        Called as ``progress(text, n_fits)`` after so many fits.

    Returns
    -------
    Comparison
    """
    result = Comparison(load_digits("tiny", random_state=seed))
    X, y = result.digits.X_train, result.digits.y_train
    plain = make_net(seed, epochs)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    make_net(seed, epochs=1).fit(X, y)  # the process's first fit is slow, so none is timed

    def train(method: str, net: ABAClassifier) -> None:
        neighbour = make_net(seed, TIMED_EPOCHS).fit(X, y)
        result.nets[method] = net.fit(X, y)
        accuracy = float(net.score(result.digits.X_test, result.digits.y_test))
        seconds = median_epoch(net), median_epoch(neighbour)
        result.runs.append(Run(method, seed, net.strength_, accuracy, *seconds))
        progress(f"seed {seed}: trained {method}", 1)

    for method, grid in GRIDS.items():
        search = GridSearchCV(plain, grid, cv=folds, refit=False, n_jobs=-1).fit(X, y)
        result.searches[method] = search
        progress(f"seed {seed}: tuned {method}", FOLDS * len(ParameterGrid(grid)))
        train(method, clone(plain).set_params(**search.best_params_))
    for method, net in make_controls(result.nets["MendABA"], X, y).items():
        train(method, net)
    return result


def make_controls(mend: ABAClassifier, X: NDArray[Any], y: NDArray[Any]) -> dict[str, ABAClassifier]:
    """Return what a gain has to be compared with: the same amount of change without attribution.

    Parameters
    ----------
    mend : ABAClassifier
        Fitted with MendABA.
    X : ndarray of shape (n, 1, 8, 8)
    y : ndarray of shape (n,)

    Returns
    -------
    dict of str to ABAClassifier
        Unfitted: Gaussian noise whose root mean square is that of MendABA's changes, and
        MendABA's own changes by shuffled maps.
    """
    made = controls(mend, X, y)
    return {name: made[name] for name in CONTROLS}


def median_epoch(net: ABAClassifier) -> float:
    """Return the median duration of an epoch in seconds, which bursts of other work hardly move."""
    return float(np.median(net.history[:, "dur"]))


def count_fits() -> int:
    """Return the number of full fits of one comparison, to measure its progress by.

    Returns
    -------
    int

    Examples
    --------
    >>> from skaba.demo import count_fits
    >>> count_fits()
    45
    """
    tuning = sum(FOLDS * len(ParameterGrid(grid)) for grid in GRIDS.values())
    return tuning + len(GRIDS) + len(CONTROLS)
