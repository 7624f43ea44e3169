"""Methods side by side, on the user's own data and module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from skaba.evaluation._folds import Result, evaluate, make_folds
from skaba.evaluation._intervals import paired_interval
from skaba.evaluation._markdown import markdown_table
from skaba.evaluation._task import check_estimators, check_task

if TYPE_CHECKING:
    from skaba.plotting import ComparisonDisplay

SEEDS_TO_AVERAGE = 5
"""From so many seeds on, a seed's folds are averaged first."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """Paired scores of several methods. Made by :func:`compare`.

    Parameters
    ----------
    scores : dict of str to ndarray of shape (n_seeds * n_folds,)
        Each method's scores, seed after seed; value i of all methods belongs to the same seed and fold.
    reference : str
        The method that the others are compared with.
    n_folds : int
        Folds a seed.
    calibration : dict of str to ndarray of shape (n_seeds * n_folds,), default={}
        Expected calibration error, of classifiers of single labels that have ``predict_proba``.
    attacked : dict of str to dict of str to ndarray, default={}
        By attack, then by method, the scores under attack; of methods that are skaba estimators.
    score_name : str, default="score"

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.evaluation import Comparison
    >>> scores = {"plain": np.array([0.80, 0.82, 0.78]), "ours": np.array([0.84, 0.83, 0.83])}
    >>> print(Comparison(scores, reference="plain", n_folds=3).table())
    | method | score | difference to plain, 95 % interval |
    |---|---|---|
    | plain | 0.800 | |
    | ours | 0.830 | +0.033 [+0.010, +0.050] |
    """

    scores: dict[str, NDArray[Any]]
    reference: str
    n_folds: int
    calibration: dict[str, NDArray[Any]] = field(default_factory=dict)
    attacked: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)
    score_name: str = "score"

    def differences(self) -> dict[str, NDArray[Any]]:
        """Return the paired differences to the reference, as :meth:`intervals` reads them.

        Returns
        -------
        dict of str to ndarray of shape (n_seeds,) or (n_seeds * n_folds,)
            From 5 seeds on one a seed, the mean over its folds: folds of a seed share training samples,
            so their differences are not independent. With fewer seeds one a fold.
        """
        units = self._units()
        return {name: values - units[self.reference] for name, values in units.items() if name != self.reference}

    def _units(self) -> dict[str, NDArray[Any]]:
        """Return the scores that are compared: those of seeds if there are enough of them, else those of folds."""
        if len(self.scores[self.reference]) < SEEDS_TO_AVERAGE * self.n_folds:
            return self.scores
        return {name: values.reshape(-1, self.n_folds).mean(axis=1) for name, values in self.scores.items()}

    def intervals(self, *, level: float = 0.95, random_state: int = 0) -> dict[str, tuple[float, float]]:
        """Return each method's :func:`paired_interval` of the difference to the reference.

        They speak of other seeds and splits of the same samples, not of other samples; with fewer than
        5 seeds they are too narrow even for that.

        Parameters
        ----------
        level : float, default=0.95
        random_state : int, default=0

        Returns
        -------
        dict of str to (float, float)
            Of all methods but the reference.
        """
        return {
            name: paired_interval(values, level=level, random_state=random_state)
            for name, values in self.differences().items()
        }

    def table(self) -> str:
        """Return the comparison as a Markdown table.

        Returns
        -------
        str
            A row a method: the median score, the mean difference to the reference with its 95 % interval, and,
            where there are any, the medians of the calibration error and of the scores under attack.
        """
        columns = [{name: f"{np.median(values):.3f}" for name, values in self.scores.items()}, self._gains()]
        header = ["method", self.score_name, f"difference to {self.reference}, 95 % interval"]
        more = {**({"ECE": self.calibration} if self.calibration else {}), **self.attacked}
        for title, values_of in more.items():
            header.append(title)
            columns.append({name: f"{np.median(values):.3f}" for name, values in values_of.items()})
        rows = [[name, *(column.get(name, "") for column in columns)] for name in self.scores]
        return markdown_table(header, rows)

    def _gains(self) -> dict[str, str]:
        differences, intervals = self.differences(), self.intervals()
        return {
            name: f"{values.mean():+.3f} [{intervals[name][0]:+.3f}, {intervals[name][1]:+.3f}]"
            for name, values in differences.items()
        }

    def plot(self, *, ax: Any = None) -> ComparisonDisplay:
        """Plot the differences to the reference, a dot for each that the intervals are made of.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            By default that of a new figure.

        Returns
        -------
        ComparisonDisplay
        """
        from skaba.plotting import ComparisonDisplay  # noqa: PLC0415 (heavy; only who plots should pay for it)

        units = {name: values.tolist() for name, values in self._units().items()}
        display = ComparisonDisplay(
            units, reference=self.reference, intervals=self.intervals(), score_name=self.score_name
        )
        return display.plot(ax=ax)


def compare(
    estimators: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    cv: Any = 5,
    seeds: int = 5,
    reference: str | None = None,
    scoring: str | Callable[..., float] | None = None,
    attacks: Mapping[str, tuple[Any, float]] | None = None,
    n_jobs: int | None = None,
) -> Comparison:
    """Compare estimators by repeated cross-validation, on the same folds and seeds.

    Parameters
    ----------
    estimators : mapping of str to estimator
        At least two: skaba's, any of scikit-learn's, a Pipeline, or a search such as GridSearchCV, which then
        tunes on the training samples of each fold. They are cloned; their ``random_state`` is set to the
        seed, also inside a Pipeline or a search.
    X : array-like of n samples
    y : array-like of shape (n, ...)
    cv : int or splitter, default=5
        The number of shuffled folds, stratified by class where every sample has one; or a splitter of
        scikit-learn's, whose ``random_state`` is set to the seed.
    seeds : int, default=5
        Repetitions; the seeds are 0, 1, ...
    reference : str, default=None
        The method that the others are compared with; by default the first.
    scoring : str or callable, default=None
        As in scikit-learn; by default each estimator's own ``score``, of a search that of its best estimator.
    attacks : mapping of str to (attack, strength), default=None
        Such as ``{"FGSM": (fgsm(), 0.1)}``: see :func:`score_under_attack`. Estimators that do not
        end in one of skaba's are not attacked.
    n_jobs : int, default=None
        Fits at the same time, as in joblib. It does not change the result.

    Returns
    -------
    Comparison

    Raises
    ------
    TypeError, ValueError
        If a parameter is not allowed, or X and y do not fit; before any work.

    Notes
    -----
    A module given as instance brings its weights, so all seeds start from the same; give a class for seeds to
    decide them. An estimator without a ``random_state`` draws from the global one.

    References
    ----------
    Bouckaert and Frank (2004), "Evaluating the Replicability of Significance Tests for Comparing Learning
    Algorithms", for repeated cross-validation.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from skaba import ABAClassifier
    >>> from skaba.augmenters import fgsm
    >>> from skaba.evaluation import compare
    >>> def net():
    ...     return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    >>> plain = ABAClassifier(net, augmenter=None, max_epochs=5, lr=0.01, batch_size=16, verbose=0)
    >>> ours = ABAClassifier(net, augmenter="fast_aba", max_epochs=5, lr=0.01, batch_size=16, verbose=0)
    >>> result = compare({"plain": plain, "FastABA": ours}, *load_iris(return_X_y=True), cv=3, seeds=2,
    ...                  attacks={"FGSM": (fgsm(), 0.3)})
    >>> result.scores["FastABA"].shape
    (6,)
    >>> print(result.table())
    | method | score | difference to plain, 95 % interval | ECE | FGSM |
    |---|---|---|---|---|
    | plain | 0... | | 0... | 0... |
    | FastABA | 0... | ... | 0... | 0... |
    """
    check_estimators(estimators, reference, scoring)
    task = check_task(estimators, X, y, cv=cv, seeds=seeds, scoring=scoring, attacks=attacks)
    folds = [make_folds(cv, task, seed) for seed in range(seeds)]
    results = Parallel(n_jobs=n_jobs)(
        delayed(evaluate)(estimator, task, train, test, seed)
        for seed, pairs in enumerate(folds)
        for train, test in pairs
        for estimator in estimators.values()
    )
    by_name = {name: results[place :: len(estimators)] for place, name in enumerate(estimators)}
    return Comparison(
        scores=_collect(by_name, lambda result: result.score),
        reference=next(iter(estimators)) if reference is None else reference,
        n_folds=len(folds[0]),
        calibration=_collect(by_name, lambda result: result.calibration),
        attacked={attack: _collect(by_name, _attacked_by(attack)) for attack in task.attacks},
        score_name=scoring if isinstance(scoring, str) else "score",
    )


def _collect(by_name: dict[str, list[Result]], value_of: Callable[[Result], float | None]) -> dict[str, NDArray[Any]]:
    """Return the values of those methods that have them."""
    values = {name: [value_of(result) for result in results] for name, results in by_name.items()}
    return {name: np.array(every) for name, every in values.items() if None not in every}


def _attacked_by(attack: str) -> Callable[[Result], float | None]:
    return lambda result: result.attacked.get(attack)
