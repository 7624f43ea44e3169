"""Word vectors from text files: the first lines of GloVe, files as other programs write them, and damaged ones."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors

from skaba.datasets import DatasetError, read_vectors

# Published in UTF-8; this copy has gone through Windows.
FIRST_50D = "glove.6B.50d.first2445.txt.gz"
# Its last line has no line break.
N_WORDS = 2446


@pytest.fixture(scope="session")
def lines(real_data: Path) -> bytes:
    content = gzip.decompress((real_data / "vectors" / FIRST_50D).read_bytes())
    return content.decode("cp1252").encode("utf-8")


def test_the_first_words_of_glove(real_data: Path) -> None:
    vectors = read_vectors(real_data / "vectors" / FIRST_50D, encoding="cp1252")
    assert vectors.vectors.shape == (N_WORDS, 50)
    assert vectors.vectors.dtype == np.float32
    assert vectors.index_to_key[:3] == ["the", ",", "."]
    np.testing.assert_allclose(vectors["the"][:3], [0.418, 0.24968, -0.41242])
    assert "\N{EN DASH}" in vectors
    assert vectors.similarity("king", "queen") > vectors.similarity("king", "percent")


def test_vectors_trained_on_newsgroups(real_data: Path) -> None:
    vectors = read_vectors(str(real_data / "vectors" / "newsgroups-w2v-100d.txt.gz"), limit=500)
    assert vectors.vectors.shape == (500, 100)


def test_plain_text_and_limit(lines: bytes, tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(lines)
    assert len(read_vectors(path)) == N_WORDS
    limited = read_vectors(path, limit=10)
    assert limited.index_to_key == read_vectors(path).index_to_key[:10]
    assert len(read_vectors(path, limit=10_000)) == N_WORDS


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"the 1 2 3\nof 1 2\n", "line 2 has 2 numbers, not 3"),
        (b"the 1 2 3\nof 1\n", "line 2 has 1 numbers, not 3"),
        (b"the 1 2 3\nof 1 2 3 4\n", "line 2 has 4 numbers, not 3"),
        (b"the 1 2 3\n 1 2 3\n", "line 2 has 2 numbers, not 3"),
        (b"the 1 2 3\n\nof 1 2 3\n", "line 2 is empty, but more lines follow"),
        (b"the\nof\n", "line 1 has 0 numbers, not at least one"),
        (b"the 1 2 x\n", "line 1 has 0 numbers, not at least one"),
        (b"the 1 2 3\nof 1 x 3\n", "line 2 holds something else where numbers should be: .*b'x'"),
        (b"the 1 2\nof 1 nan\n", "line 2 has NaN, infinity or too large a number"),
        (b"the 1 2\nof 1 1e300\n", "line 2 has NaN, infinity or too large a number"),
        (b"3 2\nthe 1 2\nof 1 2\n", "its header promises 3 words, but it has 2"),
        (b"1 2\nthe 1 2\nof 1 2\n", "its header promises 1 words, but it has 2"),
        (b"2 3\nthe 1 2\nof 1 2\n", "line 2 has 2 numbers, not 3"),
        (b"2 2\n", "its header promises 2 words, but it has 0"),
        (b"\x96 1 2 3\n", r"not encoded in utf-8.*encoding=\.\.\."),
        (b"", "empty"),
        (b"\n\n", "empty"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=why) as caught:
        read_vectors(path)
    assert str(path) in str(caught.value)


def test_a_cut_gzip_is_named(real_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt.gz"
    path.write_bytes((real_data / "vectors" / FIRST_50D).read_bytes()[:-100])
    with pytest.raises(DatasetError, match=r"vectors\.txt\.gz is damaged or cut short"):
        read_vectors(path, encoding="cp1252")


def test_damage_after_the_limit_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(b"the 1 2\nof 1 2\nand 1\n")
    assert len(read_vectors(path, limit=2)) == 2


PAIRS = {"the": [0.1, 0.2], "of": [0.3, 0.4]}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"the 0.1 0.2\r\nof 0.3 0.4\r\n", PAIRS),
        (b"the\t0.1\t0.2\nof\t0.3\t0.4\n", PAIRS),
        (b"the\t0.1 0.2\nof\t0.3 0.4\n", PAIRS),
        (b"the  0.1 0.2 \nof 0.3   0.4 \n", PAIRS),
        (b"the 0.1 0.2\nof 0.3 0.4", PAIRS),
        (b"the 0.1 0.2\nof 0.3 0.4\n\n \n", PAIRS),
        (b"\xef\xbb\xbfthe 0.1 0.2\nof 0.3 0.4\n", PAIRS),
        (b"2 2\nthe 0.1 0.2\nof 0.3 0.4\n", PAIRS),
        (b"\xef\xbb\xbf2 2\r\nthe 0.1 0.2\r\nof 0.3 0.4\r\n", PAIRS),
        (b"2\t1\nthe 0.1\nof 0.3\n", {"the": [0.1], "of": [0.3]}),
        (b"the 0.1 0.2\n. . . 0.3 0.4\n", {"the": [0.1, 0.2], ". . .": [0.3, 0.4]}),
        (b". . 0.1 0.2\nat name@domain.com 0.3 0.4\n", {". .": [0.1, 0.2], "at name@domain.com": [0.3, 0.4]}),
        (b"1999 0.1 0.2\n3.5 0.3 0.4\n", {"1999": [0.1, 0.2], "3.5": [0.3, 0.4]}),
        ("new\xa0york 0.1 0.2\n\x85 0.3 0.4\n".encode(), {"new\xa0york": [0.1, 0.2], "\x85": [0.3, 0.4]}),
        (b"the 1e-1 +.2\nof 3E-01 4e-1\n", PAIRS),
    ],
)
def test_files_as_other_programs_write_them(tmp_path: Path, content: bytes, expected: dict[str, list[float]]) -> None:
    plain, zipped = tmp_path / "vectors.txt", tmp_path / "vectors.zip"
    plain.write_bytes(content)
    (tmp_path / "vectors").write_bytes(gzip.compress(content))
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("vectors/vectors.txt", content)
    for path in (plain, tmp_path / "vectors", zipped):
        vectors = read_vectors(path)
        assert vectors.index_to_key == list(expected)
        np.testing.assert_array_equal(vectors.vectors, np.array(list(expected.values()), dtype=np.float32))
        first = read_vectors(path, limit=1)
        assert (first.index_to_key, first.vectors.shape) == (list(expected)[:1], (1, vectors.vector_size))


def test_a_header_that_promises_more_than_the_limit_takes(tmp_path: Path) -> None:
    (tmp_path / "vectors.txt").write_bytes(b"400000 2\nthe 0.1 0.2\n")
    assert read_vectors(tmp_path / "vectors.txt", limit=1).index_to_key == ["the"]
    with pytest.raises(DatasetError, match="promises 400000 words, but it has 1"):
        read_vectors(tmp_path / "vectors.txt", limit=2)


def test_the_first_vector_of_a_repeated_word_is_kept(tmp_path: Path) -> None:
    (tmp_path / "vectors.txt").write_bytes(b"the 1 2\nof 3 4\nthe 5 6\na 7 8\nof 0 0\n")
    with pytest.warns(UserWarning, match=r"vectors.txt repeats 2 words; .*: 'the' on lines 1 and 3"):
        vectors = read_vectors(tmp_path / "vectors.txt")
    assert vectors.index_to_key == ["the", "of", "a"]
    assert vectors.vectors.tolist() == [[1, 2], [3, 4], [7, 8]]


def test_an_archive_of_several_files_is_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "vectors.zip", "w") as archive:
        for name in ("glove.50d.txt", "glove.100d.txt"):
            archive.writestr(name, b"the 1 2\n")
    with pytest.raises(
        DatasetError, match=r"must hold one file of vectors, but it holds glove.50d.txt, glove.100d.txt"
    ):
        read_vectors(tmp_path / "vectors.zip")


@pytest.mark.parametrize("header", [True, False])
def test_what_gensim_writes_and_reads(lines: bytes, tmp_path: Path, header: bool) -> None:
    """An independent reader and writer of the format: the same words, the same numbers to the last bit."""
    (tmp_path / "glove.txt").write_bytes(lines)
    theirs = KeyedVectors.load_word2vec_format(str(tmp_path / "glove.txt"), no_header=True)
    theirs.save_word2vec_format(str(tmp_path / "gensim.txt"), write_header=header)
    for name in ("glove.txt", "gensim.txt"):
        ours = read_vectors(tmp_path / name)
        assert ours.index_to_key == theirs.index_to_key
        np.testing.assert_array_equal(ours.vectors, theirs.vectors)
    assert ours.most_similar("king")[:3] == theirs.most_similar("king")[:3]


def test_wrong_parameters(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.txt"):
        read_vectors(tmp_path / "nothing.txt")
    with pytest.raises(ValueError, match=r"limit must be a positive number of words.*got 0"):
        read_vectors(tmp_path / "nothing.txt", limit=0)
