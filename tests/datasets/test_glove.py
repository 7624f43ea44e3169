"""GloVe's archive: which member is read, and what is said of damaged ones."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from skaba.datasets import DatasetError, _glove, fetch_glove
from skaba.datasets._download import RemoteFile

from .conftest import FileServer, sha256

LINES = b"".join(b"word%d %s\n" % (i, b" ".join(b"%d" % (i * j) for j in range(50))) for i in range(20))


def test_wrong_parameters() -> None:
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


def test_the_member_of_the_archive_is_read_and_nothing_is_unpacked(serve, data_home: Path) -> None:
    server = serve(pack({"glove.6B.50d.txt": LINES, "glove.6B.100d.txt": b"the 1 2\n"}))
    vectors = fetch_glove(dimension=50, progress=False)
    assert vectors.vectors.shape == (20, 50)
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
