"""The same numbers give the same results, however an array holds them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor, nn

from skaba import ABAClassifier
from tests.estimators.conftest import same, weights

SETTINGS: dict[str, Any] = {"max_epochs": 1, "verbose": 0, "random_state": 0, "train_split": None, "lr": 0.1}
VALUES = np.arange(-20, 20).repeat(5).reshape(40, 5) / 4 + np.arange(5)  # quarters, exact in float16 and bfloat16
X = VALUES.astype(np.float32)
Y = np.arange(40) % 2


def _net(**parameters: Any) -> ABAClassifier:
    settings = {"module": nn.Linear, "module__in_features": 5, "module__out_features": 2, **SETTINGS, **parameters}
    return ABAClassifier(augmenter="fgsm", **settings)


@pytest.fixture(scope="module")
def fitted() -> ABAClassifier:
    """A net fitted on float32."""
    return _net().fit(X, Y)


STEPS = st.sampled_from([slice(None), slice(None, None, -1), slice(None, None, 3), slice(35, None, -2)])


@settings(max_examples=60, deadline=None)
@given(hnp.floating_dtypes(endianness="?"), STEPS, st.booleans(), st.booleans())
def test_predictions_and_maps(fitted: Any, dtype: np.dtype, rows: slice, flip: bool, fortran: bool) -> None:
    layout = np.array(VALUES, dtype=dtype, order="F" if fortran else "C")[rows, :: -1 if flip else 1]
    plain = np.ascontiguousarray(layout, dtype=np.float32)
    np.testing.assert_array_equal(fitted.predict_proba(layout), fitted.predict_proba(plain))
    np.testing.assert_array_equal(fitted.attribute(layout), fitted.attribute(plain))
    np.testing.assert_array_equal(fitted.augment(layout, Y[rows]), fitted.augment(plain, Y[rows]))


@pytest.mark.parametrize(
    "layout",
    [
        VALUES.astype(np.float16),
        VALUES.astype(">f4"),
        VALUES.astype(">f8"),
        VALUES.astype(np.longdouble),
        VALUES[::-1][::-1],
        np.asfortranarray(VALUES),
        VALUES.astype(object),
        VALUES.tolist(),
        torch.as_tensor(VALUES).bfloat16(),
        torch.as_tensor(VALUES).half(),
        torch.as_tensor(X).requires_grad_(),
        pd.DataFrame(VALUES),
        pd.DataFrame(VALUES).astype("Float32"),
    ],
)
def test_training(fitted: Any, layout: Any) -> None:
    net = _net().fit(layout, Y)
    assert same(weights(net), weights(fitted))
    np.testing.assert_array_equal(net.predict(layout), fitted.predict(X))


@pytest.mark.parametrize("dtype", ["int8", "int16", "uint16", "uint32", "int32", "int64", ">i4", ">u2"])
def test_word_ids_of_any_width(dtype: str) -> None:
    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(100, 4)
            self.out = nn.Linear(4, 2)

        def forward(self, ids: Tensor) -> Tensor:
            return self.out(self.embedding(ids).mean(1))

    ids = np.random.default_rng(0).integers(100, size=(40, 6))
    nets = [ABAClassifier(Words, layer="embedding", augmenter="fgsm", **SETTINGS) for _ in range(2)]
    assert same(weights(nets[0].fit(ids.astype(dtype)[:, ::-1], Y)), weights(nets[1].fit(ids[:, ::-1].copy(), Y)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.float16])
def test_a_module_of_another_precision(dtype: torch.dtype) -> None:
    net = ABAClassifier(nn.Linear(5, 2).to(dtype), augmenter="fgsm", **SETTINGS).fit(X, Y)
    assert net.module_.weight.dtype == dtype
    assert net.predict_proba(VALUES).shape == (40, 2)
    np.testing.assert_array_equal(net.predict_proba(VALUES), net.predict_proba(torch.as_tensor(X).to(dtype)))
    assert np.isfinite(net.attribute(X)).all()


def test_values_beyond_float16() -> None:
    net = ABAClassifier(nn.Linear(5, 2).half(), augmenter="fgsm", **SETTINGS)
    with pytest.raises(ValueError, match=r"X holds 70000, which overflows to infinity in the module's float16"):
        net.fit(np.where(X.max() == X, 70000, X), Y)
