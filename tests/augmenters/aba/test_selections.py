"""Selections: which category a feature belongs to."""

import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from skaba.augmenters import ABA, Cutoff, Percentiles, Selection
from tests.augmenters.aba.test_order_statistics import maps, smallest
from tests.tiny_nets import seeded

PERCENTILES = [(), (0.5,), (0.1, 0.9), (0.3, 0.31), (0.2, 0.4, 0.6, 0.8)]


def n_below(n_features, percentiles):
    # 7 % of 100 is 7.000000000000001 to a computer, and 7 to the definition.
    return [math.ceil(round(q * (n_features - 1), 6)) for q in percentiles]


def by_hand(map_, percentiles):
    """Categories in plain loops, from the definition, of maps without ties."""
    categories = []
    for row in map_.tolist():
        bounds = [smallest(row, rank) for rank in n_below(len(row), percentiles)]
        categories.append([sum(value >= bound for bound in bounds) for value in row])
    return categories


def without_ties(map_):
    return all(len(set(row)) == len(row) for row in map_.tolist())


@settings(deadline=None, max_examples=60)
@given(maps().filter(without_ties), st.sampled_from(PERCENTILES))
def test_percentiles_are_order_statistics(map_, percentiles):
    selection = Percentiles(*percentiles)
    categories = selection.categories(map_)
    assert categories.dtype == torch.int64
    assert categories.tolist() == by_hand(map_, percentiles)
    assert selection.n_categories == len(percentiles) + 1


@settings(deadline=None, max_examples=100)
@given(maps(), st.sampled_from(PERCENTILES))
def test_ties_change_no_count_and_no_order(map_, percentiles):
    categories = Percentiles(*percentiles).categories(map_)
    below = [0, *n_below(map_.shape[1], percentiles), map_.shape[1]]
    for row, found in zip(map_, categories, strict=True):
        assert torch.bincount(found, minlength=len(percentiles) + 1).tolist() == np.diff(below).tolist()
        assert (found[row.argsort(stable=True)].diff()[row.sort().values.diff() > 0] >= 0).all()


def test_long_rows_with_ties_have_exact_counts():
    maps_ = torch.randn(4, 5000, generator=seeded()).clamp(min=0)  # half of it is 0
    maps_[1] = maps_[1].round()
    maps_[2, 100:] = 0
    for row in Percentiles(0.1, 0.9).categories(maps_):
        assert torch.bincount(row).tolist() == [500, 4000, 500]


def test_the_memory_layout_decides_no_tie():
    map_ = torch.randint(-1, 2, (3, 2, 6, 5), generator=seeded()).float()
    wanted = Percentiles(0.1, 0.9).categories(map_)
    for layout in (map_.to(memory_format=torch.channels_last), map_.transpose(1, 3).contiguous().transpose(1, 3)):
        assert torch.equal(Percentiles(0.1, 0.9).categories(layout), wanted)


# --- padding


def padded(map_, before, after):
    """Put words of another value before and after those of a map (n, length, dimension), and say where."""
    widths = (0, 0, before, after)
    words = torch.nn.functional.pad(torch.ones_like(map_), widths)[..., 0].bool()
    return torch.nn.functional.pad(map_, widths, value=0.25), ~words


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 9), st.integers(0, 30), st.integers(0, 30), st.booleans(), st.sampled_from(PERCENTILES))
def test_excluded_padding_changes_nothing(n_words, before, after, tied, percentiles):
    map_ = torch.randn(3, n_words, 4, generator=seeded(n_words))
    map_ = map_.round() if tied else map_
    selection = Percentiles(*percentiles, padding="exclude")
    wanted = torch.stack(selection.sort(map_).below or [torch.zeros(3, 4 * n_words)])
    longer, padding = padded(map_, before, after)
    found = torch.stack(selection.sort(longer, padding=padding).below or [torch.zeros(3, longer[0].numel())])
    in_words = (~padding).unsqueeze(2).expand_as(longer).flatten(1)
    assert torch.equal(found[:, in_words].reshape(wanted.shape), wanted)
    assert not found[:, ~in_words].any()


