"""R-Drop: the loss in closed form, two passes in training and one otherwise, alone and with an augmenter."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from skaba.evaluation import find_rivals
from skaba.evaluation.rivals._r_drop import RDropLoss, TwoPasses
from tests.evaluation.rivals.nets import LABELS, TABLE, Dropping, seeded_steps, table_classifier

ONE, OTHER = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.tensor([0, 1, 2, 0, 1, 2])


def r_drop(clf: Any) -> Any:
    return next(rival for rival in find_rivals(clf, TABLE, LABELS) if rival.name == "R-Drop")


def test_the_loss_is_that_of_the_paper() -> None:
    p, q = ONE.softmax(1), OTHER.softmax(1)
    symmetric = ((p * (p / q).log()).sum(1) + (q * (q / p).log()).sum(1)) / 2
    each = (cross_entropy(ONE, Y, reduction="none") + cross_entropy(OTHER, Y, reduction="none")) / 2 + 5 * symmetric
    torch.testing.assert_close(RDropLoss(alpha=5.0, reduction="none")((ONE, OTHER), Y), each)
    torch.testing.assert_close(RDropLoss(alpha=5.0)((ONE, OTHER), Y), each.mean())


def test_passes_that_agree_and_single_passes_have_the_cross_entropy() -> None:
    torch.testing.assert_close(RDropLoss(alpha=5.0)((ONE, ONE), Y), cross_entropy(ONE, Y))
    torch.testing.assert_close(RDropLoss(alpha=5.0)(ONE, Y), cross_entropy(ONE, Y))


def test_two_passes_differ_in_training_only() -> None:
    module = TwoPasses(Dropping, dropout=0.5)
    one, other = module(torch.as_tensor(TABLE))
    assert not torch.equal(one, other)
    logits = module.eval()(torch.as_tensor(TABLE))
    assert torch.equal(logits, module.network(torch.as_tensor(TABLE)))


def test_an_instance_is_used_as_it_is() -> None:
    net = nn.Linear(4, 3)
    assert TwoPasses(net).network is net
    assert TwoPasses(net, in_features=2, out_features=2).network.in_features == 2


def test_without_randomness_between_the_passes_it_is_plain_training() -> None:
    plain = table_classifier(max_epochs=2)
    ours = r_drop(plain).applied_to(plain).set_params(module__dropout=0.0)
    wanted = seeded_steps(plain.set_params(module__dropout=0.0), TABLE, LABELS)
    for weight, expected in zip(seeded_steps(ours, TABLE, LABELS), wanted, strict=True):
        torch.testing.assert_close(weight, expected)


@pytest.mark.parametrize("augmenter", ["mend_aba", "free_aba"])
def test_it_trains_with_an_augmenter_weights_and_validation(augmenter: str) -> None:
    plain = table_classifier(strength=0.2, class_weight="balanced", train_split=0.25, max_epochs=2)
    net = r_drop(plain).with_augmenter(plain, augmenter, 5.0).fit(TABLE, LABELS)
    assert net.criterion_.alpha == 5.0
    assert np.isfinite(net.history[:, "valid_loss"]).all()
    assert net.augment(TABLE[:3], LABELS[:3]).shape == (3, 4)


def test_a_layer_would_run_twice() -> None:
    clf = table_classifier(layer="net.0")
    with pytest.raises(ValueError, match=r"layer='net\.0': R-Drop cannot be combined with an augmenter at a layer"):
        r_drop(clf).with_augmenter(clf, "mend_aba")
