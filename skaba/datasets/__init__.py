"""Data sets: one loader each, all returning the same kind of :class:`sklearn.utils.Bunch`.

All loaders of published data sets return ``X_train, y_train, X_valid, y_valid, X_test, y_test, target_names, DESCR``;
:func:`load_wfdb_folder`, for your own records, returns ``X, y`` and leaves the splits to you. A ``load_`` function
reads data of an installed package or your own files. A ``fetch_`` function downloads its files once, checks them
against a published SHA-256, and keeps them in the data home: the argument ``data_home=``, else the environment variable
``SKABA_DATA``, else the user's cache. It needs an extra: ``pip install "skaba[datasets]"``.

===================  ===================================  ======  =======  ========
loader               training samples                     valid   test     download
===================  ===================================  ======  =======  ========
load_digits          tiny 100, medium 500, full 1,000     297     500      none
fetch_mnist          tiny 100, medium 1,000, full 50,000  10,000  10,000   11.6 MB
fetch_cifar10        tiny 1,000, full 40,000              10,000  10,000   170 MB
fetch_newsgroups     tiny 2,000, full 13,846              1,000   4,000    14 MB
fetch_tiny_imagenet  full 100,000                         10,000  (valid)  248 MB
fetch_ptbxl          full 17,418                          2,183   2,198    0.6 GB
fetch_glove          word vectors, no samples             none    none     862 MB
===================  ===================================  ======  =======  ========

To write your own loader, cut the samples with :func:`cut`, given a :class:`Plan`, and return :func:`to_bunch`.
"""

from __future__ import annotations

from skaba.datasets._cifar10 import fetch_cifar10
from skaba.datasets._digits import load_digits
from skaba.datasets._download import DatasetError
from skaba.datasets._glove import fetch_glove
from skaba.datasets._message_ids import make_message_ids
from skaba.datasets._mnist import fetch_mnist
from skaba.datasets._newsgroups import fetch_newsgroups
from skaba.datasets._ptbxl import fetch_ptbxl
from skaba.datasets._subsets import Plan, cut, draw_balanced, to_bunch, to_unit
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
    "make_message_ids",
    "make_messages",
    "read_vectors",
    "to_bunch",
    "to_unit",
]
