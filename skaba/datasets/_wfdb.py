"""Records in PhysioNet's WFDB format: a single one, or a folder of them with a table of labels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.utils import Bunch

from skaba._validation import unknown_name
from skaba.datasets._download import DatasetError, PathLike, damaged, reading

if TYPE_CHECKING:
    import pandas as pd


class _Form(NamedTuple):
    """What all records of a set must have in common; the error message uses these names."""

    sampling_rate: float
    leads: list[str]
    units: list[str]
    length: int


def load_wfdb_folder(
    folder: PathLike,
    labels: Any,
    *,
    target: str | Sequence[str] | None = None,
    leads: Sequence[str] | None = None,
    length: int | None = None,
) -> Bunch:
    """Load your own WFDB records and a table of their labels.

    Parameters
    ----------
    folder : path-like
        The folder of the records, ``.hea`` files and the files that these name; sub-folders count too. A record's name
        is its path below this folder without the ending: ``"100"`` or ``"records100/00000/00001_lr"``.
    labels : path-like, DataFrame, Series or mapping
        The records to load, in this order, and their labels: a CSV file whose first column has the names; a DataFrame
        or a Series with the names as index; or a mapping of names to labels. A cell of a Series or a mapping may have
        several labels, as a list, a set, or the keys of a dict.
    target : str or sequence of str, default=None
        The column or columns of the labels. By default all. A single column has one class per record; several columns
        have 0 or 1, one column per label.
    leads : sequence of str, default=None
        Load only these leads, in this order. By default all leads, which must then be the same in all records.
    length : int, default=None
        Load only the first ``length`` samples of each record. By default all samples,
        whose number must then be the same in all records.

    Returns
    -------
    sklearn.utils.Bunch
        ``X``: ndarray of shape (n, leads, length), float32, in the records' units; samples that a record marks as
        missing are NaN. ``y``: ndarray of shape (n,), int64, numbering the classes in sorted order, or of shape
        (n, n_labels), float32, 0 or 1. ``target_names``: list of str. ``record_names``: list of str.
        ``sampling_rate``: float, in Hz. ``lead_names`` and ``units``: lists of str, one per lead. ``frame``: the table
        of labels, one row per sample, for example for a column of patients to split by. ``DESCR``: str.

    Warns
    -----
    UserWarning
        If the folder has records that are not in the table. They are left out.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or table.
    ValueError
        If the table is empty, names a record twice or one that does not exist, lacks a label, or has several columns
        with values other than 0 and 1.
    DatasetError
        If the CSV file or a record cannot be read, or a record differs from the first one in sampling rate, leads,
        units or length.

    Notes
    -----
    Nothing is scaled or resampled; :class:`skaba.preprocessing.ECGScaler` standardises each lead.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import wfdb
    >>> from skaba.datasets import load_wfdb_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("a", "b"):
    ...         wfdb.wrsamp(name, fs=100, units=["mV", "mV"], sig_name=["I", "II"], fmt=["16", "16"],
    ...                     p_signal=np.zeros((500, 2)), write_dir=folder)
    ...     ecg = load_wfdb_folder(folder, {"a": "MI", "b": "NORM"})
    >>> ecg.X.shape, ecg.y, ecg.target_names, ecg.sampling_rate, ecg.lead_names
    ((2, 2, 500), array([0, 1]), ['MI', 'NORM'], 100.0, ['I', 'II'])
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"There is no folder {root}.")
    if length is not None and length < 1:
        raise ValueError(f"length must be a positive number of samples, or None for all; got {length!r}.")
    table = _as_table(labels)
    y, target_names = _targets(table, target)
    names = list(table.index)
    _check_names(names, root)
    X, form = _read_all(root, names, leads, length)
    return Bunch(
        X=X,
        y=y,
        target_names=target_names,
        record_names=names,
        sampling_rate=form.sampling_rate,
        lead_names=form.leads,
        units=form.units,
        frame=table,
        DESCR=f"{len(names)} WFDB records of {root.name}.",
    )


def read_record(path: Path) -> Any:
    """Read one record, in physical units.

    Parameters
    ----------
    path : pathlib.Path
        Without an ending.

    Returns
    -------
    wfdb.Record

    Raises
    ------
    DatasetError
        If wfdb cannot read it.
    """
    import wfdb  # noqa: PLC0415 - heavy

    # Which error wfdb raises depends on where the header is wrong.
    with reading(path, ValueError, TypeError, IndexError, AttributeError):
        record = wfdb.rdrecord(str(path))
    if record.p_signal is None:
        raise damaged(path, "it holds no signals")
    return record


def read_csv(path: Path, **options: Any) -> pd.DataFrame:
    """Read a CSV file.

    Parameters
    ----------
    path : pathlib.Path
    **options
        Passed to :func:`pandas.read_csv`.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    DatasetError
        If pandas cannot read it.
    """
    import pandas as pd  # noqa: PLC0415 - heavy

    with reading(path, ValueError):  # pandas' parser errors are ValueErrors
        return pd.read_csv(path, **options)


