"""Two-dimensional problems whose correct attributions are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skaba.evaluation._checks import COUNT, NOT_NEGATIVE, POSITIVE, TWO_OR_MORE, check_parameters

_CORNERS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])

Seed = int | np.random.Generator | None


def make_xor(
    n_samples: int = 10000, sigma: float = 0.2, random_state: Seed = None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw the four rows of the XOR table, with normal noise on the inputs.

    Parameters
    ----------
    n_samples : int, default=10000
        Number of samples. The four corners of the unit square are equally frequent, in random order.
    sigma : float, default=0.2
        Standard deviation of the noise. Samples may lie outside the unit square; they are not clipped.
    random_state : int, numpy Generator or None, default=None
        Decides all random draws; an int gives the same samples every time.

    Returns
    -------
    X : ndarray of shape (n_samples, 2), float32
    y : ndarray of shape (n_samples,), int64
        1 if the two inputs of the sample's corner differ, else 0. The corner decides, not the noisy sample: with the
        default noise, no model is right on more than 98.8 %.

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        If a parameter is not allowed.

    References
    ----------
    Heurich (2021), section 3.1.

    Examples
    --------
    >>> from skaba.evaluation.ground_truth import make_xor
    >>> X, y = make_xor(8, sigma=0, random_state=0)
    >>> bool(((X[:, 0] != X[:, 1]) == y).all())
    True
    """
    check_parameters("make_xor", n_samples=(n_samples, COUNT), sigma=(sigma, NOT_NEGATIVE))
    generator = np.random.default_rng(random_state)
    corner = _balanced(n_samples, 4, generator)
    X = _CORNERS[corner] + sigma * generator.standard_normal((n_samples, 2))
    return X.astype(np.float32), np.not_equal(*_CORNERS[corner].T).astype(np.int64)


def make_ring_of_gaussians(
    n_samples: int = 1000,
    n_classes: int = 5,
    radius: float = 1.8,
    sigma: float = 0.45,
    random_state: Seed = None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Draw classes whose centres lie on a circle.

    It is for pictures: according to the source, no ground truth is known that would be good enough to measure maps
    against.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of samples. The classes are equally frequent, in random order.
    n_classes : int, default=5
        At least 2. The centre of class k is at the angle ``2 * pi * k / n_classes``.
    radius : float, default=1.8
        Radius of the circle around the origin.
    sigma : float, default=0.45
        Standard deviation of the noise.
    random_state : int, numpy Generator or None, default=None
        Decides all random draws; an int gives the same samples every time.

    Returns
    -------
    X : ndarray of shape (n_samples, 2), float32
    y : ndarray of shape (n_samples,), int64

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        If a parameter is not allowed.

    References
    ----------
    Heurich (2021), appendix B.

    Examples
    --------
    >>> from skaba.evaluation.ground_truth import make_ring_of_gaussians
    >>> X, y = make_ring_of_gaussians(4, n_classes=4, radius=1, sigma=0, random_state=0)
    >>> X[y == 1].round(3) + 0
    array([[0., 1.]], dtype=float32)
    """
    check_parameters(
        "make_ring_of_gaussians",
        n_samples=(n_samples, COUNT),
        n_classes=(n_classes, TWO_OR_MORE),
        radius=(radius, POSITIVE),
        sigma=(sigma, NOT_NEGATIVE),
    )
    generator = np.random.default_rng(random_state)
    y = _balanced(n_samples, n_classes, generator)
    angle = 2 * np.pi * y / n_classes
    centre = radius * np.column_stack([np.cos(angle), np.sin(angle)])
    return (centre + sigma * generator.standard_normal((n_samples, 2))).astype(np.float32), y


def _balanced(n_samples: int, n_classes: int, generator: np.random.Generator) -> NDArray[np.int64]:
    # Exactly equal counts, which independent draws would have on average only.
    return generator.permutation(np.arange(n_samples, dtype=np.int64) % n_classes)
