"""The digits, which need no download."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets

from skaba.datasets import load_digits


@pytest.mark.parametrize(("subset", "size"), [("tiny", 100), ("medium", 500), ("full", 1000)])
def test_shapes_types_and_range(subset: str, size: int) -> None:
    digits = load_digits(subset)
    assert digits.X_train.shape == (size, 1, 8, 8)
    assert len(digits.X_valid) == len(digits.y_valid) == 297
    assert len(digits.X_test) == len(digits.y_test) == 500
    assert digits.X_train.dtype == np.float32
    assert digits.y_train.dtype == np.int64
    assert digits.X_test.min() == 0
    assert digits.X_test.max() == 1
    assert digits.target_names == list("0123456789")
    assert "CC BY" in digits.DESCR


def test_all_samples_are_scikit_learns() -> None:
    digits = load_digits("full")
    X = np.concatenate([digits.X_train, digits.X_valid, digits.X_test])
    y = np.concatenate([digits.y_train, digits.y_valid, digits.y_test])
    pixels, labels = datasets.load_digits(return_X_y=True)
    ours = sorted((tuple(image.ravel() * 16), label) for image, label in zip(X, y, strict=True))
    theirs = sorted((tuple(image), label) for image, label in zip(pixels, labels, strict=True))
    assert ours == theirs


def test_balance_and_seed() -> None:
    first, second, other = load_digits("tiny"), load_digits("tiny"), load_digits("tiny", random_state=1)
    assert np.bincount(first.y_train).tolist() == [10] * 10
    np.testing.assert_array_equal(first.X_train, second.X_train)
    assert not np.array_equal(first.X_train, other.X_train)


def test_an_unknown_subset() -> None:
    with pytest.raises(ValueError, match="full, medium, tiny"):
        load_digits("small")
