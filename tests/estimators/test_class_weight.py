"""Weights of classes, against scikit-learn's and a loss written out."""

from typing import Any

import numpy as np
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


def net(estimator: Any = ABAClassifier, **parameters: Any) -> Any:
    settings: dict[str, Any] = {"max_epochs": 3, "augmenter": None, "random_state": 0, "verbose": 0}
    return estimator(nn.Linear, module__in_features=4, module__out_features=3, **{**settings, **parameters})


def test_balanced_is_scikit_learns() -> None:
    fitted = net(class_weight="balanced").fit(X, NAMES)
    wanted = compute_class_weight("balanced", classes=fitted.classes_, y=NAMES)
    assert fitted.criterion_.weight.tolist() == pytest.approx(wanted.tolist())


@pytest.mark.parametrize("augmenter", [None, "fast_aba"])
def test_training_is_that_of_the_weighted_criterion(augmenter: Any) -> None:
    by_hand = net(augmenter=augmenter, criterion__weight=torch.tensor([1.0, 5.0, 0.5])).fit(X, NAMES)
    ours = net(augmenter=augmenter, class_weight={"rare": 5, "usual": 0.5}).fit(X, NAMES)
    assert same(weights(ours), weights(by_hand))
    assert not same(weights(ours), weights(net(augmenter=augmenter).fit(X, NAMES)))


def test_a_label_that_has_yet_to_come_has_weight_1() -> None:
    fitted = net(class_weight="balanced").partial_fit(X[6:], NAMES[6:], classes=["rare", "common", "usual"])
    assert fitted.criterion_.weight.tolist() == pytest.approx([54 / (2 * 34), 1, 54 / (2 * 20)])


def test_labels_of_many_are_balanced_by_their_absence() -> None:
    fitted = net(ABAMultiLabelClassifier, class_weight="balanced").fit(X, LABELS)
    assert fitted.criterion_.pos_weight.tolist() == [9, 1, 1]
    assert net(ABAMultiLabelClassifier, class_weight={1: 3}).fit(X, LABELS).criterion_.pos_weight.tolist() == [1, 3, 1]


def test_weights_are_learned_when_the_targets_come() -> None:
    started = net(class_weight="balanced").initialize().partial_fit(X, NAMES)
    assert same(weights(started), weights(net(class_weight="balanced").fit(X, NAMES)))
    again = started.fit(X, np.repeat(["a", "b", "c"], 20))
    assert again.criterion_.weight.tolist() == pytest.approx([1, 1, 1])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"class_weight": "even"}, "class_weight"),
        ({"class_weight": {"odd": 2}}, r"names \['odd'\], which are no labels of y. Known: \['common'"),
        ({"class_weight": {"rare": -1}}, r"class_weight\['rare'\]=-1 must be a finite number"),
        ({"class_weight": "balanced", "criterion": nn.CrossEntropyLoss()}, "criterion that is an instance"),
        ({"class_weight": "balanced", "criterion": nn.MultiMarginLoss, "criterion__weight": None}, "both weigh"),
        ({"class_weight": "balanced", "criterion": nn.MSELoss}, "takes weight=, such as CrossEntropyLoss"),
    ],
)
def test_is_refused(parameters: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        net(**parameters).fit(X, NAMES)


def test_a_dataset_that_hides_its_targets_cannot_be_weighed() -> None:
    class Hidden(Dataset[Any]):
        def __len__(self) -> int:
            return 60

        def __getitem__(self, i: int) -> Any:
            return X[i], i % 3

    with pytest.raises(ValueError, match="needs the targets, which this Dataset hides"):
        net(class_weight="balanced").fit(Hidden())
