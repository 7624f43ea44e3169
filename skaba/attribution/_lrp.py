"""Layer-wise relevance propagation, computed by captum."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from skaba.attribution._captum import Scored, captum
from skaba.attribution._constraints import POSITIVE
from skaba.attribution._layer_rules import ThroughLayers, slope_of
from skaba.attribution._method import About
from skaba.attribution._targets import Score
from skaba.network import RESHAPING, Kinds, Structure, operations

# Layers that return a weighted sum of their inputs, in evaluation mode.
_WEIGHTED: Kinds = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
)
# Layers that pass relevance on unchanged.
_ELEMENTWISE: Kinds = (
    *(nn.Tanh, nn.Sigmoid, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.ReLU6, nn.Hardtanh, nn.Hardswish, nn.Softplus, nn.Softsign),
)
# Operations whose gradient, like relevance, goes to one element: the largest one or the same one.
_SELECTING = operations("relu amax max maxpool2dwithindices maxpool3dwithindices adaptivemaxpool2d adaptivemaxpool3d")


class _Relevance(Scored):
    """Starts relevance at the logits: the relevance of each is the logit times the target's slope."""

    def value(self, logits: Tensor, score: Score) -> Tensor:
        """Return ones whose gradient is the relevance, because captum finally multiplies the map by these values."""
        relevance = logits.detach() * slope_of(score, logits)
        return 1 + (relevance * (logits - logits.detach())).sum(1)


class LRP(ThroughLayers):
    """Layer-wise relevance propagation, epsilon rule.

    Three forward passes and one backward pass per sample. Relevance starts at the logits: each
    gets the logit times the target's slope (for a class target, only that class gets its logit). It goes back through
    weighted sums (linear, convolution, batch normalization, average pool) in proportion to the contribution
    of each input. Activations pass it on unchanged, maxima pass it to the largest input. Biases absorb some of it.
    Networks with other operations (addition, mean or product outside of such modules, normalisation, attention,
    recurrence) are refused. Not implementation invariant. Not differentiable: captum's rules run in backward hooks,
    of which autograd keeps no graph, on a copy whose weights require no gradient.

    Parameters
    ----------
    epsilon : float, default=1e-9
        Added to the absolute value of every sum that is a divisor: the larger it is, the more relevance is lost by
        weak and contradictory contributions.

    References
    ----------
    Bach et al. (2015), "On Pixel-Wise Explanations for Non-Linear Classifier Decisions by Layer-Wise
    Relevance Propagation", equation 58.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import LRP, TrueClass
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 9, False), torch.nn.ReLU(), torch.nn.Linear(9, 2, False))
    >>> x, y = torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    >>> map_ = LRP()(net, x, y, target=TrueClass())
    >>> torch.allclose(map_.sum(1), net(x).gather(1, y[:, None])[:, 0], atol=1e-5)
    True
    """

    about: ClassVar[About] = About("3", "1", True, "target, if without bias", needs="layers that LRP has rules for")
    _parameter_constraints: ClassVar[dict[str, Any]] = {"epsilon": POSITIVE}
    _scored_as = _Relevance
    _kinds = (*_WEIGHTED, *_ELEMENTWISE)

    def __init__(self, epsilon: float = 1e-9) -> None:
        self.epsilon = epsilon

    def _check(self, structure: Structure) -> None:
        others = [step for step in structure.outside(self._kinds) if step.operation not in RESHAPING | _SELECTING]
        self._refuse(others, "Write it as a module that LRP has a rule for, or use IntegratedGradients.")
        for call in structure.calls_of((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            # Otherwise it normalises by the batch, even in evaluation mode.
            if call.module.running_mean is None:
                raise ValueError(
                    f"LRP needs batch normalization with running statistics; {call.name!r} has none and mixes "
                    "the samples of a batch. Use IntegratedGradients."
                )

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        rules = captum("attr._utils.lrp_rules")
        # captum refuses layers without a rule, except for a few activations.
        for layer in scored.layers:
            layer.rule = rules.EpsilonRule(self.epsilon) if isinstance(layer, _WEIGHTED) else rules.IdentityRule()
        return self._run("LRP", scored, x)
