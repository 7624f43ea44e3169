"""PTB-XL: clinical electrocardiograms with twelve leads."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.utils import Bunch

from skaba.datasets._download import DatasetError, PathLike, RemoteFile, damaged, data_folder, fetch_files, reading
from skaba.datasets._subsets import check_name, to_bunch
from skaba.datasets._wfdb import read_csv, read_record

if TYPE_CHECKING:
    import pandas as pd

BASE_URL = "https://physionet.org/files/ptb-xl/1.0.3/"
DATABASE = "ptbxl_database.csv"
STATEMENTS = "scp_statements.csv"
SUMS = "SHA256SUMS.txt"

DATABASE_COLUMNS = ("ecg_id", "patient_id", "scp_codes", "strat_fold", "filename_lr")
STATEMENT_COLUMNS = ("diagnostic", "diagnostic_class")
RECORD = re.compile(r"records100/\d{5}/\d{5}_lr")
# PhysioNet separates the two by one space; the usual tools by two, or by a space and a star.
SUM_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64}) [ *]?(?P<name>\S.*)")

FOLDS = {"train": range(1, 9), "valid": range(9, 10), "test": range(10, 11)}
LABELS = ("all", "superclass")
LEADS = ("I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")
LENGTH = 1000

DESCR = """\
PTB-XL 1.0.3: 21,799 electrocardiograms of 12 leads and 10 seconds, here at 100 Hz, with 71 diagnostic, form
and rhythm statements. Source: https://physionet.org/content/ptb-xl/1.0.3/. Licence: CC BY 4.0.
Wagner, P., Strodthoff, N., Bousseljot, R.-D., Kreiseler, D., Lunze, F. I., Samek, W. and Schaeffter, T.
(2020). PTB-XL, a large publicly available electrocardiography dataset. Scientific Data 7, 154.
"""


def fetch_ptbxl(
    subset: str = "full", *, labels: str = "all", data_home: PathLike | None = None, progress: bool = True
) -> Bunch:
    """Load PTB-XL at 100 Hz, downloaded on first use (43,598 small files, 0.6 GB).

    A download that was interrupted continues where it stopped. An unpacked copy in the folder ``ptbxl`` of the
    data home works too. A ``ptbxl_database.csv`` that is already there is used as it is: to load fewer records,
    delete rows from it.

    Parameters
    ----------
    subset : {"full"}, default="full"
        The only training set is the full one.
    labels : {"all", "superclass"}, default="all"
        With "all", the 71 statements in the order of ``scp_statements.csv``; with "superclass", the five
        superclasses of the diagnostic statements in alphabetical order. A statement counts whatever its
        likelihood.
    data_home : path-like, default=None
        Where data sets are kept: by default the environment variable ``SKABA_DATA``, else the user's cache.
    progress : bool, default=True
        Show a progress bar during the download.

    Returns
    -------
    sklearn.utils.Bunch
        ``X_train``, ``X_valid``, ``X_test``: ndarrays of shape (n, 12, 1000), float32, in millivolts; the
        splits are folds 1 to 8, fold 9 and fold 10 of ``strat_fold``, which have no patient in common. ``y_train``,
        ``y_valid``, ``y_test``: ndarrays of shape (n, 71) or (n, 5), float32, 0 or 1. ``ecg_id_train``,
        ``patient_id_train`` and so on: ndarrays of shape (n,), int64; cross-validation takes the patients as
        groups. ``target_names``: list of str. ``lead_names``: list of str. ``DESCR``: str.
        With ``labels="superclass"``, records without a diagnostic statement have no label.

    Raises
    ------
    ValueError
        If the subset or the labels do not exist.
    DatasetError
        If a file cannot be downloaded, is not the published one, or is damaged.

    References
    ----------
    Wagner, P. et al. (2020). PTB-XL, a large publicly available electrocardiography dataset. Scientific Data
    7, 154. https://doi.org/10.1038/s41597-020-0495-6

    Strodthoff, N. et al. (2020). Deep Learning for ECG Analysis: Benchmarks and Insights from PTB-XL. IEEE
    Journal of Biomedical and Health Informatics 25(5), 1519-1528. https://doi.org/10.1109/JBHI.2020.3022989

    Examples
    --------
    >>> from skaba.datasets import fetch_ptbxl
    >>> ptbxl = fetch_ptbxl(labels="superclass")  # doctest: +SKIP
    >>> ptbxl.X_valid.shape, ptbxl.target_names  # doctest: +SKIP
    ((2183, 12, 1000), ['CD', 'HYP', 'MI', 'NORM', 'STTC'])
    """
    check_name("PTB-XL subset", subset, ["full"])
    check_name("set of PTB-XL labels", labels, LABELS)
    folder = data_folder("ptbxl", data_home)
    _ensure([name for name in (DATABASE, STATEMENTS) if not (folder / name).is_file()], folder, progress)
    statements = _read_table(folder / STATEMENTS, STATEMENT_COLUMNS, index_col=0)
    database = _read_table(folder / DATABASE, DATABASE_COLUMNS)
    y, target_names = _read_labels(database, statements, labels, folder / DATABASE)
    records = _record_names(database, folder / DATABASE)
    _ensure([record + suffix for record in records for suffix in (".hea", ".dat")], folder, progress)
    splits = {}
    extras: dict[str, Any] = {"lead_names": list(LEADS)}
    for name, folds in FOLDS.items():
        rows = np.flatnonzero(database["strat_fold"].isin(folds))
        splits[name] = (_read_records(folder, [records[row] for row in rows]), y[rows])
        for column in ("ecg_id", "patient_id"):
            extras[f"{column}_{name}"] = database[column].to_numpy(dtype=np.int64)[rows]
    return to_bunch(splits, target_names, DESCR, **extras)


def _ensure(names: Sequence[str], folder: Path, progress: bool) -> None:
    """Download the files that are missing, and check the hashes of all once the list of hashes is there."""
    missing = [name for name in names if not (folder / name).is_file()]
    if not missing and not (folder / SUMS).is_file():
        return
    # Nobody publishes the hash of the list of hashes itself, so it is None.
    fetch_files([RemoteFile(SUMS, BASE_URL + SUMS, None)], folder, progress=False)
    sums = _read_sums(folder / SUMS)
    unlisted = [name for name in names if name not in sums]
    if unlisted:
        raise damaged(folder / SUMS, f"it does not list {unlisted[0]} (and {len(unlisted) - 1} more)")
    files = [RemoteFile(name, BASE_URL + name, sums[name]) for name in names]
    fetch_files(files, folder, progress=progress and bool(missing))


def _read_sums(path: Path) -> dict[str, str]:
    with reading(path):
        matches = [SUM_LINE.fullmatch(line) for line in path.read_text("utf-8").splitlines()]
    sums = {match["name"].removeprefix("./"): match["sha256"] for match in matches if match}
    if not sums:
        raise damaged(path, "it lists no SHA-256")
    return sums


def _read_table(path: Path, columns: Sequence[str], **options: Any) -> pd.DataFrame:
    table = read_csv(path, **options)
    lacking = [column for column in columns if column not in table.columns]
    if lacking:
        raise damaged(path, f"it lacks the columns {', '.join(lacking)}")
    if table.empty:
        raise DatasetError(f"{path} has no rows.")
    return table


def _record_names(database: pd.DataFrame, path: Path) -> list[str]:
    """Check the names, which become part of paths: none may lead out of the data set's folder."""
    names = [str(name) for name in database["filename_lr"]]
    for name in names:
        if not RECORD.fullmatch(name):
            raise damaged(path, f"filename_lr has {name!r}, not a name like records100/00000/00001_lr")
    numbers = database[["ecg_id", "patient_id", "strat_fold"]]
    if numbers.isna().any(axis=None) or not all(kind.kind in "iuf" for kind in numbers.dtypes):
        raise damaged(path, "ecg_id, patient_id or strat_fold is not a number everywhere")
    return names