def test_each_text_has_its_own_length():
    map_ = torch.randn(3, 40, 60, generator=seeded()).transpose(1, 2).contiguous().transpose(1, 2)
    padding = torch.arange(40) >= torch.tensor([[40], [10], [0]])
    below = Percentiles(0.1, 0.9, padding="exclude").sort(map_, padding=padding).below
    assert [mask.sum(1).tolist() for mask in below] == [[240, 60, 0], [2160, 540, 0]]
    alone = Percentiles(0.1, 0.9).sort(map_[1:2, :10]).below
    assert [torch.equal(a[1, :600], b[0]) for a, b in zip(below, alone, strict=True)] == [True, True]


def test_both_branches_exclude_alike():
    map_ = torch.randn(4, 9, 5, generator=seeded()).round().to(torch.bfloat16)
    padding = torch.arange(9) >= torch.tensor([[9], [4], [7], [0]])
    selection = Percentiles(0.2, 0.7, padding="exclude")
    first, second = (selection.sort(each, padding=padding) for each in (map_, map_.float()))
    assert all(torch.equal(a, b) for a, b in zip(first.below, second.below, strict=True))


def test_included_padding_is_the_rule_of_the_source():
    map_, padding = padded(torch.randn(2, 6, 5, generator=seeded()), 0, 4)
    found = Percentiles(0.1, 0.9, padding="include").sort(map_, padding=padding).below
    assert all(torch.equal(a, b) for a, b in zip(found, Percentiles(0.1, 0.9).sort(map_).below, strict=True))


# --- maps that say nothing


