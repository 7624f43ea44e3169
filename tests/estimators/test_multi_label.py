"""ABAMultiLabelClassifier: sigmoid a label, a split and scorer that suit, the loss as target."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, f1_score, get_scorer, roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_predict
from skorch.dataset import Dataset
from torch import nn

from skaba import ABAMultiLabelClassifier
from skaba.attribution import Loss, RandomTopClass
from skaba.augmenters import mend_aba
from skaba.estimators._multi_label import macro_auc


@pytest.fixture(scope="module")
def labelled() -> tuple[np.ndarray, np.ndarray]:
    """Three labels, each the sign of one of five features."""
    X = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    return X, (X[:, :3] > 0).astype(int)


def _net(**parameters: Any) -> ABAMultiLabelClassifier:
    settings = {"random_state": 0, "max_epochs": 40, "lr": 0.5, "batch_size": 32, "verbose": 0}
    return ABAMultiLabelClassifier(
        **{"module": nn.Linear, "module__in_features": 5, "module__out_features": 3, **settings, **parameters}
    )


def test_learns_every_label(labelled: Any) -> None:
    X, Y = labelled
    net = _net().fit(X[:150], Y[:150])
    assert net.score(X[150:], Y[150:]) > 0.95
    assert (net.predict(X[150:]) == Y[150:]).mean() > 0.85
    assert net.classes_.tolist() == [[0, 1]] * 3


def test_probability_is_a_sigmoid_a_label(labelled: Any) -> None:
    X, Y = labelled
    net = _net(max_epochs=1).fit(X, Y)
    logits = net.module_(torch.as_tensor(X)).detach().numpy()
    np.testing.assert_allclose(net.predict_proba(X), 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_threshold_decides_the_prediction(labelled: Any) -> None:
    net = _net(max_epochs=1, threshold=0.3).fit(*labelled)
    assert np.array_equal(net.predict(labelled[0]), net.predict_proba(labelled[0]) > 0.3)


def test_score_is_scikit_learns_macro_auc(labelled: Any) -> None:
    net = _net(max_epochs=2).fit(*labelled)
    expected = roc_auc_score(labelled[1], net.predict_proba(labelled[0]), average="macro")
    assert net.score(*labelled) == pytest.approx(expected)


def test_labels_without_two_values_have_no_auc() -> None:
    probabilities = np.array([[0.1, 0.5], [0.9, 0.5]])
    assert macro_auc(np.array([[0, 1], [1, 1]]), probabilities) == 1
    assert np.isnan(macro_auc(np.array([[1, 1], [1, 1]]), probabilities))


def test_validation_auc_is_logged(labelled: Any) -> None:
    net = _net(train_split=0.2).fit(*labelled)
    assert net.history[-1, "valid_auc"] > 0.9
    assert net.history[-1, "valid_batch_count"] == 2  # a fifth of 200, in batches of 32


def test_presets_by_name_explain_the_loss(labelled: Any) -> None:
    assert isinstance(_net(augmenter="mend_aba").fit(*labelled).augmenter_.target, Loss)


def test_a_target_that_picks_a_class_is_refused(labelled: Any) -> None:
    with pytest.raises(ValueError, match=r"Use Loss\(\) as target"):
        _net(augmenter=mend_aba(target=RandomTopClass(2))).fit(*labelled)


def test_attribute_explains_the_loss_or_the_highest_label(labelled: Any) -> None:
    X, Y = labelled
    net = _net(max_epochs=1).fit(X, Y)
    weight = net.module_.weight.detach().numpy()
    np.testing.assert_allclose(net.attribute(X), weight[net.predict_proba(X).argmax(1)], atol=1e-6)
    by_hand = (net.predict_proba(X) - Y) @ weight / 3
    np.testing.assert_allclose(net.attribute(X, Y), by_hand, atol=1e-6)


def test_grid_search_uses_the_auc(labelled: Any) -> None:
    search = GridSearchCV(_net(max_epochs=3), {"strength": [0, 0.1]}, cv=2, error_score="raise").fit(*labelled)
    assert 0.5 < search.best_score_ <= 1


def test_a_dataset_shows_its_width_by_the_logits(labelled: Any) -> None:
    X, Y = labelled
    net = _net(max_epochs=1, train_split=None).fit(Dataset(X, Y.astype(np.float32)))
    assert net.classes_.tolist() == [[0, 1]] * 3


def test_tags() -> None:
    tags = _net().__sklearn_tags__()
    assert tags.classifier_tags.multi_label
    assert tags.target_tags.multi_output
    assert not tags.target_tags.single_output


@pytest.mark.parametrize(
    ("Y", "message"),
    [
        (np.zeros(200), "needs \\(n, n_labels\\)"),
        (np.full((200, 3), 2), "zeros and ones"),
        (np.full((200, 3), 0.5), r"zeros and ones, one column per label; got 0.5. Turn shares into labels"),
        (np.full((200, 3), "a"), "got <U1 values such as a.*MultiLabelBinarizer"),
        (np.full((200, 3), np.inf), "y contains NaN or infinity"),
        (np.ma.masked_array(np.ones((200, 3)), np.eye(200, 3)), "y is a masked array with 3 masked values"),
        (pd.DataFrame(np.eye(200, 3)).astype("boolean").mask(np.eye(200, 3) == 1), "y contains None or NaN"),
        (np.zeros((200, 4)), "as wide as y"),
    ],
)
def test_bad_targets(labelled: Any, Y: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _net().fit(labelled[0], Y)


@pytest.mark.parametrize("Y", [np.full((200, 3), 0.5), np.full((200, 3), "a"), np.full((200, 3), np.nan), np.ones(200)])
def test_bad_targets_to_score(labelled: Any, Y: np.ndarray) -> None:
    net = _net(max_epochs=1).fit(*labelled)
    with pytest.raises(ValueError, match=r"zeros and ones|y contains NaN"):
        net.score(labelled[0], Y)


@pytest.mark.parametrize("n_labels", [1, 2, 3])
@pytest.mark.parametrize("scoring", ["roc_auc", "average_precision", "f1_macro"])
def test_scikit_learns_scorers(labelled: Any, n_labels: int, scoring: str) -> None:
    """Two columns are not the two classes of a binary task, nor is one column half of them."""
    X, Y = labelled[0], labelled[1][:, :n_labels]
    net = _net(max_epochs=2, module__out_features=n_labels).fit(X, Y)
    metric = {"roc_auc": roc_auc_score, "average_precision": average_precision_score}.get(scoring)
    expected = f1_score(Y, net.predict(X), average="macro") if metric is None else metric(Y, net.predict_proba(X))
    if (scoring, n_labels) == ("f1_macro", 1):
        expected = f1_score(Y[:, 0], net.predict(X)[:, 0], average="macro")
    assert get_scorer(scoring)(net, X, Y) == pytest.approx(expected, abs=1e-6)
    if scoring == "roc_auc":
        assert get_scorer(scoring)(net, X, Y) == pytest.approx(net.score(X, Y))


@pytest.mark.parametrize("n_labels", [1, 2, 3])
def test_cross_validated_probabilities(labelled: Any, n_labels: int) -> None:
    X, Y = labelled[0], labelled[1][:, :n_labels]
    net = _net(max_epochs=1, module__out_features=n_labels)
    halves = [(np.arange(100), np.arange(100, 200)), (np.arange(100, 200), np.arange(100))]
    probabilities = cross_val_predict(net, X, Y, cv=halves, method="predict_proba")
    np.testing.assert_array_equal(probabilities[100:], net.fit(X[:100], Y[:100]).predict_proba(X[100:]))


def test_frames_of_booleans_and_nullable_integers(labelled: Any) -> None:
    X, Y = labelled
    reference = _net(max_epochs=1).fit(X, Y).predict_proba(X)
    for frame in (pd.DataFrame(Y).astype("boolean"), pd.DataFrame(Y).astype("Int64"), pd.DataFrame(Y).astype(bool)):
        net = _net(max_epochs=1).fit(X, frame)
        np.testing.assert_array_equal(net.predict_proba(X), reference)
        assert net.score(X, frame) == net.score(X, Y)


def test_another_number_of_labels_later(labelled: Any) -> None:
    net = _net(max_epochs=1).fit(*labelled)
    with pytest.raises(ValueError, match="y has 2 labels, but fit saw 3"):
        net.attribute(labelled[0], labelled[1][:, :2])


def test_bad_threshold(labelled: Any) -> None:
    with pytest.raises(ValueError, match="'threshold' parameter"):
        _net(threshold=1.5).fit(*labelled)
