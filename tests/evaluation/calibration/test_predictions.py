"""Labels become column numbers of what a classifier predicts."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from skaba.evaluation.calibration._predictions import column_numbers


@pytest.mark.parametrize("classes", [["a", "b", "c"], ["c", "a", "b"], [3, 1, 2], [True, False]])
def test_finds_each_label_wherever_its_column_is(classes: list[Any]) -> None:
    estimator = SimpleNamespace(classes_=np.array(classes))
    drawn = np.random.default_rng(0).integers(len(classes), size=20)
    np.testing.assert_array_equal(column_numbers(estimator, estimator.classes_[drawn].tolist()), drawn)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", "d"], r"not seen in fit: \['d'\].*Known: \['a', 'b'\]"),
        ([["a"], ["b"]], "one class per sample"),
        (["a", None], "None or NaN"),
    ],
)
def test_what_is_refused(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        column_numbers(SimpleNamespace(classes_=np.array(["a", "b"])), y)
