"""Getting files: from the data home if they are there, else from their source, and never a wrong one."""

from __future__ import annotations

import logging
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pooch
from tqdm import tqdm

# PhysioNet asks for few connections at a time.
N_THREADS = 8
N_RETRIES = 2
# pooch's own 1 KiB makes the interpreter, not the network, the limit.
CHUNK_SIZE = 2**16


class DatasetError(RuntimeError):
    """A data set's file cannot be had, is not the published one, or is damaged.

    The message names the file, and says what to do.
    """


@dataclass(frozen=True)
class RemoteFile:
    """A file that is published somewhere.

    Parameters
    ----------
    name : str
        Where it lies, relative to the data set's folder in the data home.
    url : str
        Where it is published.
    sha256 : str or None
        Its published SHA-256, in hexadecimal; None for a list of hashes, which has none itself.
    """

    name: str
    url: str
    sha256: str | None


def data_folder(dataset: str, data_home: str | os.PathLike[str] | None = None) -> Path:
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
    """
    home = data_home or os.environ.get("SKABA_DATA") or pooch.os_cache("skaba")
    return Path(home).expanduser().resolve() / dataset


def fetch_file(file: RemoteFile, folder: Path, *, progress: bool = True) -> Path:
    """Return the path of a file, downloaded first if it is not there.

    Parameters
    ----------
    file : RemoteFile
        The file.
    folder : pathlib.Path
        The data set's folder.
    progress : bool, default=True
        Show a progress bar while downloading.

    Returns
    -------
    pathlib.Path
        A file with the published hash.

    Raises
    ------
    DatasetError
        The file is absent and cannot be downloaded, or it is not the published one. A file that was there
        before is left as it is; of a failed download nothing is left.
    """
    with _quiet_pooch():
        return _fetch(file, folder, progress=progress, retries=0)


def fetch_files(files: Sequence[RemoteFile], folder: Path, *, progress: bool = True) -> None:
    """Do as `fetch_file` for many small files, several at a time; stop at the first that fails.

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
        As `fetch_file`. What arrived before stays, and is not downloaded again.
    """
    with _quiet_pooch(), ThreadPoolExecutor(N_THREADS) as threads:
        jobs = [threads.submit(_fetch, file, folder, progress=False, retries=N_RETRIES) for file in files]
        try:
            for job in tqdm(as_completed(jobs), total=len(jobs), unit="file", disable=not progress):
                job.result()
        finally:
            threads.shutdown(cancel_futures=True)


def _fetch(file: RemoteFile, folder: Path, *, progress: bool, retries: int) -> Path:
    path = folder / file.name
    if path.is_file():
        _check_hash(path, file)
        return path
    source = pooch.create(
        path=folder,
        base_url="",
        registry={file.name: file.sha256},
        urls={file.name: file.url},
        retry_if_failed=retries,
    )
    try:
        # Threads that create the same folder must not trip over each other.
        path.parent.mkdir(parents=True, exist_ok=True)
        source.fetch(file.name, downloader=pooch.HTTPDownloader(progressbar=progress, chunk_size=CHUNK_SIZE))
    except OSError as error:  # requests' errors are OSErrors too
        raise DatasetError(
            f"{path} is not there, and downloading it from {file.url} failed: {error}. Try again when the "
            f"network is there, or put the file at that path yourself."
        ) from error
    except ValueError as error:  # pooch's word for a wrong hash
        raise DatasetError(
            f"What {file.url} sent is not the published {file.name}, and was thrown away: {error}. Try "
            f"again; if it stays so, the source has changed, or something on the way answers in its place."
        ) from error
    return path


def _check_hash(path: Path, file: RemoteFile) -> None:
    if file.sha256 is None:
        return
    got = pooch.file_hash(str(path), alg="sha256")
    if got == file.sha256:
        return
    raise DatasetError(
        f"{path} is not the published file: expected SHA-256 {file.sha256}, got {got}. Delete it, and it "
        f"will be downloaded again from {file.url}; if you put it there yourself, check where it comes from."
    )


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Keep pooch from announcing each of thousands of files; errors are raised all the same."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what a damaged or cut file makes the standard library raise into one error that names the file.

    Parameters
    ----------
    path : pathlib.Path
        The file that is read inside the context.

    Raises
    ------
    DatasetError
        The file cannot be read to its end.
    """
    try:
        yield
    except (
        OSError,
        EOFError,
        KeyError,
        UnicodeDecodeError,
        zlib.error,
        tarfile.TarError,
        zipfile.BadZipFile,
    ) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, why: str) -> DatasetError:
    """Word the error for a file that is not what its format says.

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