@pytest.mark.parametrize(
    ("selection", "says_nothing"),
    [(Percentiles(0.1, 0.9), [True, True, False]), (Cutoff(), [True, False, False]), (Cutoff(2), [True, False, False])],
    ids=repr,
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_map_without_differences_says_nothing(selection, says_nothing, dtype):
    map_ = torch.tensor([[0.0, -0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0]], dtype=dtype)
    categories = selection.sort(map_)
    assert categories.blank.tolist() == says_nothing
    values = torch.ones(3, selection.n_categories)
    assert categories.silenced(values)[:, 0].tolist() == [float(not blank) for blank in says_nothing]


def test_what_padding_holds_does_not_make_a_map_say_something():
    map_, padding = padded(torch.ones(1, 3, 2), 1, 1)
    assert Percentiles(0.1, 0.9, padding="exclude").sort(map_, padding=padding).blank.tolist() == [True]


# --- cut-offs


@settings(deadline=None, max_examples=40)
@given(maps(), st.sampled_from([-1.0, 0.0, 2.0]))
def test_cutoff_is_a_comparison(map_, value):
    assert Cutoff(value).n_categories == 2
    assert Cutoff(value).categories(map_).tolist() == (map_.numpy() >= value).astype(int).tolist()


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 400), st.lists(st.integers(1, 99), min_size=1, max_size=5, unique=True), st.integers(0, 9))
def test_shares_without_ties(n_features, percents, seed):
    # ceil(q * (D - 1)) features lie below the boundary of q.
    percents = sorted(percents)
    map_ = torch.randperm(n_features, generator=seeded(seed)).float()[None]
    counts = torch.bincount(Percentiles(*[p / 100 for p in percents]).categories(map_)[0], minlength=len(percents) + 1)
    below = [0, *[-(-p * (n_features - 1) // 100) for p in percents], n_features]
    assert counts.tolist() == np.diff(below).tolist()


@pytest.mark.parametrize("n_features", [2, 3, 5, 9, 10, 19, 64, 784])
def test_categories_are_those_of_the_interpolated_percentile(n_features):
    map_ = torch.randn(20, n_features, generator=seeded(), dtype=torch.float64)
    low, high = np.quantile(map_.numpy(), [0.1, 0.9], axis=1, keepdims=True)
    wanted = (map_.numpy() >= low).astype(int) + (map_.numpy() >= high)
    categories = Percentiles(0.1, 0.9).categories(map_)
    assert categories.tolist() == wanted.tolist()
    tails = [(categories == category).sum(1).unique().tolist() for category in (0, 2)]
    assert tails[0] == tails[1]


def test_default_percentiles_of_a_hundred_features():
    map_ = torch.randn(4, 100, generator=seeded())
    for row in Percentiles(0.1, 0.9).categories(map_):
        assert torch.bincount(row).tolist() == [10, 80, 10]


def test_percentiles_are_over_all_axes_of_a_sample():
    map_ = torch.randn(3, 2, 4, 5)
    flat = Percentiles(0.1, 0.9).categories(map_.flatten(1))
    assert torch.equal(Percentiles(0.1, 0.9).categories(map_), flat.reshape(map_.shape))


def test_fewer_features_than_percents():
    # Nothing lies below a single feature.
    assert Percentiles(0.1, 0.9).categories(torch.tensor([[-4.0], [4.0]])).tolist() == [[2], [2]]


SELECTIONS = [Percentiles(*values) for values in PERCENTILES] + [Cutoff(), Cutoff(-0.5)]
SELECTIONS.append(Percentiles(0.1, 0.9, padding="include"))


@pytest.mark.parametrize("selection", SELECTIONS, ids=repr)
@settings(deadline=None, max_examples=15)
@given(map_=maps(), seed=st.integers(0, 99))
def test_choose_gives_every_feature_its_categorys_value(selection, map_, seed):
    by_category = torch.randn(len(map_), selection.n_categories, generator=seeded(seed))
    categories = selection.categories(map_)
    wanted = torch.stack([values[row] for values, row in zip(by_category, categories, strict=True)])
    chosen = selection.choose(map_, by_category).expand_as(map_)
    torch.testing.assert_close(chosen, wanted, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("selection", SELECTIONS, ids=repr)
@settings(deadline=None, max_examples=30)
@given(map_=maps(), seed=st.integers(0, 99))
def test_choose_is_exact_for_steps_of_one_size(selection, map_, seed):
    # What an adjustment of 0, 1 and -1 makes of a strength and a random factor; equal neighbours are frequent here.
    signs = torch.randint(-1, 2, (len(map_), selection.n_categories), generator=seeded(seed))
    by_category = signs * torch.randn(len(map_), 1, generator=seeded(seed)).abs()
    categories = selection.categories(map_).tolist()
    wanted = [[by_category[i, c].item() for c in row] for i, row in enumerate(categories)]
    assert selection.choose(map_, by_category).expand_as(map_).tolist() == wanted


@pytest.mark.parametrize("selection", SELECTIONS, ids=repr)
@settings(deadline=None, max_examples=15)
@given(map_=maps(), data=st.data())
def test_samples_do_not_touch_each_other(selection, map_, data):
    order = data.draw(st.permutations(range(len(map_))))
    assert torch.equal(selection.categories(map_[order]), selection.categories(map_)[order])
    alone = torch.cat([selection.categories(map_[i : i + 1]) for i in range(len(map_))])
    assert torch.equal(selection.categories(map_), alone)


@settings(deadline=None, max_examples=20)
@given(map_=maps(), factor=st.sampled_from([0.25, 2.0, 1024.0]))
def test_percentiles_know_order_only(map_, factor):
    selection = Percentiles(0.1, 0.9)
    assert torch.equal(selection.categories(map_ * factor), selection.categories(map_))


@settings(deadline=None, max_examples=20)
@given(map_=maps(), percentiles=st.sampled_from(PERCENTILES))
def test_both_branches_choose_alike(map_, percentiles):
    map_ = map_.to(torch.bfloat16)  # the same values in both dtypes
    selection = Percentiles(*percentiles)
    assert torch.equal(selection.categories(map_), selection.categories(map_.float()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_chooses_alike():
    map_ = torch.randn(5, 40, generator=seeded())
    for selection in SELECTIONS:
        assert torch.equal(selection.categories(map_.cuda()).cpu(), selection.categories(map_))


# --- values


@pytest.mark.parametrize("selection", SELECTIONS, ids=repr)
def test_is_a_value(selection):
    for copy in (
        pickle.loads(pickle.dumps(selection)),  # noqa: S301
        eval(repr(selection)),  # noqa: S307
        clone(ABA(selection=selection)).selection,
    ):
        assert copy is not selection
        assert copy == selection
        assert hash(copy) == hash(selection)
    assert [other == selection for other in SELECTIONS].count(True) == 1


def test_a_cutoff_is_no_percentile():
    assert Cutoff(0.5) != Percentiles(0.5)
    assert Cutoff(0.5) != 0.5


def test_numpys_numbers_are_numbers():
    assert Percentiles(*np.array([0.1, 0.9])) == Percentiles(0.1, 0.9)
    assert repr(Percentiles(*np.array([0.1, 0.9]))) == "Percentiles(0.1, 0.9)"
    assert repr(Cutoff(np.float32(0.5))) == "Cutoff(0.5)"


def test_the_base_class_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Selection()


# --- errors


@pytest.mark.parametrize("values", [(0.9, 0.1), (0.5, 0.5), (0.1, 0.3, 0.2)])
def test_percentiles_must_increase(values):
    with pytest.raises(ValueError, match=r"must increase strictly, for example 0\.1 and 0\.9; got \("):
        Percentiles(*values)


@pytest.mark.parametrize("values", [(0,), (1,), (10, 90), (-0.1, 0.5), (float("nan"),), ("0.1",), ((0.1, 0.9),)])
def test_percentiles_must_lie_inside_0_and_1(values):
    with pytest.raises(ValueError, match=r"must lie inside \(0, 1\), for example 0\.1 and 0\.9; got \("):
        Percentiles(*values)


@pytest.mark.parametrize("padding", ["ignore", None, True])
def test_there_are_two_rules_for_padding(padding):
    with pytest.raises(ValueError, match='padding must be "exclude" or "include", got'):
        Percentiles(0.1, 0.9, padding=padding)


class Own(Selection):
    def __init__(self, found):
        self.values, self.found = (0.0, 1.0), found

    def boundaries(self, attribution, wanted=None):
        return self.found


@pytest.mark.parametrize("found", [[0.0], [0.0, 1.0, 2.0], [0.0, torch.zeros(4)], [torch.zeros(1, 1), 1.0]])
def test_an_own_selection_must_return_what_it_says(found):
    with pytest.raises(ValueError, match=r"makes 3 categories, so boundaries\(\) must return 2 numbers or tensors"):
        Own(found).sort(torch.randn(4, 5))
    below = Own([-1.0, torch.ones(4, 1)]).sort(torch.randn(4, 5)).below
    assert [mask.shape for mask in below] == [(4, 5)] * 2


def test_a_percentile_next_to_1():
    map_ = torch.arange(20.0)[None]
    assert Percentiles(1 - 1e-12).categories(map_).tolist() == [[0] * 19 + [1]]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), "0", None])
def test_a_cutoff_must_be_finite(value):
    with pytest.raises(ValueError, match="Cutoff must be a finite number, got"):
        Cutoff(value)


def column(*values):
    return torch.tensor(values)[:, None]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, r"must return a list of 2 numbers or tensors of shape \(2, 1\); it returned a NoneType"),
        ([None, 0.5], r"must return 2 numbers or tensors .* of shapes \['NoneType', \(\)\]"),
        ([float("nan"), 0.5], r"boundaries\(\) returned NaN"),
        ([0.5, column(1.0, float("nan"))], r"boundaries\(\) returned NaN"),
        ([0.5, 0.1], r"returned descending boundaries; they must ascend"),
        ([column(0.1, 0.5), column(0.4, 0.4)], r"returned descending boundaries; they must ascend"),
        ([column(0.1, 0.5), 0.4], r"returned descending boundaries; they must ascend"),
    ],
)
def test_boundaries_that_bound_nothing_are_refused(found, message):
    with pytest.raises(ValueError, match=message):
        Own(found).sort(torch.rand(2, 5))


