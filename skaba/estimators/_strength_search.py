"""The search for the strength of augmentation, by scikit-learn's successive halving over epochs."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from numbers import Real
from types import NoneType
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.experimental import enable_halving_search_cv  # noqa: F401 - without it the next import fails
from sklearn.model_selection import HalvingGridSearchCV
from sklearn.pipeline import Pipeline

from skaba._validation import validate_parameters
from skaba.augmenters import as_augmenter
from skaba.estimators._net import AugmentedNet

MULTIPLES = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""The default strengths, as multiples of the augmenter's ``default_strength``."""
FINALISTS = 2
"""Strengths that are trained with all epochs; one alone could not be compared with anything."""
LEAST = 8
"""The least number of strengths of which two can have all epochs, and all have some, within 40 % of a full grid."""


class StrengthSearchCV(HalvingGridSearchCV):
    """Choose the strength of augmentation by cross-validation, at 40 % of the epochs of a full grid.

    It is scikit-learn's :class:`~sklearn.model_selection.HalvingGridSearchCV` over ``strength`` with the epochs as its
    resource. All strengths are trained for a few epochs, then the best two for all ``max_epochs``. Of these two, the
    smaller strength is taken if its score is within one standard error of the larger one's. Strength 0, plain training,
    always takes part in the first comparison.

    Parameters
    ----------
    estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor, or a Pipeline that ends in one
        With an augmenter. Its ``strength`` must be a number or None, and is replaced. With a ``random_state``, every
        strength starts from the same weights and trains on the same batches, which makes the comparison sharper.
    strengths : array-like of at least 8 floats, default=None
        Ascending, in the augmenter's unit; 0 comes first if it is missing, and counts among the 8. None takes the
        augmenter's ``default_strength`` times 0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20 and 50, scaled down if the augmenter
        does not allow the largest.
    scoring, n_jobs, refit, cv, verbose, error_score, return_train_score
        As for :class:`~sklearn.model_selection.HalvingGridSearchCV`. ``cv`` must give the same folds each time.

    Attributes
    ----------
    best_params_ : dict
        The chosen strength, and all epochs.
    best_score_ : float
        Its mean score over the folds, trained with all epochs.
    best_estimator_ : estimator
        Trained on all samples with all epochs, if ``refit=True``.
    best_index_ : int
        The row of the chosen strength in ``cv_results_``.
    cv_results_ : dict of ndarrays
        One row per strength and number of epochs, ``n_resources``; ``iter`` is 1 for the best two.

    Notes
    -----
    scikit-learn calls its halving searches experimental: their interface may change without a deprecation cycle.
    Importing this class enables them, as ``sklearn.experimental.enable_halving_search_cv`` does.

    The standard error is that of the mean difference between two strengths over the folds (Breiman et al., 1984; Hastie
    et al., section 7.10). The folds differ in difficulty for all strengths alike, and this part cancels in the
    differences, while it would dominate the standard error of the scores themselves. The differences are not quite
    independent, as the folds share training samples; the rule is a preference for less augmentation, not a test.

    An augmented network learns more slowly than a plain one, so the few epochs of the first comparison favour small
    strengths; so does the order among equal scores. A learning-rate schedule that spans ``max_epochs`` is cut short in
    the first comparison. ``benchmarks/search_accuracy.py`` compares the search with a full grid.

    References
    ----------
    Jamieson and Talwalkar (2016), "Non-stochastic Best Arm Identification and Hyperparameter Optimization".
    Breiman, Friedman, Olshen and Stone (1984), "Classification and Regression Trees".
    Hastie, Tibshirani and Friedman (2009), "The Elements of Statistical Learning".

    Examples
    --------
    >>> from skaba import ABAClassifier, StrengthSearchCV
    >>> from skaba.datasets import load_digits
    >>> from skaba.modules import ConvNet
    >>> digits = load_digits("tiny")
    >>> clf = ABAClassifier(ConvNet, module__width=2, max_epochs=15, random_state=0, verbose=0)
    >>> search = StrengthSearchCV(clf, cv=2).fit(digits.X_train, digits.y_train)
    >>> search.best_params_["max_epochs"], search.n_candidates_, search.n_resources_
    (15, [10, 2], [3, 15])
    >>> search.predict(digits.X_valid).shape
    (297,)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **HalvingGridSearchCV._parameter_constraints,
        "strengths": ["array-like", None],
        "refit": ["boolean"],
    }

    def __init__(
        self,
        estimator: Any,
        strengths: Any = None,
        *,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: bool = True,
        cv: Any = 5,
        verbose: int = 0,
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator,
            {},  # the grid and the schedule depend on the estimator, which set_params may replace: see fit
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.strengths = strengths

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Search the strength, then train on all samples with the one that was chosen.

        Parameters
        ----------
        X : array-like of n samples
            As the estimator's ``fit`` takes it.
        y : array-like of shape (n, ...)
            The targets.
        **params
            ``groups`` for the folds; anything else, such as ``sample_weight`` or ``mask``, for the estimator's ``fit``.
            Arrays of one value per sample are split along with X.

        Returns
        -------
        self

        Raises
        ------
        TypeError, ValueError
            If the estimator, its strength or ``strengths`` cannot be searched, or there are too few epochs; raised
            before any work.
        """
        prefix, net = _net_inside(self.estimator)
        validate_parameters(self)
        strengths = _default_strengths(net) if self.strengths is None else _checked_strengths(self.strengths)
        # In descending order, because scikit-learn keeps the last of candidates with equal scores.
        self.param_grid = {f"{prefix}strength": strengths[::-1]}
        self.resource = f"{prefix}max_epochs"
        self.min_resources, self.max_resources, self.factor = _schedule(len(strengths), net.max_epochs)
        return super().fit(X, y, **params)

    @staticmethod
    def _select_best_index(refit: Any, refit_metric: str, results: Mapping[str, Any]) -> int:
        """Return the row of the smallest strength within one standard error of the best among the last candidates."""
        # BaseSearchCV's hook. HalvingGridSearchCV overrides it with the highest mean, and ignores a callable refit.
        last = np.flatnonzero(results["iter"] == np.max(results["iter"]))
        splits = sorted(name for name in results if name.startswith("split") and name.endswith("_test_score"))
        scores = np.array([results[name][last] for name in splits]).T
        strengths = np.array([_strength(results["params"][row]) for row in last])
        return int(last[_smallest_within_one_error(strengths, scores)])


