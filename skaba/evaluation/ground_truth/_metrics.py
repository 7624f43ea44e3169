"""Agreement of maps on the unit square with the known ground truth of XOR."""

from __future__ import annotations

from numbers import Integral
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from skaba.evaluation._checks import COUNT, POSITIVE, TWO_OR_MORE, check_parameters

Points = TypeVar("Points", NDArray[np.float32], NDArray[np.float64], Tensor)

NEGLIGIBLE = 0.01
"""A value below this share of its map's largest counts as zero."""

_EPSILON = 1e-8


class MaskedCorrelation(NamedTuple):
    """The result of :func:`masked_dimension_correlation`.

    Parameters
    ----------
    r_C : float
        Correlation of the two dimensions' maps in the corners, from -1 to 1; higher is better.
    r_DB : float
        The same at the decision boundary, with one of the maps turned by 90 degrees.
    r_ideal : float
        Correlation with the :func:`ideal_map` at the decision boundary, over both dimensions.
    nonzero_C, nonzero_DB : float
        Share of values there that are not negligible: above 1 % of the map's largest absolute value.
    """

    r_C: float  # noqa: N815 (as the source writes it)
    r_DB: float  # noqa: N815 (as the source writes it)
    r_ideal: float
    nonzero_C: float  # noqa: N815 (as the source writes it)
    nonzero_DB: float  # noqa: N815 (as the source writes it)


def unit_grid(size: int = 200) -> NDArray[np.float32]:
    """Return evenly spaced points of the unit square.

    Parameters
    ----------
    size : int, default=200
        Points along each axis, both ends included; at least 2.

    Returns
    -------
    ndarray of shape (size, size, 2), float32
        Entry ``[i, j]`` is the point ``(i, j) / (size - 1)``: the first axis is the first input.

    Raises
    ------
    ValueError
        If the size is not an integer of at least 2.

    Examples
    --------
    >>> from skaba.evaluation.ground_truth import unit_grid
    >>> unit_grid(3)[2, 1]
    array([1. , 0.5], dtype=float32)
    """
    check_parameters("unit_grid", size=(size, TWO_OR_MORE))
    steps = np.linspace(0, 1, int(size), dtype=np.float32)
    return np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1)


def ideal_map(grid: Points) -> Points:
    """Return a map of XOR that agrees with both assumptions about a correct map.

    Both inputs matter equally where both decide equally; and the closer an input is to 0.5, where it decides nothing
    by itself, the less the *other* input matters: ``A1 = 2 |x2 - 0.5|``, ``A2 = 2 |x1 - 0.5|``.

    Parameters
    ----------
    grid : ndarray or Tensor of shape (..., 2)
        Points, for example :func:`unit_grid`.

    Returns
    -------
    ndarray or Tensor of the grid's shape

    Raises
    ------
    ValueError
        If the last axis does not hold two inputs.

    Notes
    -----
    The source states the two assumptions in words; this formula is our choice.

    References
    ----------
    Heurich (2021), section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.evaluation.ground_truth import ideal_map
    >>> ideal_map(np.array([[0.0, 0.0], [0.0, 0.5]]))
    array([[1., 1.],
           [0., 1.]])
    """
    if grid.shape[-1:] != (2,):
        raise ValueError(f"grid has shape {tuple(grid.shape)}; its last axis must hold the two inputs, (..., 2).")
    return 2 * abs(grid[..., [1, 0]] - 0.5)


