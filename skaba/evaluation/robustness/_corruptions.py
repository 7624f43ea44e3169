"""Noise of five severities, as in ImageNet-C, for inputs of any range."""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval

from skaba._validation import validate_parameters
from skaba.evaluation._checks import check_parameters
from skaba.evaluation.robustness._bounds import as_bounds, check_broadcasts, check_inside

N_SEVERITIES = 5
SEVERITY = [Interval(Integral, 1, N_SEVERITIES, closed="both")]


class _Noise(BaseEstimator, ABC):
    """Noise of five severities."""

    levels: ClassVar[tuple[float, ...]]

    def __call__(self, X: NDArray[Any], *, severity: int, generator: np.random.Generator) -> NDArray[Any]:
        """Corrupt samples.

        Parameters
        ----------
        X : floating-point ndarray of shape (n, ...)
            Within the bounds. Left unchanged.
        severity : int
            From 1 to 5.
        generator : numpy.random.Generator

        Returns
        -------
        ndarray of X's shape and type
            Within the bounds.

        Raises
        ------
        TypeError
            If X does not hold floating-point numbers.
        ValueError
            If a parameter or the severity is not allowed, or X lies outside of the bounds.
        """
        validate_parameters(self)
        if X.dtype.kind != "f":
            raise TypeError(f"X holds {X.dtype} values, which would cut off the noise: scale X to floats.")
        check_parameters(type(self).__name__, severity=(severity, SEVERITY))
        return self._corrupt(X, self.levels[severity - 1], generator).astype(X.dtype, copy=False)

    @abstractmethod
    def _corrupt(self, X: NDArray[Any], level: float, generator: np.random.Generator) -> NDArray[Any]:
        """Return X with noise of the given level."""


