"""CIFAR-10, from an archive of real images in the format of the binary version."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from skaba.datasets import DatasetError, _cifar10, fetch_cifar10

from .conftest import FileServer, sha256

MEMBERS = [*_cifar10.TRAIN_MEMBERS, _cifar10.TEST_MEMBER]


@pytest.fixture(scope="session")
def photos(real_data: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    with np.load(real_data / "cifar10" / "cifar10_4660.npz") as arrays:
        return arrays["X"], arrays["y"]


def pack(contents: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


@pytest.fixture(scope="session")
def batches(photos: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> dict[str, bytes]:
    """Five training batches of 732 photographs each, and the other 1,000 as test batch."""
    X, y = photos
    records = np.concatenate([y[:, np.newaxis], X.reshape(len(X), -1)], axis=1)
    parts = np.split(records, [732, 1464, 2196, 2928, 3660])
    contents = {name: part.tobytes() for name, part in zip(MEMBERS, parts, strict=True)}
    return {"cifar-10-batches-bin/batches.meta.txt": b"airplane\n", **contents}


@pytest.fixture
def serve(server: FileServer, monkeypatch: pytest.MonkeyPatch):
    """Publish some bytes as the archive, and shrink the validation set to what they hold."""

    def publish(content: bytes) -> FileServer:
        server.files["cifar.tar.gz"] = content
        archive = replace(_cifar10.ARCHIVE, url=server.url + "cifar.tar.gz", sha256=sha256(content))
        monkeypatch.setattr(_cifar10, "ARCHIVE", archive)
        monkeypatch.setattr(_cifar10, "PLAN", replace(_cifar10.PLAN, n_valid=1_000))
        return server

    return publish


def test_photographs_keep_their_labels_and_splits(photos, batches, serve) -> None:
    server = serve(pack(batches))
    cifar10 = fetch_cifar10("full", progress=False)
    assert cifar10.X_train.shape == (2_660, 3, 32, 32)
    assert cifar10.X_train.dtype == np.float32
    assert cifar10.y_train.dtype == np.int64
    assert cifar10.target_names[3] == "cat"
    X, y = photos
    np.testing.assert_allclose(cifar10.X_test, X[3660:] / 255, atol=1e-6)
    np.testing.assert_array_equal(cifar10.y_test, y[3660:])
    label_of = {image.tobytes(): label for image, label in zip(X, y, strict=True)}
    seen = [np.round(cifar10[name] * 255).astype(np.uint8) for name in ("X_train", "X_valid")]
    found = [label_of[image.tobytes()] for image in np.concatenate(seen)]
    assert found == [*cifar10.y_train, *cifar10.y_valid]
    assert len({image.tobytes() for image in np.concatenate(seen)}) == 3_660
    tiny = fetch_cifar10("tiny", progress=False)
    assert np.bincount(tiny.y_train).tolist() == [100] * 10
    np.testing.assert_array_equal(tiny.y_valid, cifar10.y_valid)
    assert len(server.requests) == 1


def test_nothing_is_unpacked(batches, serve, data_home: Path) -> None:
    serve(pack({"../evil.txt": b"x", **batches}))
    fetch_cifar10("tiny", progress=False)
    assert [path.name for path in data_home.rglob("*") if path.is_file()] == ["cifar-10-binary.tar.gz"]


SMALL = {name: bytes(_cifar10.RECORD_LENGTH) for name in MEMBERS}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (
            pack({**SMALL, MEMBERS[1]: bytes(5000)}),
            r"data_batch_2\.bin has 5000 bytes, not a multiple of 3073",
        ),
        (pack({**SMALL, MEMBERS[5]: b""}), r"test_batch\.bin has 0 bytes"),
        (pack({**SMALL, MEMBERS[0]: b"\x0a" + bytes(3072)}), "the label 10, the largest is 9"),
        (pack({name: SMALL[name] for name in MEMBERS[:4]}), r"lacks .*data_batch_5\.bin, .*test_batch\.bin"),
        (pack(SMALL)[:150], "damaged or cut short"),
        (b"not an archive at all", "damaged or cut short"),
    ],
)
def test_a_damaged_archive_is_named(serve, content: bytes, why: str) -> None:
    serve(content)
    with pytest.raises(DatasetError, match=why) as caught:
        fetch_cifar10(progress=False)
    assert "cifar-10-binary.tar.gz" in str(caught.value)


def test_too_few_photographs(serve) -> None:
    serve(pack(SMALL))
    with pytest.raises(ValueError, match=r"more than 1000 samples.*there are 5"):
        fetch_cifar10(progress=False)


def test_an_unknown_subset() -> None:
    with pytest.raises(ValueError, match="Known: full, tiny"):
        fetch_cifar10("medium")
