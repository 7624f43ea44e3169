"""Targets, labels and methods by name: the name is resolved to the right output, or refused."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from torch import nn

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from skaba.attribution import METHODS, TARGETS, FixedClass, IntegratedGradients, Loss
from skaba.augmenters import GaussianNoise

X = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
NAMES = ["MI", "NORM", "CD"]
Y = (X[:, :3] > 0).astype(int)
SETTINGS: dict[str, Any] = {
    "module__in_features": 5,
    "module__out_features": 3,
    "augmenter": GaussianNoise(),
    "max_epochs": 1,
    "random_state": 0,
    "train_split": None,
    "verbose": 0,
}


def classifier(labels: Any, **parameters: Any) -> ABAClassifier:
    """A linear classifier of three classes, whose map of a class is a row of its weight."""
    y = np.array(labels)[np.arange(60) % 3]
    return ABAClassifier(nn.Linear, **{**SETTINGS, **parameters}).fit(X, y)


def multi_label(y: Any = Y, **parameters: Any) -> ABAMultiLabelClassifier:
    return ABAMultiLabelClassifier(nn.Linear, **{**SETTINGS, **parameters}).fit(X, y)


def row(net: Any, index: int) -> np.ndarray:
    """What the map of an output is for every sample."""
    return np.tile(net.module_.weight.detach().numpy()[index], (len(X), 1))


@pytest.mark.parametrize(
    ("labels", "target", "index"),
    [
        (["a", "b", "c"], "b", 1),
        (["c", "b", "a"], "c", 2),  # classes_ is sorted
        ([10, 2, 3], 2, 0),  # a class, not a position
        ([10, 2, 3], np.int64(10), 2),
        ([0.0, 1.0, 2.0], 1, 1),
        (["Loss", "b", "c"], "Loss", 0),  # the user's own class comes first
    ],
)
def test_a_class_is_named_as_predict_names_it(labels: Any, target: Any, index: int) -> None:
    net = classifier(labels)
    np.testing.assert_array_equal(net.attribute(X, target=target), row(net, index))


def test_the_order_of_given_classes_is_kept() -> None:
    net = classifier(["a", "b", "c"], classes=["c", "a", "b"])
    np.testing.assert_array_equal(net.attribute(X, target="c"), row(net, 0))


def test_y_does_not_matter_where_the_target_is_named() -> None:
    net = classifier(["a", "b", "c"])
    y = np.array(["a", "b", "c"])[np.arange(60) % 3]
    np.testing.assert_array_equal(net.attribute(X, y, target="b"), row(net, 1))


def test_loaded_weights_name_classes_as_predict_does(tmp_path: Any) -> None:
    net = classifier(["a", "b", "c"])
    net.save_params(f_params=tmp_path / "weights.pt")
    fresh = ABAClassifier(nn.Linear, **SETTINGS).initialize()
    fresh.load_params(f_params=tmp_path / "weights.pt")
    if fresh.classes_ is None:
        np.testing.assert_array_equal(fresh.attribute(X, target=2), row(net, 2))
    label = fresh.predict(X)[0]
    output = int(fresh.predict_proba(X)[0].argmax())
    np.testing.assert_array_equal(fresh.attribute(X, target=label), row(net, output))


@pytest.mark.parametrize(
    ("labels", "target", "words"),
    [
        (["MI", "NORM", "CD"], "NROM", "Did you mean 'NORM'"),
        (["a", "b", "c"], "loss", "Did you mean 'Loss'"),
        ([0, 1, 2], "2", r"named '2'\. Did you mean 2\?"),
        ([10, 2, 3], 0, "Known: 10, 2, 3"),
        (["a", "b", "c"], 1, r"FixedClass\(i\) explains output i"),
        ([0, 1, 2], [1, 2], r"named \[1, 2\]"),
        ([0, 1, 2], -1, "named -1"),
        ([0, 1, 2], FixedClass(3), "returns 3 per sample"),
        ([0, 1, 2], Loss, "must be an instance"),
    ],
)
def test_an_unknown_class_is_refused(labels: Any, target: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        classifier(labels).attribute(X, target=target)


def test_of_many_classes_some_are_listed() -> None:
    y = np.arange(60)
    net = ABAClassifier(nn.Linear, **{**SETTINGS, "module__out_features": 60}).fit(X, y)
    with pytest.raises(ValueError, match="and 24 more"):  # 60 classes and 4 targets, 40 of them listed
        net.attribute(X, target=1000)


@pytest.mark.parametrize("name", TARGETS)
def test_targets_by_name(name: str) -> None:
    net = classifier(["a", "b", "c"])
    y = np.array(["a", "b", "c"])[np.arange(60) % 3]
    np.testing.assert_array_equal(net.attribute(X, y, target=name), net.attribute(X, y, target=TARGETS[name]()))


def test_methods_by_name() -> None:
    net = classifier(["a", "b", "c"])
    by_name = net.attribute(X, target="b", attribution="IntegratedGradients")
    np.testing.assert_array_equal(by_name, net.attribute(X, target="b", attribution=IntegratedGradients()))
    np.testing.assert_allclose(by_name, row(net, 1) * X, atol=1e-6)  # of a linear model: weight times input
    assert set(METHODS) >= {"Gradient", "LRP"}
    with pytest.raises(ValueError, match="Did you mean 'IntegratedGradients'"):
        net.attribute(X, attribution="integrated_gradient")


def test_labels_of_a_frame_by_name_or_number() -> None:
    net = multi_label(pd.DataFrame(Y, columns=NAMES))
    assert net.target_names_.tolist() == NAMES
    for index, name in enumerate(NAMES):
        np.testing.assert_array_equal(net.attribute(X, target=name), row(net, index))
        np.testing.assert_array_equal(net.attribute(X, target=index), row(net, index))
    with pytest.raises(ValueError, match="Did you mean 'NORM'"):
        net.attribute(X, target="norm")


def test_labels_without_names_go_by_their_number() -> None:
    for y in (Y, pd.DataFrame(Y)):
        net = multi_label(y)
        assert net.target_names_ is None
        np.testing.assert_array_equal(net.attribute(X, target=2), row(net, 2))
        with pytest.raises(ValueError, match="named 7"):
            net.attribute(X, target=7)


def test_columns_named_by_integers_go_by_these() -> None:
    net = multi_label(pd.DataFrame(Y, columns=[7, 1, 9]))
    assert net.target_names_.tolist() == [7, 1, 9]
    np.testing.assert_array_equal(net.attribute(X, target=1), row(net, 1))
    np.testing.assert_array_equal(net.attribute(X, target=9), row(net, 2))
    with pytest.raises(ValueError, match="named 2"):
        net.attribute(X, target=2)
    with pytest.raises(ValueError, match="y has the columns 1, 7, 9, but fit saw 7, 1, 9"):
        net.score(X, pd.DataFrame(Y, columns=[1, 7, 9]))


def test_outputs_of_a_regressor_by_name_or_number() -> None:
    frame = pd.DataFrame(X[:, :3] * 1.0, columns=["x", "y", "z"])
    net = ABARegressor(nn.Linear, **SETTINGS).fit(X, frame)
    np.testing.assert_array_equal(net.attribute(X, target="z"), row(net, 2))
    np.testing.assert_array_equal(net.attribute(X, target=0), row(net, 0))
    single = ABARegressor(nn.Linear, **{**SETTINGS, "module__out_features": 1}).fit(X, X[:, 0])
    np.testing.assert_array_equal(single.attribute(X, target=0), row(single, 0))
    with pytest.raises(ValueError, match="named 1"):
        single.attribute(X, target=1)


@pytest.mark.parametrize("columns", [["NORM", "MI", "CD"], ["MI", "NORM", "HYP"]], ids=["reordered", "renamed"])
@pytest.mark.parametrize("verb", ["attribute", "augment", "score", "score_per_label", "partial_fit"])
def test_columns_in_another_order_are_refused(verb: str, columns: list[str]) -> None:
    net = multi_label(pd.DataFrame(Y, columns=NAMES))
    with pytest.raises(ValueError, match=r"fit saw MI, NORM, CD.*same order"):
        getattr(net, verb)(X, pd.DataFrame(Y, columns=columns))
    regressor = ABARegressor(nn.Linear, **SETTINGS).fit(X, pd.DataFrame(Y * 1.0, columns=NAMES))
    with pytest.raises(ValueError, match="fit saw MI, NORM, CD"):
        regressor.score(X, pd.DataFrame(Y * 1.0, columns=columns))


def test_arrays_may_follow_a_frame_and_a_new_fit_learns_new_names() -> None:
    net = multi_label(pd.DataFrame(Y, columns=NAMES))
    assert net.score(X, Y) == net.score(X, pd.DataFrame(Y, columns=NAMES))
    net.fit(X, pd.DataFrame(Y, columns=["x", "y", "z"]))
    assert net.target_names_.tolist() == ["x", "y", "z"]
    assert net.fit(X, Y).target_names_ is None
    assert clone(net).target_names_ is None


def test_a_name_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="several columns named MI"):
        multi_label(pd.DataFrame(Y, columns=["MI", "MI", "CD"]))


def test_a_score_per_label_by_its_name() -> None:
    net = multi_label(pd.DataFrame(Y, columns=NAMES), max_epochs=3)
    probabilities = net.predict_proba(X)
    expected = {name: roc_auc_score(Y[:, i], probabilities[:, i]) for i, name in enumerate(NAMES)}
    assert net.score_per_label(X, Y) == pytest.approx(expected)
    assert net.score(X, Y) == pytest.approx(np.mean(list(expected.values())))
    weights = np.arange(60)
    weighted = net.score_per_label(X, Y, weights)["CD"]
    assert weighted == pytest.approx(roc_auc_score(Y[:, 2], probabilities[:, 2], sample_weight=weights))
    everywhere = np.column_stack([np.ones(60, dtype=int), Y[:, 1:]])
    scores = net.score_per_label(X, everywhere)
    assert np.isnan(scores["MI"])
    assert net.score(X, everywhere) == pytest.approx((scores["NORM"] + scores["CD"]) / 2)
    assert list(multi_label().score_per_label(X, Y)) == [0, 1, 2]


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_a_threshold_per_label(kind: Any) -> None:
    net = multi_label(threshold=kind([0.2, 0.5, 0.9]))
    np.testing.assert_array_equal(net.predict(X), net.predict_proba(X) > np.array([0.2, 0.5, 0.9]))
    assert clone(net).get_params()["threshold"] is not None


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        ([0.1, 0.2], "holds 2 numbers, but there are 3 labels"),
        ([0.1, 0.2, 1.5], "from 0 to 1"),
        ([[0.1, 0.2, 0.3]], "from 0 to 1, or one per label"),
        ([0.1, 0.2, float("nan")], "from 0 to 1"),
        (["a", "b", "c"], "must hold numbers"),
        ("high", "'threshold' parameter"),
    ],
)
def test_bad_thresholds_are_refused_before_training(threshold: Any, words: str) -> None:
    net = ABAMultiLabelClassifier(nn.Linear, **SETTINGS, threshold=threshold)
    with pytest.raises(ValueError, match=words):
        net.fit(X, Y)
    assert not net.initialized_


def test_thresholds_of_a_fitted_net_may_change_with_its_labels() -> None:
    net = multi_label(threshold=[0.1, 0.2, 0.3])
    net.set_params(threshold=[0.1, 0.2], module__out_features=2)
    with pytest.raises(ValueError, match="holds 2 numbers, but there are"):
        multi_label().set_params(threshold=[0.1, 0.2]).predict(X)
    assert net.fit(X, Y[:, :2]).predict(X).shape == (60, 2)
