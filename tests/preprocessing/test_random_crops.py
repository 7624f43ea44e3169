"""Random crops: pieces of the series, drawn by their own generator."""

import copy
import pickle

import numpy as np
import pytest
import torch

from skaba.preprocessing import RandomCrops

SERIES = [(np.arange(20.0).reshape(2, 10) + 100 * i, i) for i in range(50)]


def test_crops_are_pieces_of_their_series_from_all_starts():
    x, y = RandomCrops(4)(SERIES)
    assert (x.shape, y.tolist()) == ((50, 2, 4), list(range(50)))
    starts = [int(crop[0, 0]) - 100 * i for i, crop in enumerate(x)]
    for (series, _), crop, start in zip(SERIES, x, starts, strict=True):
        assert np.array_equal(crop, series[:, start : start + 4])
    assert set(starts) == set(range(7))


def test_the_seed_alone_decides():
    torch.manual_seed(1)
    np.random.seed(1)
    crops = RandomCrops(4, random_state=3)
    copies = [copy.deepcopy(crops), pickle.loads(pickle.dumps(crops))]  # noqa: S301
    first, second = crops(SERIES)[0], crops(SERIES)[0]
    assert not first.equal(second)
    for again in (RandomCrops(4, random_state=3), *copies):
        assert again(SERIES)[0].equal(first)
        assert again(SERIES)[0].equal(second)
    before = torch.get_rng_state()
    crops(SERIES)
    assert torch.get_rng_state().equal(before)


def test_series_of_the_length_of_a_crop_are_whole_and_shorter_ones_are_refused():
    assert np.array_equal(RandomCrops(10)(SERIES)[0][3], SERIES[3][0])
    with pytest.raises(ValueError, match=r"series of shape \(2, 10\) is shorter than a crop of 11"):
        RandomCrops(11)(SERIES)
