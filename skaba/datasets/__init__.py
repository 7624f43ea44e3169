"""Data sets: one loader each, all returning the same kind of :class:`sklearn.utils.Bunch`.

Every loader of a published data set returns ``X_train, y_train, X_valid, y_valid, X_test, y_test, target_names,
DESCR``; :func:`load_wfdb_folder`, for records of your own, returns ``X, y`` and leaves the splits to you. What a
``load_`` function returns comes with an installed package or from your own files; what a ``fetch_`` function returns is
downloaded once, checked against a published SHA-256, and kept in the data home: the argument ``data_home=``, else the
environment variable ``SKABA_DATA``, else the user's cache.
"""

from __future__ import annotations

from skaba.datasets._cifar10 import fetch_cifar10
from skaba.datasets._digits import load_digits
from skaba.datasets._download import DatasetError
from skaba.datasets._glove import fetch_glove
from skaba.datasets._mnist import fetch_mnist
from skaba.datasets._newsgroups import fetch_newsgroups
from skaba.datasets._ptbxl import fetch_ptbxl
from skaba.datasets._subsets import Plan, cut, draw_balanced, to_bunch
from skaba.datasets._synthetic import make_ecg, make_messages
from skaba.datasets._tiny_imagenet import fetch_tiny_imagenet
from skaba.datasets._vectors import read_vectors
from skaba.datasets._wfdb import load_wfdb_folder

__all__ = [
    "DatasetError",
    "Plan",
    "cut",
    "draw_balanced",
    "fetch_cifar10",
    "fetch_glove",
    "fetch_mnist",
    "fetch_newsgroups",
    "fetch_ptbxl",
    "fetch_tiny_imagenet",
    "load_digits",
    "load_wfdb_folder",
    "make_ecg",
    "make_messages",
    "read_vectors",
    "to_bunch",
]