def dimensional_difference(A: ArrayLike, n_steps: int | None = None, eps: float = _EPSILON) -> float:
    """Return the difference between the maps of two dimensions ("dimensional difference quantification").

    The absolute difference of the two maps is scaled to [0, 1] by its smallest and largest value, summed up, and
    divided by the number of steps. Lower is meant to be better.

    Parameters
    ----------
    A : array-like of shape (S, S, 2)
        The maps of both dimensions on a grid.
    n_steps : int, default=None
        The divisor, by default S, as in the source: as the sum grows with ``S**2``, the result grows with S.
        ``S**2`` makes it comparable between grids, from 0 to 1.
    eps : float, default=1e-8
        Added to the largest difference. If the differences are not far above it, the result is too low: scale the maps.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If A is not finite or of another shape, or a parameter is not allowed.

    Notes
    -----
    It is a poor measure, as its author says too. Equal maps have the best value, 0, even if they are noise, and so
    do maps that differ by a constant. The :func:`ideal_map` has 67 on 200 steps, the same as two independent
    maps of uniform noise. Read it together with the correlations, never alone.

    References
    ----------
    Heurich (2021), equations 3.1 to 3.3. The brackets of the printed equation do not match; this reading makes sense
    and reproduces its figures.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.evaluation.ground_truth import dimensional_difference
    >>> equal = np.random.default_rng(0).random((5, 5, 1)).repeat(2, axis=2)
    >>> dimensional_difference(equal)
    0.0
    """
    maps = check_maps(A)
    check_parameters("dimensional_difference", n_steps=(n_steps, [*COUNT, None]), eps=(eps, POSITIVE))
    difference = np.abs(maps[..., 0] - maps[..., 1])
    low, high = difference.min(), difference.max()
    return float(((difference - low) / (high + eps - low)).sum() / (len(maps) if n_steps is None else n_steps))


def masked_dimension_correlation(
    A: ArrayLike, P: ArrayLike, low: float = 0.2, high: float = 0.8, rotation: int = 1
) -> MaskedCorrelation:
    """Return the correlations of the maps of two dimensions in the corners and at the decision boundary.

    In the corners, where the model is certain, both inputs should matter equally. At the decision boundary, where it is
    uncertain, the map of one dimension should be that of the other, turned by 90 degrees. To these two correlations of
    the source we add the correlation with the :func:`ideal_map` at the decision boundary.

    Parameters
    ----------
    A : array-like of shape (S, S, 2)
        The maps of both dimensions on :func:`unit_grid`.
    P : array-like of shape (S, S)
        The model's probability of class 1 there.
    low, high : float, default=0.2, 0.8
        The corners are where P is below ``low`` or above ``high``; the decision boundary is the rest.
    rotation : int, default=1
        Quarter turns of the second map, as in ``np.rot90``. The mask is not turned.

    Returns
    -------
    MaskedCorrelation
        ``(r_C, r_DB, r_ideal, nonzero_C, nonzero_DB)``. A correlation is NaN if one of the maps is constant there;
        all values of a region are NaN if it has fewer than two points.

    Raises
    ------
    ValueError
        If A or P is not finite or of another shape, P is not within 0 and 1, or a parameter is not allowed.

    Notes
    -----
    The meaning and the limits of each figure:

    * ``r_C`` shows whether the two maps agree in the corners. Two equal maps have ``r_C = 1``, even if they are noise,
      and the :func:`ideal_map` has ``r_C`` near 0.
    * ``r_DB`` shows whether the map is symmetric: whether both inputs are treated alike at the decision boundary. It
      does not show what is attributed there. The ideal map has ``r_DB = 1``, and so do one minus the ideal map, its
      negative, the ideal map with its dimensions swapped, and noise in which each map depends only on its input.
    * ``r_ideal`` distinguishes these maps: 1, -1, -1, about -0.56, and a value near 0. It depends on our
      formula for the ideal map, which is one of many that agree with the source's two assumptions, and it is about
      the decision boundary only. The sign of a signed map, such as the gradient, counts: if it changes from one corner
      to the next, ``r_ideal`` can be near 0 although the absolute map agrees well.
    * Pearson's coefficient ignores scale and offset, and ``r_C`` and ``r_DB`` ignore a sign that both
      dimensions share.
    * The direction of the turn matters for maps that are multiplied by the point (input times gradient): the
      other direction flips the sign of their ``r_DB``. The source does not say which direction it used.
    * For occlusion, integrated gradients and similar methods, ``r_DB`` of the signed map and of its absolute value
      differ, often in sign.
    * Where the model is certain, gradients are almost zero, so ``r_C`` is based on little: see ``nonzero_C``.

    References
    ----------
    Heurich (2021), equation 3.4. The printed denominator has a sum in place of the product.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.evaluation.ground_truth import ideal_map, masked_dimension_correlation, unit_grid
    >>> grid = unit_grid(50)
    >>> sure = np.abs(grid - 0.5).min(axis=2) > 0.2
    >>> found = masked_dimension_correlation(ideal_map(grid), np.where(sure, 1.0, 0.5))
    >>> round(found.r_DB, 6), round(found.r_ideal, 6)
    (1.0, 1.0)
    >>> opposite = masked_dimension_correlation(-ideal_map(grid), np.where(sure, 1.0, 0.5))
    >>> round(opposite.r_DB, 6), round(opposite.r_ideal, 6)
    (1.0, -1.0)
    """
    maps = check_maps(A)
    probability = np.asarray(P, dtype=np.float64)
    _check_probability(probability, maps.shape[:2])
    check_parameters("masked_dimension_correlation", rotation=(rotation, [Integral]))
    if not low < high:
        raise ValueError(f"low={low!r} must be below high={high!r}: between them lies the decision boundary.")
    corners = (probability < low) | (probability > high)
    boundary = ~corners
    first, second = np.moveaxis(maps, -1, 0)
    turned = np.rot90(second, int(rotation))
    # A grid of one point has no steps, and all its correlations are NaN.
    ideal = ideal_map(unit_grid(len(maps)).astype(np.float64)) if len(maps) > 1 else maps
    counts = np.abs(maps) > NEGLIGIBLE * np.abs(maps).max()
    return MaskedCorrelation(
        _correlation(first[corners], second[corners]),
        _correlation(first[boundary], turned[boundary]),
        _correlation(maps[boundary].ravel(), ideal[boundary].ravel()),
        _mean(counts[corners]),
        _mean(counts[boundary]),
    )


