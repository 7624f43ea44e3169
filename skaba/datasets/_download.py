"""Files of data sets: taken from the data home if they are there, downloaded otherwise, and checked in both cases."""

from __future__ import annotations

import hashlib
import logging
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from tqdm.contrib.concurrent import thread_map

from skaba._extras import require

PathLike: TypeAlias = str | os.PathLike[str]

# PhysioNet asks for few connections at a time.
N_THREADS = 8
N_RETRIES = 2
# With pooch's default of 1 KiB, the interpreter would limit the speed, not the network.
CHUNK_SIZE = 2**16


class DatasetError(RuntimeError):
    """A data set's file cannot be downloaded, is not the published one, or is damaged.

    The message names the file and says what to do.
    """


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Parameters
    ----------
    name : str
        Path of the local copy, relative to the data set's folder in the data home.
    url : str
        Address of the published file.
    sha256 : str or None
        Its published SHA-256, in hexadecimal; None for a list of hashes, whose own hash is not published.
    """

    name: str
    url: str
    sha256: str | None


def data_folder(dataset: str, data_home: PathLike | None = None) -> Path:
    """Return the folder of one data set; nothing is created.

    Parameters
    ----------
    dataset : str
        Name of the folder in the data home.
    data_home : path-like, default=None
        The data home; by default the environment variable ``SKABA_DATA``, else the user's cache.

    Returns
    -------
    pathlib.Path
        The folder, absolute.

    Raises
    ------
    ImportError
        If pooch is not installed, which all downloads need.
    """
    require("datasets", "Fetching a data set", "pooch")
    import pooch  # noqa: PLC0415 - it belongs to an extra

    home = data_home or os.environ.get("SKABA_DATA") or pooch.os_cache("skaba")
    return Path(home).expanduser().resolve() / dataset


def fetch_file(file: RemoteFile, folder: Path, *, progress: bool = True) -> Path:
    """Return the path of a file, which is downloaded if it is not there.

    Parameters
    ----------
    file : RemoteFile
        The file.
    folder : pathlib.Path
        The data set's folder.
    progress : bool, default=True
        Show a progress bar during the download.

    Returns
    -------
    pathlib.Path
        A file with the published hash.

    Raises
    ------
    DatasetError
        The file is missing and cannot be downloaded, or it is not the published one. A file that was already
        there is left as it is; nothing is left of a failed download.
    """
    with _quiet_pooch():
        return _fetch(file, folder, progress=progress, retries=0)


def fetch_files(files: Sequence[RemoteFile], folder: Path, *, progress: bool = True) -> None:
    """Fetch many small files, several at a time; stop at the first failure.

    Parameters
    ----------
    files : sequence of RemoteFile
        The files.
    folder : pathlib.Path
        The data set's folder.
    progress : bool, default=True
        Show one progress bar that counts files.

    Raises
    ------
    DatasetError
        As :func:`fetch_file`. Files that arrived before stay, and are not downloaded again.
    """
    fetch = partial(_fetch, folder=folder, progress=False, retries=N_RETRIES)
    with _quiet_pooch():
        thread_map(fetch, files, max_workers=N_THREADS, unit="file", disable=not progress)


def _fetch(file: RemoteFile, folder: Path, *, progress: bool, retries: int) -> Path:
    path = folder / file.name
    if path.is_file():
        _check_hash(path, file)
        return path
    import pooch  # noqa: PLC0415 - it belongs to an extra

    source = pooch.create(
        path=folder,
        base_url="",
        registry={file.name: file.sha256},
        urls={file.name: file.url},
        retry_if_failed=retries,
    )
    try:
        # Made here, because pooch fails if two threads create the same folder at the same time.
        path.parent.mkdir(parents=True, exist_ok=True)
        source.fetch(file.name, downloader=pooch.HTTPDownloader(progressbar=progress, chunk_size=CHUNK_SIZE))
    except OSError as error:  # includes all errors of requests
        raise DatasetError(
            f"{path} is not there, and downloading it from {file.url} failed: {error}. Try again when the "
            f"network is available, or put the file at that path yourself."
        ) from error
    except ValueError as error:  # pooch raises it for a wrong hash
        raise DatasetError(
            f"The download from {file.url} is not the published {file.name} and was deleted: {error}. Try again; if "
            f"it fails again, the source has changed, or a proxy sends something else in its place."
        ) from error
    return path


def _check_hash(path: Path, file: RemoteFile) -> None:
    if file.sha256 is None:
        return
    with path.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != file.sha256:
        raise DatasetError(
            f"{path} is not the published file: expected SHA-256 {file.sha256}, got {found}. Delete it, and it "
            f"will be downloaded again from {file.url}; if you put it there yourself, check where it comes from."
        )


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Keep pooch from logging a line for each of thousands of files; it still raises its errors."""
    import pooch  # noqa: PLC0415 - it belongs to an extra

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def reading(path: Path, *errors: type[Exception]) -> Iterator[None]:
    """Turn the errors that libraries raise for a damaged file into one that names the file.

    Parameters
    ----------
    path : pathlib.Path
        The file that is read inside the block.
    *errors : exception types
        What else a reader raises, beyond the errors of the standard library.

    Raises
    ------
    DatasetError
        The file cannot be read to its end.
    """
    errors += OSError, EOFError, KeyError, UnicodeDecodeError, zlib.error, tarfile.TarError, zipfile.BadZipFile
    try:
        yield
    except errors as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, why: str) -> DatasetError:
    """Return the error for a file whose content does not follow its format.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    why : str
        What is wrong with it.

    Returns
    -------
    DatasetError
        The error, to be raised.
    """
    return DatasetError(f"{path} is damaged or cut short: {why}. Delete it and get it again from its source.")
