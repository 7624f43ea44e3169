"""Information bottleneck attribution: the information of each feature that the target needs."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from skaba.attribution._checking import BoundTarget, score_on
from skaba.attribution._constraints import BACKGROUND, COUNT, NAME, NOT_NEGATIVE, POSITIVE, at_least
from skaba.attribution._loss import LossScore
from skaba.attribution._method import About, AttributionMethod
from skaba.attribution._paths import background_of
from skaba.attribution._targets import ClassScore, Score
from skaba.network import (
    Model,
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

# As in the authors' code. At the start, sigmoid(5) = 0.993 of each feature is kept. The smallest deviation keeps
# features that hardly vary from being divided by 0.
_START = 5.0
_SMALLEST_DEVIATION = 0.01


class IBA(AttributionMethod):
    r"""Information that each feature passes on to the target.

    Information bottleneck attribution, optimised for each sample ("per-sample bottleneck").
    ``(steps - 1) * samples`` forward and backward passes per sample, and one more forward pass that
    chooses the target (two at a layer). Noise replaces a share :math:`1 - \lambda` of each
    feature; the shares are chosen so that the target survives with as little information as
    possible. The map is the information that gets through, so it has no sign. Its unit is the nat.
    At the input the map holds nats per feature; at a layer nats per position of the layer, summed over
    channels, stretched (bilinearly) to the input's height and width, or length, and repeated for every
    channel of the input.

    Parameters
    ----------
    layer : str, default=None
        The submodule whose output passes the bottleneck, named as in ``named_modules()`` of the
        network. It must return channels first, (n, channels, ...). By default the bottleneck is
        at the input.
    beta : float, default=10.0
        Weight of the mean information against the loss: the higher it is, the less information gets through.
    steps : int, default=10
        Steps of the optimisation, at least 2. As in the authors' code, the map is taken before Adam's last step. So
        this step is left out, and the shares change ``steps - 1`` times.
    lr : float, default=1.0
        Adam's learning rate.
    samples : int, default=10
        Noisy copies of each sample per step, all in one pass. Memory grows with it.
    sigma : float, default=1.0
        Standard deviation, in positions, of the Gaussian that smooths :math:`\lambda` along the
        spatial axes; 0 switches it off. Tables have no spatial axes.
    background : Tensor or ndarray of shape (m, ...), default=None
        At least two samples of the input's shape, from which the mean and the standard deviation of
        each feature are computed. By default the batch itself, so that a sample's map depends on the others.

    Notes
    -----
    A feature's information is the divergence of the noisy feature from pure noise; with
    :math:`r = (x - \mu) / \sigma` it is

    .. math::
        D_{KL}\left[N(\lambda r, (1 - \lambda)^2) \,\|\, N(0, 1)\right]
        = \frac{(\lambda r)^2 + (1 - \lambda)^2 - 1}{2} - \ln(1 - \lambda).

    The authors' heatmaps are in bits per pixel of the input: divide by ln 2 and, at a layer, multiply by the
    number of its positions and divide by the number of the input's.

    The loss is the cross-entropy of the explained class; for the target ``Loss`` it is that
    loss; for any other target it is minus the target. Beyond the border, the outermost share is repeated; in the
    authors' code, the shares are mirrored there.

    References
    ----------
    Schulz, Sixt, Tombari and Landgraf (2020), "Restricting the Flow: Information Bottlenecks for
    Attribution", sections 3.1 and 3.2; defaults of the authors' code.

    Examples
    --------
    The model reads only its first feature, so only this one carries information.

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
        "(steps-1) * samples + 1", "(steps-1) * samples", signed=False, needs="a gradient; two samples or a background"
    )
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "layer": NAME,
        "beta": NOT_NEGATIVE,
        "steps": at_least(2),
        "lr": POSITIVE,
        "samples": COUNT,
        "sigma": NOT_NEGATIVE,
        "background": BACKGROUND,
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
        view, features, others = self._entrance(model, x)
        score = score_on(target, model, x)
        bottleneck = _Bottleneck(features, others, channel_axis_of(view), self.sigma)
        optimizer = torch.optim.Adam([bottleneck.alpha], lr=self.lr)
        for _ in range(self.steps - 1):  # the authors' map is that before the last step
            bottleneck.alpha.grad = self._gradient(view, bottleneck, score, generator)
            optimizer.step()
        with torch.no_grad():
            information = bottleneck.information(*bottleneck.shares())
        if self.layer is None:
            return information
        return upsample(information.sum(channel_axis_of(view)), x, channel_axis_of(model))

    def _entrance(self, model: Model, x: Tensor) -> tuple[Model, Tensor, Tensor]:
        """Return the model after the bottleneck, the features that enter it, and those of the background."""
        background = background_of(self, x)
        if len(background) < 2:
            raise ValueError(
                "IBA measures how features vary, which takes at least two samples, but this batch has one, as the "
                "last batch of an epoch may. Set background= to samples of the same shape."
            )
        if self.layer is None:
            return model, x, background
        view = within(model, self.layer, x)
        features = view.features()
        require_places("IBA", x, features)
        if self.background is None:
            return view, features, features
        # A view also needs the network's other inputs, which the background does not have. It gets those of the batch.
        rows = torch.arange(len(background)) % len(x)
        return view, features, within(rows_of(model, rows), self.layer, background).features()

    def _gradient(self, view: Model, bottleneck: _Bottleneck, score: Score, generator: torch.Generator) -> Tensor:
        with torch.enable_grad():
            kept, lost = bottleneck.shares()
            noisy = bottleneck.noisy(kept, lost, self.samples, generator)
            # The gradient with respect to the noisy copies is a constant in the objective: by the chain rule its
            # product with them has the loss's gradient, and the network is differentiated only once.
            through = input_gradient(view, noisy, lambda logits: _loss(score, logits)) / self.samples
            information = bottleneck.information(kept, lost).flatten(1).mean(1)
            objective = (noisy * through).sum() + self.beta * information.sum()
            (gradient,) = torch.autograd.grad(objective, bottleneck.alpha)
        return gradient