def _read_labels(
    database: pd.DataFrame, statements: pd.DataFrame, labels: str, path: Path
) -> tuple[NDArray[np.float32], list[str]]:
    diagnostic = statements[statements["diagnostic"] == 1]["diagnostic_class"]
    label_of = dict(diagnostic) if labels == "superclass" else {code: code for code in statements.index}
    target_names = sorted(set(label_of.values())) if labels == "superclass" else list(label_of)
    rows = []
    for row, text in enumerate(database["scp_codes"]):
        codes = _parse_codes(str(text), path, row)
        unknown = codes - set(statements.index)
        if unknown:
            raise damaged(path, f"row {row + 1} has statements that {STATEMENTS} lacks: {unknown}")
        rows.append({label_of[code] for code in codes & label_of.keys()})
    return MultiLabelBinarizer(classes=target_names).fit_transform(rows).astype(np.float32), target_names


def _parse_codes(text: str, path: Path, row: int) -> set[str]:
    """Read a cell of scp_codes, a dict of statements and their likelihoods, as a literal, never as code."""
    try:
        codes = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        codes = None
    if not isinstance(codes, dict):
        raise damaged(path, f"scp_codes of row {row + 1} is not a dict: {text[:60]!r}")
    return set(codes)


def _read_records(folder: Path, names: Sequence[str]) -> NDArray[np.float32]:
    X = np.empty((len(names), len(LEADS), LENGTH), dtype=np.float32)
    for position, name in enumerate(names):
        X[position] = _read_record(folder / name).T  # wfdb has time as the first axis
    return X


def _read_record(path: Path) -> NDArray[np.float64]:
    record = read_record(path)
    signal: NDArray[np.float64] = record.p_signal
    if signal.shape != (LENGTH, len(LEADS)) or set(record.units) != {"mV"}:
        raise damaged(path, f"it has the shape {signal.shape} in {set(record.units)}, not (1000, 12) in mV")
    if [lead.upper() for lead in record.sig_name] != list(LEADS):
        raise damaged(path, f"its leads are {record.sig_name}, not {list(LEADS)}")
    return signal