def test_boundaries_that_nobody_wants_may_be_anything():
    selection, wanted = Own([column(0.9, float("nan")), column(0.4, 0.4)]), torch.tensor([[True, False]] * 2)
    with pytest.raises(ValueError, match="returned NaN"):
        selection.sort(torch.rand(2, 5), wanted=wanted)
    wanted[1] = torch.tensor([False, True])
    selection.sort(torch.rand(2, 5), wanted=wanted)


def test_boundaries_may_be_equal_or_infinite():
    Own([0.5, 0.5]).sort(torch.rand(2, 5))
    Own([column(-torch.inf, 0.5), column(torch.inf, 0.5)]).sort(torch.rand(2, 5))


def test_boundaries_that_cannot_be_called_are_named():
    class Narrow(Own):
        def boundaries(self, attribution):
            return [0.2, 0.8]

    with pytest.raises(TypeError, match=r"must have a method boundaries\(attribution, wanted=None\).*too many"):
        Narrow(None).sort(torch.rand(2, 5))


def test_an_error_inside_own_boundaries_is_its_own():
    class Broken(Own):
        def boundaries(self, attribution, wanted=None):
            return len(None)

    with pytest.raises(TypeError, match="object of type 'NoneType' has no len"):
        Broken(None).sort(torch.rand(2, 5))
