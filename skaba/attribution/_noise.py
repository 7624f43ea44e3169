"""Statistics of another method's maps over noisy copies of the input."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import torch
from torch import Tensor

from skaba.attribution._checking import BoundTarget, Chosen, score_on
from skaba.attribution._constraints import COUNT, METHOD, NOT_NEGATIVE
from skaba.attribution._gradients import Gradient
from skaba.attribution._method import About, AttributionMethod, OfMethod, attributed
from skaba.attribution._targets import Score
from skaba.network import Model, normal_like, per_sample, require_generator, rows_of


class NoisyMaps(OfMethod, AttributionMethod):  # type: ignore[override]
    """Base class of SmoothGrad and its relatives: it computes the maps of noisy copies, several in one pass.

    A subclass writes ``_statistic``.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "method": METHOD,
        "samples": COUNT,
        "noise": NOT_NEGATIVE,
        "batch_size": COUNT,
    }

    def __init__(
        self, method: AttributionMethod | None = None, samples: int = 10, noise: float = 0.15, batch_size: int = 5
    ) -> None:
        self.method = Gradient() if method is None else method
        self.samples = samples
        self.noise = noise
        self.batch_size = batch_size

    def _attribute(self, model: Model, x: Tensor, target: BoundTarget, generator: torch.Generator | None) -> Tensor:
        generator = require_generator(generator, self)
        # Chosen on the clean batch, so that all noisy copies explain the same class.
        score = score_on(target, model, x)
        return self._statistic(self._maps(model, x, score, generator))

    def _maps(self, model: Model, x: Tensor, score: Score, generator: torch.Generator) -> Iterator[Tensor]:
        flat = x.flatten(1)
        deviation = self.noise * per_sample(flat.amax(1) - flat.amin(1), x)
        for start in range(0, self.samples, self.batch_size):
            copies = min(self.batch_size, self.samples - start)
            # Noise is drawn copy after copy, so that it does not depend on batch_size.
            noisy = torch.cat([x + deviation * normal_like(x, generator) for _ in range(copies)])
            yield from self._map(model, noisy, score, generator, len(x)).reshape(copies, *x.shape)

    def _map(self, model: Model, noisy: Tensor, score: Score, generator: torch.Generator, n: int) -> Tensor:
        # One row of the score per noisy copy: a method may explain one row at a time, or a few.
        index = torch.arange(len(noisy), device=noisy.device) % n
        chosen: dict[str, Any] = {"target": Chosen(score).rows(index), "generator": generator}
        return attributed(self.method, rows_of(model, index), noisy, create_graph=noisy.requires_grad, **chosen)

    @abstractmethod
    def _statistic(self, maps: Iterator[Tensor]) -> Tensor:
        """Reduce the maps of the noisy copies to one map."""


class SmoothGrad(NoisyMaps):
    """Mean of another method's maps over noisy inputs.

    ``samples`` times the passes of the underlying method, and one forward pass that chooses
    the target on the clean input, so that all copies explain the same class.

    Parameters
    ----------
    method : attribution method, default=None
        The method whose maps are averaged; by default ``Gradient()``. With ``InputXGradient()`` the result is the mean
        of gradient times *noisy* input; the mean gradient times the input is ``TimesInput(SmoothGrad())``.
    samples : int, default=10
        Noisy copies.
    noise : float, default=0.15
        Standard deviation of the noise, as a share of each sample's range
        (maximum minus minimum); the paper recommends 0.1 to 0.2.
    batch_size : int, default=5
        Noisy copies of the batch per pass. Memory grows with it. The result does not change,
        unless the method itself draws at random or runs in training mode, where the copies
        in a pass share the statistics of BatchNorm. Choose 1 for a method that has a ``batch_size``
        itself, such as ``IntegratedGradients``: the numbers multiply, and passes that no longer
        fit the processor's cache are slow.

    References
    ----------
    Smilkov et al. (2017), "SmoothGrad: removing noise by adding noise", section 3.

    Examples
    --------
    A linear model has the same gradient everywhere, so smoothing changes nothing.

    >>> import torch
    >>> from skaba.attribution import Gradient, PredictedClass, SmoothGrad
    >>> model, x = torch.nn.Linear(3, 2), torch.randn(4, 3)
    >>> smooth = SmoothGrad()(model, x, target=PredictedClass(), generator=torch.Generator())
    >>> torch.allclose(smooth, Gradient()(model, x, target=PredictedClass()))
    True
    """

    about: ClassVar[About] = About("samples * method + 1", "samples * method", signed=True, needs="what method needs")

    def _statistic(self, maps: Iterator[Tensor]) -> Tensor:
        total = next(maps).clone()  # the first map is a view of a pass's maps, which must not be changed
        for map_ in maps:
            total += map_
        return total / self.samples


