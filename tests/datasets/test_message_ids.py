"""Synthetic messages of word ids: their parts are drawn as the documentation says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from skaba.datasets import make_message_ids

PARTS = ("train", "valid", "test")


def everything(bunch):
    X = np.concatenate([bunch[f"X_{part}"] for part in PARTS])
    return X, np.concatenate([bunch[f"y_{part}"] for part in PARTS])


@settings(max_examples=15, deadline=None)
@given(
    n_samples=st.integers(4, 60),
    n_topics=st.integers(2, 5),
    n_words=st.integers(1, 20),
    length=st.integers(1, 30),
    dimension=st.integers(1, 8),
)
def test_shapes_types_and_padding(n_samples, n_topics, n_words, length, dimension):
    sizes = {"n_topics": n_topics, "n_words": n_words, "length": length, "dimension": dimension}
    bunch = make_message_ids(n_samples, **sizes)
    X, y = everything(bunch)
    assert (X.shape, X.dtype, y.dtype) == ((n_samples, length), np.int64, np.int64)
    assert len(bunch.X_valid) == len(bunch.X_test) == n_samples // 4
    assert sorted(y) == sorted(i % n_topics for i in range(n_samples))
    assert bunch.vectors.shape == ((n_topics + 1) * n_words + 1, dimension)
    assert bunch.vectors.dtype == np.float32
    assert len(bunch.words) == len(set(bunch.words)) == len(bunch.vectors)
    assert len(bunch.target_names) == n_topics
    assert 0 <= X.min() <= X.max() < len(bunch.vectors)
    lengths = (X > 0).sum(axis=1)
    assert lengths.min() >= (length + 1) // 2
    assert all((row[:n] > 0).all() and (row[n:] == 0).all() for row, n in zip(X, lengths, strict=True))


@pytest.fixture(scope="module")
def messages():
    return make_message_ids(4000, n_topics=3, n_words=50, share=0.3, mixed=0.2, random_state=1)


def test_words_of_the_topic_of_others_and_common_ones_have_their_shares(messages):
    X, y = everything(messages)
    names = np.array([name.split("-")[0] for name in messages.words])[X]
    own, common = names == np.char.add("topic", y.astype(str))[:, None], names == "common"
    n_words = (X > 0).sum()
    assert own.sum() / n_words == pytest.approx(0.3, abs=0.01)
    assert common.sum() / n_words == pytest.approx(0.5, abs=0.01)
    assert (n_words - own.sum() - common.sum()) / n_words == pytest.approx(0.2, abs=0.01)


def test_frequencies_follow_zipfs_law(messages):
    X, _ = everything(messages)
    counts = np.bincount(X.ravel(), minlength=len(messages.words))[1:51]  # the common words
    expected = 1 / np.arange(1, 51)
    np.testing.assert_allclose(counts[:10] / counts.sum(), (expected / expected.sum())[:10], rtol=0.1)


def test_vectors_lie_around_the_centre_of_their_group():
    vectors = make_message_ids(8, n_topics=2, n_words=5000, dimension=20, noise=0.5).vectors
    assert not vectors[0].any()
    groups = vectors[1:].reshape(3, 5000, 20)
    centres = groups.mean(axis=1)
    np.testing.assert_allclose(centres[0], 0, atol=0.05)
    assert 0.5 < centres[1:].std() < 1.5
    np.testing.assert_allclose((groups - centres[:, None]).std(axis=1), 0.5, rtol=0.1)


def test_the_vectors_tell_the_topic_with_errors():
    """A linear model of the mean vectors is far above chance, but not without errors."""
    bunch = make_message_ids(random_state=0)
    means = [bunch.vectors[bunch[f"X_{part}"]].sum(axis=1) for part in ("train", "test")]
    score = LogisticRegression(max_iter=1000).fit(means[0], bunch.y_train).score(means[1], bunch.y_test)
    assert 0.5 < score < 0.99


def test_random_state_decides_everything():
    first, again, other = (make_message_ids(40, random_state=seed) for seed in (3, 3, 4))
    for name in ("X_train", "y_test", "vectors"):
        np.testing.assert_array_equal(first[name], again[name])
        assert not np.array_equal(first[name], other[name])
    before = np.random.get_state()[1].copy()
    make_message_ids(40, random_state=None)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize(
    "parameters", [{"n_samples": 3}, {"n_topics": 1}, {"n_words": 0}, {"share": 1.1}, {"mixed": -0.1}, {"noise": -1.0}]
)
def test_wrong_parameters_are_an_error(parameters):
    (name,) = parameters
    with pytest.raises(ValueError, match=f"'{name}' parameter of make_message_ids must be"):
        make_message_ids(**parameters)


def test_shares_of_more_than_all_words_are_an_error():
    with pytest.raises(ValueError, match=r"share=0.7 and mixed=0.4 must not add up to more than 1"):
        make_message_ids(share=0.7, mixed=0.4)
