"""The data of experiments: a pool of which every seed draws, and fixed validation and test sets."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from skaba.datasets import to_bunch
from skaba.experiment import Fit, load_data
from skaba.experiment._fits import make_net

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


def test_the_first_validation_and_test_samples_may_be_enough():
    data = load_data(DIGITS)
    few = data.with_first(7)
    assert [len(few.bunch[part]) for part in ("X_train", "X_valid", "y_valid", "X_test", "y_test")] == [
        1000,
        7,
        7,
        7,
        7,
    ]
    assert np.array_equal(few.bunch.X_test, data.bunch.X_test[:7])
    assert data.with_first(None) is data


@pytest.mark.parametrize(("name", "n_features", "n_classes"), [("breast_cancer", 30, 2), ("wine", 13, 3)])
def test_tables_are_standardised_by_the_training_pool(name, n_features, n_classes):
    data = load_data({"name": name, "per_class": 4})
    X, y = data.train(0)
    assert (X.shape, X.dtype, data.module) == ((4 * n_classes, n_features), np.float32, {"n_features": n_features})
    np.testing.assert_allclose(data.bunch.X_train.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(data.bunch.X_train.std(axis=0), 1, atol=1e-5)
    assert np.bincount(y).tolist() == [4] * n_classes
    n_all = {"breast_cancer": 569, "wine": 178}[name]
    assert sum(len(data.bunch[f"y_{part}"]) for part in ("train", "valid", "test")) == n_all


def records(labels, data_home, progress):
    """Return made-up records of 12 leads and 40 samples with two labels, in place of PTB-XL."""
    X, y = np.random.default_rng(0).normal(size=(60, 12, 40)), np.arange(120).reshape(60, 2) // 3 % 2
    splits = {part: (X[own], y[own].astype(np.float32)) for part, own in PARTS.items()}
    return to_bunch(splits, ["a", "b"], "")


PARTS = {"train": slice(0, 30), "valid": slice(30, 45), "test": slice(45, 60)}
ECG = {"name": "ptbxl", "labels": "superclass"}


def test_records_are_trained_on_random_crops_and_scored_on_sliding_ones(monkeypatch, make):
    monkeypatch.setattr("skaba.datasets.fetch_ptbxl", records)
    data = load_data({**ECG, "crop": 16}, Path("crops"))
    assert data.train(0)[0].shape == (30, 12, 40)
    settings = make(
        "benchmark", methods=["plain", "MendABA"], seeds=2, target="loss", module={"name": "FCN", "channels": 12}
    )
    net = make_net(settings, data, Fit("test", "MendABA", 0.01, 0.3, 1, 0)).fit(*data.train(0))
    X = data.bunch.X_test
    crops = [net.module_.network(torch.as_tensor(X[:, :, start : start + 16])) for start in (0, 8, 16, 24)]
    expected = torch.stack(crops).sigmoid().mean(0).detach()
    np.testing.assert_allclose(net.predict_proba(X), expected, atol=1e-5)
    with pytest.raises(ValueError, match=r"FreeABA keeps the positions of features .* random crops"):
        replace(settings, methods=["plain", "FreeABA"]).for_data(data)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({}, r"either length, .* or crop"),
        ({"length": 10, "crop": 10}, r"either length, .* or crop"),
        ({"crop": 41}, "Records of PTB-XL have 40 samples, fewer than 41"),
    ],
)
def test_records_are_cut_in_one_way(monkeypatch, own, message):
    monkeypatch.setattr("skaba.datasets.fetch_ptbxl", records)
    with pytest.raises(ValueError, match=message):
        load_data({**ECG, **own}, Path("crops"))


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