def check_maps(A: ArrayLike) -> NDArray[np.float64]:
    """Return maps on a grid in double precision, or raise a ValueError."""
    maps = np.asarray(A, dtype=np.float64)
    if maps.ndim != 3 or maps.shape[2] != 2 or maps.shape[0] != maps.shape[1] or not len(maps):
        raise ValueError(
            f"A has shape {maps.shape} and must have (S, S, 2): the maps of two dimensions on a square grid. Maps of "
            "shape (S * S, 2) need reshape(S, S, 2)."
        )
    if not np.isfinite(maps).all():
        raise ValueError(
            f"A holds {(~np.isfinite(maps)).sum()} of {maps.size} values that are NaN or infinite; maps must be finite."
        )
    return maps


def _check_probability(P: NDArray[np.float64], shape: tuple[int, ...]) -> None:
    if P.shape != shape:
        raise ValueError(f"P has shape {P.shape}, but the maps are on a grid of {shape}: one probability per point.")
    if not np.isfinite(P).all():
        raise ValueError("P holds NaN or infinity; it must be the model's probability of class 1 at each point.")
    if np.abs(P - 0.5).max() > 0.5 + 1e-6:  # rounding of single floats
        raise ValueError(
            f"P has values from {P.min():.4g} to {P.max():.4g}, but it must be the model's probability of class 1 at "
            "each point, from 0 to 1. Apply the sigmoid to logits."
        )


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Return Pearson's coefficient; NaN for fewer than two points, or if one side is constant."""
    # np.corrcoef would divide by 0 and warn.
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    # Scaled first: the squares of tiny gradients would underflow.
    a, b = (side / np.abs(side).max() for side in (a - a.mean(), b - b.mean()))
    return float(np.clip((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()), -1, 1))


def _mean(counts: NDArray[np.bool_]) -> float:
    return float(counts.mean()) if len(counts) > 1 else float("nan")
