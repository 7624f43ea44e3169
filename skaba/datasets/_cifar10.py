"""CIFAR-10: small colour photographs, from the binary version of the archive, so that nothing is unpickled."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from skaba.datasets._download import PathLike, RemoteFile, damaged, data_folder, fetch_file, reading
from skaba.datasets._subsets import Plan, RandomState, check_name, cut, to_bunch, to_unit

ARCHIVE = RemoteFile(
    "cifar-10-binary.tar.gz",
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    # The source publishes only the MD5, c32a1d4ab5d03f1284b67883e8d87530; this is the SHA-256 of the same file.
    "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
)
TRAIN_MEMBERS = [f"cifar-10-batches-bin/data_batch_{batch}.bin" for batch in range(1, 6)]
TEST_MEMBER = "cifar-10-batches-bin/test_batch.bin"
# One label, then 32 x 32 values each of red, green and blue.
RECORD_LENGTH = 1 + 3 * 32 * 32

PLAN = Plan("CIFAR-10", {"tiny": 100, "full": None}, n_valid=10_000)
TARGET_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

DESCR = """\
CIFAR-10: 60,000 colour photographs of 32 x 32 pixels, 10 classes.
Source: https://www.cs.toronto.edu/~kriz/cifar.html.
Krizhevsky, A. (2009). Learning Multiple Layers of Features from Tiny Images. University of Toronto.
"""


def fetch_cifar10(
    subset: str = "full", *, data_home: PathLike | None = None, progress: bool = True, random_state: RandomState = 0
) -> Bunch:
    """Load CIFAR-10, downloaded on first use (170 MB).

    The validation set (10,000 images) and the training set are drawn from the 50,000 official training
    images; the test set is the official one (10,000).

    Parameters
    ----------
    subset : {"tiny", "full"}, default="full"
        Training set of 1,000 images (100 per class), or all 40,000 that are not in the validation set.
    data_home : path-like, default=None
        Where data sets are kept: by default the environment variable ``SKABA_DATA``, else the user's cache.
    progress : bool, default=True
        Show a progress bar during the download.
    random_state : int, numpy.random.Generator or None, default=0
        Seed of the splits; the global random state is not used.

    Returns
    -------
    sklearn.utils.Bunch
        ``X_train``, ``X_valid``, ``X_test``: ndarrays of shape (n, 3, 32, 32), float32, in [0, 1].
        ``y_train``, ``y_valid``, ``y_test``: ndarrays of shape (n,), int64. ``target_names``: list of str.
        ``DESCR``: str.

    Raises
    ------
    ValueError
        If the subset does not exist.
    DatasetError
        If the archive cannot be downloaded, is not the published one, or is damaged.

    References
    ----------
    Krizhevsky, A. (2009). Learning Multiple Layers of Features from Tiny Images. University of Toronto.
    https://www.cs.toronto.edu/~kriz/cifar.html

    Examples
    --------
    >>> from skaba.datasets import fetch_cifar10
    >>> cifar10 = fetch_cifar10("tiny")  # doctest: +SKIP
    >>> cifar10.X_train.shape  # doctest: +SKIP
    (1000, 3, 32, 32)
    """
    check_name("CIFAR-10 subset", subset, PLAN.per_class)
    path = fetch_file(ARCHIVE, data_folder("cifar10", data_home), progress=progress)
    batches = _read_batches(path)
    X = np.concatenate([batches[name][0] for name in TRAIN_MEMBERS])
    y = np.concatenate([batches[name][1] for name in TRAIN_MEMBERS])
    splits = {name: (to_unit(X[drawn]), y[drawn]) for name, drawn in cut(y, PLAN, subset, random_state).items()}
    X_test, y_test = batches[TEST_MEMBER]
    splits["test"] = (to_unit(X_test), y_test)
    return to_bunch(splits, TARGET_NAMES, DESCR)


def _read_batches(path: Path) -> dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """Read the batches from the archive in one pass; nothing is written to disk."""
    wanted = {*TRAIN_MEMBERS, TEST_MEMBER}
    batches = {}
    with reading(path), tarfile.open(path) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name in wanted else None
            if file is not None:
                batches[member.name] = _parse_batch(path, member.name, file.read())
    missing = sorted(wanted - batches.keys())
    if missing:
        raise damaged(path, f"it lacks {', '.join(missing)}")
    return batches


def _parse_batch(path: Path, name: str, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    if not content or len(content) % RECORD_LENGTH:
        raise damaged(path, f"{name} has {len(content)} bytes, not a multiple of {RECORD_LENGTH}")
    records = np.frombuffer(content, dtype=np.uint8).reshape(-1, RECORD_LENGTH)
    labels = records[:, 0].astype(np.int64)
    if labels.max() >= len(TARGET_NAMES):
        raise damaged(path, f"{name} has the label {labels.max()}, the largest is {len(TARGET_NAMES) - 1}")
    return records[:, 1:].reshape(-1, 3, 32, 32), labels
