"""All rivals, and those that suit an estimator and its data."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skaba.estimators import AugmentedNet, with_net
from skaba.evaluation.rivals._augmentations import (
    cutmix,
    fgm,
    mixup,
    rand_augment,
    scaling,
    shift,
    shift_and_flip,
    time_mask,
    time_shift,
    word_dropout,
)
from skaba.evaluation.rivals._data import Data, data_of, net_of
from skaba.evaluation.rivals._outsiders import outsiders
from skaba.evaluation.rivals._regularisers import dropout, label_smoothing, r_drop, sam, weight_decay
from skaba.evaluation.rivals._rival import Rival

CATALOGUE: tuple[Callable[[AugmentedNet, Data], Rival | None], ...] = (
    label_smoothing,
    dropout,
    weight_decay,
    mixup,
    cutmix,
    shift,
    shift_and_flip,
    rand_augment,
    time_shift,
    scaling,
    time_mask,
    word_dropout,
    fgm,
    sam,
    r_drop,
)
"""Each returns a rival for a net and its data, None if it does not suit them."""


def find_rivals(estimator: Any, X: Any, y: Any) -> list[Rival]:
    """Return the rivals of attribution-based augmentation that suit an estimator and its data.

    The kind of data follows from the samples that the net receives: integers with ``layer=`` are word ids, and floats
    are images (n, channels, height, width), series (n, channels, time) or tables (n, features).

    Parameters
    ----------
    estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor or Pipeline
        It need not be fitted. The steps of a Pipeline before the net are fitted, on a copy.
    X : array-like of n samples
    y : array-like of shape (n, ...)

    Returns
    -------
    list of Rival

    Raises
    ------
    TypeError
        If the estimator has no net, or X is not an array.
    ValueError
        If X is of no known kind.

    Warns
    -----
    UserWarning
        If rivals are left out, because a library of the extra ``skaba[rivals]`` is not installed.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from skaba import ABAClassifier
    >>> from skaba.evaluation import find_rivals
    >>> clf = ABAClassifier(torch.nn.Linear, module__in_features=4, module__out_features=3)
    >>> [rival.name for rival in find_rivals(clf, *load_iris(return_X_y=True))]
    ['label smoothing', 'weight decay (AdamW)', 'mixup', 'FGM', 'SAM']
    """
    return _suited(net_of(estimator), data_of(estimator, X, y))


def _suited(net: AugmentedNet, data: Data) -> list[Rival]:
    found: list[Rival] = []
    missing: list[str] = []
    for make in CATALOGUE:
        try:
            rival = make(net, data)
        except ImportError as error:
            missing.append(str(error))
        else:
            found += [] if rival is None else [rival]
    if missing:
        warnings.warn(f"Some rivals are left out. {'; '.join(missing)}", stacklevel=3)
    return found


def rivals(estimator: Any, X: Any, y: Any, *, cv: Any = None) -> dict[str, Any]:
    """Return unfitted estimators to compare an estimator with: its rivals, and models in place of its network.

    Rivals train the network of the estimator for the same epochs. Behind them come outsiders, such as logistic
    regression, or TF-IDF with a linear SVM for word ids.

    Parameters
    ----------
    estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor or Pipeline
        It need not be fitted. The steps of a Pipeline before the net are fitted, on a copy.
    X : array-like of n samples
    y : array-like of shape (n, ...)
    cv : int or splitter, default=None
        The folds of a ``GridSearchCV`` that tunes each rival on its small grid. By default rivals are not tuned; each
        uses the value that its paper or library recommends.

    Returns
    -------
    dict of str to estimator
        For :func:`compare`.

    Raises
    ------
    TypeError
        If the estimator has no net, or X is not an array.
    ValueError
        If X is of no known kind.

    Examples
    --------
    >>> import torch
    >>> from sklearn.datasets import load_iris
    >>> from skaba import ABAClassifier
    >>> from skaba.evaluation import rivals
    >>> clf = ABAClassifier(torch.nn.Linear, module__in_features=4, module__out_features=3)
    >>> list(rivals(clf, *load_iris(return_X_y=True)))[-3:]
    ['logistic regression', 'nearest neighbours', 'gradient boosting']
    """
    net, data, prefix = net_of(estimator), data_of(estimator, X, y), _prefix(estimator)
    arms = {
        rival.name: _tuned(rival.applied_to(estimator), prefix + rival.parameter, rival.values, cv)
        for rival in _suited(net, data)
    }
    for outsider in outsiders(data):
        model = with_net(estimator, outsider.model)
        arms[outsider.name] = _tuned(model, prefix + outsider.parameter, outsider.values, cv)
    return arms


def _prefix(estimator: Any) -> str:
    """Return what the parameters of a net start with in the estimator that ends in it."""
    if not isinstance(estimator, Pipeline):
        return ""
    name, last = estimator.steps[-1]
    return f"{name}__{_prefix(last)}"


def _tuned(estimator: Any, parameter: str, values: tuple[Any, ...], cv: Any) -> Any:
    """Return the estimator itself, or with folds a search of a parameter."""
    if cv is None:
        return estimator
    # By default, a search leaves out values whose fits fail, with a warning only.
    return GridSearchCV(estimator, {parameter: list(values)}, cv=cv, error_score="raise")
