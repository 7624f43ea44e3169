"""Word vectors from a text file: GloVe's format, or word2vec's with its header; plain, gzipped or zipped.

gensim's reader is not used: it splits at single spaces, so that it fails at tabs and at words with spaces, reads no zip
archive, and does not say which line of a file is wrong.
"""

from __future__ import annotations

import codecs
import gzip
import warnings
import zipfile
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skaba.datasets._download import DatasetError, PathLike, damaged, reading

if TYPE_CHECKING:
    from gensim.models import KeyedVectors


def read_vectors(path: PathLike, limit: int | None = None, *, encoding: str = "utf-8") -> KeyedVectors:
    r"""Read word vectors from a text file: a word and its numbers on each line.

    Parameters
    ----------
    path : path-like
        A plain or gzipped file, or a zip archive of one file; its content decides which, not its name. Words and
        numbers are separated by spaces or tabs, and lines end as on Unix or Windows. A first line of two whole numbers
        is word2vec's header: the number of words and the length of their vectors. A word may contain spaces, as some
        words in GloVe's 840B archive do.
    limit : int, default=None
        Read only the first ``limit`` words. By default all.
    encoding : str, default="utf-8"
        Encoding of the words; copies of GloVe that another program has written may be in "cp1252".

    Returns
    -------
    gensim.models.KeyedVectors
        Vectors of shape (n_words, dimension), float32.

    Warns
    -----
    UserWarning
        If words occur more than once; the first vector of each is kept.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the limit is not positive.
    DatasetError
        If the file is damaged, empty or in another encoding, contains numbers that are not finite, or if its lines
        differ in length from each other or from the header. The message names the line.

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
    from gensim.models import KeyedVectors  # noqa: PLC0415 - importing it takes a second

    lines_of: dict[str, int] = {}
    repeated: list[str] = []
    # One flat array that grows: a list of rows would take twice the memory for large files.
    numbers = array("f")
    for number, encoded, fields in islice(_rows(lines, named), limit):
        word, values = _parsed(encoded, fields, encoding, named, number)
        if word in lines_of:
            repeated.append(f"{word!r} on lines {lines_of[word]} and {number}")
            continue
        lines_of[word] = number
        numbers.extend(values)
    if not lines_of:
        raise DatasetError(f"{named} has no word vectors: it is empty.")
    vectors = np.frombuffer(numbers, dtype=np.float32).reshape(len(lines_of), -1)
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        line = list(lines_of.values())[finite.argmin()]
        raise damaged(named, f"line {line} has NaN, infinity or too large a number")
    if repeated:
        warnings.warn(
            f"{named} repeats {len(repeated)} words; the first vector of each is kept: {repeated[0]}.", stacklevel=3
        )
    found = KeyedVectors(vectors.shape[1])
    found.add_vectors(list(lines_of), vectors)
    return found


def _rows(lines: Iterable[bytes], named: Path) -> Iterator[tuple[int, bytes, list[bytes]]]:
    """Yield the number of each line, its word and its numbers, as they are written."""
    dimension = promised = blank = n_rows = 0
    for number, line in enumerate(lines, start=1):
        text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        fields = text.split()
        if not fields:
            blank = blank or number
            continue
        if blank:
            raise damaged(named, f"line {blank} is empty, but more lines follow")
        if number == 1 and len(fields) == 2 and all(map(bytes.isdigit, fields)):
            promised, dimension = map(int, fields)
            continue
        # A line's first field is always a word, and the numbers are those at its end.
        found = len(list(takewhile(_is_number, reversed(fields[1:]))))
        dimension = dimension or found
        word, *written = text.rsplit(maxsplit=dimension)
        if not dimension or len(written) < dimension or (len(fields) - 1 > dimension and found > dimension):
            raise damaged(named, f"line {number} has {found} numbers, not {dimension or 'at least one'}")
        n_rows += 1
        yield number, word.strip(), written
    if promised and n_rows != promised:
        raise damaged(named, f"its header promises {promised} words, but it has {n_rows}")


def _is_number(field: bytes) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _parsed(word: bytes, fields: Sequence[bytes], encoding: str, named: Path, number: int) -> tuple[str, list[float]]:
    try:
        return word.decode(encoding), [float(field) for field in fields]
    except UnicodeDecodeError as error:
        raise DatasetError(
            f"The words in {named} are not encoded in {encoding}, see line {number}: {error}. Name the encoding that "
            "they are in: read_vectors(path, encoding=...)."
        ) from error
    except ValueError as error:
        raise damaged(named, f"line {number} holds something else where numbers should be: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[Iterable[bytes]]:
    """Open a file for its lines; its first bytes tell whether it is compressed."""
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04":  # of a zip archive; gzip's first bytes are 1f 8b
        with zipfile.ZipFile(path) as archive, archive.open(_only_member(archive, path)) as member:
            yield member
        return
    with gzip.open(path) if start[:2] == b"\x1f\x8b" else path.open("rb") as lines:
        yield lines


def _only_member(archive: zipfile.ZipFile, path: Path) -> str:
    # macOS adds a folder of metadata to the zip archives that it writes.
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX/")]
    if len(names) != 1:
        raise DatasetError(
            f"{path} must hold one file of vectors, but it holds {', '.join(names) or 'none'}. Unpack it."
        )
    return names[0]