class _Bottleneck:
    """Features that noise replaces in part; the share that is kept is sigmoid(alpha), smoothed."""

    def __init__(self, features: Tensor, others: Tensor, channel_axis: int, sigma: float) -> None:
        self.features = features
        self.channel_axis = channel_axis
        self.sigma = sigma
        self.mean = others.mean(0)
        self.deviation = others.std(0).clamp(min=_SMALLEST_DEVIATION)
        self.alpha = torch.full_like(features, _START).requires_grad_()

    def shares(self) -> tuple[Tensor, Tensor]:
        """Return the shares that are kept and lost. 1 - kept would round to 0, but its logarithm is needed."""
        kept, lost = self.alpha.sigmoid(), (-self.alpha).sigmoid()
        return blur(kept, self.channel_axis, self.sigma), blur(lost, self.channel_axis, self.sigma)

    def noisy(self, kept: Tensor, lost: Tensor, samples: int, generator: torch.Generator) -> Tensor:
        """Return noisy copies of the features, one batch after the other, shape (samples * n, ...)."""
        noise = normal_like(self.features.expand(samples, *self.features.shape), generator)
        return (kept * self.features + lost * (self.mean + self.deviation * noise)).flatten(0, 1)

    def information(self, kept: Tensor, lost: Tensor) -> Tensor:
        """Return the divergence of each noisy feature from pure noise: nats per feature."""
        distance = (self.features - self.mean) / self.deviation
        nats = ((kept * distance) ** 2 + lost**2 - 1) / 2 - lost.log()
        return nats.clamp(min=0)  # negative only by rounding


def _loss(score: Score, logits: Tensor) -> Tensor:
    values = values_of(score, logits)
    if isinstance(score, LossScore):
        return values
    if not isinstance(score, ClassScore):
        return -values
    # The cross-entropy, in forms that do not overflow: binary for a single logit, otherwise of a softmax.
    if logits.shape[1] == 1:
        return functional.softplus(-values)
    return logits.logsumexp(1) - values
