"""The data of experiments: a pool of which every seed draws, and fixed validation and test sets."""

from pathlib import Path

import numpy as np
import pytest

from skaba.experiment import load_data

DIGITS = {"name": "digits", "per_class": 3}


def test_every_seed_draws_as_many_of_each_class():
    data = load_data(DIGITS)
    X, y = data.train(0)
    assert X.shape == (30, 1, 8, 8)
    assert np.bincount(y).tolist() == [3] * 10
    assert all(np.array_equal(first, again) for first, again in zip((X, y), data.train(0), strict=True))
    assert not np.array_equal(X, data.train(1)[0])


def test_what_is_drawn_is_in_neither_of_the_other_sets():
    data = load_data(DIGITS)
    held_out = {image.tobytes() for image in (*data.bunch.X_valid, *data.bunch.X_test)}
    drawn = {image.tobytes() for seed in range(5) for image in data.train(seed)[0]}
    assert not drawn & held_out


def test_arrays_of_ones_own(tmp_path):
    X = np.arange(60 * 12, dtype=np.uint64).reshape(60, 3, 2, 2).astype(np.uint8)
    np.savez(tmp_path / "own.npz", X=X, y=np.arange(60) % 2)
    data = load_data({"name": "arrays", "file": "own.npz", "n_valid": 10, "n_test": 20, "per_class": 4}, tmp_path)
    assert [len(data.bunch[part]) for part in ("X_train", "X_valid", "X_test")] == [30, 10, 20]
    assert (data.bunch.X_train.dtype, float(data.bunch.X_train.max()) <= 1) == (np.float32, True)
    assert np.bincount(data.train(7)[1]).tolist() == [4, 4]


def test_arrays_that_are_not_there(tmp_path):
    own = {"name": "arrays", "file": "own.npz", "n_valid": 1, "n_test": 1, "per_class": 1}
    with pytest.raises(ValueError, match=r"no file .*own.npz: name the folder that it is in with --data"):
        load_data(own, tmp_path)


def test_unknown_data():
    with pytest.raises(ValueError, match=r"no data of an experiment named 'digit'. Did you mean 'digits'"):
        load_data({"name": "digit"})


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"per_clas": 3}, "no setting of the data digits named 'per_clas'. Did you mean 'per_class'"),
        ({"per_class": 0}, "per_class of the data digits must be a whole number of at least 1, got 0"),
        ({"per_class": True}, "per_class of the data digits must be a whole number of at least 1, got True"),
        ({"per_class": "3"}, "per_class of the data digits must be a whole number of at least 1, got '3'"),
        ({"name": "arrays"}, "The data arrays need more settings: file, n_valid, n_test"),
        ({"name": "arrays", "file": 3, "n_valid": 1, "n_test": 1}, "file of the data arrays must be a text, got 3"),
        ({"name": "newsgroups"}, "The data newsgroups need more settings: n_words, length"),
        ({"name": "ptbxl", "length": 9}, "The data ptbxl need more settings: labels"),
        ({"name": "mnist", "pool": "tset"}, "no MNIST pool named 'tset'. Did you mean 'test'"),
    ],
)
def test_settings_of_data_are_checked_before_any_is_loaded(own, message, monkeypatch):
    def load(*arguments, **settings):
        raise AssertionError("data were loaded")

    monkeypatch.setattr("skaba.experiment._data.read_arrays", load)
    for name in ("load_digits", "fetch_newsgroups", "fetch_ptbxl"):
        monkeypatch.setattr(f"skaba.datasets.{name}", load)
    with pytest.raises(ValueError, match=message):
        load_data({"name": "digits", **own})


@pytest.mark.slow
def test_messages_become_word_ids_with_their_vectors(real_data: Path):
    own = {
        "name": "newsgroups",
        "archive": "newsgroups/20news-bydate.tar.gz",
        "vectors": "vectors/newsgroups-w2v-100d.txt.gz",
        "n_words": 3000,
        "length": 40,
        "per_class": 2,
    }
    data = load_data(own, real_data)
    X, y = data.train(0)
    assert (X.shape, data.layer) == ((40, 40), "embedding")
    assert np.bincount(y).tolist() == [2] * 20
    assert data.module["vectors"].shape[1] == 100
    assert X.max() < len(data.module["vectors"])
