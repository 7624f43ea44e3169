"""Folders of WFDB records: real ones of PTB-XL, and small ones that wfdb writes."""

from __future__ import annotations

import ast
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import wfdb

from skaba.datasets import DatasetError, fetch_ptbxl, load_wfdb_folder
from skaba.preprocessing import ECGScaler

LABELS = {"a": "MI", "b": "NORM", "c": "MI"}


def write(folder: Path, name: str, *, n: int = 50, leads: tuple[str, ...] = ("I", "II"), **more: Any) -> None:
    """Write a record whose lead k runs through k, k + 1, ... thousandths."""
    signal = (np.arange(n)[:, None] + np.arange(len(leads))) / 1000
    form = {"fs": 100, "units": ["mV"] * len(leads), "fmt": ["16"] * len(leads), **more}
    folder.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(name, sig_name=list(leads), p_signal=signal, adc_gain=[1000.0] * len(leads), baseline=[0] * len(leads),
                write_dir=str(folder), **form)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in LABELS:
        write(tmp_path / "ecg", name)
    return tmp_path / "ecg"


def test_signals_labels_and_form_of_the_records(folder: Path) -> None:
    ecg = load_wfdb_folder(folder, LABELS)
    assert (ecg.X.shape, ecg.X.dtype) == ((3, 2, 50), np.float32)
    np.testing.assert_allclose(ecg.X[1], np.stack([np.arange(50), np.arange(1, 51)]) / 1000, atol=1e-7)
    assert (ecg.y.tolist(), ecg.y.dtype, ecg.target_names) == ([0, 1, 0], np.int64, ["MI", "NORM"])
    assert (ecg.sampling_rate, ecg.lead_names, ecg.units) == (100.0, ["I", "II"], ["mV", "mV"])
    assert ecg.record_names == ["a", "b", "c"]
    assert ECGScaler().fit_transform(ecg.X).shape == ecg.X.shape


@pytest.fixture(scope="session")
def ptbxl(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("wfdb-home")
    with tarfile.open(real_data / "ptbxl" / "ptbxl-first500-100hz.tar.gz") as archive:
        archive.extractall(home / "ptbxl", filter="data")
    table = pd.read_csv(home / "ptbxl" / "ptbxl_database.csv")
    table[table.strat_fold >= 9].to_csv(home / "ptbxl" / "ptbxl_database.csv", index=False)
    return home


def test_real_records_are_what_the_loader_of_ptbxl_reads(ptbxl: Path) -> None:
    """The same signals to the last bit, and the same statements, by way of a table of one's own."""
    expected = fetch_ptbxl(data_home=ptbxl)
    table = pd.read_csv(ptbxl / "ptbxl" / "ptbxl_database.csv").set_index("filename_lr")
    table["scp_codes"] = table["scp_codes"].map(ast.literal_eval)
    with pytest.warns(UserWarning, match=r"records of .* are not in labels and are left out: records100/"):
        ecg = load_wfdb_folder(ptbxl / "ptbxl", table, target="scp_codes")
    fold_10 = (ecg.frame.strat_fold == 10).to_numpy()
    np.testing.assert_array_equal(ecg.X[fold_10], expected.X_test)
    assert ecg.frame.ecg_id[fold_10].tolist() == expected.ecg_id_test.tolist()
    assert ecg.lead_names == ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    columns = [expected.target_names.index(name) for name in ecg.target_names]
    np.testing.assert_array_equal(ecg.y[fold_10], expected.y_test[:, columns])
    assert ecg.y.shape[1] < len(expected.target_names)  # of the 71 statements, those that occur


@pytest.mark.parametrize(
    ("labels", "y", "names"),
    [
        ({"a": 1, "b": 2, "c": 10}, [0, 1, 2], ["1", "2", "10"]),
        ({"c": "x", "a": "y"}, [0, 1], ["x", "y"]),
        (pd.Series({"a": True, "b": False, "c": True}), [1, 0, 1], ["False", "True"]),
        (pd.Series(["p", "q"], index=["a", "b"], name="who"), [0, 1], ["p", "q"]),
        (pd.DataFrame({"class": [2.0, 1.0]}, index=["a.hea", "b"]), [1, 0], ["1", "2"]),
        (pd.DataFrame({"class": pd.Categorical(["u", "t"])}, index=["a", "b"]), [1, 0], ["t", "u"]),
        ({"a": ["MI", "AF"], "b": [], "c": {"AF"}}, [[1, 1], [0, 0], [1, 0]], ["AF", "MI"]),
        ({"a": {"MI": 100.0}, "b": "AF"}, [[0, 1], [1, 0]], ["AF", "MI"]),
        (pd.DataFrame({"MI": [1, 0], "AF": [1, 1]}, index=["a", "b"]), [[1, 1], [0, 1]], ["MI", "AF"]),
        (pd.DataFrame({"MI": [True, False], "AF": [True, True]}, index=["a", "b"]), [[1, 1], [0, 1]], ["MI", "AF"]),
    ],
)
@pytest.mark.filterwarnings("ignore:.*are not in labels")
def test_one_label_or_several(folder: Path, labels: Any, y: list[Any], names: list[str]) -> None:
    ecg = load_wfdb_folder(folder, labels)
    assert (ecg.y.tolist(), ecg.target_names) == (y, names)
    assert ecg.y.dtype == (np.float32 if ecg.y.ndim == 2 else np.int64)
    assert len(ecg.X) == len(ecg.record_names) == len(ecg.frame) == len(y)


def test_a_table_in_a_file(tmp_path: Path) -> None:
    """Names that look like numbers stay names, and columns besides the labels come along."""
    for number in ("00001", "00002"):
        write(tmp_path / "records" / "x.y", number)
    file = tmp_path / "labels.csv"
    file.write_text("name,patient,class\nx.y/00002,7,NORM\nx.y/00001,8,MI\n")
    ecg = load_wfdb_folder(tmp_path / "records", file, target="class")
    assert (ecg.record_names, ecg.y.tolist()) == (["x.y/00002", "x.y/00001"], [1, 0])
    assert ecg.frame.patient.tolist() == [7, 8]
    file.write_text("name,class\n00001,MI\n00002,NORM\n")
    assert load_wfdb_folder(tmp_path / "records" / "x.y", str(file)).record_names == ["00001", "00002"]


def test_leads_by_name_and_a_length(folder: Path) -> None:
    write(folder, "c", n=70, leads=("V1", "II", "I"))
    ecg = load_wfdb_folder(folder, LABELS, leads=["II", "I"], length=40)
    assert (ecg.X.shape, ecg.lead_names) == ((3, 2, 40), ["II", "I"])
    np.testing.assert_allclose(ecg.X[:, 0, 0], [0.001, 0.001, 0.001])
    np.testing.assert_allclose(ecg.X[:, 1, 0], [0, 0, 0.002])


def test_samples_that_a_record_lacks_are_nan(tmp_path: Path) -> None:
    signal = np.array([[0.1], [np.nan], [0.3]])
    wfdb.wrsamp("a", fs=100, units=["mV"], sig_name=["I"], p_signal=signal, fmt=["16"], write_dir=str(tmp_path))
    X = load_wfdb_folder(tmp_path, {"a": 0}).X
    assert np.isnan(X[0, 0]).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"fs": 500}, r"Record b differs from a in sampling rate: 500.0, not 100.0. Convert it, or leave it out"),
        ({"n": 40}, r"Record b differs from a in length: 40, not 50. Cut all records: length="),
        (
            {"leads": ("I", "III")},
            r"Record b differs from a in leads: \['I', 'III'\].* Choose leads that all",
        ),
        ({"leads": ("II", "I")}, r"Record b differs from a in leads: \['II', 'I'\]"),
        ({"units": ["uV", "mV"]}, r"Record b differs from a in units: \['uV', 'mV'\]"),
    ],
)
def test_a_record_that_differs_is_named(folder: Path, form: dict[str, Any], message: str) -> None:
    write(folder, "b", **form)
    with pytest.raises(DatasetError, match=message):
        load_wfdb_folder(folder, LABELS)


