"""check_samples: every readable layout is handed on unchanged in value and shape; the rest is refused by name."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse
from skorch.helper import SliceDataset
from torch.utils.data import TensorDataset

from skaba._samples import check_length, check_samples, is_missing

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)

DTYPES = st.one_of(
    hnp.floating_dtypes(endianness="?"),
    hnp.integer_dtypes(endianness="?"),
    hnp.unsigned_integer_dtypes(endianness="?", sizes=(8, 16, 32)),
    hnp.boolean_dtypes(),
)


@st.composite
def layouts(draw: Any) -> np.ndarray:
    """An array of any dtype and byte order, seen through flips, steps, transposes and repeated rows."""
    dtype = draw(DTYPES)
    floats = {"min_value": -1000, "max_value": 1000, "allow_nan": False} if dtype.kind == "f" else None
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=4, min_side=1, max_side=4))
    values = draw(hnp.arrays(dtype, shape, elements=floats))
    steps = draw(
        st.tuples(*[st.sampled_from([slice(None), slice(None, None, -1), slice(None, None, 2)])] * values.ndim)
    )
    seen = values[steps].transpose(draw(st.permutations(range(values.ndim))))
    return np.broadcast_to(seen[:1], seen.shape) if draw(st.booleans()) else seen


@pytest.mark.filterwarnings("ignore:The given NumPy array is not writable")
@settings(max_examples=150, deadline=None)
@given(layouts())
def test_any_layout_becomes_a_tensor_of_the_same_values(values: np.ndarray) -> None:
    checked = check_samples(values, floats=False)
    assert checked.shape == values.shape
    np.testing.assert_array_equal(torch.as_tensor(np.array(checked)).double().numpy(), values.astype(np.float64))
    torch.as_tensor(checked[0])  # as a DataLoader reads it: no negative strides, no foreign byte order


def test_an_array_that_can_be_read_is_not_copied() -> None:
    for values in (X, X.astype(np.float64), X.astype(np.int64), X.astype(np.uint8)):
        assert check_samples(values, floats=False) is values


@pytest.mark.filterwarnings("ignore:the matrix subclass")
def test_lists_and_frames_of_any_number_type() -> None:
    frame = pd.DataFrame(X.astype(np.float64))
    matrix = np.asmatrix(X)
    for given_ in (X.tolist(), tuple(map(tuple, X.tolist())), frame, frame.convert_dtypes(), X.astype(object), matrix):
        checked = check_samples(given_, floats=True)
        assert type(checked) is np.ndarray
        np.testing.assert_array_equal(checked, X)


def test_nullable_integers_and_booleans_stay_what_they_are() -> None:
    assert check_samples(pd.DataFrame({"a": [1, 2]}).astype("Int64"), floats=False).dtype == np.int64
    assert check_samples(pd.DataFrame({"a": [True, False]}).astype("boolean"), floats=False).dtype == bool


def test_what_is_drawn_lazily_is_left_alone() -> None:
    dataset = TensorDataset(torch.zeros(3, 2), torch.zeros(3))
    for lazy in (dataset, SliceDataset(dataset, 0)):
        assert check_samples(lazy, floats=True) is lazy


def test_several_inputs_are_read_like_one() -> None:
    parts = check_samples((X[:, ::-1], torch.as_tensor(X)), floats=False)
    np.testing.assert_array_equal(torch.as_tensor(parts[0]), X[:, ::-1].copy())
    named = check_samples({"a": pd.DataFrame(X), "b": X.astype(">f4")}, floats=False)
    assert list(named) == ["a", "b"]
    assert named["b"].dtype == np.float32


def _with(value: Any, dtype: Any = np.float64) -> np.ndarray:
    values = X.astype(dtype)
    values[3, 1] = value
    return values


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        (_with(1e300), r"X holds 1e\+300 in sample 3, a float64 value that overflows to infinity in float32.*Scale"),
        (pd.DataFrame(_with(-1e300)), r"X holds -1e\+300 in sample 3"),
        (
            _with(np.longdouble("1e400"), np.longdouble),
            "X contains NaN or infinity: 1 of 36 values, the first in sample 3",
        ),
        (torch.as_tensor(_with(1e300)), r"X holds 1e\+300 in sample 3"),
        ({"image": _with(1e300)}, r"X\['image'\] holds 1e\+300"),
        ((X, _with(np.nan)), r"X\[1\] contains NaN or infinity: 1 of 36 values, the first in sample 3"),
        ([X, torch.as_tensor(_with(np.inf))], r"X\[1\] contains NaN or infinity"),
        (_with(np.inf, np.float16), "X contains NaN or infinity"),
        (_with(pd.NA, object), "X contains NaN or infinity: 1 of 36 values, the first in sample 3"),
        (pd.DataFrame(X).convert_dtypes().mask(pd.DataFrame(X) == X[5, 0]), "X contains NaN or infinity"),
        (np.ma.masked_greater(X, 1), r"masked array with \d+ masked values.*X.filled\(value\), or drop"),
        ({"a": np.ma.masked_greater(X, 1)}, r"X\['a'\] is a masked array"),
        (pd.Series(X[:, 0]), r"X has shape \(12,\) and so no batch axis.*X.to_frame\(\)"),
        (pd.Series(list(X)), r"X is an array of arrays.*np.stack\(X\)"),
        ([[1, 2], [3]], "X is a list of samples of different lengths.*Pad them"),
        ([np.zeros(3), np.zeros(2)], r"2 inputs with different numbers of samples: 2 in X\[1\], 3 in X\[0\].*np.stack"),
        (["good", "bad"], "X holds <U4 values; a network needs numbers.*WordSequences"),
        (np.array([["1.5"]], dtype=object), "'1.5' is text"),
        (pd.DataFrame({"a": [1.0], "b": ["x"]}), "'x' is text"),
        (np.array([["2020-01-01"]], dtype="M8[D]"), r"X holds datetime64\[D\] values"),
        (X.astype(complex).astype(object), "Complex data not supported"),
        (np.array([[2**64 - 1]], dtype=np.uint64), "18446744073709551615, which is beyond int64"),
        ([], "X has 0 sample"),
        ({"a": X[:0]}, r"X\['a'\] has 0 sample"),
        ({}, "no inputs"),
        (None, "X is None"),
        (3, "no batch axis"),
    ],
)
def test_refused(given_: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_samples(given_, floats=False)


@pytest.mark.parametrize("matrix", [sparse.csr_array(X), torch.as_tensor(X).to_sparse()])
def test_sparse_matrices_are_refused(matrix: Any) -> None:
    for given_ in (matrix, {"a": matrix}):
        with pytest.raises(TypeError, match=r"sparse matrix.*(toarray|to_dense)"):
            check_samples(given_, floats=False)


def test_a_mask_that_hides_nothing_is_no_matter() -> None:
    np.testing.assert_array_equal(check_samples(np.ma.masked_array(X), floats=True), X)


def test_the_largest_float32_is_allowed() -> None:
    largest = np.finfo(np.float32).max
    for values in (np.array([[largest]]), np.array([[-largest]], dtype=np.float64)):
        assert np.isfinite(check_samples(values, floats=True).astype(np.float32)).all()


def test_length() -> None:
    check_length(X, np.zeros(12))
    with pytest.raises(ValueError, match=r"has 12 samples.*but y has 13. Pass one target per sample"):
        check_length(X, np.zeros(13))


@pytest.mark.parametrize(
    ("value", "missing"), [(None, True), (np.nan, True), (pd.NA, True), (pd.NaT, True), (0, False), ("", False)]
)
def test_missing(value: Any, missing: bool) -> None:
    assert is_missing(value) is missing
