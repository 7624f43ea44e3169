"""The IDX format of MNIST: a magic number, the shape and the values, all big-endian."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from skaba.datasets._download import damaged, reading

UNSIGNED_BYTE = 0x08


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read a gzipped IDX file of unsigned bytes.

    Parameters
    ----------
    path : pathlib.Path
        The file.

    Returns
    -------
    ndarray, uint8
        Its shape is the one in the header. It is read-only.

    Raises
    ------
    DatasetError
        If the file has another format, or another length than its header says.
    """
    with reading(path), gzip.open(path) as file:
        content = file.read()
    if len(content) < 4 or content[:3] != bytes([0, 0, UNSIGNED_BYTE]):
        raise damaged(path, f"it starts with {content[:4]!r}, not with the header of an IDX file of bytes")
    n_dimensions = content[3]
    start = 4 + 4 * n_dimensions
    if len(content) < start:
        raise damaged(path, f"its header ends after {len(content)} of {start} bytes")
    shape = struct.unpack(f">{n_dimensions}I", content[4:start])
    # Python's integers do not overflow; NumPy's would, for the header of a damaged file.
    if len(content) - start != math.prod(shape):
        raise damaged(path, f"its header promises {math.prod(shape)} values, it has {len(content) - start}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
