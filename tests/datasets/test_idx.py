"""The IDX parser: real files, files it writes itself, and broken ones."""

from __future__ import annotations

import gzip
import struct
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from skaba.datasets import DatasetError
from skaba.datasets._idx import read_idx


def to_idx(values: NDArray[np.uint8]) -> bytes:
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


@given(values=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=5)))
def test_what_is_written_is_read(values: NDArray[np.uint8]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "some.gz"
        path.write_bytes(gzip.compress(to_idx(values)))
        np.testing.assert_array_equal(read_idx(path), values)


def test_the_official_test_files(real_data: Path) -> None:
    images = read_idx(real_data / "mnist" / "t10k-images-idx3-ubyte.gz")
    labels = read_idx(real_data / "mnist" / "t10k-labels-idx1-ubyte.gz")
    assert images.shape == (10_000, 28, 28)
    assert labels[:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def _compressed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)  # the same in every process, as the names of the tests must be


GOOD = to_idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (_compressed(GOOD)[:-12], "damaged"),
        (_compressed(GOOD)[:15] + b"\xff" * 8 + _compressed(GOOD)[23:], "damaged"),
        (GOOD, "gzip"),
        (b"", "starts with b''"),
        (_compressed(b"\x00\x00\x0d\x03" + GOOD[4:]), "header of an IDX file of bytes"),
        (_compressed(GOOD[:9]), "header ends after 9 of 16 bytes"),
        (_compressed(GOOD[:-1]), "promises 24 values, it has 23"),
        (_compressed(GOOD + b"x"), "promises 24 values, it has 25"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=why) as caught:
        read_idx(path)
    assert str(path) in str(caught.value)


@given(cut_at=st.integers(0, 60))
def test_no_cut_gives_anything_but_the_one_error(cut_at: int) -> None:
    whole = gzip.compress(GOOD)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images.gz"
        path.write_bytes(whole[: min(cut_at, len(whole) - 1)])
        with pytest.raises(DatasetError, match=r"images\.gz"):
            read_idx(path)
