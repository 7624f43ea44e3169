"""Weights of classes, against scikit-learn's and a loss written out."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.utils.data import Dataset

from skaba import ABAClassifier, ABAMultiLabelClassifier
from tests.estimators.conftest import same, weights

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
NAMES = np.repeat(["rare", "common", "usual"], [6, 34, 20])
LABELS = np.column_stack([np.arange(60) < 6, np.arange(60) < 30, np.arange(60) < 0]).astype(int)


class Mean(nn.Module):
    def forward(self, logits: Any, y: Any) -> Any:
        return nn.functional.cross_entropy(logits, y)


def net(estimator: Any = ABAClassifier, **parameters: Any) -> Any:
    settings: dict[str, Any] = {"max_epochs": 3, "augmenter": None, "random_state": 0, "verbose": 0}
    return estimator(nn.Linear, module__in_features=4, module__out_features=3, **{**settings, **parameters})


def test_balanced_is_scikit_learns() -> None:
    fitted = net(class_weight="balanced").fit(X, NAMES)
    wanted = compute_class_weight("balanced", classes=fitted.classes_, y=NAMES)
    assert fitted.class_weights_.tolist() == pytest.approx(wanted.tolist())


@pytest.mark.parametrize("augmenter", [None, "fast_aba", "free_aba"])
def test_training_is_that_of_the_samples_weights(augmenter: Any) -> None:
    """Weights of the classes, times weights of the samples, over the whole training set."""
    balanced = {"rare": 60 / 18, "common": 60 / 102, "usual": 60 / 60}
    own = RNG.uniform(0.5, 2, size=60)
    by_hand = net(augmenter=augmenter).fit(X, NAMES, sample_weight=[balanced[name] for name in NAMES])
    ours = net(augmenter=augmenter, class_weight="balanced").fit(X, NAMES)
    pairs = zip(weights(ours), weights(by_hand), strict=True)
    assert all(torch.allclose(*pair, atol=1e-5) for pair in pairs)
    assert not same(weights(ours), weights(net(augmenter=augmenter).fit(X, NAMES)))
    both = net(augmenter=augmenter, class_weight="balanced").fit(X, NAMES, sample_weight=own)
    assert not same(weights(both), weights(ours))


def test_a_class_of_weight_0_has_no_say_whatever_else_is_in_its_batch() -> None:
    """criterion__weight divides by the weights of the batch, and so forgets them in batches of one class."""
    order: dict[str, Any] = {"iterator_train__shuffle": False, "batch_size": 6, "class_weight": {"rare": 0}}
    first = net(**order).fit(X, NAMES)
    second = net(**order).fit(np.where(NAMES[:, None] == "rare", 9, X).astype(np.float32), NAMES)
    assert same(weights(first), weights(second))


def test_a_label_that_has_yet_to_come_has_weight_1() -> None:
    fitted = net(class_weight="balanced").partial_fit(X[6:], NAMES[6:], classes=["rare", "common", "usual"])
    assert fitted.class_weights_.tolist() == pytest.approx([54 / (2 * 34), 1, 54 / (2 * 20)])


def test_labels_of_many_are_balanced_by_their_absence() -> None:
    fitted = net(ABAMultiLabelClassifier, class_weight="balanced").fit(X, LABELS)
    assert fitted.criterion_.pos_weight.tolist() == [9, 1, 1]
    assert net(ABAMultiLabelClassifier, class_weight={1: 3}).fit(X, LABELS).criterion_.pos_weight.tolist() == [1, 3, 1]


def test_weights_are_learned_when_the_targets_come() -> None:
    started = net(class_weight="balanced").initialize().partial_fit(X, NAMES)
    assert same(weights(started), weights(net(class_weight="balanced").fit(X, NAMES)))
    again = started.fit(X, np.repeat(["a", "b", "c"], 20))
    assert again.class_weights_.tolist() == pytest.approx([1, 1, 1])
    several = net(ABAMultiLabelClassifier, class_weight="balanced").initialize().partial_fit(X, LABELS)
    assert several.criterion_.pos_weight.tolist() == [9, 1, 1]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"class_weight": "even"}, "class_weight"),
        ({"class_weight": {"odd": 2}}, r"names \['odd'\], which are not labels of y. Known: \['common'"),
        ({"class_weight": {"rare": -1}}, r"class_weight\['rare'\]=-1 must be a finite number"),
        ({"class_weight": "balanced", "criterion": Mean}, "class_weight need the loss of each sample, but Mean"),
        ({"class_weight": dict.fromkeys(["rare", "common", "usual"], 0)}, "0 for every label"),
    ],
)
def test_is_refused(parameters: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        net(**parameters).fit(X, NAMES)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"criterion": nn.BCEWithLogitsLoss()}, "criterion that is an instance"),
        ({"criterion__pos_weight": torch.ones(3)}, "both weigh the labels"),
        ({"criterion": nn.MSELoss}, "takes pos_weight=, such as BCEWithLogitsLoss"),
        ({"class_weight": {"a": 2, "d": 1}}, r"names \['d'\], which are not labels of y. Known: \['a', 'b', 'c'\]"),
    ],
)
def test_is_refused_for_several_labels(parameters: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        net(ABAMultiLabelClassifier, **{"class_weight": "balanced", **parameters}).fit(
            X, pd.DataFrame(LABELS, columns=list("abc"))
        )


def test_an_own_loss_that_would_ignore_them_is_refused() -> None:
    class Own(ABAClassifier):
        def get_loss(self, y_pred: Any, y_true: Any, X: Any = None, training: bool = False) -> Any:
            return nn.functional.cross_entropy(y_pred, y_true)

    with pytest.raises(ValueError, match="would ignore sample_weight and class_weight"):
        net(Own, class_weight="balanced").fit(X, NAMES)


def test_a_dataset_that_hides_its_targets_cannot_be_weighed() -> None:
    class Hidden(Dataset[Any]):
        def __len__(self) -> int:
            return 60

        def __getitem__(self, i: int) -> Any:
            return X[i], i % 3

    with pytest.raises(ValueError, match="needs the targets, which this Dataset hides"):
        net(class_weight="balanced").fit(Hidden())