def _smallest_within_one_error(strengths: NDArray[Any], scores: NDArray[Any]) -> int:
    """Return the index of the smallest strength whose mean score is within one standard error of the best mean.

    Parameters
    ----------
    strengths : ndarray of shape (n_strengths,)
    scores : ndarray of shape (n_strengths, n_folds)
    """
    means = np.where(np.isfinite(scores).all(axis=1), scores.mean(axis=1), -np.inf)  # -inf: a fit failed
    best = int(means.argmax())
    if scores.shape[1] == 1:  # a single fold has no standard error
        return best
    behind = scores[best] - scores
    errors = behind.std(axis=1, ddof=1) / np.sqrt(scores.shape[1])
    near = np.flatnonzero(behind.mean(axis=1) <= errors)
    return int(min([best, *near], key=strengths.__getitem__))


def _strength(params: Mapping[str, Any]) -> float:
    return float(next(value for name, value in params.items() if name.rpartition("__")[2] == "strength"))


def _net_inside(estimator: Any) -> tuple[str, AugmentedNet]:
    """Return the prefix of a net's parameters in an estimator, and the net; raise an error if it has no strength."""
    prefix, net = "", estimator
    while isinstance(net, Pipeline):
        name, net = net.steps[-1]
        prefix += f"{name}__"
    if not isinstance(net, AugmentedNet):
        raise TypeError(
            f"estimator={estimator!r} must be an ABAClassifier, ABAMultiLabelClassifier or ABARegressor, or a Pipeline "
            "that ends in one."
        )
    if net.augmenter is None:
        raise ValueError(f"{prefix}augmenter=None has no strength to search: set one, such as 'mend_aba'.")
    if not isinstance(net.strength, (Real, NoneType)):
        raise ValueError(
            f"{prefix}strength={net.strength!r} changes the strength in training, so there is nothing to search. Set a "
            "number or None."
        )
    net._check_parameters()
    return prefix, net


def _default_strengths(net: AugmentedNet) -> list[float]:
    made = as_augmenter(net._made("augmenter", net.augmenter, net.get_params_for("augmenter")))
    unit = min(made.default_strength, made.largest_strength / MULTIPLES[-1])
    return [unit * multiple for multiple in MULTIPLES]


def _checked_strengths(given: Any) -> list[float]:
    """Return the strengths to search, 0 first."""
    try:
        strengths = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"strengths={given!r} must hold numbers.") from error
    if strengths.ndim != 1 or not np.isfinite(strengths).all() or (np.diff(strengths, prepend=-np.inf) <= 0).any():
        raise ValueError(f"strengths={given!r} must be finite, in one dimension, and ascending without repetition.")
    if (strengths < 0).any():
        raise ValueError(f"strengths={given!r} must not be negative.")
    return sorted({0.0, *strengths.tolist()})


def _schedule(n_strengths: int, max_epochs: int) -> tuple[int, int, float]:
    """Return ``min_resources``, ``max_resources`` and ``factor`` of scikit-learn's halving search."""
    if n_strengths < LEAST:
        raise ValueError(
            f"strengths holds {n_strengths} values, including 0, which is too few to search at 40 % of the epochs: "
            f"give at least {LEAST}, or use GridSearchCV."
        )
    # The largest number within 40 % of a full grid beside the finalists ...
    within = (2 * n_strengths - 5 * FINALISTS) * max_epochs // (5 * n_strengths)
    # ... and for which exactly the finalists remain, because scikit-learn divides the number of candidates by the
    # factor that multiplies the epochs, and rounds up: n_strengths / factor must be at most 2, but more than 1.
    first = min(within, FINALISTS * max_epochs // n_strengths)
    if first * n_strengths <= max_epochs:
        raise ValueError(
            f"max_epochs={max_epochs} is too few to search {n_strengths} strengths at 40 % of the epochs: set more, or "
            "use GridSearchCV."
        )
    # scikit-learn rounds first * factor down: half an epoch more gives max_epochs in spite of rounding errors. It plans
    # a second comparison only if max_resources // first is at least the factor, so that max_epochs would be too small.
    factor = (max_epochs + 0.5) / first
    return first, first * ceil(factor), factor
