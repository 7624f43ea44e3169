"""MNIST, from its official test files."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skaba.datasets import DatasetError, _mnist, fetch_mnist
from skaba.datasets._idx import read_idx

from .conftest import FileServer, sha256
from .test_idx import to_idx


def test_everything_from_the_test_files(real_data: Path) -> None:
    mnist = fetch_mnist("tiny", pool="test", data_home=real_data)
    assert mnist.X_train.shape == (100, 1, 28, 28)
    assert mnist.X_train.dtype == np.float32
    assert mnist.y_train.dtype == np.int64
    assert np.bincount(mnist.y_train).tolist() == [10] * 10
    assert (len(mnist.X_valid), len(mnist.X_test)) == (2_000, 4_000)
    assert (mnist.X_test.min(), mnist.X_test.max()) == (0, 1)
    assert mnist.target_names == list("0123456789")


def test_splits_of_the_test_files_share_no_image(real_data: Path) -> None:
    mnist = fetch_mnist("full", pool="test", data_home=real_data)
    images = np.concatenate([mnist.X_train, mnist.X_valid, mnist.X_test])
    assert len({image.tobytes() for image in images}) == len(images) == 10_000


def test_images_keep_their_labels(real_data: Path) -> None:
    mnist = fetch_mnist("medium", pool="test", data_home=real_data)
    images = read_idx(real_data / "mnist" / "t10k-images-idx3-ubyte.gz")
    labels = read_idx(real_data / "mnist" / "t10k-labels-idx1-ubyte.gz")
    label_of = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    pixels = np.round(mnist.X_train * 255).astype(np.uint8)
    assert [label_of[image.tobytes()] for image in pixels] == mnist.y_train.tolist()


def test_seeds(real_data: Path) -> None:
    first, second, other = (
        fetch_mnist("tiny", pool="test", data_home=real_data, random_state=seed) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.X_train, second.X_train)
    np.testing.assert_array_equal(first.X_test, second.X_test)
    assert not np.array_equal(first.X_train, other.X_train)


@pytest.fixture
def served(real_data: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    """All four files, the official test files standing in for the training files too."""
    for part in ("images-idx3", "labels-idx1"):
        content = (real_data / "mnist" / f"t10k-{part}-ubyte.gz").read_bytes()
        for prefix in ("train", "t10k"):
            server.files[f"{prefix}-{part}-ubyte.gz"] = content
    monkeypatch.setattr(_mnist, "SHA256", {name: sha256(content) for name, content in server.files.items()})
    monkeypatch.setattr(_mnist, "BASE_URL", server.url)
    plan = replace(_mnist.PLANS["official"], n_valid=3_000)
    monkeypatch.setitem(_mnist.PLANS, "official", plan)
    return server


def test_official_splits_download_four_files_and_test_on_the_test_file(served: FileServer, data_home: Path) -> None:
    mnist = fetch_mnist("full", progress=False)
    assert sorted(served.requests) == sorted(served.files)
    assert [len(mnist[f"X_{name}"]) for name in ("train", "valid", "test")] == [7_000, 3_000, 10_000]
    labels = read_idx(data_home / "mnist" / "t10k-labels-idx1-ubyte.gz")
    np.testing.assert_array_equal(mnist.y_test, labels)
    fetch_mnist("tiny", progress=False)
    assert len(served.requests) == 4


def test_the_test_pool_downloads_two_files(served: FileServer) -> None:
    fetch_mnist("tiny", pool="test", progress=False)
    assert all(name.startswith("t10k") for name in served.requests)
    assert len(served.requests) == 2


def test_offline_with_nothing_there(dead_url: str, data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_mnist, "BASE_URL", dead_url)
    with pytest.raises(DatasetError, match=r"t10k-images-idx3-ubyte\.gz is not there"):
        fetch_mnist()


def test_images_and_labels_that_do_not_fit(
    served: FileServer, data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.files["t10k-labels-idx1-ubyte.gz"] = gzip.compress(to_idx(np.zeros(5, dtype=np.uint8)))
    hashes = {name: sha256(content) for name, content in served.files.items()}
    monkeypatch.setattr(_mnist, "SHA256", hashes)
    with pytest.raises(DatasetError, match=r"t10k-images.*\(10000, 28, 28\), but there are 5 labels"):
        fetch_mnist(pool="test", progress=False)


def test_unknown_names_are_refused_before_any_download(dead_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_mnist, "BASE_URL", dead_url)
    with pytest.raises(ValueError, match="full, medium, tiny"):
        fetch_mnist("small")
    with pytest.raises(ValueError, match="official, test"):
        fetch_mnist(pool="train")
