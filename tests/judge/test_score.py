"""An estimator is scored as far as it is known which label a logit stands for."""

import numpy as np
import pytest
from torch import nn

from skaba import ABAClassifier
from skaba.judge import score_or_reason

X = np.random.default_rng(0).normal(size=(30, 3)).astype(np.float32)
Y = np.arange(30) % 3


def loaded(**parameters):
    """A network that was never fitted, as one whose weights were loaded."""
    return ABAClassifier(nn.Linear(3, 3), verbose=0, **parameters).initialize()


@pytest.mark.parametrize("labels", [Y, Y.astype(float), Y > 0])
def test_column_numbers_are_scored(labels):
    net = loaded()
    expected = np.mean(net.predict_proba(X).argmax(axis=1) == labels)
    assert score_or_reason(net, X, labels) == (pytest.approx(expected), "")


@pytest.mark.parametrize("labels", [np.array(["a", "b", "c"])[Y], Y + 1, Y - 1, Y.clip(1), Y + 0.5])
def test_other_labels_are_not(labels):
    net = loaded()
    score, reason = score_or_reason(net, X, labels)
    assert score is None
    assert reason.startswith("y holds labels such as")
    assert net.classes_inferred_ is None, "left as it was"


def test_an_estimator_that_knows_its_labels_is_scored():
    names = np.array(["c", "b", "a"])
    net = loaded(classes=names.tolist())
    expected = np.mean(names[net.predict_proba(X).argmax(axis=1)] == names[Y])
    assert score_or_reason(net, X, names[Y]) == (pytest.approx(expected), "")
    fitted = ABAClassifier(nn.Linear(3, 3), max_epochs=1, augmenter=None, train_split=None, verbose=0).fit(X, names[Y])
    assert score_or_reason(fitted, X, names[Y]) == (fitted.score(X, names[Y]), "")
