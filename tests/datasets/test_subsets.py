"""Splits: disjoint, balanced, seeded, of the sizes that are documented."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skaba.datasets import _cifar10, _digits, _mnist, _newsgroups
from skaba.datasets._subsets import Plan, check_name, cut, to_bunch, to_unit

PLAN = Plan("blobs", {"tiny": 2, "full": None}, n_valid=7, n_test=5)


@given(
    counts=st.lists(st.integers(20, 40), min_size=1, max_size=6),
    n_valid=st.integers(0, 10),
    n_test=st.integers(0, 8),
    per_class=st.integers(1, 2),
    seed=st.integers(0, 2**32),
)
def test_cuts_are_disjoint_balanced_and_seeded(
    counts: list[int], n_valid: int, n_test: int, per_class: int, seed: int
) -> None:
    y = np.repeat(np.arange(len(counts)), counts)
    plan = Plan("blobs", {"tiny": per_class, "full": None}, n_valid, n_test)
    full, tiny = cut(y, plan, "full", seed), cut(y, plan, "tiny", seed)
    assert sorted(np.concatenate(list(full.values()))) == list(range(len(y)))
    assert (len(full["valid"]), len(full["test"])) == (n_valid, n_test)
    assert np.bincount(y[tiny["train"]], minlength=len(counts)).tolist() == [per_class] * len(counts)
    assert len(set(tiny["train"])) == len(tiny["train"])
    assert set(tiny["train"]) <= set(full["train"])
    for name in ("valid", "test"):
        np.testing.assert_array_equal(tiny[name], full[name])
    again = cut(y, plan, "tiny", seed)
    assert all((again[name] == tiny[name]).all() for name in tiny)


def test_another_seed_draws_other_samples() -> None:
    y = np.repeat(np.arange(5), 50)
    first, second = cut(y, PLAN, "tiny", 0), cut(y, PLAN, "tiny", 1)
    assert all(set(first[name]) != set(second[name]) for name in first)


def test_classes_are_mixed() -> None:
    y = np.repeat(np.arange(5), 50)
    drawn = y[cut(y, Plan("blobs", {"tiny": 20}, 10), "tiny", 0)["train"]]
    assert (np.diff(drawn) < 0).any()


def test_a_generator_is_a_seed_too_and_the_global_state_is_untouched() -> None:
    y = np.repeat(np.arange(5), 50)
    before = np.random.get_state()[1].copy()
    first = cut(y, PLAN, "tiny", np.random.default_rng(3))
    second = cut(y, PLAN, "tiny", 3)
    cut(y, PLAN, "tiny", None)
    np.testing.assert_array_equal(first["train"], second["train"])
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_an_unknown_subset_names_those_that_exist() -> None:
    with pytest.raises(ValueError, match=r"no blobs subset named 'tinny'.*'tiny'.*full, tiny"):
        cut(np.zeros(30, dtype=np.int64), PLAN, "tinny", 0)
    with pytest.raises(ValueError, match="Known: full, tiny"):
        check_name("blobs subset", None, ["tiny", "full"])


def test_too_few_samples_for_the_held_out_sets() -> None:
    with pytest.raises(ValueError, match=r"more than 12 samples \(7 to validate, 5 to test.*there are 12"):
        cut(np.zeros(12, dtype=np.int64), PLAN, "full", 0)


def test_too_few_samples_of_a_class() -> None:
    y = np.array([0] * 30 + [1])
    with pytest.raises(ValueError, match=r"takes 2 training samples of each class, but class 1 has [01] left"):
        cut(y, PLAN, "tiny", 0)


@pytest.mark.parametrize(
    ("plan", "counts", "sizes", "valid", "test"),
    [
        (_mnist.PLANS["official"], [6000] * 10, {"tiny": 100, "medium": 1000, "full": 50_000}, 10_000, 0),
        (_mnist.PLANS["test"], [1000] * 10, {"tiny": 100, "medium": 1000, "full": 4_000}, 2_000, 4_000),
        (_cifar10.PLAN, [5000] * 10, {"tiny": 1000, "full": 40_000}, 10_000, 0),
        (_newsgroups.PLAN, [943] * 6 + [942] * 14, {"tiny": 2000, "full": 13_846}, 1_000, 4_000),
        (_digits.PLAN, [180] * 7 + [179] * 3, {"tiny": 100, "medium": 500, "full": 1_000}, 297, 500),
    ],
)
def test_sizes_are_those_of_the_cards(
    plan: Plan, counts: list[int], sizes: dict[str, int], valid: int, test: int
) -> None:
    y = np.repeat(np.arange(len(counts)), counts)
    assert set(plan.per_class) == set(sizes)
    for subset, size in sizes.items():
        parts = cut(y, plan, subset, 0)
        assert [len(parts[name]) for name in ("train", "valid", "test")] == [size, valid, test]


def test_pixels_become_float32_in_the_unit_interval() -> None:
    pixels = np.array([[0, 51, 255]], dtype=np.uint8)
    scaled = to_unit(pixels)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, [[0, 0.2, 1]])


def test_the_bunch_has_the_documented_entries() -> None:
    splits = {name: ([name], [0]) for name in ("train", "valid", "test")}
    bunch = to_bunch(splits, ("a",), "what it is", groups=[1])
    assert bunch.X_valid == ["valid"]
    assert bunch.target_names == ["a"]
    assert set(bunch) == {
        *("X_train", "y_train", "X_valid", "y_valid", "X_test", "y_test", "target_names", "DESCR", "groups")
    }
