"""Columns of a data frame are known by name, as in scikit-learn."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor

VALUES = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
X = pd.DataFrame(VALUES, columns=list("abc"))
y = (X["a"] > 0).astype(int)
NETS: dict[str, tuple[Any, Any]] = {
    "classifier": (ABAClassifier, y),
    "multi-label": (ABAMultiLabelClassifier, np.column_stack([y, 1 - y])),
    "regressor": (ABARegressor, VALUES[:, :2]),
}


def net(task: str = "classifier") -> Any:
    estimator, targets = NETS[task]
    settings: dict[str, Any] = {"module__in_features": 3, "module__out_features": 2, "max_epochs": 2, "verbose": 0}
    return estimator(torch.nn.Linear, random_state=0, **settings).fit(X, targets)


@pytest.mark.parametrize("task", NETS)
@pytest.mark.parametrize("verb", ["predict", "predict_proba", "attribute"])
def test_other_columns_are_refused(task: str, verb: str) -> None:
    fitted = net(task)
    assert fitted.feature_names_in_.tolist() == ["a", "b", "c"]
    look = getattr(fitted, verb)
    with pytest.raises(ValueError, match="same order as they were in fit"):
        look(X[["c", "b", "a"]])
    with pytest.raises(ValueError, match="unseen at fit time"):
        look(X.rename(columns={"a": "z"}))
    with pytest.raises(ValueError, match="seen at fit time, yet now missing"):
        look(X[["a", "b"]])
    assert len(look(X)) == 60


def test_arrays_are_read_with_scikit_learns_warning() -> None:
    fitted = net()
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        predictions = fitted.predict(VALUES)
    assert np.array_equal(predictions, fitted.predict(X))


def test_going_on_checks_the_names_and_a_new_fit_learns_them_anew() -> None:
    fitted = net()
    with pytest.raises(ValueError, match="same order"):
        fitted.partial_fit(X[["c", "b", "a"]], y)
    assert fitted.fit(X.rename(columns={"a": "z"}), y).feature_names_in_.tolist() == ["z", "b", "c"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not hasattr(fitted.fit(VALUES, y), "feature_names_in_")
        fitted.predict(VALUES)


def test_names_pass_through_a_pipeline() -> None:
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), net()).fit(X, y)
    assert pipeline[-1].feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="same order"):
        pipeline.predict(X[["c", "b", "a"]])
