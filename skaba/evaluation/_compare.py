"""Several estimators compared on the same data, folds and seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from tqdm import tqdm

from skaba.evaluation._checks import COUNT, check_parameters
from skaba.evaluation._collecting import collected
from skaba.evaluation._comparison import Comparison
from skaba.evaluation._folds import evaluate, make_folds
from skaba.evaluation._task import check_arms, check_estimators, check_task


def compare(
    estimators: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    cv: Any = 5,
    groups: ArrayLike | None = None,
    mask: Any = None,
    n_seeds: int = 5,
    reference: str | None = None,
    scoring: str | Callable[..., float] | None = None,
    attacks: Mapping[str, tuple[Any, float]] | None = None,
    n_jobs: int | None = None,
    progress: bool = False,
) -> Comparison:
    """Compare estimators by repeated cross-validation, on the same folds and seeds.

    Parameters
    ----------
    estimators : mapping of str to estimator
        At least two: estimators of skaba or scikit-learn, Pipelines, or searches such as GridSearchCV, which then
        tune on the training samples of each fold. They are cloned; their ``random_state`` is set to the
        seed, also inside a Pipeline or a search.
    X : array-like of n samples
    y : array-like of shape (n, ...)
    cv : int or splitter, default=5
        The number of shuffled folds, stratified by class if every sample has one class; or a splitter of
        scikit-learn's, whose ``random_state`` is set to the seed.
    groups : array-like of shape (n,), default=None
        Samples of one group, such as the records of one patient, are never split between training and test. They
        are passed to the splitter, also to that of a search; an int ``cv`` then makes folds of whole groups.
    mask : bool array-like of shape (n, ...), or list of n bool arrays or None, default=None
        Which features may matter; see :meth:`skaba.ABAClassifier.fit`. It is split with X, and passed to those
        estimators that use it: with ``penalty=``, or with an augmenter that uses masks.
    n_seeds : int, default=5
        Repetitions; the seeds are 0, 1, ... Intervals need at least two.
    reference : str, default=None
        The method that the others are compared with; by default the first.
    scoring : str or callable, default=None
        As in scikit-learn; by default each estimator's ``score``, for a search that of its best estimator.
        Classifiers and regressors, whose scores differ, can be compared with an explicit one only.
    attacks : mapping of str to (attack, strength), default=None
        Such as ``{"FGSM": (fgsm(), 0.1)}``: see :func:`score_under_attack`. Only estimators that end in a skaba
        estimator are attacked.
    n_jobs : int, default=None
        The number of fits at the same time, as in joblib. It changes the fit times, but not the scores.
    progress : bool, default=False
        Whether to show a bar of the finished fits on stderr.

    Returns
    -------
    Comparison

    Raises
    ------
    TypeError, ValueError
        Before the first fit, if a parameter is not allowed, X and y do not fit, or an estimator cannot be fitted on
        these samples, as far as this can be found out beforehand; and if every fit fails.

    Warns
    -----
    FitFailedWarning
        If a fit fails; the others are kept.

    Notes
    -----
    Before the first fit, the parameters of every estimator are checked, and skaba estimators, alone or in a search, are
    trained for one epoch on one batch. So an estimator that cannot be fitted is named at once.

    Intervals are over seeds, each with the mean score of its folds: the folds of one cross-validation share
    training samples and are not independent. If a module is given as an instance, all seeds start from its weights;
    give a class to let the seeds decide them. An estimator without a ``random_state`` uses the global one.

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
    >>> result = compare({"plain": plain, "FastABA": ours}, *load_iris(return_X_y=True), cv=3, n_seeds=2,
    ...                  attacks={"FGSM": (fgsm(), 0.3)})
    >>> result.scores["FastABA"].shape
    (6,)
    >>> print(result.table())
    | method | mean score | mean difference to plain, 95 % interval | ECE | FGSM | fit, s | operations |
    |---|---|---|---|---|---|---|
    | plain | 0... | | 0... | 0... | 0... | 1.00 |
    | FastABA | 0... | ... | 0... | 0... | 0... | 1... |
    <BLANKLINE>
    Means over 2 seeds of 3 folds each. Intervals: Student's t over the seeds.
    """
    check_estimators(estimators, reference, scoring)
    check_parameters("compare", n_seeds=(n_seeds, COUNT))
    task = check_task(estimators, X, y, cv, groups, mask, scoring, attacks)
    folds = [(seed, fold) for seed in range(n_seeds) for fold in make_folds(cv, task, seed)]
    check_arms(estimators, task, folds[0][1][0])
    # Operations are counted for the first seed and fold only: counting trains for one more epoch, and the other fits
    # take nearly as many.
    tasks = [
        delayed(evaluate)(estimator, task, fold, seed, count=not place)
        for place, (seed, fold) in enumerate(folds)
        for estimator in estimators.values()
    ]
    # A generator yields each result as soon as it is there, which the bar needs; the order is that of the tasks.
    fits = Parallel(n_jobs=n_jobs, return_as="generator" if progress else "list")(tasks)
    results = list(tqdm(fits, total=len(tasks), desc="fits", disable=not progress))
    by_name = {name: results[place :: len(estimators)] for place, name in enumerate(estimators)}
    return collected(
        by_name,
        next(iter(estimators)) if reference is None else reference,
        score_name=scoring if isinstance(scoring, str) else "score",
        n_folds=len(folds) // n_seeds,
        attacks=task.attacks,
    )
