"""Tiny ImageNet, from a small archive in the format of the original."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skaba.datasets import DatasetError, _tiny_imagenet, fetch_tiny_imagenet

from .conftest import FileServer, sha256

ROOT = "tiny-imagenet-200"
# In this order in wnids.txt: the classes' numbers do not follow the alphabet.
WNIDS = ["n02124075", "n01443537", "n04067472"]


def jpeg(colour: tuple[int, int, int] | int, size: int = 64) -> bytes:
    mode = "L" if isinstance(colour, int) else "RGB"
    content = io.BytesIO()
    Image.new(mode, (size, size), colour).save(content, "JPEG", quality=95)
    return content.getvalue()


COLOURS = [(255, 0, 0), (0, 255, 0), 128]


def members() -> dict[str, bytes]:
    annotations, files = [], {}
    for wnid, colour in zip(WNIDS, COLOURS, strict=True):
        for number in range(4):
            files[f"{ROOT}/train/{wnid}/images/{wnid}_{number}.JPEG"] = jpeg(colour)
        files[f"{ROOT}/train/{wnid}/{wnid}_boxes.txt"] = b"x\t0\t0\t63\t63\n"
        files[f"{ROOT}/val/images/val_{wnid}.JPEG"] = jpeg(colour)
        annotations.append(f"val_{wnid}.JPEG\t{wnid}\t0\t32\t44\t62\n")
    files[f"{ROOT}/test/images/test_0.JPEG"] = jpeg(0)
    files[f"{ROOT}/val/val_annotations.txt"] = "".join(reversed(annotations)).encode()
    files[f"{ROOT}/wnids.txt"] = "\n".join(WNIDS).encode()
    files[f"{ROOT}/words.txt"] = b"n01443537\tgoldfish, Carassius auratus\nn02124075\tEgyptian cat\nn0\tx\n"
    return files


def pack(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.fixture
def serve(server: FileServer, monkeypatch: pytest.MonkeyPatch):
    """Publish some bytes as the archive."""

    def publish(content: bytes) -> FileServer:
        server.files["tiny.zip"] = content
        archive = replace(_tiny_imagenet.ARCHIVE, url=server.url + "tiny.zip", sha256=sha256(content))
        monkeypatch.setattr(_tiny_imagenet, "ARCHIVE", archive)
        return server

    return publish


def test_images_keep_their_classes(serve, data_home: Path) -> None:
    server = serve(pack(members()))
    images = fetch_tiny_imagenet(progress=False)
    assert images.X_train.shape == (12, 3, 64, 64)
    assert images.X_train.dtype == np.float32
    assert images.y_train.dtype == np.int64
    assert images.wnids == WNIDS
    assert images.target_names == ["Egyptian cat", "goldfish, Carassius auratus", "n04067472"]
    expected = np.array([[1, 0, 0], [0, 1, 0], [128 / 255] * 3])
    for part in ("train", "valid"):
        colours = images[f"X_{part}"].mean(axis=(2, 3))
        np.testing.assert_allclose(colours, expected[images[f"y_{part}"]], atol=0.02)
    assert np.bincount(images.y_train).tolist() == [4, 4, 4]
    assert images.y_valid.tolist() == [2, 1, 0]
    fetch_tiny_imagenet("full", progress=False)
    assert server.requests == ["tiny.zip"]
    assert [path.name for path in data_home.rglob("*") if path.is_file()] == ["tiny-imagenet-200.zip"]


def test_the_test_set_is_the_validation_set_without_a_copy(serve) -> None:
    serve(pack(members()))
    images = fetch_tiny_imagenet(progress=False)
    assert images.X_test is images.X_valid
    assert images.y_test is images.y_valid


def without(name: str) -> bytes:
    return pack({key: content for key, content in members().items() if key != f"{ROOT}/{name}"})


def with_(name: str, content: bytes) -> bytes:
    return pack({**members(), f"{ROOT}/{name}": content})


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (without("wnids.txt"), "wnids.txt"),
        (without(f"val/images/val_{WNIDS[0]}.JPEG"), f"val_{WNIDS[0]}"),
        (with_("val/val_annotations.txt", b"val_1.JPEG\n"), "line 1 of val/val_annotations.txt"),
        (with_("val/val_annotations.txt", b""), "it lacks images"),
        (with_("wnids.txt", WNIDS[0].encode()), f"wnids.txt lacks {WNIDS[1]}, {WNIDS[2]}"),
        (with_(f"val/images/val_{WNIDS[0]}.JPEG", b"no image"), "cannot identify"),
        (with_(f"val/images/val_{WNIDS[0]}.JPEG", jpeg(0)[:300]), "(?i)truncated"),
        (with_(f"val/images/val_{WNIDS[0]}.JPEG", jpeg(0, 32)), r"shape \(32, 32, 3\)"),
        (pack(members())[:-100], "not a zip file"),
    ],
)
def test_a_damaged_archive_is_named(serve, content: bytes, why: str) -> None:
    serve(content)
    with pytest.raises(DatasetError, match=why) as caught:
        fetch_tiny_imagenet(progress=False)
    assert "tiny-imagenet-200.zip" in str(caught.value)


def test_an_unknown_subset() -> None:
    with pytest.raises(ValueError, match=r"no Tiny ImageNet subset named 'tiny'.*Known: full"):
        fetch_tiny_imagenet("tiny")
