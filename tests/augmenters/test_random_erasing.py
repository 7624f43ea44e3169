"""RandomErasing against the algorithm of the paper in a plain loop."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, ks_2samp

from skaba.augmenters import RandomErasing
from skaba.network import FromLayer
from tests.tiny_nets import TextNet, seeded, words


def erased_places(erasing, shape, seed=0, model=None):
    result = erasing(model, torch.ones(shape), None, strength=1, criterion=None, generator=seeded(seed))
    return (result[:, 0] == 0).numpy()


def box(places):
    """The bounding box of what is erased: its start and its size."""
    axes = [
        np.flatnonzero(places.any(tuple(other for other in range(places.ndim) if other != axis)))
        for axis in range(places.ndim)
    ]
    return tuple(int(axis[0]) for axis in axes), tuple(len(axis) for axis in axes)


def box_by_hand(height, width, rng, min_area=0.02, max_area=0.4, min_aspect=0.3):
    """Zhong et al. (2020), algorithm 1, in its published implementation."""
    while True:
        area = height * width * rng.uniform(min_area, max_area)
        aspect = rng.uniform(min_aspect, 1 / min_aspect)
        h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if h <= height and w <= width:
            return (rng.integers(height - h + 1), rng.integers(width - w + 1)), (h, w)


def test_boxes_are_distributed_as_in_the_paper():
    places = erased_places(RandomErasing(probability=1, fill="zero"), (800, 1, 24, 32))
    ours = [box(sample) for sample in places]
    rng = np.random.default_rng(0)
    theirs = [box_by_hand(24, 32, rng) for _ in range(800)]
    for statistic in (
        lambda start, size: size[0],
        lambda start, size: size[1],
        lambda start, size: size[0] * size[1],
        lambda start, size: start[0],
        lambda start, size: start[1],
    ):
        assert ks_2samp([statistic(*b) for b in ours], [statistic(*b) for b in theirs]).pvalue > 1e-3


def test_what_is_erased_is_one_rectangle():
    for sample in erased_places(RandomErasing(probability=1, fill="zero"), (50, 2, 16, 12)):
        assert sample.sum() == math.prod(box(sample)[1])


@pytest.mark.parametrize(("min_area", "max_area"), [(0.02, 0.4), (0.25, 0.25), (0.5, 0.9)])
def test_of_a_series_a_stretch_is_erased(min_area, max_area):
    erasing = RandomErasing(probability=1, min_area=min_area, max_area=max_area, fill="zero")
    lengths = []
    for sample in erased_places(erasing, (60, 3, 200)):
        ((_,), (length,)) = box(sample)
        assert sample.sum() == length
        lengths.append(length)
    assert 200 * min_area - 1 <= min(lengths)
    assert max(lengths) <= 200 * max_area + 1


def test_a_sample_is_changed_with_the_probability():
    places = erased_places(RandomErasing(probability=0.3, fill="zero"), (400, 1, 8, 8))
    assert binomtest(int(places.any((1, 2)).sum()), 400, 0.3).pvalue > 1e-3


def test_a_sample_that_no_rectangle_fits_stays():
    tiny = RandomErasing(probability=1, min_area=0.001, max_area=0.001, fill="zero")
    assert not erased_places(tiny, (5, 1, 4, 4)).any()


def test_at_an_embedding_a_stretch_of_words_is_erased():
    net = TextNet()
    net.embedding.padding_idx = None
    model = FromLayer(net, "embedding", words())
    x = model.features() + 1
    result = RandomErasing(probability=1, min_area=0.4, max_area=0.4, fill="zero")(
        model, x, None, strength=1, criterion=None, generator=seeded()
    )
    zero = (result == 0).all(2)
    assert zero.sum(1).tolist() == [3] * len(x)  # of 7 words
    assert torch.equal(result[~zero], x[~zero])


def test_tables_and_bad_ranges_are_refused():
    with pytest.raises(ValueError, match="RandomErasing needs images or series"):
        erased_places(RandomErasing(), (2, 3))
    with pytest.raises(ValueError, match=r"min_area=0\.5 is larger than max_area=0\.4"):
        erased_places(RandomErasing(min_area=0.5), (2, 3, 4))
    with pytest.raises(ValueError, match="'min_aspect' parameter of RandomErasing"):
        erased_places(RandomErasing(min_aspect=2), (2, 3, 4))
