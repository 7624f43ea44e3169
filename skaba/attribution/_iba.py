"""Information bottleneck attribution: how much of each feature the target needs."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor
from torch.nn import functional

from skaba.attribution._checking import BoundTarget
from skaba.attribution._loss import LossScore
from skaba.attribution._method import About, AttributionMethod
from skaba.attribution._paths import background_of
from skaba.attribution._targets import ClassScore, Score
from skaba.network import (
    Model,
    answer,
    blur,
    channel_axis_of,
    input_gradient,
    normal_like,
    require_generator,
    require_places,
    rows_of,
    upsample,
    values_of,
    within,
)

# Of the authors' own code.
_START = 5.0
_SMALLEST_DEVIATION = 0.01


class IBA(AttributionMethod):
    r"""Information bottleneck attribution, optimised for each sample ("per-sample bottleneck").

    ``(steps - 1) * samples`` forward and backward passes per sample, and one forward pass more that
    fixes the target (two at a layer). Noise takes the place of a share :math:`1 - \lambda` of each
    feature; the shares are chosen so that the target survives with as little information as
    possible. The map is the information that gets through, so it has no sign. Its unit is the nat.
    At the input the map holds nats per feature; at a layer nats per place of the layer, summed over
    channels, stretched (bilinearly) to the input's height and width, or length, and given to every
    channel of the input.

    Parameters
    ----------
    layer : str, default=None
        The submodule whose output passes the bottleneck, as in ``named_modules()`` of the
        network. It must return channels first, (n, channels, ...). By default the bottleneck is
        at the input.
    beta : float, default=10.0
        Weight of the mean information against the loss: the higher, the less gets through.
    steps : int, default=10
        Steps of the optimisation, at least 2. As in the authors' code the map is taken before the last
        step of Adam, which therefore is not made: the shares move ``steps - 1`` times.
    lr : float, default=1.0
        Adam's learning rate.
    samples : int, default=10
        Noisy copies per step; they share a pass, and memory grows with them.
    sigma : float, default=1.0
        Standard deviation, in positions, of the Gaussian that smooths :math:`\lambda` along the
        spatial axes; 0 switches it off. Tables have no such axes.
    background : Tensor or ndarray of shape (m, ...), default=None
        At least two samples of the input's shape, for the mean and the standard deviation of
        each feature. None is the batch itself; then a sample's map depends on the others.

    Notes
    -----
    A feature's information is the divergence of what passes, with :math:`r = (x - \mu) / \sigma`, from
    pure noise,

    .. math::
        D_{KL}\left[N(\lambda r, (1 - \lambda)^2) \,\|\, N(0, 1)\right]
        = \frac{(\lambda r)^2 + (1 - \lambda)^2 - 1}{2} - \ln(1 - \lambda).

    The authors' heatmaps are in bits per pixel of the input: divide by ln 2 and, at a layer, multiply by the
    number of its places and divide by the number of the input's.

    The loss is the cross-entropy of the explained class; for the target ``Loss`` it is that
    loss; for another target it is minus its value. Beyond the border the outermost share goes
    on, where the authors' code mirrors it.

    References
    ----------
    Schulz, Sixt, Tombari and Landgraf (2020), "Restricting the Flow: Information Bottlenecks for
    Attribution", sections 3.1 and 3.2; defaults of the authors' code.

    Examples
    --------
    The model reads its first feature alone, and that is where the information goes.

    >>> import torch
    >>> from skaba.attribution import IBA, TrueClass
    >>> model = lambda x: torch.stack([5 * x[:, 0], -5 * x[:, 0]], dim=1)
    >>> x = torch.ones(4, 3)
    >>> background = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
    >>> map_ = IBA(background=background)(
    ...     model, x, torch.zeros(4, dtype=torch.int64), target=TrueClass(), generator=torch.Generator()
    ... )
    >>> bool((map_[:, :1] > 2 * map_[:, 1:]).all())
    True
    """

    about: ClassVar[About] = About(
        "(steps-1) * samples + 1",
        "(steps-1) * samples",
        signed=False,
        needs="a gradient; two samples or a background",
    )

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "layer": [None, str],
        "beta": [Interval(Real, 0, None, closed="left")],
        "steps": [Interval(Integral, 2, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "samples": [Interval(Integral, 1, None, closed="left")],
        "sigma": [Interval(Real, 0, None, closed="left")],
        "background": [None, Tensor, np.ndarray],
    }

    def __init__(
        self,
        layer: str | None = None,
        beta: float = 10.0,
        steps: int = 10,
        lr: float = 1.0,
        samples: int = 10,
        sigma: float = 1.0,
        background: Tensor | np.ndarray | None = None,
    ) -> None:
        self.layer = layer
        self.beta = beta
        self.steps = steps
        self.lr = lr
        self.samples = samples
        self.sigma = sigma
        self.background = background

    def _attribute(self, model: Model, x: Tensor, target: BoundTarget, generator: torch.Generator | None) -> Tensor:
        generator = require_generator(generator, self)
        rest, features, others = self._entrance(model, x)
        with torch.no_grad():
            score = target(answer(model, x))
        bottleneck = _Bottleneck(features, others, channel_axis_of(rest), self.sigma)
        optimizer = torch.optim.Adam([bottleneck.alpha], lr=self.lr)
        for _ in range(self.steps - 1):  # the authors' map is that of the last pass, before its step
            bottleneck.alpha.grad = self._gradient(rest, bottleneck, score, generator)
            optimizer.step()
        with torch.no_grad():
            information = bottleneck.information(*bottleneck.shares())
        if self.layer is None:
            return information
        return upsample(information.sum(channel_axis_of(rest)), x, channel_axis_of(model))

    def _entrance(self, model: Model, x: Tensor) -> tuple[Model, Tensor, Tensor]:
        """Return what follows the bottleneck, the features that enter it, and those of the background."""
        background = background_of(self, x)
        if len(background) < 2:
            raise ValueError(
                "IBA measures how features vary, which takes at least two samples; it was asked about one, such as "
                "the last of an epoch. Set background= to samples of the same shape."
            )
        if self.layer is None:
            return model, x, background
        rest = within(model, self.layer, x)
        features = rest.features()
        require_places("IBA", x, features)
        if self.background is None:
            return rest, features, features
        # Whatever else a view of the network reads, the background's rows borrow from the batch.
        rows = torch.arange(len(background)) % len(x)
        return rest, features, within(rows_of(model, rows), self.layer, background).features()

    def _gradient(self, rest: Model, bottleneck: _Bottleneck, score: Score, generator: torch.Generator) -> Tensor:
        with torch.enable_grad():
            kept, lost = bottleneck.shares()
            noisy = bottleneck.noisy(kept, lost, self.samples, generator)
            through = input_gradient(rest, noisy, lambda logits: _loss(score, logits)) / self.samples
            information = bottleneck.information(kept, lost).flatten(1).mean(1)
            objective = (noisy * through).sum() + self.beta * information.sum()
            (gradient,) = torch.autograd.grad(objective, bottleneck.alpha)
        return gradient


class _Bottleneck:
    """Features of which noise takes the place of a share, one share per feature: sigmoid(alpha), smoothed."""

    def __init__(self, features: Tensor, others: Tensor, channel_axis: int, sigma: float) -> None:
        self.features = features
        self.channel_axis = channel_axis
        self.sigma = sigma
        self.mean = others.mean(0)
        self.deviation = others.std(0).clamp(min=_SMALLEST_DEVIATION)
        self.alpha = torch.full_like(features, _START).requires_grad_()

    def shares(self) -> tuple[Tensor, Tensor]:
        """Return what is kept and what is lost: 1 minus the other would round to 0, whose logarithm is needed."""
        kept, lost = self.alpha.sigmoid(), (-self.alpha).sigmoid()
        return blur(kept, self.channel_axis, self.sigma), blur(lost, self.channel_axis, self.sigma)

    def noisy(self, kept: Tensor, lost: Tensor, samples: int, generator: torch.Generator) -> Tensor:
        """Return noisy copies of the features, sample after sample, shape (samples * n, ...)."""
        noise = normal_like(self.features.expand(samples, *self.features.shape), generator)
        return (kept * self.features + lost * (self.mean + self.deviation * noise)).flatten(0, 1)

    def information(self, kept: Tensor, lost: Tensor) -> Tensor:
        """Return the divergence of each noisy feature from pure noise: nats per feature."""
        distance = (self.features - self.mean) / self.deviation
        nats = ((kept * distance) ** 2 + lost**2 - 1) / 2 - lost.log()
        return nats.clamp(min=0)  # but for rounding it is never less


def _loss(score: Score, logits: Tensor) -> Tensor:
    values = values_of(score, logits)
    if isinstance(score, LossScore):
        return values
    if not isinstance(score, ClassScore):
        return -values
    if logits.shape[1] == 1:
        return functional.softplus(-values)
    return logits.logsumexp(1) - values