def _as_table(labels: Any) -> pd.DataFrame:
    """Return labels as a frame whose index has the names of the records."""
    import pandas as pd  # noqa: PLC0415 - heavy

    if isinstance(labels, str | os.PathLike):
        path = Path(labels).expanduser()
        if not path.is_file():
            raise FileNotFoundError(f"There is no table of labels {path}.")
        table = read_csv(path, index_col=0, dtype={0: str})  # as text, or "00001" would become 1
    elif isinstance(labels, pd.DataFrame):
        table = labels.copy()
    elif isinstance(labels, Mapping | pd.Series):
        table = pd.Series(dict(labels), name=getattr(labels, "name", None) or "label", dtype=object).to_frame()
    else:
        raise ValueError(
            "labels must be a CSV file, a DataFrame or Series with the names of the records as index, or a mapping of "
            f"names to labels; got {type(labels).__name__}."
        )
    if not len(table) or not len(table.columns):
        raise ValueError("labels hold no record, or no column of labels.")
    table.index = pd.Index([str(name).removesuffix(".hea") for name in table.index], name="record")
    repeated = table.index[table.index.duplicated()]
    if len(repeated):
        raise ValueError(f"labels name {_listed(repeated)} more than once: one row per record.")
    return table


def _targets(table: pd.DataFrame, target: str | Sequence[str] | None) -> tuple[NDArray[Any], list[str]]:
    chosen = list(table.columns) if target is None else [target] if isinstance(target, str) else list(target)
    for column in chosen:
        if column not in table.columns:
            raise ValueError(unknown_name("column of labels", str(column), map(str, table.columns)))
    unlabelled = table.index[table[chosen].isna().any(axis=1)]
    if len(unlabelled):
        raise ValueError(f"labels has empty cells for {_listed(unlabelled)}: leave these records out of the table.")
    if len(chosen) > 1:
        return _indicators(table[chosen]), [str(column) for column in chosen]
    cells = table[chosen[0]]
    if cells.map(_holds_several).any():
        rows = [list(map(str, cell)) if _holds_several(cell) else [str(cell)] for cell in cells]
        binarizer = MultiLabelBinarizer()
        return binarizer.fit_transform(rows).astype(np.float32), list(binarizer.classes_)
    return _classes(cells)


def _classes(cells: pd.Series) -> tuple[NDArray[np.int64], list[str]]:
    values = cells.infer_objects().to_numpy()
    if values.dtype.kind == "f":
        if not np.array_equal(values, np.round(values)):
            raise ValueError(f"The labels in {cells.name} are fractions; give classes, as whole numbers or texts.")
        values = values.astype(np.int64)
    # As text, because labels of several types, such as 1 and "AF", cannot be sorted.
    classes, y = np.unique(values if values.dtype.kind in "biu" else values.astype(str), return_inverse=True)
    return y.astype(np.int64), [str(label) for label in classes]


def _holds_several(cell: Any) -> bool:
    return isinstance(cell, Collection) and not isinstance(cell, str | bytes)


def _indicators(columns: pd.DataFrame) -> NDArray[np.float32]:
    for name, column in columns.items():
        if not column.isin([0, 1]).all():
            wrong = column.index[~column.isin([0, 1])][0]
            raise ValueError(
                f"Several columns of labels must hold 0 or 1, but {name} of {wrong} is {column[wrong]}. Choose the "
                "columns of the labels with target=, or one column of classes."
            )
    return np.asarray(columns, dtype=np.float32)


def _check_names(names: Sequence[str], root: Path) -> None:
    """Check that the names are records in the folder, so that none is a path out of it."""
    there = {path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.hea")}
    missing = [name for name in names if name not in there]
    if missing:
        raise ValueError(
            f"labels name {len(missing)} records that are not in {root}: {_listed(missing)}. A name is the path below "
            f"this folder, without .hea; there are {_listed(sorted(there)) or 'none'}."
        )
    others = sorted(there - set(names))
    if others:
        warnings.warn(
            f"{len(others)} records of {root} are not in labels and are left out: {_listed(others)}.", stacklevel=3
        )


def _listed(names: Collection[str]) -> str:
    first = list(names)[:3]
    return ", ".join(first) + (", ..." if len(names) > 3 else "")


def _read_all(
    root: Path, names: Sequence[str], leads: Sequence[str] | None, length: int | None
) -> tuple[NDArray[np.float32], _Form]:
    first, form = _cut(read_record(root / names[0]), names[0], leads, length)
    X = np.empty((len(names), *first.shape), dtype=np.float32)
    # Filled record by record, because a list of float64 signals would take three times the memory.
    for position, name in enumerate(names):
        signal, own = _cut(read_record(root / name), name, leads, length)
        for what, expected, found in zip(_Form._fields, form, own, strict=True):
            if found != expected:
                hint = {
                    "leads": " Choose leads that all records have: leads=[...].",
                    "length": " Cut all records: length=...",
                }
                raise DatasetError(
                    f"Record {name} differs from {names[0]} in {what.replace('_', ' ')}: {found}, not {expected}."
                    f"{hint.get(what, ' Convert it, or leave it out of labels.')}"
                )
        X[position] = signal
    return X, form


def _cut(record: Any, name: str, leads: Sequence[str] | None, length: int | None) -> tuple[NDArray[np.float64], _Form]:
    """Return the chosen leads and samples of a record, leads first."""
    there = list(record.sig_name)
    chosen = there if leads is None else list(leads)
    wrong = [lead for lead in chosen if leads is not None and there.count(lead) != 1]
    if wrong:
        raise DatasetError(
            f"Record {name} has {there.count(wrong[0])} leads named {wrong[0]}; it has {', '.join(there)}."
        )
    if length is not None and record.sig_len < length:
        raise DatasetError(f"Record {name} has {record.sig_len} samples, fewer than length={length}.")
    columns = list(range(len(there))) if leads is None else [there.index(lead) for lead in chosen]
    signal = record.p_signal[:length, columns].T
    return signal, _Form(float(record.fs), chosen, [record.units[column] for column in columns], signal.shape[1])
