"""A user's own arrays: nothing is scaled but pixels, any labels serve, and what is wrong is said."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest

from skaba.experiment import Resources, load_data, read_experiment, run
from skaba.experiment._arrays import read_arrays

RESOURCES = Resources(n_jobs=1)
DATA = {"name": "arrays", "file": "own.npz", "n_valid": 30, "n_test": 30}


def series(n=120, length=16, n_classes=2, random_state=0):
    """Return z-scored series whose class decides the sign of their first half."""
    rng = np.random.default_rng(random_state)
    y = np.arange(n) % n_classes
    X = rng.normal(size=(n, 1, length))
    X[:, :, : length // 2] += 2.0 * (y - (n_classes - 1) / 2)[:, None, None]
    return (X - X.mean()) / X.std(), y


def saved(folder, X, y, **more):
    np.savez(folder / "own.npz", X=X, y=y, **more)
    return folder / "own.npz"


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int16, np.int64, np.int8, np.uint16, bool])
def test_only_uint8_is_scaled(tmp_path, dtype):
    X = np.arange(24).reshape(6, 1, 4).astype(dtype)
    own = read_arrays(saved(tmp_path, X, np.arange(6) % 2))
    assert own.X.dtype == np.float32
    np.testing.assert_array_equal(own.X, X.astype(np.float32))
    assert f"{np.dtype(dtype).name} taken as it is, as float32" in own.note


def test_pixels_are_divided_by_255(tmp_path):
    X = np.arange(24, dtype=np.uint8).reshape(6, 1, 4)
    own = read_arrays(saved(tmp_path, X, np.arange(6) % 2))
    np.testing.assert_array_equal(own.X, np.float32(X) / np.float32(255))
    assert "6 samples of shape (1, 4), uint8 divided by 255; 2 classes: 0, 1." in own.note


def test_word_ids_stay_integers(tmp_path):
    X = np.arange(24, dtype=np.uint8).reshape(6, 4)
    own = read_arrays(saved(tmp_path, X, np.arange(6) % 2), word_ids=True)
    assert own.X.dtype == np.int64
    np.testing.assert_array_equal(own.X, X)
    with pytest.raises(ValueError, match=r"holds float32, but with layer= it must hold word ids"):
        read_arrays(saved(tmp_path, X.astype(np.float32), np.arange(6) % 2), word_ids=True)


@pytest.mark.parametrize(
    ("y", "names"),
    [
        ([1, 2, 1, 2, 2, 1], ["1", "2"]),
        (["MI", "NORM", "MI", "NORM", "NORM", "MI"], ["MI", "NORM"]),
        ([-1, 5, -1, 5, 5, -1], ["-1", "5"]),
        ([1.0, 2.0, 1.0, 2.0, 2.0, 1.0], ["1", "2"]),
        ([False, True, False, True, True, False], ["False", "True"]),
        ([[1], [2], [1], [2], [2], [1]], ["1", "2"]),
    ],
)
def test_any_labels_become_the_numbers_of_their_names(tmp_path, y, names):
    own = read_arrays(saved(tmp_path, np.zeros((6, 3)), np.array(y)))
    assert own.target_names == names
    assert own.y.dtype == np.int64
    assert own.y.tolist() == [0, 1, 0, 1, 1, 0]


def test_several_labels_per_sample_are_columns(tmp_path):
    y = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1]])
    own = read_arrays(saved(tmp_path, np.zeros((4, 3)), y))
    assert (own.y.dtype, own.y.tolist(), own.target_names) == (np.float32, y.tolist(), ["0", "1", "2"])


@pytest.mark.parametrize(
    ("X", "y", "message"),
    [
        (np.zeros(6), np.arange(6) % 2, r"X in .*own.npz has shape \(6,\)"),
        (np.zeros((6, 3)), np.arange(5) % 2, r"y in .*own.npz has shape \(5,\), but X holds 6 samples"),
        (np.full((6, 3), np.nan), np.arange(6) % 2, "has NaN, infinity or numbers too large for float32"),
        (np.full((6, 3), 1e300), np.arange(6) % 2, "has NaN, infinity or numbers too large for float32"),
        (np.zeros((6, 3), dtype=complex), np.arange(6) % 2, "holds complex128, not numbers that a network takes"),
        (np.zeros((6, 3)).astype(str), np.arange(6) % 2, "not numbers that a network takes"),
        (np.zeros((6, 3)), np.linspace(0, 1, 6), "holds fractions or NaN, but an experiment compares classifiers"),
        (np.zeros((6, 3)), np.array([0, 1, np.nan, 0, 1, 0]), "holds fractions or NaN"),
        (np.zeros((6, 3)), np.zeros(6), "holds a single class, 0.0"),
        (np.zeros((6, 3)), np.zeros((6, 2)) + 3, r"must hold 0 and 1, one column per label"),
        (np.zeros((6, 3)), np.array(["a", None] * 3), r"arrays of objects are not read, so turn labels into strings"),
    ],
)
def test_what_the_arrays_cannot_be(tmp_path, X, y, message):
    file = saved(tmp_path, X, y)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match=message):
        read_arrays(file)


def test_a_file_without_the_arrays(tmp_path):
    np.savez(tmp_path / "own.npz", x=np.zeros((6, 3)), y=np.arange(6))
    with pytest.raises(ValueError, match="it holds x, y, but not X"):
        read_arrays(tmp_path / "own.npz")
    np.save(tmp_path / "own.npy", np.zeros((6, 3)))
    with pytest.raises(ValueError, match="it holds a single array without a name"):
        read_arrays(tmp_path / "own.npy")
    (tmp_path / "own.npz").write_text("X,y\n")
    with pytest.raises(ValueError, match=r"own.npz is not a .npz file with the arrays X and y"):
        read_arrays(tmp_path / "own.npz")


@pytest.fixture
def own(small, tmp_path):
    """Settings of an experiment on z-scored series, and where it runs."""
    saved(tmp_path, *series())
    settings = replace(
        read_experiment(small),
        data={**DATA, "per_class": 10},
        module={"name": "FCN", "channels": 1},
        methods=["plain", "MendABA"],
        controls_of=[],
        published={},
        attack=0.0,
        epochs=15,
        batch_size=10,
        learning_rates=[0.003],
        strengths=[0.1],
    )
    return settings, replace(RESOURCES, data=tmp_path)


def test_series_are_learned_at_their_own_scale(own, tmp_path, caplog):
    """At a standard deviation of 1, where all arms are far above chance, and the log says so."""
    settings, resources = own
    data = load_data(settings.data, resources.data)
    assert data.bunch.X_train.std() == pytest.approx(1, abs=0.1)
    with caplog.at_level(logging.INFO, logger="skaba.experiment"):
        results = run(settings, tmp_path / "out", resources)
    assert min(fit["test"] for fits in results.fits.values() for fit in fits) > 0.8
    done = "120 samples of shape (1, 16), float64 taken as it is, as float32; 2 classes: 0, 1."
    assert [record.getMessage().split("): ")[1] for record in caplog.records] == [done]
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["data"].endswith(done)


@pytest.mark.parametrize("names", [(1, 2), ("MI", "NORM"), (False, True)])
def test_labels_do_not_change_the_results(own, tmp_path, names):
    settings, resources = own
    settings = replace(settings, epochs=2)
    X, y = series()
    first = run(settings, tmp_path / "numbers", resources)
    other = tmp_path / "other"
    other.mkdir()
    saved(other, X, np.array(names)[y])
    again = run(settings, tmp_path / "names", replace(resources, data=other))
    assert again.to_frame().drop(columns="seconds").equals(first.to_frame().drop(columns="seconds"))


def test_k_adapts_to_the_number_of_classes_unless_it_is_given(own, tmp_path):
    settings, resources = own
    run(replace(settings, epochs=1), tmp_path / "out", resources)
    assert json.loads((tmp_path / "out" / "settings.json").read_text())["settings"]["k"] == 2
    with pytest.raises(ValueError, match=r"k = 4, but there are only 2 classes. Leave k out, or lower it"):
        run(replace(settings, k=4), tmp_path / "other", resources)
    assert not (tmp_path / "other").exists()


def test_several_labels_explain_the_loss(own, tmp_path):
    settings, resources = own
    X, y = series()
    saved(tmp_path, X, np.stack([y, 1 - y, (X[:, 0, -1] > 0)], axis=1))
    settings = replace(settings, epochs=1, data=DATA)
    with pytest.raises(
        ValueError, match=r"several labels per sample, so there is no class to explain: set target = .loss"
    ):
        run(settings, tmp_path / "out", resources)
    results = run(replace(settings, target="loss"), tmp_path / "out", resources)
    assert "ece" not in results.fits["plain"][0]
    with pytest.raises(ValueError, match="several labels per sample, so per_class cannot be drawn"):
        load_data({**settings.data, "per_class": 3}, tmp_path)


def test_a_file_that_was_replaced_does_not_mix_with_finished_fits(own, tmp_path):
    settings, resources = own
    settings = replace(settings, epochs=1)
    run(settings, tmp_path / "out", resources)
    moved = tmp_path / "moved"
    moved.mkdir()
    (tmp_path / "own.npz").rename(moved / "own.npz")
    run(settings, tmp_path / "out", replace(resources, data=moved))  # the same file somewhere else
    other = tmp_path / "other"
    other.mkdir()
    saved(other, *series(random_state=1))
    with pytest.raises(ValueError, match=r"results of other settings \(the file of data differ\)"):
        run(settings, tmp_path / "out", replace(resources, data=other))
