"""The 8 x 8 digits that scikit-learn includes."""

from __future__ import annotations

import numpy as np
from sklearn import datasets
from sklearn.utils import Bunch

from skaba.datasets._subsets import Plan, RandomState, cut, to_bunch, to_unit

PLAN = Plan("digits", {"tiny": 10, "medium": 50, "full": None}, n_valid=297, n_test=500)

DESCR = """\
Optical recognition of handwritten digits: 1,797 images of 8 x 8 pixels, 10 classes.
Source: scikit-learn, a copy of the test set of https://archive.ics.uci.edu/dataset/80. Licence: CC BY 4.0.
Alpaydin, E. and Kaynak, C. (1998). Optical Recognition of Handwritten Digits. UCI Machine Learning
Repository.
"""


def load_digits(subset: str = "full", *, random_state: RandomState = 0) -> Bunch:
    """Load scikit-learn's digits; nothing is downloaded.

    Parameters
    ----------
    subset : {"tiny", "medium", "full"}, default="full"
        Training set of 100 samples (10 per class), 500 (50 per class), or 1,000: all that are neither in the
        validation set (297) nor in the test set (500). These two are the same for all subsets of one seed.
    random_state : int, numpy.random.Generator or None, default=0
        Seed of the splits; the global random state is not used.

    Returns
    -------
    sklearn.utils.Bunch
        ``X_train``, ``X_valid``, ``X_test``: ndarrays of shape (n, 1, 8, 8), float32, in [0, 1]: the
        original values, 0 to 16, divided by 16. ``y_train``, ``y_valid``, ``y_test``: ndarrays of shape (n,), int64.
        ``target_names``: list of str. ``DESCR``: str.

    Raises
    ------
    ValueError
        If the subset does not exist.

    References
    ----------
    Alpaydin, E. and Kaynak, C. (1998). Optical Recognition of Handwritten Digits. UCI Machine Learning
    Repository. https://doi.org/10.24432/C50P49

    Examples
    --------
    >>> from skaba.datasets import load_digits
    >>> digits = load_digits("tiny")
    >>> digits.X_train.shape, digits.X_valid.shape, digits.X_test.shape
    ((100, 1, 8, 8), (297, 1, 8, 8), (500, 1, 8, 8))
    >>> float(digits.X_train.min()), float(digits.X_train.max())
    (0.0, 1.0)
    """
    pixels, y = datasets.load_digits(return_X_y=True)
    X = to_unit(pixels.reshape(-1, 1, 8, 8), largest=16)
    y = y.astype(np.int64)
    splits = {name: (X[drawn], y[drawn]) for name, drawn in cut(y, PLAN, subset, random_state).items()}
    return to_bunch(splits, [str(digit) for digit in range(10)], DESCR)
