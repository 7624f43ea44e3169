"""Downloads against a real server, and everything that can go wrong on the way."""

from __future__ import annotations

import logging
from pathlib import Path

import pooch
import pytest

from skaba.datasets import DatasetError, _download
from skaba.datasets._download import RemoteFile, data_folder, fetch_file, fetch_files, reading

from .conftest import FileServer, sha256

CONTENT = bytes(range(256)) * 2000


@pytest.fixture
def remote(server: FileServer) -> RemoteFile:
    server.files["some.bin"] = CONTENT
    return RemoteFile("some.bin", server.url + "some.bin", sha256(CONTENT))


def everything_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*")) if folder.exists() else []


def test_data_home_is_the_argument_then_the_variable_then_the_cache(
    tmp_path: Path, data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert data_folder("mnist", tmp_path / "given") == tmp_path / "given" / "mnist"
    assert data_folder("mnist", str(tmp_path)) == tmp_path / "mnist"
    assert data_folder("mnist") == data_home / "mnist"
    monkeypatch.delenv("SKABA_DATA")
    assert data_folder("mnist") == Path(pooch.os_cache("skaba")).resolve() / "mnist"
    assert data_folder("mnist", "~/x") == Path.home().resolve() / "x" / "mnist"


def test_asking_for_the_folder_creates_nothing(data_home: Path) -> None:
    data_folder("mnist")
    assert not data_home.exists()


def test_a_file_is_downloaded_once(remote: RemoteFile, server: FileServer, tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    first = fetch_file(remote, folder)
    assert first == folder / "some.bin"
    assert first.read_bytes() == CONTENT
    assert fetch_file(remote, folder) == first
    assert server.requests == ["some.bin"]
    assert everything_in(folder) == ["some.bin"]


def test_a_file_that_is_there_needs_no_network(tmp_path: Path, dead_url: str) -> None:
    (tmp_path / "some.bin").write_bytes(CONTENT)
    file = RemoteFile("some.bin", dead_url + "some.bin", sha256(CONTENT))
    assert fetch_file(file, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("progress", [True, False])
def test_the_progress_bar_can_be_switched_off(
    remote: RemoteFile, tmp_path: Path, capsys: pytest.CaptureFixture[str], progress: bool
) -> None:
    fetch_file(remote, tmp_path, progress=progress)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert ("B/s" in shown.err) == progress


def test_a_wrong_download_is_thrown_away(remote: RemoteFile, server: FileServer, tmp_path: Path) -> None:
    server.files["some.bin"] = b"<html>Please log in</html>"
    with pytest.raises(DatasetError) as caught:
        fetch_file(remote, tmp_path)
    message = str(caught.value)
    for part in (remote.url, remote.name, sha256(CONTENT), sha256(server.files["some.bin"]), "Try again"):
        assert part in message
    assert everything_in(tmp_path) == []


def test_a_wrong_file_that_was_there_is_named_and_kept(remote: RemoteFile, server: FileServer, tmp_path: Path) -> None:
    path = tmp_path / "some.bin"
    path.write_bytes(b"mine")
    with pytest.raises(DatasetError) as caught:
        fetch_file(remote, tmp_path)
    message = str(caught.value)
    for part in (str(path), sha256(CONTENT), sha256(b"mine"), "Delete it", remote.url):
        assert part in message
    assert path.read_bytes() == b"mine"
    assert server.requests == []


def test_a_broken_connection_leaves_nothing_and_can_be_repeated(
    remote: RemoteFile, server: FileServer, tmp_path: Path
) -> None:
    server.breaks["some.bin"] = 1
    with pytest.raises(DatasetError, match=r"some\.bin"):
        fetch_file(remote, tmp_path)
    assert everything_in(tmp_path) == []
    assert fetch_file(remote, tmp_path).read_bytes() == CONTENT


def test_an_interrupted_download_leaves_nothing(
    remote: RemoteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch_file(remote, tmp_path)
    assert everything_in(tmp_path) == []


def test_a_file_that_the_source_lacks(server: FileServer, tmp_path: Path) -> None:
    file = RemoteFile("gone.bin", server.url + "gone.bin", sha256(CONTENT))
    with pytest.raises(DatasetError, match="404") as caught:
        fetch_file(file, tmp_path)
    assert str(tmp_path / "gone.bin") in str(caught.value)


def test_no_network(dead_url: str, tmp_path: Path) -> None:
    file = RemoteFile("some.bin", dead_url + "some.bin", sha256(CONTENT))
    with pytest.raises(DatasetError) as caught:
        fetch_file(file, tmp_path)
    message = str(caught.value)
    for part in (str(tmp_path / "some.bin"), file.url, "failed", "put the file at that path"):
        assert part in message


def test_a_data_home_that_is_a_file(remote: RemoteFile, tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("")
    with pytest.raises(DatasetError, match="folder"):
        fetch_file(remote, tmp_path / "folder")


def many(server: FileServer, n_files: int) -> list[RemoteFile]:
    names = [f"part{number % 3}/{number}.bin" for number in range(n_files)]
    server.files.update({name: name.encode() for name in names})
    return [RemoteFile(name, server.url + name, sha256(name.encode())) for name in names]


def test_many_files_are_downloaded_and_those_there_are_not(server: FileServer, tmp_path: Path) -> None:
    files = many(server, 40)
    fetch_files(files[:10], tmp_path, progress=False)
    server.requests.clear()
    fetch_files(files, tmp_path, progress=False)
    assert sorted(server.requests) == sorted(file.name for file in files[10:])
    assert all((tmp_path / file.name).read_text() == file.name for file in files)


def test_a_weak_connection_is_tried_again(server: FileServer, tmp_path: Path) -> None:
    files = many(server, 4)
    server.breaks[files[2].name] = 1
    fetch_files(files, tmp_path, progress=False)
    assert server.requests.count(files[2].name) == 2
    assert (tmp_path / files[2].name).is_file()


def test_many_files_stop_at_the_first_failure(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_download, "N_RETRIES", 0)
    monkeypatch.setattr(_download, "N_THREADS", 1)
    files = many(server, 200)
    del server.files[files[1].name]
    with pytest.raises(DatasetError, match=files[1].name):
        fetch_files(files, tmp_path)
    assert len(server.requests) < 200
    assert (tmp_path / files[0].name).is_file()


def test_the_bar_of_many_files(server: FileServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fetch_files(many(server, 3), tmp_path)
    assert "3/3" in capsys.readouterr().err


def test_poochs_logger_is_left_as_it_was(remote: RemoteFile, tmp_path: Path, dead_url: str) -> None:
    logger = pooch.get_logger()
    before = logger.level
    assert before != logging.WARNING
    fetch_file(remote, tmp_path)
    with pytest.raises(DatasetError):
        fetch_file(RemoteFile("x", dead_url + "x", sha256(b"")), tmp_path)
    assert logger.level == before


@pytest.mark.parametrize("error", [EOFError("cut"), OSError("disk"), KeyError("member")])
def test_errors_while_reading_name_the_file(tmp_path: Path, error: Exception) -> None:
    with (
        pytest.raises(DatasetError, match=r"a\.gz is damaged or cut short.*Delete it"),
        reading(tmp_path / "a.gz"),
    ):
        raise error


def test_other_errors_while_reading_are_not_hidden(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), reading(tmp_path / "a.gz"):
        raise ZeroDivisionError
