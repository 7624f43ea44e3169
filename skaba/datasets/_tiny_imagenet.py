"""Tiny ImageNet: colour photographs of 64 x 64 pixels, 200 classes, read from the archive without unpacking it."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from skaba._extras import require
from skaba.datasets._download import PathLike, RemoteFile, damaged, data_folder, fetch_file, reading
from skaba.datasets._subsets import check_name, to_bunch, to_unit

ARCHIVE = RemoteFile(
    "tiny-imagenet-200.zip",
    "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
    # The source publishes no hash; several people who downloaded the file independently report this one.
    "6198c8ae015e2b3e007c7841da39ec069199b9aa3bfa943a462022fe5e43c821",
)
ROOT = "tiny-imagenet-200"
TRAIN_MEMBER = re.compile(rf"{ROOT}/train/(?P<wnid>n\d+)/images/[^/]+\.JPEG")
SIZE = 64

DESCR = """\
Tiny ImageNet: 100,000 training and 10,000 validation photographs of 64 x 64 pixels, 200 classes of ImageNet.
Source: http://cs231n.stanford.edu/tiny-imagenet-200.zip. Licence: ImageNet's terms, non-commercial research.
Le, Y. and Yang, X. (2015). Tiny ImageNet Visual Recognition Challenge. CS 231N, Stanford.
"""


def fetch_tiny_imagenet(subset: str = "full", *, data_home: PathLike | None = None, progress: bool = True) -> Bunch:
    """Load Tiny ImageNet, downloaded on first use (248 MB); it takes 5.4 GB of memory.

    The labels of the official test images were never published. Therefore, as in the literature, the official
    validation set is also the test set: ``X_test`` *is* ``X_valid``. Results are too optimistic if a model was
    tuned on it; hold out part of ``X_train`` for tuning.

    Parameters
    ----------
    subset : {"full"}, default="full"
        The only training set is the full one: 100,000 images (500 per class).
    data_home : path-like, default=None
        Where data sets are kept: by default the environment variable ``SKABA_DATA``, else the user's cache.
    progress : bool, default=True
        Show a progress bar during the download.

    Returns
    -------
    sklearn.utils.Bunch
        ``X_train``: ndarray of shape (100000, 3, 64, 64), float32, in [0, 1]; grey images have three
        equal channels. ``X_valid``: ndarray of shape (10000, 3, 64, 64). ``y_train``, ``y_valid``:
        ndarrays of shape (n,), int64, in the order of the archive's ``wnids.txt``. ``X_test``, ``y_test``:
        the same arrays as ``X_valid``, ``y_valid``. ``target_names``: list of str, the words of each class.
        ``wnids``: list of str, their WordNet numbers. ``DESCR``: str.

    Raises
    ------
    ValueError
        If the subset does not exist.
    DatasetError
        If the archive cannot be downloaded, is not the published one, or is damaged.

    References
    ----------
    Le, Y. and Yang, X. (2015). Tiny ImageNet Visual Recognition Challenge. CS 231N, Stanford.

    Examples
    --------
    >>> from skaba.datasets import fetch_tiny_imagenet
    >>> images = fetch_tiny_imagenet()  # doctest: +SKIP
    >>> images.X_train.shape  # doctest: +SKIP
    (100000, 3, 64, 64)
    """
    check_name("Tiny ImageNet subset", subset, ["full"])
    require("datasets", "Tiny ImageNet, whose images are JPEGs, images", "PIL")
    path = fetch_file(ARCHIVE, data_folder("tiny_imagenet", data_home), progress=progress)
    with reading(path), zipfile.ZipFile(path) as archive:
        wnids = archive.read(f"{ROOT}/wnids.txt").decode().split()
        words = dict(_read_table(archive, path, "words.txt"))
        train = _read_split(archive, path, _train_members(archive), wnids)
        valid = _read_split(archive, path, _valid_members(archive, path), wnids)
    splits = {"train": train, "valid": valid, "test": valid}
    return to_bunch(splits, [words.get(wnid, wnid) for wnid in wnids], DESCR, wnids=wnids)


def _train_members(archive: zipfile.ZipFile) -> list[tuple[str, str]]:
    matches = (TRAIN_MEMBER.fullmatch(name) for name in sorted(archive.namelist()))
    return [(match[0], match["wnid"]) for match in matches if match]


def _valid_members(archive: zipfile.ZipFile, path: Path) -> list[tuple[str, str]]:
    rows = _read_table(archive, path, "val/val_annotations.txt")
    return [(f"{ROOT}/val/images/{image}", wnid) for image, wnid in rows]


def _read_table(archive: zipfile.ZipFile, path: Path, name: str) -> list[tuple[str, str]]:
    """Read the first two columns of a table whose columns are separated by tabs."""
    rows = []
    for number, line in enumerate(archive.read(f"{ROOT}/{name}").decode().splitlines(), start=1):
        columns = line.split("\t")
        if len(columns) < 2:
            raise damaged(path, f"line {number} of {name} has no second column")
        rows.append((columns[0], columns[1]))
    return rows


def _read_split(
    archive: zipfile.ZipFile, path: Path, members: Sequence[tuple[str, str]], wnids: list[str]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    numbers = {wnid: number for number, wnid in enumerate(wnids)}
    unknown = sorted({wnid for _, wnid in members} - numbers.keys())
    if unknown or not members:
        raise damaged(path, f"wnids.txt lacks {', '.join(unknown)}" if unknown else "it lacks images")
    # Filled image by image, because a second copy of the scaled images would need gigabytes more.
    X = np.empty((len(members), 3, SIZE, SIZE), dtype=np.float32)
    for position, (name, _) in enumerate(members):
        X[position] = to_unit(_read_image(archive, path, name))
    return X, np.array([numbers[wnid] for _, wnid in members], dtype=np.int64)


def _read_image(archive: zipfile.ZipFile, path: Path, name: str) -> NDArray[np.uint8]:
    from PIL import Image  # noqa: PLC0415 - it belongs to an extra

    with Image.open(io.BytesIO(archive.read(name))) as image:
        pixels = np.asarray(image.convert("RGB"))  # some photographs are grey
    if pixels.shape != (SIZE, SIZE, 3):
        raise damaged(path, f"{name} has the shape {pixels.shape}, not {(SIZE, SIZE, 3)}")
    return pixels.transpose(2, 0, 1)
