"""FPA: which places are erased, and how often."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp
from scipy.ndimage import label
from scipy.stats import binomtest, chisquare, kstest

from skaba.augmenters import FPA
from skaba.augmenters._fpa import covered
from skaba.network import FromLayer
from tests.tiny_nets import TextNet, seeded, words


def perturbed(fpa, x, seed=0, strength=1, model=None):
    return fpa(model, x, None, strength=strength, criterion=None, generator=seeded(seed))


def share(fpa, shape, seed):
    return float((perturbed(fpa, torch.ones(shape), seed) == 0).float().mean())


def covered_by_hand(sides):
    """The text of the paper, in plain loops: each square is set to 0 where it lies inside the sample."""
    wanted = np.zeros(sides.shape, dtype=bool)
    for place in np.ndindex(*sides.shape):
        sample, *corner = place
        wanted[(sample, *(slice(at, at + sides[place]) for at in corner))] |= sides[place] > 0
    return wanted


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_squares_cover_what_plain_loops_cover(data):
    shape = data.draw(st.sampled_from([(2, 7), (1, 1), (2, 5, 6), (1, 3, 4, 5)]))
    max_side = data.draw(st.integers(1, 9))
    sides = data.draw(stnp.arrays(np.int32, shape, elements=st.integers(0, max_side), fill=st.just(0)))
    assert np.array_equal(covered(torch.from_numpy(sides), max_side).numpy(), covered_by_hand(sides))


def test_a_place_is_erased_in_all_channels():
    x = torch.rand(4, 3, 16, 16, generator=seeded()) + 1
    zero = perturbed(FPA(probability=1), x, seed=1) == 0
    assert zero.any()
    assert torch.equal(zero, zero[:, :1].expand_as(zero))


def test_what_is_not_erased_stays():
    x = torch.rand(4, 3, 16, 16, generator=seeded()) + 1
    result = perturbed(FPA(probability=1), x, seed=1)
    assert torch.equal(result[result != 0], x[result != 0])


def test_one_share_is_drawn_for_the_whole_batch():
    """Were it drawn for each sample, their shares would be spread evenly up to p1_max."""
    fpa = FPA(p1_max=0.5, p2=0, probability=1)
    counts = (perturbed(fpa, torch.ones(200, 1, 20, 20), seed=3) == 0).flatten(1).sum(1).numpy()
    p1 = counts.mean() / 400
    assert 0.05 < p1 < 0.5
    assert 0.7 < counts.var() / (400 * p1 * (1 - p1)) < 1.4  # binomial; with shares of their own it would be above 20


def test_the_share_is_uniform_up_to_its_maximum():
    fpa = FPA(p1_max=0.4, p2=0, probability=1)
    shares = [share(fpa, (1, 1, 100, 100), seed) for seed in range(150)]
    assert kstest(np.array(shares) / 0.4, "uniform").pvalue > 1e-3


def test_a_batch_is_perturbed_with_the_probability():
    fpa = FPA(p1_max=1, probability=0.3)
    perturbed_batches = sum(share(fpa, (1, 1, 30, 30), seed) > 0 for seed in range(300))
    assert binomtest(perturbed_batches, 300, 0.3).pvalue > 1e-3


def test_erased_places_start_squares_of_all_sides_alike():
    """Of so few places hardly two touch: a connected piece is a place, or a square of side 2 or 3."""
    holes = perturbed(FPA(p1_max=0.001, p2=0.6, max_side=3, probability=1), torch.ones(300, 1, 60, 60), seed=1) == 0
    inner = [label(image[:56, :56])[0] for image in holes[:, 0].numpy()]
    sizes = np.concatenate([np.unique(pieces[pieces > 0], return_counts=True)[1] for pieces in inner])
    counts = [int((sizes == area).sum()) for area in (1, 4, 9)]
    assert sum(counts) > 200
    assert sum(counts) > 0.9 * len(sizes)
    assert chisquare(counts, np.array([0.6, 0.2, 0.2]) * sum(counts)).pvalue > 1e-3


def test_of_a_series_stretches_of_time_are_erased():
    zero = perturbed(FPA(p1_max=0.02, p2=1, max_side=40, probability=1), torch.ones(20, 12, 500)) == 0
    assert torch.equal(zero, zero[:, :1].expand_as(zero))
    lengths = np.concatenate(
        [np.diff(np.flatnonzero(np.diff(np.r_[0, row, 0])))[::2] for row in zero[:, 0].int().numpy()]
    )
    assert lengths.mean() > 10


def test_a_tables_features_are_erased_one_by_one():
    table = FPA(p1_max=0.2, p2=1, max_side=50, probability=1)
    assert 0 < share(table, (200, 100), 1) < 0.2


def test_at_an_embedding_words_are_erased():
    model = FromLayer(TextNet(), "embedding", words())
    x = model.features()
    zero = perturbed(FPA(p1_max=1, probability=1), x, seed=1, model=model)[words() != 0] == 0
    assert torch.equal(zero.any(1), zero.all(1))
    assert 0 < zero.any(1).float().mean() < 1


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"p1_max": 1.5}, "p1_max"),
        ({"p2": -0.1}, "p2"),
        ({"max_side": 0}, "max_side"),
        ({"probability": 2}, "probability"),
        ({"fill": "black"}, "fill"),
        ({"fill": float("nan")}, "fill"),
    ],
)
def test_parameters_that_are_not_allowed_are_named(parameters, name):
    with pytest.raises(ValueError, match=f"'{name}' parameter of FPA"):
        perturbed(FPA(**parameters), torch.ones(2, 3))


def test_samples_without_features_and_whole_numbers_are_refused():
    with pytest.raises(ValueError, match=r"FPA takes a batch, \(n, \.\.\.\).* x has shape \(3,\)"):
        perturbed(FPA(), torch.ones(3))
    with pytest.raises(TypeError, match=r"FPA needs floating-point samples, got torch\.uint8"):
        perturbed(FPA(), torch.ones(3, 1, 4, 4, dtype=torch.uint8))
