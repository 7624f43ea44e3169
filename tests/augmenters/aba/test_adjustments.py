"""The 27 adjustments and the sets they are drawn from."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from sklearn.base import clone

from skaba.augmenters import ABA, ADJUSTMENTS, AdjustmentSet, group_of
from tests.tiny_nets import seeded

# Index, vector and group, copied from the specification (Kinkel 2023, tables 3.1 and A.1).
SPECIFICATION = """
 0 ( 0, 0, 0) N   7 ( 0, 1, 1) E  14 (-1,-1, 0) E  21 ( 1, 1,-1) D
 1 ( 0, 1, 0) N   8 ( 0,-1, 1) E  15 ( 1, 0, 1) N  22 ( 1,-1,-1) D
 2 ( 0,-1, 0) N   9 ( 0, 1,-1) D  16 ( 1, 0,-1) D  23 (-1, 1, 1) E
 3 ( 0, 0, 1) E  10 ( 0,-1,-1) D  17 (-1, 0, 1) E  24 (-1,-1, 1) E
 4 ( 0, 0,-1) D  11 ( 1, 1, 0) D  18 (-1, 0,-1) N  25 (-1, 1,-1) N
 5 ( 1, 0, 0) D  12 ( 1,-1, 0) D  19 ( 1, 1, 1) N  26 (-1,-1,-1) N
 6 (-1, 0, 0) E  13 (-1, 1, 0) E  20 ( 1,-1, 1) N
