"""DeepLIFT, computed by captum."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from skaba.attribution._captum import Scored, spread
from skaba.attribution._constraints import BASELINE
from skaba.attribution._layer_rules import ThroughLayers, slope_of
from skaba.attribution._method import About
from skaba.attribution._targets import Score
from skaba.network import RESHAPING, Kinds, Step, Structure, operations

# captum has rules for the pools with a fixed window only.
_WINDOWED: dict[type[nn.Module], type[nn.Module]] = {
    nn.AdaptiveMaxPool1d: nn.MaxPool1d,
    nn.AdaptiveMaxPool2d: nn.MaxPool2d,
    nn.AdaptiveMaxPool3d: nn.MaxPool3d,
}
_POOLS: Kinds = (*_WINDOWED.keys(), *_WINDOWED.values())
_RESCALED: Kinds = (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, *_POOLS)
_LINEAR = operations(
    "add sub rsub neg sum mean cumsum nativebatchnorm cudnnbatchnorm avgpool2d avgpool3d adaptiveavgpool2d "
    "adaptiveavgpool3d reflectionpad1d reflectionpad2d reflectionpad3d replicationpad1d replicationpad2d "
    "replicationpad3d pixelshuffle upsamplenearest1d upsamplenearest2d upsamplelinear1d upsamplebilinear2d"
)
# Operations that are linear if only one operand depends on x.
_BILINEAR = operations("addmm addmv baddbmm bmm convolution div dot mm mul mv")


class _Rescaled(Scored):
    """Applies the rescale rule to the target: each logit is weighted by the target's mean slope on the path to it."""

    values: Tensor

    def value(self, logits: Tensor, score: Score) -> Tensor:
        """Return weighted sums of logits that differ between inputs and baselines by as much as the target does."""
        ends, starts = logits.detach().chunk(2)
        slope = torch.zeros_like(logits)
        # 16 points are exact for polynomials up to degree 31. Logits are few, so they cost next to nothing.
        for node, weight in zip(*np.polynomial.legendre.leggauss(16), strict=True):
            point = starts + (float(node) + 1) / 2 * (ends - starts)
            # Twice, because captum runs inputs and baselines as one batch, and the score takes a value per row.
            slope += float(weight) / 2 * slope_of(score, torch.cat([point, point]))
        values = (slope * logits).sum(1)
        self.values = values.detach()
        return values


class DeepLift(ThroughLayers):
    """Differences from a baseline, propagated back by layer.

    DeepLIFT with the rescale rule. Three forward passes and two backward passes per sample, including those of the
    baseline. Complete. Nonlinear operations must be modules that it has a rule for (ReLU, LeakyReLU, ELU, Sigmoid,
    Tanh, Softplus, max pools without overlap). Linear operations may be written in any way, and residual connections
    are allowed. Other networks are refused. Not implementation invariant. Not differentiable: captum's rules run in
    backward hooks, of which autograd keeps no graph, on a copy whose weights require no gradient.

    Parameters
    ----------
    baseline : float, Tensor or ndarray, default=0.0
        The input to compare with: a number, or a tensor that broadcasts against a batch.

    Notes
    -----
    The rescale rule also applies to a target that is not a logit (:class:`Loss`): its slope is averaged along the
    straight line from the baseline's logits to the input's.

    References
    ----------
    Shrikumar, Greenside and Kundaje (2017), "Learning Important Features Through Propagating
    Activation Differences", section 3.5.1; Ancona et al. (2018), "Towards better understanding of
    gradient-based attribution methods for deep neural networks", for the form that is computed.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import DeepLift, TrueClass
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 9), torch.nn.Tanh(), torch.nn.Linear(9, 2))
    >>> x, y = torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    >>> map_ = DeepLift()(net, x, y, target=TrueClass())
    >>> difference = (net(x) - net(torch.zeros(4, 3))).gather(1, y[:, None])[:, 0]
    >>> torch.allclose(map_.sum(1), difference, atol=1e-5)
    True
    """

    about: ClassVar[About] = About(
        "3",
        "2",
        signed=True,
        complete="target - target of the baseline",
        baseline=True,
        needs="nonlinear modules that DeepLIFT has rules for",
    )

    _parameter_constraints: ClassVar[dict[str, Any]] = {"baseline": BASELINE}
    _scored_as = _Rescaled
    _kinds = _RESCALED

    def __init__(self, baseline: float | Tensor = 0.0) -> None:
        self.baseline = baseline

    def _check(self, structure: Structure) -> None:
        others = [step for step in structure.outside(self._kinds) if not _is_linear(step)]
        self._refuse(others, "Write nonlinear operations as modules that DeepLift has a rule for.")
        for call in structure.calls_of(_POOLS):
            if _overlaps(call.module):
                raise ValueError(
                    f"DeepLift has no rule for max pools whose windows overlap, as {call.name!r}, {call.module}, has "
                    "or may have. Set its stride to its kernel_size, or use IntegratedGradients."
                )

    def _layers(self, structure: Structure) -> list[nn.Module]:
        return [_with_window(layer) for layer in super()._layers(structure)]

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        baseline = spread(self.baseline, x.detach())
        map_ = self._run("DeepLift", scored, x, baselines=baseline)
        _require_complete(map_.detach(), x.detach(), baseline, cast(_Rescaled, scored).values)
        return map_


