"""Scores during training are those that scikit-learn gives after it."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    average_precision_score,
    f1_score,
    get_scorer,
    jaccard_score,
    make_scorer,
    precision_score,
    recall_score,
)
from skorch.callbacks import BatchScoring, EpochScoring
from skorch.dataset import Dataset
from skorch.helper import predefined_split

from skaba import ABAClassifier

X = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
POSITIVE = X[:, 0] + 0.5 * X[:, 1] > 0.3
LABELS = {
    "from 0": POSITIVE.astype(int),
    "from 1": POSITIVE + 1,
    "strings": np.array(["no", "yes"])[POSITIVE.astype(int)],
}


def fitted(y: np.ndarray, callback: Any, **parameters: Any) -> ABAClassifier:
    settings: dict[str, Any] = {"max_epochs": 3, "lr": 0.01, "random_state": 0, "verbose": 0, **parameters}
    same = predefined_split(Dataset(X, y))
    net = ABAClassifier(torch.nn.Linear, module__in_features=5, module__out_features=2, train_split=same, **settings)
    return net.set_params(callbacks=[callback]).fit(X, y)


@pytest.mark.parametrize("use_caching", [True, False])
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("name", ["roc_auc", "accuracy", "f1_macro", "neg_log_loss"])
def test_what_is_recorded_is_the_scorers_own_value(name: str, labels: str, use_caching: bool) -> None:
    y = LABELS[labels]
    callback = EpochScoring(
        name, name="score", lower_is_better=False, use_caching=use_caching, on_train=not use_caching
    )
    net = fitted(y, callback)
    assert net.history[-1, "score"] == pytest.approx(get_scorer(name)(net, X, y))


@pytest.mark.parametrize(("labels", "positive"), [("from 0", 1), ("from 1", 1)])
def test_average_precision_takes_the_label_1_for_positive(labels: str, positive: int) -> None:
    """As scikit-learn's scorer does, whose pos_label is 1: of labels 1 and 2 it is the first column."""
    y = LABELS[labels]
    net = fitted(y, EpochScoring("average_precision", name="score", lower_is_better=False))
    column = net.predict_proba(X)[:, net.classes_.tolist().index(positive)]
    assert net.history[-1, "score"] == pytest.approx(average_precision_score(y == positive, column))


@pytest.mark.parametrize("metric", [f1_score, precision_score, recall_score, jaccard_score])
@pytest.mark.parametrize("labels", LABELS)
def test_pos_label_is_a_label(labels: str, metric: Any) -> None:
    y = LABELS[labels]
    for positive in np.unique(y).tolist():
        scorer = make_scorer(metric, pos_label=positive, zero_division=0)
        net = fitted(y, EpochScoring(scorer, name="score", lower_is_better=False))
        assert net.history[-1, "score"] == metric(y, net.predict(X), pos_label=positive, zero_division=0)


def test_a_label_that_is_not_there_is_scikit_learns_error() -> None:
    with pytest.raises(ValueError, match="pos_label=1 is not a valid label"):
        fitted(LABELS["strings"], EpochScoring("f1", name="score"))


def test_scores_of_batches_see_labels_too() -> None:
    def share_of_yes(net: Any, X: Any, y: Any) -> float:
        return float((y == "yes").mean())

    net = fitted(LABELS["strings"], BatchScoring(share_of_yes, name="share", lower_is_better=False), batch_size=60)
    assert net.history[-1, "share"] == pytest.approx(POSITIVE.mean())


def test_a_callback_gets_its_own_extractor_back() -> None:
    callback = EpochScoring("accuracy", name="score")
    extract = callback.target_extractor
    fitted(LABELS["strings"], callback)
    assert callback.target_extractor is extract
