import tarfile
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skaba.preprocessing import ECGScaler

records = arrays(
    np.float64,
    array_shapes(min_dims=3, max_dims=3, max_side=6),
    elements=st.integers(-1000, 1000).map(lambda v: v / 100),
)


@given(X=records)
def test_inverse_transform_undoes_transform(X):
    scaler = ECGScaler().fit(X)
    np.testing.assert_allclose(scaler.inverse_transform(scaler.transform(X)), X, atol=1e-4)


@given(X=records)
def test_agrees_with_the_standard_scaler_on_time_as_samples(X):
    scaler = ECGScaler().fit(X)
    flat = X.transpose(0, 2, 1).reshape(-1, X.shape[1])
    expected = StandardScaler().fit(flat)
    np.testing.assert_allclose(scaler.mean_, expected.mean_, atol=1e-12)
    np.testing.assert_allclose(scaler.scale_, expected.scale_)
    result = scaler.transform(X).transpose(0, 2, 1).reshape(flat.shape)
    np.testing.assert_allclose(result, expected.transform(flat), atol=1e-5)


@given(X=records)
def test_scaling_scaled_records_changes_nothing(X):
    scaled = ECGScaler().fit_transform(X)
    np.testing.assert_allclose(ECGScaler().fit_transform(scaled), scaled, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_constant_leads_are_only_centred(value):
    X = np.random.default_rng(0).normal(size=(5, 3, 70)).astype(np.float32)
    X[:, 1] = value
    scaler = ECGScaler().fit(X)
    assert scaler.scale_[1] == 1.0
    assert np.all(scaler.scale_[[0, 2]] != 1.0)
    np.testing.assert_allclose(scaler.transform(X)[:, 1], 0.0, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
def test_returns_float32_and_does_not_change_its_input(dtype):
    X = (100 * np.random.default_rng(0).normal(size=(4, 2, 10))).astype(dtype)
    before = X.copy()
    scaler = ECGScaler().fit(X)
    for result in (scaler.transform(X), scaler.inverse_transform(X)):
        assert result.dtype == np.float32
        assert not np.shares_memory(result, X)
    np.testing.assert_array_equal(X, before)


def test_learns_from_the_training_records_only():
    X = np.random.default_rng(0).normal(3.0, 2.0, size=(4, 2, 100))
    scaler = ECGScaler().fit(X)
    np.testing.assert_allclose(scaler.transform(X + scaler.scale_[:, None]), scaler.transform(X) + 1, atol=1e-5)


def test_long_records_may_be_cut_after_fit():
    X = np.random.default_rng(0).normal(size=(4, 2, 100))
    scaler = ECGScaler().fit(X)
    np.testing.assert_array_equal(scaler.transform(X[..., :25]), scaler.transform(X)[..., :25])


@pytest.mark.parametrize("shape", [(12, 100), (100,), (2, 3, 12, 100), (2, 0, 5), (2, 3, 0)])
def test_other_shapes_are_an_error(shape):
    with pytest.raises(ValueError, match=r"shape \(n, leads, samples\)"):
        ECGScaler().fit(np.ones(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("method", ["fit", "transform", "inverse_transform"])
def test_values_that_are_not_finite_are_an_error(value, method):
    X = np.random.default_rng(0).normal(size=(4, 2, 10))
    scaler = ECGScaler().fit(X)
    X[1, 1, 1] = value
    with pytest.raises(ValueError, match="X contains"):
        getattr(scaler, method)(X)


def test_another_number_of_leads_is_an_error():
    scaler = ECGScaler().fit(np.ones((2, 12, 5)))
    with pytest.raises(ValueError, match="X has 3 leads, but ECGScaler was fitted on 12"):
        scaler.transform(np.ones((2, 3, 5)))


def test_needs_fit_and_clones():
    with pytest.raises(NotFittedError):
        ECGScaler().transform(np.ones((1, 1, 1)))
    assert not hasattr(clone(ECGScaler().fit(np.ones((1, 1, 1)))), "mean_")


def test_works_in_a_pipeline():
    X = np.random.default_rng(0).normal(5.0, size=(4, 2, 10))
    result = make_pipeline(ECGScaler(), FunctionTransformer(np.abs)).fit_transform(X)
    np.testing.assert_array_equal(result, np.abs(ECGScaler().fit_transform(X)))


def test_standardises_real_records(real_data, tmp_path):
    wfdb = pytest.importorskip("wfdb")
    folder = tmp_path / "records100" / "00000"
    with tarfile.open(real_data / "ptbxl" / "ptbxl-first500-100hz.tar.gz") as archive:
        members = [m for m in archive if m.name.startswith("records100/00000/0000") and m.isfile()]
        archive.extractall(tmp_path, members=members, filter="data")
    names = sorted(path.with_suffix("") for path in folder.glob("*.hea"))
    X = np.stack([wfdb.rdrecord(str(name)).p_signal.T for name in names])
    assert X.shape == (9, 12, 1000)
    scaled = ECGScaler().fit_transform(X)
    np.testing.assert_allclose(scaled.mean(axis=(0, 2)), 0.0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=(0, 2)), 1.0, atol=1e-5)


def test_swapped_axes_give_a_warning():
    """With time as the middle axis, as in wfdb, each time step would be standardised separately."""
    X = np.random.default_rng(0).normal(size=(3, 2, 50))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ECGScaler().fit(X)
    with pytest.warns(UserWarning, match=r"X has 50 leads of 2 samples each.*X.transpose\(0, 2, 1\)"):
        ECGScaler().fit(X.transpose(0, 2, 1))
