"""``random_state`` decides everything and the global random state never notices."""

import random
from typing import Any

import numpy as np
import pytest
import torch

from skaba._random_state import resolve_seed
from skaba.estimators._random import RandomStream
from tests.estimators.conftest import same, weights


@pytest.mark.parametrize("augmenter", ["challenger", "mend_aba", "fast_aba", "fgsm"])
def test_same_random_state_same_weights(make_net: Any, digits: Any, augmenter: str) -> None:
    first = make_net(augmenter=augmenter, iterator_train__shuffle=True).fit(*digits)
    torch.manual_seed(99)
    second = make_net(augmenter=augmenter, iterator_train__shuffle=True).fit(*digits)
    assert same(weights(first), weights(second))


def test_other_random_state_other_weights(make_net: Any, digits: Any) -> None:
    assert not same(weights(make_net().fit(*digits)), weights(make_net(random_state=1).fit(*digits)))


def test_random_state_seeds_the_augmenter_alone_too(make_net: Any, digits: Any) -> None:
    clf = make_net(random_state=0).fit(*digits)
    first = clf.augment(*digits)
    clf.set_params(random_state=1)
    assert not np.array_equal(first, clf.augment(*digits))


def test_global_states_are_untouched_by_a_seeded_fit(make_net: Any, digits: Any) -> None:
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    clf = make_net().fit(*digits)
    clf.augment(*digits)
    clf.attribute(*digits)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]


def test_augment_and_attribute_leave_the_global_state_of_an_unseeded_net(make_net: Any, digits: Any) -> None:
    clf = make_net(random_state=None).fit(*digits)
    before = torch.get_rng_state()
    clf.augment(*digits)
    clf.attribute(*digits)
    assert torch.equal(torch.get_rng_state(), before)


def test_unseeded_fit_is_decided_by_manual_seed(make_net: Any, digits: Any) -> None:
    fits = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        fits.append(weights(make_net(random_state=None).fit(*digits)))
    assert same(fits[0], fits[1])
    assert not same(fits[0], fits[2])


def test_looking_at_augmentations_does_not_change_training(make_net: Any, digits: Any) -> None:
    straight = make_net().fit(*digits).partial_fit(*digits)
    looked = make_net().fit(*digits)
    looked.augment(*digits)
    looked.attribute(*digits)
    looked.partial_fit(*digits)
    assert same(weights(straight), weights(looked))


def test_partial_fit_goes_on_with_new_draws(make_net: Any, digits: Any) -> None:
    """Two calls of one epoch equal one call of two: the stream goes on, it does not start again."""
    twice = make_net(max_epochs=1, iterator_train__shuffle=True).partial_fit(*digits).partial_fit(*digits)
    once = make_net(max_epochs=2, iterator_train__shuffle=True).fit(*digits)
    assert same(weights(twice), weights(once))


def test_random_state_instance_is_drawn_from() -> None:
    source = np.random.RandomState(0)
    assert resolve_seed(source) != resolve_seed(source)
    assert resolve_seed(7) == 7


def test_stream_continues_and_restores() -> None:
    stream = RandomStream(4)
    torch.manual_seed(1)
    outside = torch.get_rng_state()
    with stream("cpu"):
        first = torch.rand(2)
    with stream("cpu"):
        second = torch.rand(2)
    assert torch.equal(torch.get_rng_state(), outside)
    torch.manual_seed(4)
    assert torch.equal(torch.cat([first, second]), torch.cat([torch.rand(2), torch.rand(2)]))
