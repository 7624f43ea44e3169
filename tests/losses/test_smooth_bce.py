"""Smoothed labels in closed form, and in an estimator."""

import numpy as np
import pytest
import torch
from torch import nn

from skaba import ABAMultiLabelClassifier
from skaba.losses import SmoothBCEWithLogitsLoss

LOGITS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TARGETS = (LOGITS.roll(1, 0) > 0).double()


def test_the_targets_are_smoothed():
    smooth = torch.where(TARGETS > 0, 0.9, 0.1).double()
    expected = -(smooth * LOGITS.sigmoid().log() + (1 - smooth) * (-LOGITS).sigmoid().log())
    torch.testing.assert_close(
        SmoothBCEWithLogitsLoss(label_smoothing=0.2, reduction="none")(LOGITS, TARGETS), expected
    )
    torch.testing.assert_close(SmoothBCEWithLogitsLoss(label_smoothing=0.2)(LOGITS, TARGETS), expected.mean())


def test_it_equals_torchs_cross_entropy_of_two_classes():
    two = torch.stack([torch.zeros(6), LOGITS[:, 0]], dim=1)
    theirs = nn.CrossEntropyLoss(label_smoothing=0.3)(two, TARGETS[:, 0].long())
    torch.testing.assert_close(SmoothBCEWithLogitsLoss(label_smoothing=0.3)(LOGITS[:, :1], TARGETS[:, :1]), theirs)


def test_without_smoothing_it_is_torchs_loss():
    weights = {"pos_weight": torch.tensor([1.0, 2.0, 3.0]), "weight": torch.tensor([1.0, 0.5, 2.0])}
    ours = SmoothBCEWithLogitsLoss(label_smoothing=0, **weights)(LOGITS, TARGETS)
    torch.testing.assert_close(ours, nn.BCEWithLogitsLoss(**weights)(LOGITS, TARGETS))


@pytest.mark.parametrize("smoothing", [-0.1, 1.5, "0.1", None, float("nan")])
def test_refuses_what_is_no_share(smoothing):
    with pytest.raises(ValueError, match=r"label_smoothing=.* must be a number from 0 to 1"):
        SmoothBCEWithLogitsLoss(label_smoothing=smoothing)


def test_an_estimator_trains_with_it_and_with_weights_of_labels():
    X = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    y = X[:, :2] > 0

    def mean_of_present(**parameters):
        clf = ABAMultiLabelClassifier(
            nn.Linear, module__in_features=4, module__out_features=2, augmenter=None, lr=0.1, random_state=0,
            max_epochs=60, class_weight="balanced", verbose=0, **parameters,
        )  # fmt: skip
        return clf.fit(X, y).predict_proba(X).mean(where=y)

    smoothed = mean_of_present(criterion=SmoothBCEWithLogitsLoss, criterion__label_smoothing=0.3)
    assert 0.5 < smoothed < mean_of_present() - 0.02
