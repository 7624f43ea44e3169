"""Outsiders: models of scikit-learn's in place of the user's network."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multiclass import OneVsRestClassifier
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from skaba.estimators import macro_auc
from skaba.evaluation.rivals._data import Data


class Outsider(NamedTuple):
    """A model of the samples that the net would receive, with the parameter that a search tunes."""

    name: str
    model: Any
    parameter: str
    values: tuple[Any, ...]


def outsiders(data: Data) -> list[Outsider]:
    """Return the models that suit a kind of data and a task."""
    return [_outsider(data, *model) for model in _models(data)]


def _models(data: Data) -> list[tuple[str, Any, str, tuple[Any, ...]]]:
    penalties = (0.01, 0.1, 1.0, 10.0)
    if data.task == "regression":
        linear = ("ridge regression", Ridge(), "alpha", (0.1, 1.0, 10.0, 100.0))
        neighbours: Any = KNeighborsRegressor()
        boosting: Any = HistGradientBoostingRegressor()
    else:
        linear = ("logistic regression", LogisticRegression(max_iter=1000), "C", penalties)
        neighbours, boosting = KNeighborsClassifier(), HistGradientBoostingClassifier()
    if data.kind == "words":
        # The order of the words does not count in TF-IDF, and distances between word ids mean nothing.
        linear = linear if data.task == "regression" else ("linear SVM", LinearSVC(), "C", penalties)
        return [(f"TF-IDF and {linear[0]}", *linear[1:])]
    models: list[Any] = [linear, ("nearest neighbours", neighbours, "n_neighbors", (1, 3, 5))]
    # Boosting regresses one target at a time.
    if data.kind == "table" and (data.task != "regression" or data.n_outputs == 1):
        models.append(("gradient boosting", boosting, "learning_rate", (0.03, 0.1, 0.3)))
    return models


def _outsider(data: Data, name: str, model: Any, parameter: str, values: tuple[Any, ...]) -> Outsider:
    if data.task == "labels":
        model, parameter = LabelsOneByOne(model), f"estimator__{parameter}"
    if data.kind == "words":
        steps = [TfidfVectorizer(analyzer=_words, sublinear_tf=True)]
    else:
        steps = [FunctionTransformer(_flattened), StandardScaler()]
    pipeline = make_pipeline(*steps, model)
    return Outsider(name, pipeline, f"{pipeline.steps[-1][0]}__{parameter}", values)


class LabelsOneByOne(OneVsRestClassifier):
    """One binary model per label, with the score of :class:`skaba.ABAMultiLabelClassifier`."""

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the macro area under the ROC curve.

        Parameters
        ----------
        X : array-like of n samples
        y : array-like of shape (n, n_labels)
        sample_weight : array-like of shape (n,), default=None

        Returns
        -------
        float
        """
        outputs_of = self.decision_function if hasattr(self, "decision_function") else self.predict_proba
        return macro_auc(np.asarray(y), outputs_of(X), sample_weight)


def _words(ids: Any) -> list[int]:
    """Return the word ids of a text without padding."""
    return [word for word in np.asarray(ids).tolist() if word != 0]


def _flattened(X: Any) -> Any:
    """Return samples of any shape as rows of features."""
    x = np.asarray(X)
    return x.reshape(len(x), -1)