"""


def specified():
    """Vectors and letters by index."""
    entries = {}
    for line in SPECIFICATION.strip().splitlines():
        tokens = line.replace("(", " ").replace(")", " ").replace(",", " ").split()
        for start in range(0, len(tokens), 5):
            index, low, middle, high, letter = tokens[start : start + 5]
            entries[int(index)] = ((int(low), int(middle), int(high)), letter)
    return [entries[index] for index in range(27)]


VECTORS = [vector for vector, _ in specified()]
LETTERS = [letter for _, letter in specified()]
NAMES = {"neutral": "N", "epsilon": "E", "delta": "D"}

numbers = st.one_of(st.integers(-3, 3), st.floats(-5, 5, allow_nan=False))


@st.composite
def sets(draw):
    """Any set of adjustments, with or without probabilities."""
    if draw(st.booleans()):
        adjustment = st.one_of(st.integers(0, 26), st.tuples(numbers, numbers, numbers))
    else:
        n_categories = draw(st.integers(1, 5))
        adjustment = st.tuples(*[numbers] * n_categories)
    adjustments = draw(st.lists(adjustment, min_size=1, max_size=6))
    weights = draw(st.lists(st.integers(1, 9), min_size=len(adjustments), max_size=len(adjustments)))
    return AdjustmentSet(adjustments, draw(st.sampled_from([None, [w / sum(weights) for w in weights]])))


# --- the 27


def test_the_table_is_the_specifications():
    assert list(ADJUSTMENTS) == VECTORS
    assert len(set(ADJUSTMENTS)) == 27
    assert AdjustmentSet(range(27)).table(3).tolist() == [list(map(float, vector)) for vector in VECTORS]


@pytest.mark.parametrize("name", NAMES)
def test_the_groups_are_the_specifications(name):
    indices = [index for index, letter in enumerate(LETTERS) if letter == NAMES[name]]
    assert len(indices) == 9
    assert AdjustmentSet.group(name) == AdjustmentSet(indices)
    assert {group_of(VECTORS[index]) for index in indices} == {name}


def test_groups_of_other_lengths():
    assert group_of((-1, 1)) == "epsilon"
    assert group_of((0.5, 9, 9, 9, 0.25)) == "delta"
    assert group_of((1,)) == "neutral"


@pytest.mark.parametrize(("one", "other"), [(21, 24), (3, 4), (5, 6), (16, 17)])
def test_the_papers_opposites(one, other):
    assert AdjustmentSet([one]).opposites() == AdjustmentSet([other])
    assert AdjustmentSet([other]).opposites() == AdjustmentSet([one])


def test_neutral_adjustments_have_neutral_opposites():
    assert set(AdjustmentSet.group("neutral").opposites().adjustments) == {*AdjustmentSet.group("neutral").adjustments}
    assert set(AdjustmentSet.group("delta").opposites().adjustments) == {*AdjustmentSet.group("epsilon").adjustments}


@settings(deadline=None, max_examples=60)
@given(sets())
def test_opposites_negate_and_undo_themselves(adjustments):
    n_categories = 3 if isinstance(adjustments.adjustments[0], int) else len(adjustments.adjustments[0])
    assert torch.equal(adjustments.opposites().table(n_categories), -adjustments.table(n_categories))
    assert adjustments.opposites().opposites() == adjustments
    assert adjustments.opposites().probabilities == adjustments.probabilities


# --- table()


def test_two_categories_use_the_low_and_the_high_part():
    wanted = [[float(low), float(high)] for low, _, high in VECTORS]
    assert AdjustmentSet(range(27)).table(2).tolist() == wanted


def test_vectors_are_taken_as_they_are():
    table = AdjustmentSet([(0.5, -2), [1, 0]]).table(2)
    assert table.dtype == torch.float32
    assert table.tolist() == [[0.5, -2.0], [1.0, 0.0]]


def test_a_changed_table_does_not_change_the_set():
    adjustments = AdjustmentSet([3])
    adjustments.table(3).fill_(7)
    drawn = adjustments.draw(4, 3, seeded())
    drawn.fill_(7)
    assert adjustments.table(3).tolist() == [[0, 0, 1]]
    assert AdjustmentSet([3]).draw(1, 3, seeded()).tolist() == [[0, 0, 1]]


@pytest.mark.parametrize(
    ("adjustments", "n_categories", "length"),
    [([(1, 0, 1)], 2, 3), ([(1, 0)], 3, 2), ([3], 5, 3), ([3], 1, 3), ([(1,)], 2, 1)],
)
def test_the_wrong_number_of_categories(adjustments, n_categories, length):
    message = (
        f"is for {length} categories, but the selection makes {n_categories}. Give vectors of length {n_categories}"
    )
    for use in (AdjustmentSet.table, lambda s, n: s.draw(4, n, seeded())):
        with pytest.raises(ValueError, match=message):
            use(AdjustmentSet(adjustments), n_categories)


# --- draw()


def frequencies(adjustments, n_categories=3, n=4000):
    rows = adjustments.draw(n, n_categories, seeded(1))
    assert rows.shape == (n, n_categories)
    return {
        tuple(map(int, row)): count.item() for row, count in zip(*rows.unique(dim=0, return_counts=True), strict=True)
    }


def test_all_are_drawn_alike():
    counts = frequencies(AdjustmentSet(range(27)))
    assert set(counts) == set(VECTORS)
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_duplicates_are_drawn_more_often():
    counts = frequencies(AdjustmentSet([0, 0, 0, 0, 3, 4, 5, 6]))
    vectors = [VECTORS[index] for index in (0, 3, 4, 5, 6)]
    assert set(counts) == set(vectors)
    assert chisquare([counts[v] for v in vectors], [2000, 500, 500, 500, 500]).pvalue > 1e-3


def test_probabilities_decide():
    counts = frequencies(AdjustmentSet([3, (0, 1, 0), 5, 6], probabilities=[0.5, 0.3, 0.2, 0.0]))
    vectors = [(0, 0, 1), (0, 1, 0), (1, 0, 0)]
    assert set(counts) == set(vectors)
    assert chisquare([counts[v] for v in vectors], [2000, 1200, 800]).pvalue > 1e-3


@pytest.mark.parametrize("probabilities", [None, [0.2, 0.8]])
def test_draws_are_determined_by_the_generator(probabilities):
    adjustments = AdjustmentSet([3, 4], probabilities)
    generator = seeded(1)
    first, second = (adjustments.draw(50, 3, generator) for _ in range(2))
    assert torch.equal(first, adjustments.draw(50, 3, seeded(1)))
    assert not torch.equal(first, second)


# --- a value


@settings(deadline=None, max_examples=60)
@given(sets())
def test_is_a_value(adjustments):
    for copy in (
        pickle.loads(pickle.dumps(adjustments)),  # noqa: S301
        eval(repr(adjustments)),  # noqa: S307
        clone(ABA(adjustments=adjustments)).adjustments,
        AdjustmentSet(adjustments.adjustments, adjustments.probabilities),
    ):
        assert copy is not adjustments
        assert copy == adjustments
        assert hash(copy) == hash(adjustments)
        assert repr(copy) == repr(adjustments)


def test_differs_by_adjustments_order_and_probabilities():
    values = [
        AdjustmentSet([3, 4]),
        AdjustmentSet([4, 3]),
        AdjustmentSet([3]),
        AdjustmentSet([(0, 0, 1), (0, 0, -1)]),
        AdjustmentSet([3, 4], [0.5, 0.5]),
        AdjustmentSet([3, 4], [0.25, 0.75]),
    ]
    assert len(set(values)) == len(values)
    assert all((a == b) == (a is b) for a in values for b in values)
    assert AdjustmentSet([3]) != [3]
    assert AdjustmentSet([3]) != (3,)


def test_prints_as_it_is_made():
    assert repr(AdjustmentSet((3, (0.5, 0, -1)))) == "AdjustmentSet([3, (0.5, 0, -1)])"
    assert repr(AdjustmentSet([3, 4], [0.25, 0.75])) == "AdjustmentSet([3, 4], probabilities=[0.25, 0.75])"


def test_numpys_numbers_are_numbers():
    adjustments = AdjustmentSet(np.array([3, 4]), np.array([0.25, 0.75]))
    assert adjustments == AdjustmentSet([3, 4], [0.25, 0.75])
    assert repr(adjustments) == "AdjustmentSet([3, 4], probabilities=[0.25, 0.75])"
    assert AdjustmentSet(np.array([[0.5, -1.0]])) == AdjustmentSet([(0.5, -1.0)])


def test_vectors_of_numpy_print_as_they_are_made():
    adjustments = AdjustmentSet(np.array([[0.5, -1.0]]))
    assert eval(repr(adjustments), {"AdjustmentSet": AdjustmentSet}) == adjustments  # noqa: S307


# --- errors


def test_an_empty_set():
    with pytest.raises(ValueError, match=r"got no adjustments; give at least one, for example \[3, 4, 5, 6\]"):
        AdjustmentSet([])


@pytest.mark.parametrize("index", [27, -1, 1000])
def test_an_index_out_of_range(index):
    with pytest.raises(ValueError, match=f"There is no adjustment {index}; the indices go from 0 to 26"):
        AdjustmentSet([3, index])


@pytest.mark.parametrize("adjustments", [[(1, 0), (1, 0, 1)], [3, (1, 0)], [(1,), 3]])
def test_vectors_of_different_lengths(adjustments):
    with pytest.raises(ValueError, match=r"different lengths \[\d, \d\] \(an index stands for 3\)"):
        AdjustmentSet(adjustments)


@pytest.mark.parametrize("vector", [(float("nan"), 0, 1), (0, float("inf"), 1), (), ("a", 0, 1), (None,), (1j, 0, 0)])
def test_a_vector_of_something_else(vector):
    with pytest.raises(ValueError, match="must hold one finite number per category, got"):
        AdjustmentSet([vector])


@pytest.mark.parametrize("adjustment", [None, 1.5, object, "3"])
def test_neither_index_nor_vector(adjustment):
    with pytest.raises(ValueError, match="is an index from 0 to 26 or a vector of numbers, got"):
        AdjustmentSet([adjustment])


@pytest.mark.parametrize("probabilities", [[1.0], [0.5, 0.25, 0.25], []])
def test_the_wrong_number_of_probabilities(probabilities):
    with pytest.raises(ValueError, match=f"Got {len(probabilities)} probabilities for 2 adjustments"):
        AdjustmentSet([3, 4], probabilities)


@pytest.mark.parametrize("probabilities", [[0.5, 0.6], [0, 0], [1.5, -0.5], [float("nan"), 1]])
def test_probabilities_that_are_none(probabilities):
    with pytest.raises(ValueError, match="must lie between 0 and 1 and sum to 1"):
        AdjustmentSet([3, 4], probabilities)


def test_rounded_probabilities_pass():
    assert AdjustmentSet([3, 4, 5], [1 / 3] * 3).probabilities == (1 / 3,) * 3
    AdjustmentSet([3] * 10, [0.1] * 10)


def test_an_unknown_group():
    with pytest.raises(ValueError, match=r"no group of adjustments named 'epsylon'\. Did you mean 'epsilon'\?"):
        AdjustmentSet.group("epsylon")
