"""Scores of a fitted estimator on partly covered inputs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from skaba.evaluation.robustness._bounds import check_broadcasts
from skaba.evaluation.robustness._samples import as_array, check_scorable, like


def occlusion_scores(
    estimator: Any,
    X: Any,
    y: Any,
    size: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    fill: ArrayLike | str = "mean",
) -> NDArray[np.float64]:
    """Return the score of a fitted estimator with a square covered, for every place of the square.

    All samples are covered at the same place. The square covers pixels of images (n, channels, height, width), time
    steps of series (n, channels, length), columns of tables (n, features), or words of texts (n, words), with all
    channels of a pixel or a time step.

    Parameters
    ----------
    estimator : estimator
        Fitted: a skaba estimator, or any that has ``score``. X is covered before the steps of a Pipeline.
    X : array-like of shape (n, length), (n, channels, length) or (n, channels, height, width)
    y : array-like of shape (n, ...)
    size : int or sequence of int
        Edge of the square, in pixels, time steps, columns or words; a sequence holds one per axis, such as
        (height, width).
    stride : int or sequence of int, default=None
        Distance from one place to the next; by default the size, so that the squares tile the input.
    fill : float, array or "mean", default="mean"
        What covers the square: ``"mean"``, each feature's mean over X; or a value, or an array that broadcasts to a
        sample. Word ids need the id of padding, such as 0.

    Returns
    -------
    ndarray of shape (n_places,) or (n_places, n_places)
        One axis per axis of the square. Along an axis, place i starts at ``i * stride``. If features at the end would
        not be covered by any square, one more place starts at ``length - size``.

    Raises
    ------
    TypeError
        If the estimator has no ``score``, or X is not a single array.
    ValueError
        If a parameter is not allowed, X does not hold numbers, or y does not fit.

    Notes
    -----
    All samples are scored once per place.

    References
    ----------
    Zeiler and Fergus (2014), "Visualizing and Understanding Convolutional Networks", section 4.2, for the map of
    places; Santos (2023), chapter 3, for the score under covering squares as robustness.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from skaba.evaluation.robustness import occlusion_scores
    >>> digits = load_digits()
    >>> X, y = digits.images[:, None] / 16, digits.target
    >>> flat = FunctionTransformer(lambda images: images.reshape(len(images), -1))
    >>> clf = make_pipeline(flat, LogisticRegression(max_iter=500)).fit(X[:1000], y[:1000])
    >>> scores = occlusion_scores(clf, X[1000:], y[1000:], size=2)
    >>> scores.shape, bool(scores.min() < clf.score(X[1000:], y[1000:]))
    ((4, 4), True)
    """
    check_scorable(estimator)
    values = as_array(X, y)
    lengths = check_size(size, values.shape[1:])
    starts = _places(values.shape[1:], lengths, stride)
    cover = cover_of(values, fill)
    scores = np.empty([len(firsts) for firsts in starts])
    for place, corner in zip(np.ndindex(scores.shape), product(*starts), strict=True):
        along = (slice(start, start + length) for start, length in zip(corner, lengths, strict=True))
        square: tuple[Any, ...] = (..., *along)
        covered = values.copy()  # the estimator may keep or change what it gets
        covered[square] = cover[square]
        scores[place] = estimator.score(like(X, covered), y)
    return scores


def default_size(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the size of a square that has about 16 places in a sample of the given shape, 4 by 4 in images."""
    axes = shape[1:] or shape
    n_places = max(2, round(16 ** (1 / len(axes))))
    return tuple(-(-length // n_places) for length in axes)  # rounded up, so there are no more than n_places


def check_size(size: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the lengths of a square, or raise a ValueError if it does not fit into a sample of the given shape."""
    axes = shape[1:] or shape
    lengths = _per_axis("size", size, axes)
    if any(edge > length for edge, length in zip(lengths, axes, strict=True)):
        raise ValueError(f"size={size!r} is larger than the samples: the square covers axes of lengths {axes}.")
    return lengths


def _places(shape: tuple[int, ...], lengths: tuple[int, ...], stride: Any) -> list[list[int]]:
    """Return where the square starts along each of its axes."""
    axes = shape[1:] or shape
    strides = lengths if stride is None else _per_axis("stride", stride, axes)
    return [_starts(*along) for along in zip(axes, lengths, strides, strict=True)]


def _per_axis(name: str, value: Any, axes: tuple[int, ...]) -> tuple[int, ...]:
    values = (value,) * len(axes) if isinstance(value, Integral) else value
    whole = isinstance(values, Sequence) and all(isinstance(one, Integral) and int(one) > 0 for one in values)
    if not whole or len(values) != len(axes):
        raise ValueError(
            f"{name}={value!r} must be a positive integer, or one for each of the axes {axes} that the square covers."
        )
    return tuple(int(one) for one in values)


def _starts(length: int, size: int, stride: int) -> list[int]:
    starts = list(range(0, length - size + 1, stride))
    return starts if starts[-1] + size >= length else [*starts, length - size]


def cover_of(values: NDArray[Any], fill: Any) -> NDArray[Any]:
    """Return a sample that is covered everywhere, or raise a ValueError if the fill is not allowed."""
    if isinstance(fill, str):
        if fill != "mean":
            raise ValueError(f"fill={fill!r} must be 'mean', a number, or an array that broadcasts to a sample.")
        if values.dtype.kind != "f":
            raise ValueError(
                f"X holds {values.dtype} values, but their mean need not be such a value. Give a value, such as "
                "fill=0, the id of padding, or pass X.astype('float32') if they are quantities."
            )
        # In double precision, because single floats lose digits in sums over many samples.
        return np.asarray(values.mean(axis=0, dtype=np.float64).astype(values.dtype))
    cover = np.asarray(fill)
    if cover.dtype.kind not in "iuf" or not np.isfinite(cover).all():
        raise ValueError(f"fill={fill!r} must be 'mean', a finite number, or an array that broadcasts to a sample.")
    check_broadcasts("fill", cover, values.shape[1:])
    whole = np.broadcast_to(cover, values.shape[1:]).astype(values.dtype)
    if values.dtype.kind != "f" and not np.array_equal(whole, np.broadcast_to(cover, whole.shape)):
        raise ValueError(f"X holds {values.dtype} values, but fill={fill!r} is not such a value.")
    return whole