def _require_complete(map_: Tensor, x: Tensor, baseline: float | Tensor, values: Tensor) -> None:
    """Raise a ValueError for networks whose structure looks linear but is not, as with a mask computed from x."""
    reached, started = values.chunk(2)
    gap = (map_.flatten(1).sum(1) - (reached - started)).abs()
    size = map_.flatten(1).abs().sum(1) + reached.abs() + started.abs()
    # Where input and baseline agree in all but the last digits, their difference is mostly rounding error.
    difference = x - baseline
    # Where they are equal, 0 / 0 gives NaN, and nothing is uncertain.
    uncertain = (map_ / difference).nan_to_num(0, 0, 0).abs() * (x.abs() + (x - difference).abs())
    rounding = 100 * torch.finfo(x.dtype).eps * uncertain.flatten(1).sum(1)
    if (gap > 1e-3 * size + rounding).any():
        raise ValueError(
            f"DeepLift's map is not complete: it misses the target's difference by up to {gap.max():.2g}. The network "
            "draws at random, or has an operation that is neither linear nor a module with a rule. Use "
            "IntegratedGradients."
        )


def _is_linear(step: Step) -> bool:
    return step.operation in RESHAPING | _LINEAR or (step.operation in _BILINEAR and step.operands == 1)


def _with_window(layer: nn.Module) -> nn.Module:
    """Replace a pool over all positions by one whose window is the whole input, which captum has a rule for."""
    if type(layer) not in _WINDOWED:
        return layer
    # The window is set anew in every pass, because only the input tells its size.
    pool = _WINDOWED[type(layer)](1)

    def widen(pool: nn.Module, args: tuple[Tensor]) -> None:
        vars(pool).update(dict.fromkeys(("kernel_size", "stride"), tuple(args[0].shape[2:])))

    pool.register_forward_pre_hook(widen)
    layer.forward = pool.__call__
    return pool


def _overlaps(pool: nn.Module) -> bool:
    if type(pool) in _WINDOWED:
        return bool((np.asarray(pool.output_size) != 1).any())
    # captum's rule unpools with one position per window: torch.nn.MaxUnpool2d is not defined where windows share one,
    # and takes no dilation. https://pytorch.org/docs/stable/generated/torch.nn.MaxUnpool2d.html
    kernel, stride, dilation = (np.asarray(vars(pool)[name]) for name in ("kernel_size", "stride", "dilation"))
    return bool((stride < kernel).any() or (dilation > 1).any())
