"""Ties at a boundary: exact counts, nested, no place favoured."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skaba.augmenters.aba._ties import NEARBY, _stride, exactly_below
from tests.tiny_nets import seeded


def column(*values):
    return torch.tensor(values).unsqueeze(1)


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 60), st.integers(0, 1000), st.data())
def test_counts_are_exact_and_larger_ones_take_in_smaller_ones(n_features, seed, data):
    values = torch.randint(-1, 2, (1, n_features), generator=seeded(seed)).float()
    least, most = int((values < 0).sum()), int((values <= 0).sum())
    counts = sorted(data.draw(st.lists(st.integers(least, most), min_size=2, max_size=4)))
    chosen = [exactly_below(values, column(0.0), column(count)) for count in counts]
    assert [int(below.sum()) for below in chosen] == counts
    for fewer, more in pairwise(chosen):
        assert not (fewer & ~more).any()
    for below in chosen:
        assert below[values < 0].all()
        assert not below[values > 0].any()


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 10**6))
def test_a_stride_comes_to_every_place(n):
    (stride,) = _stride(column(n))[0].tolist()
    assert int(torch.gcd(torch.tensor(stride), torch.tensor(n))) == 1
    assert stride <= 0.618 * n + NEARBY


def test_no_place_is_favoured():
    """20 of 40 features are tied, at random; 5 of them lie below. Each does as often as any other."""
    n, generator = 20_000, seeded(1)
    order = torch.rand(n, 40, generator=generator).argsort(dim=1)
    values = torch.cat([-torch.ones(10), torch.zeros(20), torch.ones(10)])[order]
    tied = values == 0
    below = exactly_below(values, torch.zeros(n, 1), torch.full((n, 1), 15)) & tied
    shares = below.sum(dim=0) / tied.sum(dim=0)
    # A place is tied in about 10,000 samples.
    torch.testing.assert_close(shares, torch.full((40,), 0.25), rtol=0, atol=4.5 * (0.25 * 0.75 / 10_000) ** 0.5)


def test_they_lie_evenly():
    below = exactly_below(torch.zeros(1, 1000), column(0.0), column(100))[0]
    gaps = below.nonzero().squeeze(1).diff()
    assert gaps.min() >= 5
    assert gaps.max() <= 20


def test_what_does_not_count_is_never_below_and_moves_nothing():
    values = torch.randint(-1, 2, (4, 12), generator=seeded()).float()
    n_below = (values < 0).sum(dim=1, keepdim=True) + 1
    wanted = exactly_below(values, torch.zeros(4, 1), n_below)
    for before, after in ((0, 5), (5, 0), (3, 2)):
        padded = torch.nn.functional.pad(values, (before, after))
        counted = torch.nn.functional.pad(torch.ones(4, 12), (before, after)).bool()
        below = exactly_below(padded, torch.zeros(4, 1), n_below, counted)
        assert torch.equal(below, torch.nn.functional.pad(wanted.float(), (before, after)).bool())


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_any_precision(dtype):
    values = torch.tensor([[0.0, 1.0, 0.0, 0.0]], dtype=dtype)
    assert int(exactly_below(values, column(0.0).to(dtype), column(2)).sum()) == 2