class _BoundedNoise(_Noise):
    """Noise that is defined for values between 0 and 1: the bounds are mapped to these."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {"bounds": [tuple, list]}

    def __init__(self, bounds: tuple[ArrayLike, ArrayLike] = (0, 1)) -> None:
        self.bounds = bounds

    def _check_consistency(self) -> None:
        as_bounds(self.bounds)

    def _corrupt(self, X: NDArray[Any], level: float, generator: np.random.Generator) -> NDArray[Any]:
        low, high = bounds_of(self.bounds, X)
        width = high - low
        # A feature whose bounds are equal has no range and stays at its value.
        shares = np.divide(X - low, width, out=np.zeros(X.shape), where=width > 0)
        noisy: NDArray[Any] = low + width * self._noisy(shares.clip(0, 1), level, generator)
        return noisy

    @abstractmethod
    def _noisy(self, shares: NDArray[Any], level: float, generator: np.random.Generator) -> NDArray[Any]:
        """Return values between 0 and 1 with noise of the given level, again between 0 and 1."""


class GaussianCorruption(_Noise):
    """Gaussian noise: ``x + scale * N(0, sigma)``, kept within bounds if there are any.

    From severity 1 to 5, sigma is 0.08, 0.12, 0.18, 0.26 and 0.38. Unlike
    :class:`skaba.augmenters.GaussianNoise`, which acts on what the network sees, this acts on X as the estimator gets
    it, so it suits any estimator.

    Parameters
    ----------
    bounds : (low, high) or None, default=(0, 1)
        Lowest and highest values that an input may take: numbers, or arrays that broadcast to a sample, such as
        one value per channel, of shape (n_channels, 1, 1). None, as for ECG: any value; then give a scale.
    scale : float or array, default=None
        Sigma is multiplied by it. In the units of the input: one number, or an array that broadcasts to a sample.
        By default the width of the bounds. The standard deviation of the training samples suits an ECG.

    Notes
    -----
    The sigmas are made for images whose values are spread over their whole range. For standardised images, give the
    bounds in their units, ``((0 - mean) / std, (1 - mean) / std)``; the noise is then that of the images in [0, 1].

    References
    ----------
    Hendrycks and Dietterich (2019), "Benchmarking Neural Network Robustness to Common Corruptions and
    Perturbations"; the severities are those of its code for ImageNet-C.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.evaluation.robustness import GaussianCorruption
    >>> ecg = np.zeros((10, 12, 100), dtype=np.float32)
    >>> noisy = GaussianCorruption(bounds=None, scale=0.5)(ecg, severity=5, generator=np.random.default_rng(0))
    >>> round(float(noisy.std()), 2)  # 0.5 * 0.38
    0.19
    """

    levels = (0.08, 0.12, 0.18, 0.26, 0.38)
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "bounds": [tuple, list, None],
        "scale": ["array-like", Real, None],
    }

    def __init__(self, bounds: tuple[ArrayLike, ArrayLike] | None = (0, 1), scale: ArrayLike | None = None) -> None:
        self.bounds = bounds
        self.scale = scale

    def _check_consistency(self) -> None:
        if self.bounds is not None:
            as_bounds(self.bounds)
        if self.scale is None:
            if self.bounds is None:
                raise ValueError(
                    "bounds=None needs a scale, which the noise is multiplied by: for example scale=X_train.std()."
                )
            return
        scale = np.asarray(self.scale)
        if scale.dtype.kind not in "iuf" or not np.all(np.isfinite(scale) & (scale >= 0)) or not np.any(scale > 0):
            raise ValueError(f"scale={self.scale!r} must be finite, at least 0, and above 0 for some feature.")

    def _corrupt(self, X: NDArray[Any], level: float, generator: np.random.Generator) -> NDArray[Any]:
        low, high = (-np.inf, np.inf) if self.bounds is None else bounds_of(self.bounds, X)
        scale = np.asarray(high - low if self.scale is None else self.scale, dtype=np.float64)
        # NumPy would also broadcast X to a larger scale.
        check_broadcasts("scale", scale, X.shape[1:])
        return (X + scale * level * generator.standard_normal(X.shape)).clip(low, high)


class ShotCorruption(_BoundedNoise):
    """Shot noise: each value counts events, ``Poisson(rate * x) / rate``, so that bright values are noisier.

    From severity 1 to 5, the rate is 60, 25, 12, 5 and 3 events at the highest value. The result is clipped to the
    bounds.

    Parameters
    ----------
    bounds : (low, high), default=(0, 1)
        Lowest and highest values that an input may take, which stand for no event and for ``rate`` events: numbers, or
        arrays that broadcast to a sample, such as one value per channel, of shape (n_channels, 1, 1).

    Notes
    -----
    It is the noise of a sensor that counts photons. For signals without a natural zero, such as an ECG, the bounds
    define it, but such noise does not occur there.

    References
    ----------
    As :class:`GaussianCorruption`.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.evaluation.robustness import ShotCorruption
    >>> images = np.full((1, 1, 200, 200), 0.5)
    >>> noisy = ShotCorruption()(images, severity=1, generator=np.random.default_rng(0))
    >>> round(float(noisy.var() / (0.5 / 60)), 1)
    1.0
    """

    levels = (60, 25, 12, 5, 3)

    def _noisy(self, shares: NDArray[Any], level: float, generator: np.random.Generator) -> NDArray[Any]:
        # The lowest value counts no event, so only the upper end has to be cut.
        return np.minimum(generator.poisson(shares * level) / level, 1)


class ImpulseCorruption(_BoundedNoise):
    """Impulse noise (salt and pepper): some values become the lowest or the highest value, half of them each.

    From severity 1 to 5, the share of such values is 0.03, 0.06, 0.09, 0.17 and 0.27.

    Parameters
    ----------
    bounds : (low, high), default=(0, 1)
        Lowest and highest values that an input may take: numbers, or arrays that broadcast to a sample, such as one
        value per channel, of shape (n_channels, 1, 1).

    Notes
    -----
    Every value is drawn independently, as in ImageNet-C: also the channels of a pixel.

    References
    ----------
    As :class:`GaussianCorruption`.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.evaluation.robustness import ImpulseCorruption
    >>> signals = np.zeros((4, 1, 5000))
    >>> noisy = ImpulseCorruption(bounds=(-3, 3))(signals, severity=5, generator=np.random.default_rng(0))
    >>> np.unique(noisy).tolist(), bool(0.26 < (noisy != 0).mean() < 0.28)
    ([-3.0, 0.0, 3.0], True)
    """

    levels = (0.03, 0.06, 0.09, 0.17, 0.27)

    def _noisy(self, shares: NDArray[Any], level: float, generator: np.random.Generator) -> NDArray[Any]:
        drawn = generator.random(shares.shape)
        return np.where(drawn < level / 2, 0, np.where(drawn < level, 1, shares))


def bounds_of(bounds: Any, X: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the bounds of samples as arrays.

    Raises
    ------
    ValueError
        If they are not finite, do not fit a sample, or X lies outside.
    """
    low, high = as_bounds(bounds)
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise ValueError(f"bounds={bounds!r} must be finite: the noise is a share of their distance.")
    check_broadcasts("bounds", low, X.shape[1:])
    check_inside(X, low, high)
    return low, high
