"""check_targets: numbers and labels of any container, and what is no target."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from skaba._targets import as_array, check_targets


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([1, 2], np.array([1, 2])),
        (pd.Series([1, 2], dtype="Int64"), np.array([1, 2])),
        (pd.DataFrame({"a": [1, 0], "b": [0, 1]}).astype("boolean"), np.array([[True, False], [False, True]])),
        (np.array([1.5, 2], dtype=object), np.array([1.5, 2.0])),
        (torch.tensor([1.5, 2]).bfloat16(), np.array([1.5, 2], dtype=np.float32)),
        (torch.tensor([1.0, 2], requires_grad=True), np.array([1, 2], dtype=np.float32)),
        (np.array([1, 2], dtype=">i4")[::-1], np.array([2, 1], dtype=np.int32)),
        (np.ma.masked_array([1, 2]), np.array([1, 2])),
        (pd.Series(["a", "b"]), np.array(["a", "b"], dtype=object)),
        (pd.Categorical(["a", "b"]), np.array(["a", "b"], dtype=object)),
    ],
)
def test_read(given: Any, expected: np.ndarray) -> None:
    checked = check_targets(given)
    assert type(checked) is np.ndarray
    assert checked.dtype.kind == expected.dtype.kind
    np.testing.assert_array_equal(checked, expected)


def test_a_list_of_scalar_tensors() -> None:
    np.testing.assert_array_equal(as_array([torch.tensor(1), torch.tensor(2)]), [1, 2])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([1.0, np.inf], "y contains NaN or infinity: 1 of 2 values, the first in sample 1"),
        ([1.0, -1e300], r"y holds -1e\+300 in sample 1, a float64 value that overflows"),
        ([1j, 2], "Complex data not supported: y"),
        (np.array([1j, 2], dtype=object), "Complex data not supported: y"),
        (np.array(["2020-01-01"], dtype="M8[D]"), r"y holds datetime64\[D\] values. Turn dates into labels"),
        (pd.Series(pd.to_timedelta([1, 2], unit="D")), "y holds timedelta64"),
        (pd.Series(["a", pd.NA], dtype="string"), "y contains None or NaN.*drop those without one"),
        (pd.Series([1, pd.NA], dtype="Int64").astype(object), "y contains None or NaN"),
        (pd.Series([True, pd.NA], dtype="boolean"), "y contains None or NaN"),
        ([None, "a"], "y contains None or NaN"),
        (np.ma.masked_array([1, 2, 3], [0, 1, 0]), r"y is a masked array with 1 masked values.*y.filled\(value\)"),
        (pd.Series([np.zeros(2), np.zeros(2)]), r"y is an array of arrays.*np.stack\(y\)"),
        ([[1], [1, 2]], "y has targets of different lengths"),
        (np.array([b"a", b"b"]), r"y holds bytes.*y.astype\(str\)"),
        (sparse.csr_array(np.eye(2)), "y is a sparse matrix"),
        (3, "got the scalar"),
    ],
)
def test_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_targets(given)
