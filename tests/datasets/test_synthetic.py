import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from skaba.datasets._synthetic import FIBRILLATION, NORMAL, ST_ELEVATION, make_ecg, make_messages
from skaba.preprocessing import WordSequences


@settings(max_examples=15, deadline=None)
@given(
    n_samples=st.integers(1, 7),
    n_times=st.integers(1, 700),
    sampling_rate=st.sampled_from([1.0, 50, 100.0, 500.0]),
    noise=st.floats(0.0, 1.0),
    seed=st.integers(0, 99),
)
def test_ecgs_have_the_shape_asked_for(n_samples, n_times, sampling_rate, noise, seed):
    X, y = make_ecg(n_samples, n_times=n_times, sampling_rate=sampling_rate, noise=noise, random_state=seed)
    assert X.shape == (n_samples, 12, n_times)
    assert (X.dtype, y.dtype) == (np.float32, np.int64)
    assert np.isfinite(X).all()
    assert sorted(y) == sorted(i % 3 for i in range(n_samples))


def test_leads_obey_einthoven_and_goldberger():
    X, _ = make_ecg(9, noise=0.2, random_state=0)
    one, two, three, avr, avl, avf = X[:, :6].transpose(1, 0, 2)
    np.testing.assert_allclose(one + three, two, atol=1e-5)
    np.testing.assert_allclose(avr + avl + avf, 0.0, atol=1e-5)
    np.testing.assert_allclose(avr, -(one + two) / 2, atol=1e-5)
    np.testing.assert_allclose(avf, (two + three) / 2, atol=1e-5)


def test_clean_leads_are_projections_of_a_dipole_and_noise_is_not():
    clean, _ = make_ecg(3, noise=0.0, random_state=0)
    noisy, _ = make_ecg(3, noise=0.1, random_state=0)
    assert all(np.linalg.matrix_rank(record, tol=1e-3) == 3 for record in clean)
    assert all(np.linalg.matrix_rank(record, tol=1e-3) == 8 for record in noisy)
    # White noise of 0.1 mV plus a sine of typical amplitude 0.1 mV, in a measured lead.
    assert (noisy - clean)[:, [0, 1, 6, 7, 8, 9, 10, 11]].std() == pytest.approx(0.1 * np.sqrt(1.5), rel=0.2)


def r_peaks(lead):
    """Samples where the R waves are: where lead II bends most within a third of a second."""
    padded = np.pad(lead, 3, mode="edge")
    bend = 2 * lead - padded[:-6] - padded[6:]
    window = np.lib.stride_tricks.sliding_window_view(np.pad(bend, 15, mode="edge"), 31)
    return np.flatnonzero((bend == window.max(axis=1)) & (bend > 0.5 * bend.max()))


@pytest.fixture(scope="module")
def clean():
    return make_ecg(60, n_times=2000, noise=0.0, random_state=3)


def test_heart_beats_at_a_resting_rate(clean):
    X, y = clean
    rates = [len(r_peaks(record[1])) * 60 / 20 for record in X[y != FIBRILLATION]]
    assert 50 < min(rates) < max(rates) < 100
    assert max(rates) - min(rates) > 20


def test_beats_are_irregular_in_fibrillation_only(clean):
    X, y = clean
    variation = np.array([np.diff(p).std() / np.diff(p).mean() for p in (r_peaks(r[1]) for r in X)])
    assert variation[y != FIBRILLATION].max() < 0.08
    assert variation[y == FIBRILLATION].min() > 0.1


def average_beat(record):
    beats = [record[:, p - 25 : p + 40] for p in r_peaks(record[1]) if 25 <= p < record.shape[1] - 40]
    return np.mean(beats, axis=0)


def test_classes_differ_where_their_names_say(clean):
    X, y = clean
    normal, elevated, fibrillating = (
        np.mean([average_beat(record) for record in X[y == c]], axis=0) for c in (NORMAL, ST_ELEVATION, FIBRILLATION)
    )
    p_wave, st_segment, t_wave = slice(5, 15), slice(35, 40), slice(45, 55)
    v2 = 7
    assert elevated[v2, st_segment].mean() > normal[v2, st_segment].mean() + 0.15
    assert elevated[v2, t_wave].mean() > 1.2 * normal[v2, t_wave].mean()
    assert np.ptp(normal[1, p_wave]) > 3 * np.ptp(fibrillating[1, p_wave])
    assert normal[1].argmax() == 25
    assert 0.5 < normal[1].max() < 2.0


@pytest.mark.parametrize("make", [make_ecg, make_messages])
def test_random_state_decides_everything(make):
    def fingerprint(state):
        X, y, *vectors = make(12, random_state=state)
        return np.asarray(X).tobytes(), y.tobytes(), *(v.vectors.tobytes() for v in vectors)

    np.random.seed(1)
    random.seed(1)
    first = fingerprint(5)
    assert fingerprint(5) == first
    assert fingerprint(np.random.default_rng(5)) == first
    assert fingerprint(6) != first
    assert fingerprint(np.random.RandomState(5)) == fingerprint(np.random.RandomState(5))
    assert fingerprint(None) != fingerprint(None)


@pytest.mark.parametrize("make", [make_ecg, make_messages])
@pytest.mark.parametrize("state", [None, 0])
def test_global_random_state_is_neither_used_nor_changed(make, state):
    before = np.random.get_state()[1].copy()
    make(5, random_state=state)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(
    ("make", "parameters", "name"),
    [
        (make_ecg, {"n_samples": 0}, "n_samples"),
        (make_ecg, {"n_times": 0}, "n_times"),
        (make_ecg, {"sampling_rate": 0.0}, "sampling_rate"),
        (make_ecg, {"noise": -0.1}, "noise"),
        (make_messages, {"n_samples": 1.5}, "n_samples"),
        (make_messages, {"n_topics": 7}, "n_topics"),
        (make_messages, {"dimension": 0}, "dimension"),
    ],
)
def test_wrong_parameters_are_an_error(make, parameters, name):
    with pytest.raises(ValueError, match=f"'{name}' parameter of {make.__name__} must be"):
        make(**parameters)


@settings(max_examples=15, deadline=None)
@given(n_samples=st.integers(1, 30), n_topics=st.integers(1, 6), dimension=st.integers(1, 20))
def test_messages_are_as_many_as_asked_for(n_samples, n_topics, dimension):
    texts, y, vectors = make_messages(n_samples, n_topics=n_topics, dimension=dimension, random_state=0)
    assert len(texts) == n_samples
    assert all(isinstance(text, str) and text for text in texts)
    assert sorted(y) == sorted(i % n_topics for i in range(n_samples))
    assert y.dtype == np.int64
    assert vectors.vectors.shape == (len(vectors), dimension)
    assert vectors.vectors.dtype == np.float32


def test_messages_have_known_and_unknown_words():
    texts, _, vectors = make_messages(100, random_state=0)
    words = WordSequences(vectors).fit(texts)
    assert 0.95 < words.coverage_ < 1.0
    assert all(word[::-1] in vectors.key_to_index for word, _ in words.unknown_words_)


def test_topics_can_be_learned_from_the_vectors():
    texts, y, vectors = make_messages(120, random_state=0)
    words = WordSequences(vectors, length=60)
    means = words.embedding_matrix()[words.fit_transform(texts)].mean(axis=1)
    assert cross_val_score(LogisticRegression(C=100.0), means, y).mean() > 0.9
