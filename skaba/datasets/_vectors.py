"""Word vectors from a text file: GloVe's format, word2vec's with its header, plain, gzipped or zipped."""

from __future__ import annotations

import codecs
import gzip
import itertools
import os
import warnings
import zipfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from skaba.datasets._download import DatasetError, damaged, reading

if TYPE_CHECKING:
    from gensim.models import KeyedVectors


def read_vectors(path: str | os.PathLike[str], limit: int | None = None, *, encoding: str = "utf-8") -> KeyedVectors:
    r"""Read word vectors from a text file: a word and its numbers on each line.

    Parameters
    ----------
    path : path-like
        A plain or gzipped file, or a zip archive of one file, recognised by content, not by name. Words and numbers are
        separated by spaces or tabs, lines end as on Unix or Windows. A first line of two whole numbers is word2vec's
        header: the number of words and the length of their vectors. A word may hold spaces, as some of GloVe's 840B
        archive do.
    limit : int, default=None
        Read only the first ``limit`` words. By default all.
    encoding : str, default="utf-8"
        How the words are encoded; copies of GloVe that went through another program may be in "cp1252".

    Returns
    -------
    gensim.models.KeyedVectors
        Vectors of shape (n_words, dimension), float32.

    Warns
    -----
    UserWarning
        If words occur more than once: the first vector of each is kept.

    Raises
    ------
    FileNotFoundError
        The file does not exist.
    ValueError
        The limit is not positive.
    DatasetError
        The file is cut, empty, in another encoding, holds numbers that are not finite, lines of unequal length or other
        than its header says. The message names the line.

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
    check_limit(limit)
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of word vectors at {path}.")
    with reading(path), _opened(path) as lines:
        return parse_vectors(lines, path, limit, encoding)


def check_limit(limit: int | None) -> None:
    """Raise a ValueError unless a limit is a positive number of words, or None.

    Parameters
    ----------
    limit : int or None
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be a positive number of words, or None for all; got {limit!r}.")


def parse_vectors(lines: Iterable[bytes], named: Path, limit: int | None, encoding: str) -> KeyedVectors:
    """Read word vectors from lines.

    Parameters
    ----------
    lines : iterable of bytes
    named : Path
        The file that they come from, for messages.
    limit : int or None
    encoding : str

    Returns
    -------
    gensim.models.KeyedVectors

    Raises
    ------
    DatasetError
        As for :func:`read_vectors`.
    """
    from gensim.models import KeyedVectors  # noqa: PLC0415 (takes a second)

    words: dict[str, int] = {}  # and on which line each was
    repeated: list[str] = []
    # One flat array that grows: a list of rows would take twice the memory of large files.
    numbers = array("f")
    for number, encoded, fields in itertools.islice(_rows(lines, named), limit):
        word = _decoded(encoded, encoding, named, number)
        if word in words:
            repeated.append(f"{word!r} on lines {words[word]} and {number}")
            continue
        words[word] = number
        numbers.extend(_floats(fields, named, number))
    if not words:
        raise DatasetError(f"{named} has no word vectors: it is empty.")
    values = np.frombuffer(numbers, dtype=np.float32).reshape(len(words), -1)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        raise damaged(
            named, f"line {list(words.values())[int(finite.argmin())]} has NaN, infinity or too large a number"
        )
    if repeated:
        warnings.warn(
            f"{named} repeats {len(repeated)} words; the first vector of each is kept: {repeated[0]}.",
            stacklevel=3,
        )
    vectors = KeyedVectors(values.shape[1])
    vectors.add_vectors(list(words), values)
    return vectors


def _rows(lines: Iterable[bytes], named: Path) -> Iterator[tuple[int, bytes, list[bytes]]]:
    """Yield the number of each line, its word and its numbers, as they are written."""
    dimension = promised = blank = 0
    n_rows = 0
    for number, line in enumerate(lines, start=1):
        text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        fields = text.split()
        if not fields:
            blank = blank or number
            continue
        if blank:
            raise damaged(named, f"line {blank} is empty, but more lines follow")
        if number == 1 and len(fields) == 2 and fields[0].isdigit() and fields[1].isdigit():
            promised, dimension = int(fields[0]), int(fields[1])
            continue
        found = _count_numbers(fields)
        dimension = dimension or found
        word, *written = text.rsplit(maxsplit=dimension)
        if not dimension or len(written) < dimension or (len(fields) - 1 > dimension and found > dimension):
            raise damaged(named, f"line {number} has {found} numbers, not {dimension or 'at least one'}")
        n_rows += 1
        yield number, word.strip(), written
    if promised and n_rows != promised:
        raise damaged(named, f"its header promises {promised} words, but it has {n_rows}")


def _count_numbers(fields: Sequence[bytes]) -> int:
    """Count the numbers that a line ends with; its first field is always a word."""
    return sum(1 for _ in itertools.takewhile(_is_number, reversed(fields[1:])))


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _floats(fields: Sequence[bytes], named: Path, number: int) -> list[float]:
    try:
        return [float(field) for field in fields]
    except ValueError as error:
        raise damaged(named, f"line {number} holds something else where numbers should be: {error}") from error


def _decoded(word: bytes, encoding: str, named: Path, number: int) -> str:
    try:
        return word.decode(encoding)
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"The words in {named} are not encoded in {encoding}, see line {number}: {error}. Name the encoding that "
            "they are in: read_vectors(path, encoding=...)."
        ) from error


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for its lines; what it starts with tells whether it is compressed."""
    with path.open("rb") as file:
        start = file.read(4)
    if start[:2] == b"\x1f\x8b":
        with gzip.open(path) as lines:
            yield lines  # type: ignore[misc]  # typeshed: GzipFile is no IO
        return
    if start == b"PK\x03\x04":
        with zipfile.ZipFile(path) as archive, archive.open(_only_member(archive, path)) as member:
            yield member
        return
    with path.open("rb") as lines:
        yield lines


def _only_member(archive: zipfile.ZipFile, path: Path) -> str:
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if len(names) != 1:
        raise DatasetError(
            f"{path} must hold one file of vectors, but it holds {', '.join(names) or 'none'}. Unpack it."
        )
    return names[0]
