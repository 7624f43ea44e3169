"""Outsiders: models of scikit-learn that a user may take in place of a network."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import GridSearchCV

from skaba import evaluation
from skaba._validation import unknown_name
from skaba.experiment._data import Data


class TunedOnValidation(ClassifierMixin, BaseEstimator):
    """An outsider at the value of its grid that has the best validation score.

    Parameters
    ----------
    search : GridSearchCV
        Holds the model and its grid.
    data : Data
        Gives the validation set.

    Attributes
    ----------
    best_ : estimator
    """

    def __init__(self, search: GridSearchCV, data: Data) -> None:
        self.search = search
        self.data = data

    def fit(self, X: Any, y: Any) -> TunedOnValidation:
        """Fit the model at each value, and keep the best one, the first of equals."""
        ((parameter, values),) = self.search.param_grid.items()
        fitted = [clone(self.search.estimator).set_params(**{parameter: value}).fit(X, y) for value in values]
        bunch = self.data.bunch
        self.best_ = max(fitted, key=lambda model: model.score(bunch.X_valid, bunch.y_valid))
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the predicted classes."""
        predicted: NDArray[Any] = self.best_.predict(X)
        return predicted

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the accuracy, or the macro area under the ROC curve for several labels per sample."""
        return float(self.best_.score(X, y, sample_weight))


def outsider_of(net: Any, data: Data, name: str) -> TunedOnValidation:
    """Return an outsider by its name.

    Parameters
    ----------
    net : estimator
        The network in whose place it comes.
    data : Data
    name : str
        One of those in :func:`skaba.evaluation.rivals`, such as "logistic regression". For texts it learns from
        TF-IDF of the words that the network sees: shortened texts of known words.

    Raises
    ------
    ValueError
        If no outsider of this name suits the data.
    """
    X, y = data.bunch.X_train, data.bunch.y_train
    searches = evaluation.rivals(net, X, y, cv=2)  # only for their grids: the validation set decides, not folds
    networks = [rival.name for rival in evaluation.find_rivals(net, X, y)]
    known = {key: search for key, search in searches.items() if key not in networks}
    if name not in known:
        raise ValueError(unknown_name("outsider that suits these data", name, known))
    return TunedOnValidation(known[name], data)