def test_a_record_that_lacks_what_is_asked_for_is_named(folder: Path) -> None:
    write(folder, "b", n=30, leads=("I", "V1"))
    with pytest.raises(DatasetError, match="Record b has 0 leads named II; it has I, V1"):
        load_wfdb_folder(folder, LABELS, leads=["II"])
    with pytest.raises(DatasetError, match="Record b has 30 samples, fewer than length=40"):
        load_wfdb_folder(folder, LABELS, leads=["I"], length=40)


def test_damaged_records_are_named(folder: Path) -> None:
    (folder / "b.dat").write_bytes((folder / "b.dat").read_bytes()[:20])
    with pytest.raises(DatasetError, match="b is damaged or cut short"):
        load_wfdb_folder(folder, LABELS)
    (folder / "b.dat").unlink()
    with pytest.raises(DatasetError, match=r"b is damaged or cut short: .*b.dat"):
        load_wfdb_folder(folder, LABELS)
    (folder / "b.hea").write_text("b 0 100 50\n")
    with pytest.raises(DatasetError, match="b is damaged or cut short: it holds no signals"):
        load_wfdb_folder(folder, LABELS)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        (
            {"a": 0, "d": 1, "../ecg/a": 1},
            {},
            r"name 2 records that are not in .*ecg: d, ../ecg/a. .* there are a, b, c",
        ),
        ({"a": 0, "b": None}, {}, "labels has empty cells for b: leave these records out of the table"),
        ({}, {}, "labels hold no record"),
        (pd.DataFrame(index=["a"]), {}, "labels hold no record, or no column of labels"),
        (pd.Series([0, 1], index=["a", "a.hea"]), {}, "labels name a more than once"),
        ({"a": 0.5, "b": 1}, {}, "The labels in label are fractions; give classes"),
        (pd.DataFrame({"age": [63, 1], "AF": [1, 0]}, index=["a", "b"]), {}, r"age of a is 63. Choose the columns"),
        (pd.DataFrame({"age": [63, 1]}, index=["a", "b"]), {"target": "aeg"}, "named 'aeg'. Did you mean 'age'"),
        (LABELS, {"length": 0}, "length must be a positive number of samples, or None for all; got 0"),
        ([0, 1, 0], {}, "must be a CSV file, a DataFrame or Series .* or a mapping of names to labels; got list"),
    ],
)
def test_what_labels_cannot_be(folder: Path, labels: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_wfdb_folder(folder, labels, **options)


def test_what_is_not_there_or_no_table(folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        load_wfdb_folder(folder / "nowhere", LABELS)
    with pytest.raises(FileNotFoundError, match=r"no table of labels .*labels.csv"):
        load_wfdb_folder(folder, folder / "labels.csv")
    (folder / "labels.csv").write_text("")
    with pytest.raises(DatasetError, match=r"labels.csv is damaged or cut short"):
        load_wfdb_folder(folder, folder / "labels.csv")


def test_records_without_a_label_are_left_out_with_a_warning(folder: Path) -> None:
    with pytest.warns(UserWarning, match=r"1 records of .*ecg are not in labels and are left out: c"):
        ecg = load_wfdb_folder(folder, {"b": 1, "a": 0})
    assert ecg.record_names == ["b", "a"]
