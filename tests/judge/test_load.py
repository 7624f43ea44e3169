"""Reading estimators and samples: what is read is the same, and nothing runs that nobody asked for."""

import pickle
import re
import sys
import zipfile

import joblib
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skaba import ABAClassifier
from skaba.judge import load_estimator, load_samples


def net(width=5):
    return nn.Sequential(nn.Linear(3, width), nn.Tanh(), nn.Linear(width, 2))


def make_classifier(**parameters):
    return ABAClassifier(
        net, **{"max_epochs": 2, "random_state": 0, "train_split": None, "verbose": 0, "lr": 0.1, **parameters}
    )


def make_fitted():
    return make_classifier().fit(*data())


def make_nothing():
    return None


not_a_function = 3


def data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 3)).astype(np.float32)
    return X, (X.sum(axis=1) > 0).astype(np.int64)


class Trap:
    """Leaves a file where it is unpickled."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return open, (str(self.file), "w")


@pytest.fixture
def trap(tmp_path):
    return Trap(tmp_path / "sprung")


# ------------------------------------------------------------------------------- estimators

HERE = __name__


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_a_function_and_weights_give_the_fitted_estimator(tmp_path, ending):
    fitted, weights = make_fitted(), tmp_path / f"weights.{ending}"
    if ending == "safetensors":
        pytest.importorskip("safetensors")
    fitted.save_params(f_params=weights, use_safetensors=ending == "safetensors")
    loaded = load_estimator(f"{HERE}:make_classifier", weights=weights)
    assert np.array_equal(loaded.predict_proba(data()[0]), fitted.predict_proba(data()[0]))


def test_a_function_may_return_a_fitted_estimator():
    assert np.array_equal(load_estimator(f"{HERE}:make_fitted").predict(data()[0]), make_fitted().predict(data()[0]))


@pytest.mark.parametrize("dump", [joblib.dump, lambda it, file: file.write_bytes(pickle.dumps(it))])
def test_a_pickled_estimator_is_read_if_it_is_trusted(tmp_path, dump):
    fitted = make_pipeline(StandardScaler(), make_classifier()).fit(*data())
    dump(fitted, tmp_path / "pipeline")
    loaded = load_estimator(str(tmp_path / "pipeline"), trust=True)
    assert np.array_equal(loaded.predict_proba(data()[0]), fitted.predict_proba(data()[0]))


def test_of_a_search_the_best_estimator_is_taken(tmp_path):
    search = GridSearchCV(make_classifier(), {"strength": [0.1]}, cv=2).fit(*data())
    joblib.dump(search, tmp_path / "search")
    assert isinstance(load_estimator(str(tmp_path / "search"), trust=True), ABAClassifier)


def test_modules_in_the_current_folder_are_found_and_the_path_is_left_alone(tmp_path, monkeypatch):
    (tmp_path / "own_nets_of_mine.py").write_text(f"from {HERE} import make_fitted\n")
    monkeypatch.chdir(tmp_path)
    before = sys.path.copy()
    assert load_estimator("own_nets_of_mine:make_fitted").initialized_
    assert sys.path == before


def test_a_pickled_file_is_not_read_without_trust(tmp_path, trap):
    joblib.dump(trap, tmp_path / "bad.joblib")
    with pytest.raises(ValueError, match=r"runs any code in it.*--trust.*module:function"):
        load_estimator(str(tmp_path / "bad.joblib"))
    assert not trap.file.exists()
    with pytest.raises(TypeError, match="is not a fitted skaba estimator"):
        load_estimator(str(tmp_path / "bad.joblib"), trust=True)
    assert trap.file.exists(), "the trap works"


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_weights_run_no_code(tmp_path, trap):
    for name, save in {"a.pt": torch.save, "b.pt": joblib.dump}.items():
        save({"0.weight": trap}, tmp_path / name)
        with pytest.raises(ValueError, match="does not hold weights alone") as caught:
            load_estimator(f"{HERE}:make_classifier", weights=tmp_path / name)
        assert "weights_only=False" not in str(caught.value), "no advice to run it"
    assert not trap.file.exists()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere", "There is no file nowhere.*module:function"),
        ("nowhere_at_all:make", "cannot be imported: No module named 'nowhere_at_all'"),
        (":make", "cannot be imported"),
        (f"{HERE}:absent", "cannot be imported: .*'absent'"),
        (f"{HERE}:not_a_function", "is a int, not a function"),
        (f"{HERE}:make_classifier", r"is not fitted.*--weights"),
    ],
)
def test_what_is_no_estimator_is_refused(source, message):
    with pytest.raises(ValueError, match=message):
        load_estimator(source)


def test_other_estimators_are_refused(tmp_path):
    joblib.dump(LogisticRegression().fit(*data()), tmp_path / "logistic")
    with pytest.raises(TypeError, match="a LogisticRegression, which is not a fitted skaba estimator"):
        load_estimator(str(tmp_path / "logistic"), trust=True)
    with pytest.raises(TypeError, match="a NoneType, which is not a fitted skaba estimator"):
        load_estimator(f"{HERE}:make_nothing")
    weights = tmp_path / "weights.pt"
    torch.save({}, weights)
    with pytest.raises(TypeError, match="Weights belong to a skaba estimator"):
        load_estimator(f"{HERE}:make_nothing", weights=weights)


@pytest.mark.parametrize("content", [b"", b"no estimator", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_pickle_is_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be read as a pickled estimator"):
        load_estimator(str(tmp_path / "file"), trust=True)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize(
    "content", [b"", b"no weights", b"hello, a text\n", b"weights\n", b"0 1 2\n", b"PK\x03\x04 broken"]
)
def test_a_file_that_holds_no_weights_is_refused(tmp_path, name, content):
    if name.endswith("safetensors"):
        pytest.importorskip("safetensors")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=r"does not hold weights alone|is not a file of safetensors"):
        load_estimator(f"{HERE}:make_classifier", weights=tmp_path / name)


@pytest.mark.parametrize("state", [{}, [1], {0: torch.zeros(2)}, {"0.weight": torch.zeros(2, 2)}])
def test_weights_of_another_network_are_refused(tmp_path, state):
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ValueError, match="do not fit the estimator's network"):
        load_estimator(f"{HERE}:make_classifier", weights=tmp_path / "w.pt")


# ---------------------------------------------------------------------------------- samples


def test_samples_are_drawn_in_their_order_with_their_targets(tmp_path):
    X, y = np.arange(200.0).reshape(100, 2), np.arange(100)
    np.savez(tmp_path / "data.npz", X=X, y=y)
    some, targets = load_samples(tmp_path / "data.npz", 10)
    assert len(some) == 10
    assert np.array_equal(some[:, 0] / 2, targets)
    assert (np.diff(targets) > 0).all()
    assert targets.max() > 20, "not the first ones"
    every, _ = load_samples(tmp_path / "data.npz", 1000)
    assert np.array_equal(every, X)
    again, _ = load_samples(tmp_path / "data.npz", 10)
    other, _ = load_samples(tmp_path / "data.npz", 10, random_state=1)
    assert np.array_equal(some, again)
    assert not np.array_equal(some, other)


def test_targets_and_other_arrays_may_be_missing_or_there(tmp_path):
    np.savez_compressed(tmp_path / "data.npz", X=np.zeros((3, 2)), other=np.array([object()]))
    X, y = load_samples(tmp_path / "data.npz", 10)
    assert X.shape == (3, 2)
    assert y is None


@pytest.mark.parametrize("name", ["X", "y"])
def test_arrays_of_objects_are_not_unpickled(tmp_path, trap, name):
    np.savez(tmp_path / "data.npz", **{"X": np.zeros((1, 2)), "y": np.zeros(1), name: np.array([trap])})
    with pytest.raises(ValueError, match=r"not an \.npz file of plain arrays: Object arrays cannot be loaded"):
        load_samples(tmp_path / "data.npz", 10)
    assert not trap.file.exists()


def test_a_pickled_file_in_place_of_data_is_not_read(tmp_path, trap):
    (tmp_path / "data.npz").write_bytes(pickle.dumps(trap))
    with pytest.raises(ValueError, match=r"is not an \.npz file"):
        load_samples(tmp_path / "data.npz", 10)
    assert not trap.file.exists()


@pytest.mark.parametrize("content", [b"", b"text,more\n1,2", b"PK\x03\x04 broken"])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"is not an \.npz file of plain arrays.*np\.savez"):
        load_samples(tmp_path / "data.npz", 10)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((2, 2)), "y": np.zeros(2)}, "it holds x, y, but no array X"),
        ({}, "it holds nothing, but no array X"),
        ({"X": np.zeros((0, 2))}, r"shape (0, 2): it holds no sample"),
        ({"X": np.float64(3)}, "it holds no sample"),
        ({"X": np.zeros((3, 2)), "y": np.zeros(2)}, "X holds 3 samples: one target per sample"),
        ({"X": np.zeros((3, 2)), "y": np.float64(1)}, "one target per sample"),
    ],
)
def test_samples_that_do_not_fit_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(ValueError, match=re.escape(message)):
        load_samples(tmp_path / "data.npz", 10)


def test_a_member_that_is_no_array_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("X", b"no array")
    with pytest.raises(ValueError, match="it holds no sample"):
        load_samples(tmp_path / "data.npz", 10)


def test_at_least_one_sample_is_asked_for(tmp_path):
    with pytest.raises(ValueError, match="n_samples=0 must be at least 1"):
        load_samples(tmp_path / "data.npz", 0)


def test_a_single_array_is_refused(tmp_path):
    np.save(tmp_path / "data.npy", np.zeros((2, 2)))
    with pytest.raises(ValueError, match="it holds a single array without a name"):
        load_samples(tmp_path / "data.npy", 10)
