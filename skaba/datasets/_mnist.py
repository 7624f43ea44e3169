"""MNIST: handwritten digits of 28 x 28 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

from skaba.datasets._download import PathLike, RemoteFile, damaged, data_folder, fetch_file
from skaba.datasets._idx import read_idx
from skaba.datasets._subsets import Plan, RandomState, check_name, cut, to_bunch, to_unit

# The author's site now needs a password; torchvision downloads this copy too.
BASE_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"
SHA256 = {
    "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
}

PER_CLASS = {"tiny": 10, "medium": 100, "full": None}
PLANS = {
    "official": Plan("MNIST", PER_CLASS, n_valid=10_000),
    "test": Plan("MNIST (test pool)", PER_CLASS, n_valid=2_000, n_test=4_000),
}

DESCR = """\
MNIST: 70,000 handwritten digits of 28 x 28 grey pixels, 10 classes.
Source: http://yann.lecun.com/exdb/mnist/, copied at https://ossci-datasets.s3.amazonaws.com/mnist/.
LeCun, Y., Bottou, L., Bengio, Y. and Haffner, P. (1998). Gradient-based learning applied to document
recognition. Proceedings of the IEEE, 86(11), 2278-2324.
"""


def fetch_mnist(
    subset: str = "full",
    *,
    pool: str = "official",
    data_home: PathLike | None = None,
    progress: bool = True,
    random_state: RandomState = 0,
) -> Bunch:
    """Load MNIST, downloaded on first use (11.6 MB).

    Parameters
    ----------
    subset : {"tiny", "medium", "full"}, default="full"
        Training set of 100 images (10 per class), 1,000 (100 per class), or all 50,000 that are not in the
        validation set.
    pool : {"official", "test"}, default="official"
        With "official", the training set and 10,000 validation images are drawn from the 60,000 official
        training images, and the test set is the 10,000 official test images. With "test", all three are drawn
        from the official test images (4,000 to test, 2,000 to validate, at most 4,000 to train). That needs a
        download of only 1.7 MB and is good for quick experiments, but results cannot be compared with
        published ones.
    data_home : path-like, default=None
        Where data sets are kept: by default the environment variable ``SKABA_DATA``, else the user's cache.
    progress : bool, default=True
        Show a progress bar during the download.
    random_state : int, numpy.random.Generator or None, default=0
        Seed of the splits; the global random state is not used.

    Returns
    -------
    sklearn.utils.Bunch
        ``X_train``, ``X_valid``, ``X_test``: ndarrays of shape (n, 1, 28, 28), float32, in [0, 1].
        ``y_train``, ``y_valid``, ``y_test``: ndarrays of shape (n,), int64. ``target_names``: list of str.
        ``DESCR``: str.

    Raises
    ------
    ValueError
        If the subset or the pool does not exist.
    DatasetError
        If a file cannot be downloaded, is not the published one, or is damaged.

    References
    ----------
    LeCun, Y., Bottou, L., Bengio, Y. and Haffner, P. (1998). Gradient-based learning applied to document
    recognition. Proceedings of the IEEE, 86(11), 2278-2324. http://yann.lecun.com/exdb/mnist/

    Examples
    --------
    >>> from skaba.datasets import fetch_mnist
    >>> mnist = fetch_mnist("tiny")  # doctest: +SKIP
    >>> mnist.X_train.shape  # doctest: +SKIP
    (100, 1, 28, 28)
    """
    check_name("MNIST pool", pool, PLANS)
    check_name("MNIST subset", subset, PER_CLASS)
    folder = data_folder("mnist", data_home)
    test = _read("t10k", folder, progress)
    X, y = _read("train", folder, progress) if pool == "official" else test
    splits = {name: (to_unit(X[drawn]), y[drawn]) for name, drawn in cut(y, PLANS[pool], subset, random_state).items()}
    if pool == "official":
        splits["test"] = (to_unit(test[0]), test[1])
    return to_bunch(splits, [str(digit) for digit in range(10)], DESCR)


def _read(prefix: str, folder: Path, progress: bool) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    names = f"{prefix}-images-idx3-ubyte.gz", f"{prefix}-labels-idx1-ubyte.gz"
    files = [RemoteFile(name, BASE_URL + name, SHA256[name]) for name in names]
    paths = [fetch_file(file, folder, progress=progress) for file in files]
    images, labels = map(read_idx, paths)
    if images.shape != (len(labels), 28, 28):
        raise damaged(paths[0], f"its shape is {images.shape}, but there are {len(labels)} labels")
    return images[:, np.newaxis], labels.astype(np.int64)
