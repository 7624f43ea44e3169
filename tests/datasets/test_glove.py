"""Word vectors: the first lines of GloVe, and files that are not what they should be."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from skaba.datasets import DatasetError, _glove, fetch_glove, read_vectors
from skaba.datasets._download import RemoteFile

from .conftest import FileServer, sha256

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
        (b"the 1 2 3\n\nof 1 2 3\n", "line 2 has 0 numbers, not 3"),
        (b"the\nof\n", "line 1 has 0 numbers, not at least one"),
        (b"the 1 2 x\n", "could not convert"),
        (b"\x96 1 2 3\n", r"not encoded in utf-8.*encoding=\.\.\."),
        (b"", "empty"),
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
        read_vectors(path)


def test_damage_after_the_limit_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "vectors.txt"
    path.write_bytes(b"the 1 2\nof 1 2\nand 1\n")
    assert len(read_vectors(path, limit=2)) == 2


def test_wrong_parameters(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.txt"):
        read_vectors(tmp_path / "nothing.txt")
    with pytest.raises(ValueError, match=r"limit must be a positive number of words.*got 0"):
        read_vectors(tmp_path / "nothing.txt", limit=0)
    with pytest.raises(ValueError, match=r"no GloVe archive named '42B'.*Known: 6B"):
        fetch_glove("42B")
    with pytest.raises(ValueError, match=r"\(50, 100, 200, 300\), not 25"):
        fetch_glove(dimension=25)
    with pytest.raises(ValueError, match="limit"):
        fetch_glove(limit=-1)


@pytest.fixture
def serve(server: FileServer, monkeypatch: pytest.MonkeyPatch):
    """Publish some bytes as the archive."""

    def publish(content: bytes) -> FileServer:
        server.files["glove.6B.zip"] = content
        archive = RemoteFile("glove.6B.zip", server.url + "glove.6B.zip", sha256(content))
        monkeypatch.setitem(_glove.ARCHIVES, "6B", archive)
        return server

    return publish


def pack(members: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def test_the_member_of_the_archive_is_read_and_nothing_stays_unpacked(lines: bytes, serve, data_home: Path) -> None:
    server = serve(pack({"glove.6B.50d.txt": lines, "glove.6B.100d.txt": b"the 1 2\n"}))
    vectors = fetch_glove(dimension=50, progress=False)
    assert vectors.vectors.shape == (N_WORDS, 50)
    assert len(fetch_glove("6B", 50, 7, data_home, progress=False)) == 7
    assert server.requests == ["glove.6B.zip"]
    assert [path.name for path in data_home.rglob("*") if path.is_file()] == ["glove.6B.zip"]
    assert [path.name for path in (data_home / "glove").iterdir()] == ["glove.6B.zip"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (pack({"glove.6B.50d.txt": b"the 1 2\n"}), r"glove\.6B\.100d\.txt"),
        (pack({"glove.6B.100d.txt": b"the 1 2\nof 1\n"}), "line 2 has 1 numbers"),
        (pack({"glove.6B.100d.txt": b"the 1 2\n" * 500})[:-30], "not a zip file"),
    ],
)
def test_a_damaged_archive_is_named(serve, content: bytes, why: str) -> None:
    serve(content)
    with pytest.raises(DatasetError, match=why) as caught:
        fetch_glove(progress=False)
    assert "glove.6B.zip" in str(caught.value)
