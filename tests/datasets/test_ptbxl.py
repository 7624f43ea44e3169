"""PTB-XL, from its first 500 records."""

from __future__ import annotations

import ast
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skaba.datasets import DatasetError, _download, _ptbxl, fetch_ptbxl

from .conftest import FileServer, sha256


@pytest.fixture(scope="session")
def sample(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data home with the sample unpacked."""
    home = tmp_path_factory.mktemp("ptbxl-home")
    with tarfile.open(real_data / "ptbxl" / "ptbxl-first500-100hz.tar.gz") as archive:
        archive.extractall(home / "ptbxl", filter="data")
    return home


@pytest.fixture(scope="session")
def database(sample: Path) -> pd.DataFrame:
    return pd.read_csv(sample / "ptbxl" / "ptbxl_database.csv")


@pytest.fixture
def few(sample: Path, database: pd.DataFrame, data_home: Path) -> Path:
    """The data set's folder in the data home, cut to nineteen records of which each split has some."""
    folder = data_home / "ptbxl"
    (folder / "records100" / "00000").mkdir(parents=True)
    shutil.copy(sample / "ptbxl" / "scp_statements.csv", folder)
    rows = pd.concat([database.iloc[:10], *(database[database.strat_fold == fold][:5] for fold in (9, 10))])
    rows = rows.drop_duplicates("ecg_id")
    rows.to_csv(folder / "ptbxl_database.csv", index=False)
    for name in rows.filename_lr:
        for suffix in (".hea", ".dat"):
            shutil.copy(sample / "ptbxl" / (name + suffix), folder / (name + suffix))
    return folder


def test_signals_are_millivolts_and_splits_are_folds(sample: Path, database: pd.DataFrame) -> None:
    ptbxl = fetch_ptbxl(data_home=sample)
    folds = database.set_index("ecg_id").strat_fold
    for name, allowed in (("train", range(1, 9)), ("valid", [9]), ("test", [10])):
        X, y, ids = ptbxl[f"X_{name}"], ptbxl[f"y_{name}"], ptbxl[f"ecg_id_{name}"]
        assert X.shape == (len(ids), 12, 1000)
        assert y.shape == (len(ids), 71)
        assert X.dtype == y.dtype == np.float32
        assert set(folds[ids]) <= set(allowed)
        assert not np.isnan(X).any()
        raw = np.fromfile(sample / "ptbxl" / f"records100/00000/{ids[0]:05}_lr.dat", dtype="<i2")
        np.testing.assert_allclose(X[0], raw.reshape(1000, 12).T / 1000, atol=1e-6)
    assert sum(len(ptbxl[f"X_{name}"]) for name in ("train", "valid", "test")) == 500
    train, valid, test = (set(ptbxl[f"patient_id_{name}"]) for name in ("train", "valid", "test"))
    assert len(train | valid | test) == len(train) + len(valid) + len(test)
    assert ptbxl.lead_names[0] == "I"
    assert ptbxl.lead_names[-1] == "V6"
    assert 0.01 < np.abs(ptbxl.X_train).mean() < 1


def test_all_statements_in_the_order_of_the_table(few: Path, database: pd.DataFrame) -> None:
    ptbxl = fetch_ptbxl()
    statements = pd.read_csv(few / "scp_statements.csv", index_col=0)
    assert ptbxl.target_names == list(statements.index)
    codes_of = dict(zip(database.ecg_id, database.scp_codes, strict=True))
    for number, y in zip(ptbxl.ecg_id_train, ptbxl.y_train, strict=True):
        found = {ptbxl.target_names[i] for i in np.flatnonzero(y)}
        assert found == set(ast.literal_eval(codes_of[number]))
    assert set(np.unique(ptbxl.y_train)) == {0, 1}


def test_superclasses_come_from_the_diagnostic_statements(few: Path) -> None:
    ptbxl = fetch_ptbxl("full", labels="superclass")
    assert ptbxl.target_names == ["CD", "HYP", "MI", "NORM", "STTC"]
    by_id = dict(zip(ptbxl.ecg_id_train, ptbxl.y_train, strict=True))
    # Record 1 is {'NORM': 100, 'LVOLT': 0, 'SR': 0}: low voltage is form, sinus rhythm is rhythm.
    assert by_id[1].tolist() == [0, 0, 0, 1, 0]
    assert ptbxl.y_test.shape[1] == 5


def serve(folder: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Publish a folder as PhysioNet does, with its list of hashes."""
    monkeypatch.setattr(_ptbxl, "BASE_URL", server.url)
    monkeypatch.setattr(_download, "N_RETRIES", 0)
    files = [path for path in folder.rglob("*") if path.is_file()]
    server.files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    listed = [f"{sha256(content)} {name}\n" for name, content in server.files.items()]
    server.files["SHA256SUMS.txt"] = "".join(listed).encode()


def test_a_download_breaks_off_and_goes_on(
    few: Path, tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(few, server, monkeypatch)
    n_files = len(server.files)
    broken = "records100/00000/00007_lr.dat"
    server.breaks[broken] = 1
    with pytest.raises(DatasetError, match="00007_lr"):
        fetch_ptbxl(data_home=tmp_path / "new", progress=False)
    assert not (tmp_path / "new" / "ptbxl" / broken).exists()
    ptbxl = fetch_ptbxl(data_home=tmp_path / "new", progress=False)
    assert len(server.requests) == n_files + 1
    assert set(server.requests) == set(server.files)
    np.testing.assert_array_equal(ptbxl.X_train, fetch_ptbxl().X_train)
    server.stop()
    fetch_ptbxl(data_home=tmp_path / "new", progress=False)


def test_missing_records_of_a_cut_table_are_downloaded_and_no_others(
    few: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(few, server, monkeypatch)
    table = pd.read_csv(few / "ptbxl_database.csv")
    table[table.ecg_id != 2].to_csv(few / "ptbxl_database.csv", index=False)
    for number in (1, 2):
        (few / f"records100/00000/0000{number}_lr.dat").unlink()
    ptbxl = fetch_ptbxl(progress=False)
    assert 2 not in ptbxl.ecg_id_train
    assert server.requests == ["SHA256SUMS.txt", "records100/00000/00001_lr.dat"]


def test_a_record_that_differs_from_the_list_is_refused(
    few: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(few, server, monkeypatch)
    (few / "SHA256SUMS.txt").write_bytes(server.files["SHA256SUMS.txt"])
    record = few / "records100/00000/00001_lr.dat"
    record.write_bytes(bytes(record.stat().st_size))
    with pytest.raises(DatasetError, match=r"00001_lr\.dat is not the published file"):
        fetch_ptbxl(progress=False)
    assert server.requests == []


def test_a_list_of_hashes_that_is_none(few: Path) -> None:
    (few / "SHA256SUMS.txt").write_text("<html>")
    with pytest.raises(DatasetError, match=r"SHA256SUMS\.txt is damaged.*lists no SHA-256"):
        fetch_ptbxl(progress=False)
    (few / "SHA256SUMS.txt").write_text(f"{'0' * 64} RECORDS\n")
    with pytest.raises(DatasetError, match=r"does not list records100/00000/00001_lr\.hea \(and \d+ more\)"):
        fetch_ptbxl(progress=False)


def test_offline_with_nothing_there(dead_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_ptbxl, "BASE_URL", dead_url)
    with pytest.raises(DatasetError, match=r"SHA256SUMS\.txt is not there, and downloading"):
        fetch_ptbxl()


def test_a_cut_record_is_named(few: Path) -> None:
    record = few / "records100/00000/00001_lr.dat"
    record.write_bytes(record.read_bytes()[:10_000])
    with pytest.raises(DatasetError, match="00001_lr is damaged or cut short"):
        fetch_ptbxl()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("12 100 1000", "12 100 900"),
        ("12 100 1000", "nonsense"),
        ("12 100 1000", ""),
        ("1000.0(0)/mV", "1000.0(0)/uV"),
        ("0 V6", "0 V7"),
        ("00001_lr.dat 16", "nothing.dat 16"),
    ],
)
def test_a_damaged_header_is_named(few: Path, old: str, new: str) -> None:
    header = few / "records100/00000/00001_lr.hea"
    header.write_text(header.read_text().replace(old, new))
    with pytest.raises(DatasetError, match="00001_lr is damaged or cut short"):
        fetch_ptbxl()


def edit(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / name
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))


@pytest.mark.parametrize(
    ("name", "old", "new", "why"),
    [
        ("ptbxl_database.csv", "strat_fold", "fold", "lacks the columns strat_fold"),
        (
            "ptbxl_database.csv",
            "records100/00000/00001_lr",
            "../../../etc/passwd",
            "filename_lr has '../../../etc",
        ),
        (
            "ptbxl_database.csv",
            "{'NORM': 100.0, 'LVOLT'",
            "__import__('os'), {'LVOLT'",
            "row 1 is not a dict",
        ),
        ("ptbxl_database.csv", "{'NORM': 100.0, 'LVOLT': 0.0, 'SR': 0.0}", "5", "row 1 is not a dict: '5'"),
        ("ptbxl_database.csv", "'LVOLT'", "'NEW'", r"statements that scp_statements\.csv lacks: \{'NEW'\}"),
        ("ptbxl_database.csv", "15709.0", "", "is not a number everywhere"),
        ("ptbxl_database.csv", "15709.0", "someone", "is not a number everywhere"),
        ("scp_statements.csv", "diagnostic_class", "class", "lacks the columns diagnostic_class"),
        ("ptbxl_database.csv", "\n2,", '\n2,"', "damaged"),
    ],
)
def test_a_damaged_table_is_named(few: Path, name: str, old: str, new: str, why: str) -> None:
    edit(few, name, old, new)
    with pytest.raises(DatasetError, match=why) as caught:
        fetch_ptbxl()
    assert str(few / name) in str(caught.value)


def test_empty_tables_are_named(few: Path) -> None:
    table = few / "ptbxl_database.csv"
    table.write_text(table.read_text().splitlines()[0] + "\n")
    with pytest.raises(DatasetError, match=r"ptbxl_database\.csv has no rows"):
        fetch_ptbxl()
    table.write_text("")
    with pytest.raises(DatasetError, match=r"ptbxl_database\.csv is damaged"):
        fetch_ptbxl()


def test_unknown_names() -> None:
    with pytest.raises(ValueError, match="Known: full"):
        fetch_ptbxl("tiny")
    with pytest.raises(ValueError, match="Known: all, superclass"):
        fetch_ptbxl(labels="form")
