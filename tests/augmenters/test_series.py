"""Shifts, factors and masks of series in closed form, at the input and at an embedding."""

import pytest
import torch

from skaba.augmenters import Scaling, TimeMask, TimeShift
from skaba.network import FromLayer
from tests.tiny_nets import TextNet, images, seeded, words

RAMP = torch.arange(40.0).expand(500, 2, 40).contiguous()


def called(augmenter, x, strength, seed=0, model=None):
    return augmenter(model, x, None, strength=strength, criterion=None, generator=seeded(seed))


def test_a_shift_moves_all_channels_together_and_repeats_the_border():
    shifted = called(TimeShift(), RAMP, 0.1)
    by = (RAMP - shifted)[:, 0, 20]
    expected = (torch.arange(40.0) - by[:, None]).clamp(0, 39)
    assert torch.equal(shifted, expected[:, None].expand_as(RAMP))


def test_all_shifts_up_to_the_strength_are_drawn_equally_often():
    by = (RAMP - called(TimeShift(), RAMP, 0.1))[:, 0, 20]
    values, counts = by.unique(return_counts=True)
    assert values.tolist() == list(range(-4, 5))
    assert counts.min() > 500 / 9 - 4 * (500 / 9) ** 0.5


def test_below_one_step_nothing_is_shifted():
    assert torch.equal(called(TimeShift(), RAMP, 0.02), RAMP)


@pytest.mark.parametrize("shape", [(2000, 3), (2000, 3, 5), (2000, 3, 4, 5)], ids=["table", "series", "image"])
def test_factors_are_one_per_channel_with_the_strength_as_deviation(shape):
    factors = called(Scaling(), torch.ones(shape), 0.2).reshape(2000, 3, -1)
    assert torch.equal(factors, factors[:, :, :1].expand_as(factors))
    assert factors[:, :, 0].mean() == pytest.approx(1, abs=0.02)
    assert factors[:, :, 0].std() == pytest.approx(0.2, rel=0.05)
    assert abs(torch.corrcoef(factors[:, :, 0].T)[0, 1]) < 0.08


def test_scaling_stays_in_its_range():
    scaled = called(Scaling(clip=(0, 1)), torch.ones(50, 3), 0.5)
    assert scaled.max() == 1
    assert scaled.min() >= 0


def test_a_mask_is_one_stretch_up_to_the_strength():
    masked = called(TimeMask(), RAMP + 1, 0.2) == 0
    assert torch.equal(masked[:, 0], masked[:, 1])
    assert masked[:, 0].sum(dim=1).unique().tolist() == list(range(9))
    ends = masked[:, 0].int().diff(dim=1).abs().sum(dim=1)
    assert ends.max() == 2
    assert masked[:, 0, 0].any()
    assert masked[:, 0, -1].any()


@pytest.mark.parametrize("augmenter", [TimeShift(), TimeMask()], ids=repr)
def test_only_series_have_an_axis_of_time(augmenter):
    for x in (torch.ones(2, 3), images()):
        with pytest.raises(ValueError, match="needs series"):
            called(augmenter, x, 0.5)


def test_at_an_embedding_whole_words_are_masked_and_padding_stays():
    net, ids = TextNet(), words()
    view = FromLayer(net, "embedding", ids)
    embedded = view.features()
    masked = called(TimeMask(), embedded, 1.0, seed=1, model=view)
    gone = (masked == 0).all(dim=2)
    assert torch.equal(masked[~gone], embedded[~gone])
    assert (gone & (ids != 0)).any()
    shifted = called(TimeShift(), embedded, 0.5, seed=1, model=view)
    assert (shifted[ids == 0] == 0).all()
    assert not torch.equal(shifted, embedded)