class SquaredSmoothGrad(NoisyMaps):
    """Mean of another method's squared maps over noisy inputs.

    As many passes as ``SmoothGrad``. The map has no sign: maps that cancel out in a mean add up here.

    Parameters
    ----------
    method : attribution method, default=None
        The method whose maps are squared; by default ``Gradient()``.
    samples : int, default=10
        Noisy copies.
    noise : float, default=0.15
        Standard deviation of the noise, as a share of each sample's range.
    batch_size : int, default=5
        Noisy copies of the batch per pass; see :class:`SmoothGrad`.

    References
    ----------
    Hooker, Erhan, Kindermans and Kim (2019), "A Benchmark for Interpretability Methods in Deep
    Neural Networks", section 4 ("SmoothGrad-Squared").

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import Gradient, PredictedClass, SquaredSmoothGrad
    >>> model, x = torch.nn.Linear(3, 2), torch.randn(4, 3)
    >>> squared = SquaredSmoothGrad()(model, x, target=PredictedClass(), generator=torch.Generator())
    >>> torch.allclose(squared, Gradient()(model, x, target=PredictedClass()) ** 2)
    True
    """

    about: ClassVar[About] = SmoothGrad.about._replace(signed=False)

    def _statistic(self, maps: Iterator[Tensor]) -> Tensor:
        total = next(maps).square()
        for map_ in maps:
            total += map_.square()
        return total / self.samples


class VarGrad(NoisyMaps):
    """Variance of another method's maps over noisy inputs.

    As many passes as ``SmoothGrad``. The map has no sign: it shows where the underlying map depends on the noise.

    Parameters
    ----------
    method : attribution method, default=None
        The method whose maps vary; by default ``Gradient()``.
    samples : int, default=10
        Noisy copies; with a single one the map is 0.
    noise : float, default=0.15
        Standard deviation of the noise, as a share of each sample's range.
    batch_size : int, default=5
        Noisy copies of the batch per pass; see :class:`SmoothGrad`.

    References
    ----------
    Adebayo et al. (2018), "Local Explanation Methods for Deep Neural Networks Lack Sensitivity to
    Parameter Values", section 2: the variance over the copies, divided by their number.

    Examples
    --------
    The gradient of a linear model does not vary.

    >>> import torch
    >>> from skaba.attribution import PredictedClass, VarGrad
    >>> model, x = torch.nn.Linear(3, 2), torch.randn(4, 3)
    >>> varied = VarGrad()(model, x, target=PredictedClass(), generator=torch.Generator())
    >>> torch.allclose(varied, torch.zeros(4, 3))
    True
    """

    about: ClassVar[About] = SmoothGrad.about._replace(signed=False)

    def _statistic(self, maps: Iterator[Tensor]) -> Tensor:
        # Welford's update: as the difference of two large sums, a small variance would be lost to rounding.
        mean = next(maps).clone()
        squares = torch.zeros_like(mean)
        for seen, map_ in enumerate(maps, 2):
            step = map_ - mean
            mean += step / seen
            squares += step * (map_ - mean)
        return squares / self.samples
