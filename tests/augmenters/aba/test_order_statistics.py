"""Order statistics against counting and against sorting."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp

from skaba.augmenters.aba._order_statistics import LONG, STRIDE, order_statistics
from tests.tiny_nets import seeded

TIED = st.integers(-3, 3).map(float)  # few values, so that many are equal
SPREAD = st.floats(-100, 100, allow_nan=False, width=32)


@st.composite
def maps(draw):
    shape = (draw(st.integers(1, 5)), draw(st.integers(1, 30)))
    elements = draw(st.sampled_from([TIED, SPREAD]))
    return torch.from_numpy(draw(stnp.arrays(np.float32, shape, elements=elements)))


def smallest(row, rank):
    """The order statistic by counting, without sorting: the value with rank or fewer below and more at or below."""
    (value,) = {v for v in row if sum(w < v for w in row) <= rank < sum(w <= v for w in row)}
    return value


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@settings(deadline=None, max_examples=20)
@given(map_=maps(), data=st.data())
def test_order_statistics_by_counting(dtype, map_, data):
    # float16 and bfloat16 take kthvalue, the others NumPy's partition.
    map_ = map_.to(dtype)
    ranks = data.draw(st.lists(st.integers(0, map_.shape[1] - 1), max_size=4))
    copy = map_.clone()
    got = order_statistics(map_, ranks)
    assert all(values.dtype == dtype and values.shape == (len(map_), 1) for values in got)
    wanted = [[[smallest(row, rank)] for row in map_.tolist()] for rank in ranks]
    assert [values.tolist() for values in got] == wanted
    assert torch.equal(map_, copy)


LONG_ROWS = {
    "normal": lambda n: torch.randn(n, generator=seeded()),
    "sorted": lambda n: torch.arange(n).float(),
    "all equal": torch.ones,
    "few values": lambda n: torch.randint(-2, 3, (n,), generator=seeded()).float(),
    "half zero": lambda n: torch.randn(n, generator=seeded()).clamp(min=0),
    "the sample misleads": lambda n: torch.where(torch.arange(n) % STRIDE == 0, 100.0, torch.randn(n)),
    "infinite": lambda n: torch.where(torch.arange(n) % 3 == 0, float("inf"), -torch.arange(n).float()),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_features", [LONG, LONG + 1, 5000])
@pytest.mark.parametrize("kind", LONG_ROWS)
def test_long_rows_are_exact(kind, n_features, dtype):
    row = LONG_ROWS[kind](n_features).to(dtype)
    ranks = [0, 1, n_features // 10, n_features // 2, n_features - 2, n_features - 1]
    values = torch.stack([row, row.flip(0)])
    got = torch.cat(order_statistics(values, ranks), dim=1)
    assert torch.equal(got, row.sort().values[ranks].expand(2, -1))


def test_nan_sorts_last_in_long_rows_too():
    row = torch.randn(LONG)
    row[::5] = float("nan")
    ranks = [5, LONG // 2, LONG - 1]
    got = torch.cat(order_statistics(row[None], ranks), dim=1)
    np.testing.assert_array_equal(got[0], np.sort(row.numpy())[ranks])


@pytest.mark.parametrize("n_features", [7, LONG])
def test_what_is_wanted_is_right(n_features):
    values = torch.randn(3, n_features)
    wanted = torch.tensor([[True, False], [False, False], [False, True]])
    got = torch.cat(order_statistics(values, [1, 5], wanted), dim=1)
    assert torch.equal(got[wanted], values.sort(dim=1).values[:, [1, 5]][wanted])
