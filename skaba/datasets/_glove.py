"""GloVe word vectors, and vectors from any file in GloVe's text format."""

from __future__ import annotations

import gzip
import itertools
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from skaba.datasets._download import DatasetError, RemoteFile, damaged, data_folder, fetch_file, reading
from skaba.datasets._subsets import check_name

if TYPE_CHECKING:
    from gensim.models import KeyedVectors

ARCHIVES = {
    "6B": RemoteFile(
        "glove.6B.zip",
        "https://nlp.stanford.edu/data/glove.6B.zip",
        "617afb2fe6cbd085c235baf7a465b96f4112bd7f7ccb2b2cbd649fed9cbcf2fb",
    ),
}
DIMENSIONS = {"6B": (50, 100, 200, 300)}


def fetch_glove(
    name: str = "6B",
    dimension: int = 100,
    limit: int | None = None,
    data_home: str | os.PathLike[str] | None = None,
    *,
    progress: bool = True,
) -> KeyedVectors:
    """Load GloVe word vectors, downloaded on first use (862 MB).

    Parameters
    ----------
    name : {"6B"}, default="6B"
        The archive: "6B" is trained on Wikipedia 2014 and Gigaword 5, 400,000 lower-case words.
    dimension : {50, 100, 200, 300}, default=100
        Length of the vectors.
    limit : int, default=None
        Only so many words, the most frequent first. By default all.
    data_home : path-like, default=None
        Where data sets are kept: by default the environment variable ``SKABA_DATA``, else the user's cache.
    progress : bool, default=True
        Show a progress bar while downloading.

    Returns
    -------
    gensim.models.KeyedVectors
        Vectors of shape (n_words, dimension), float32.

    Raises
    ------
    ValueError
        There is no such archive or dimension, or the limit is not positive.
    DatasetError
        The archive cannot be downloaded, is not the published one, or is damaged.

    References
    ----------
    Pennington, J., Socher, R. and Manning, C. (2014). GloVe: Global Vectors for Word Representation. EMNLP.
    https://nlp.stanford.edu/projects/glove/

    Examples
    --------
    >>> from skaba.datasets import fetch_glove
    >>> vectors = fetch_glove(dimension=100, limit=50_000)  # doctest: +SKIP
    >>> vectors["network"].shape  # doctest: +SKIP
    (100,)
    """
    check_name("GloVe archive", name, ARCHIVES)
    if dimension not in DIMENSIONS[name]:
        raise ValueError(f"GloVe {name} has vectors of length {DIMENSIONS[name]}, not {dimension!r}.")
    _check_limit(limit)
    path = fetch_file(ARCHIVES[name], data_folder("glove", data_home), progress=progress)
    # gensim opens what it reads twice, and a member of an archive has no path: it gets a copy, next to the
    # archive, because a system's folder for temporary files may be too small.
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        copy = Path(folder) / "vectors.txt"
        member = f"glove.{name}.{dimension}d.txt"
        with reading(path), zipfile.ZipFile(path) as archive, archive.open(member) as source:
            _copy_lines(source, copy, limit)
        return _read(copy, limit, "utf-8", named=path)


def read_vectors(path: str | os.PathLike[str], limit: int | None = None, *, encoding: str = "utf-8") -> KeyedVectors:
    r"""Read word vectors from a file in GloVe's text format: a word and its numbers on each line, no header.

    Parameters
    ----------
    path : path-like
        The file, plain or, if its name ends in ``.gz``, gzipped.
    limit : int, default=None
        Only so many words, from the start. By default all.
    encoding : str, default="utf-8"
        How the words are encoded; copies of GloVe that went through another program may be in "cp1252".

    Returns
    -------
    gensim.models.KeyedVectors
        Vectors of shape (n_words, dimension), float32.

    Raises
    ------
    FileNotFoundError
        The file does not exist.
    ValueError
        The limit is not positive.
    DatasetError
        The file is cut, empty, in another encoding, or has lines of unequal length.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skaba.datasets import read_vectors
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "vectors.txt"
    ...     _ = path.write_text("the 0.25 1.0\nnetwork 0.5 -1.0\n")
    ...     vectors = read_vectors(path)
    >>> vectors["network"]
    array([ 0.5, -1. ], dtype=float32)
    """
    _check_limit(limit)
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of word vectors at {path}.")
    return _read(path, limit, encoding, named=path)


def _check_limit(limit: int | None) -> None:
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be a positive number of words, or None for all; got {limit!r}.")


def _copy_lines(source: IO[bytes], copy: Path, limit: int | None) -> None:
    with copy.open("wb") as target:
        if limit is None:
            shutil.copyfileobj(source, target, 2**20)
            return
        target.writelines(itertools.islice(source, limit))


def _read(path: Path, limit: int | None, encoding: str, *, named: Path) -> KeyedVectors:
    from gensim.models import KeyedVectors  # noqa: PLC0415

    opener = gzip.open if path.suffix == ".gz" else open
    with reading(named), opener(path, "rb") as lines:
        _check_lines(itertools.islice(lines, limit), named)
    try:
        return KeyedVectors.load_word2vec_format(str(path), no_header=True, limit=limit, encoding=encoding)
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"The words in {named} are not encoded in {encoding}: {error}. Name the encoding that they are "
            f"in: read_vectors(path, encoding=...)."
        ) from error
    except ValueError as error:
        raise damaged(named, str(error)) from error


def _check_lines(lines: Iterable[bytes], named: Path) -> None:
    """Count the numbers of each line: gensim would spread a single one over the whole vector."""
    expected = None
    for number, line in enumerate(lines, start=1):
        found = line.rstrip().count(b" ")
        expected = expected or found
        if found == 0 or found != expected:
            raise damaged(named, f"line {number} has {found} numbers, not {expected or 'at least one'}")
    if expected is None:
        raise DatasetError(f"{named} has no word vectors: it is empty.")
