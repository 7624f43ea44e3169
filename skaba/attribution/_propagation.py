"""Methods that go back through a network by rules of their own for its layers, computed by captum."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from numbers import Real
from typing import Any, ClassVar, cast

import numpy as np
import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor, nn

from skaba.attribution._asking import Model
from skaba.attribution._captum import Scored, ThroughCaptum, captum, spread
from skaba.attribution._grad_cam import GradCAM
from skaba.attribution._method import About, Fix
from skaba.attribution._structure import (
    RESHAPING,
    Kinds,
    Step,
    Structure,
    described,
    observe,
    operations,
    separated,
    twin,
)
from skaba.attribution._targets import Score

# Rectifiers, also where they are written in another way.
_RECTIFYING = operations("relu threshold clamp clampmin hardtanh maximum minimum maskedfill where")

# A weighted sum of their inputs, in evaluation mode.
_WEIGHTED: Kinds = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
)
# Relevance stays where it is.
_ELEMENTWISE: Kinds = (
    *(nn.Tanh, nn.Sigmoid, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish),
    *(nn.ReLU6, nn.Hardtanh, nn.Hardswish, nn.Softplus, nn.Softsign),
)
# The gradient gives all to the winner or the same element, as relevance does.
_SELECTING = operations("relu amax max maxpool2dwithindices maxpool3dwithindices adaptivemaxpool2d adaptivemaxpool3d")

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
# Linear if one operand alone depends on x.
_BILINEAR = operations("addmm addmv baddbmm bmm convolution div dot mm mul mv")


class _ThroughLayers(ThroughCaptum):
    """A method that changes how a network's layers go back: on a twin, and only if it knows them all."""

    _asks: ClassVar[type[Scored]] = Scored
    _kinds: ClassVar[Kinds]

    def _attribute(self, model: Model, x: Tensor, fix: Fix, generator: torch.Generator | None) -> Tensor:
        if x.dtype is torch.float16:
            raise ValueError(f"{type(self).__name__} divides by what float16 rounds to 0: use float32 or bfloat16.")
        # Mixed precision is left out for the same reason.
        with torch.autocast(x.device.type, enabled=False):
            return super()._attribute(model, x, fix, generator)

    def _scored(self, model: Model, x: Tensor, fix: Fix) -> Scored:
        network = twin(model)
        logits, structure = observe(network, x)
        self._check(structure)
        return self._asks(network, fix(logits), torch.arange(len(x), device=x.device), self._layers(structure))

    def _layers(self, structure: Structure) -> list[nn.Module]:
        """Return the layers that captum may change."""
        return separated(structure.calls_of(self._kinds))

    @abstractmethod
    def _check(self, structure: Structure) -> None:
        """Raise a ValueError if the method would return a wrong map."""

    def _refuse(self, steps: Iterable[Step], advice: str) -> None:
        found = described(steps)
        if found:
            raise ValueError(f"{type(self).__name__} does not fit this network: it has {found}. {advice}")


class _ThroughRectifiers(_ThroughLayers):
    """A method that changes how ReLUs go back, and leaves all else to the gradient."""

    _kinds = (nn.ReLU,)

    def _check(self, structure: Structure) -> None:
        rectifiers = [step for step in structure.outside(self._kinds) if step.operation in _RECTIFYING]
        self._refuse(rectifiers, "Only nn.ReLU modules can be changed: write every rectifier as one.")
        if all(type(step.module) is not nn.ReLU for step in structure.steps):
            raise ValueError(
                f"{type(self).__name__} changes nn.ReLU modules, and there is none on the way from the input to the "
                "logits. Use another method, for example IntegratedGradients."
            )


class DeconvNet(_ThroughRectifiers):
    """The gradient, with only what is positive passed back through each ReLU, whatever its input was.

    Two forward passes and one backward pass a sample. Smooth activations pass the plain gradient;
    networks that cut values off in another way than by ``nn.ReLU`` are refused. Not implementation invariant.

    References
    ----------
    Zeiler and Fergus (2014), "Visualizing and Understanding Convolutional Networks", section 2.1.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import DeconvNet, PredictedClass
    >>> net = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Flatten())
    >>> DeconvNet()(net, torch.tensor([[-1.0, -2.0]]), target=PredictedClass())
    tensor([[1., 0.]])
    """

    about: ClassVar[About] = About("2", "1", signed=True, needs="nn.ReLU modules")

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        map_: Tensor = captum().Deconvolution(scored).attribute(x, additional_forward_args=(scored.index,))
        return map_


class GuidedBackprop(_ThroughRectifiers):
    """The gradient, with only what is positive passed back through each ReLU, and only where it was active.

    Two forward passes and one backward pass a sample. Other activations than ReLU pass the plain
    gradient. Not implementation invariant.

    References
    ----------
    Springenberg, Dosovitskiy, Brox and Riedmiller (2015), "Striving for Simplicity: The All
    Convolutional Net", section 3.4.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import GuidedBackprop, PredictedClass
    >>> net = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Linear(2, 1, bias=False))
    >>> _ = net[1].weight.data.copy_(torch.tensor([[1.0, -1.0]]))
    >>> GuidedBackprop()(net, torch.tensor([[3.0, 2.0], [-3.0, 2.0]]), target=PredictedClass())
    tensor([[1., 0.],
            [0., 0.]])
    """

    about: ClassVar[About] = About("2", "1", signed=True, needs="nn.ReLU modules")

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        map_: Tensor = captum().GuidedBackprop(scored).attribute(x, additional_forward_args=(scored.index,))
        return map_


class GuidedGradCAM(_ThroughRectifiers):
    """Guided backpropagation times Grad-CAM: details, where a convolution sees the target.

    Three forward and two backward passes a sample. See :class:`GradCAM` for how its coarse map is
    stretched to the input, and :class:`GuidedBackprop` for what it needs. Not implementation invariant.

    Parameters
    ----------
    layer : str, default=None
        The layer of :class:`GradCAM`, by default the convolution that is called last.

    References
    ----------
    Selvaraju et al. (2017), "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", section 3.2.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import GuidedGradCAM, PredictedClass
    >>> from skaba.modules import ConvNet
    >>> GuidedGradCAM()(ConvNet(), torch.randn(2, 1, 8, 8), target=PredictedClass()).shape
    torch.Size([2, 1, 8, 8])
    """

    about: ClassVar[About] = About("3", "2", signed=True, needs="nn.ReLU modules and a convolution")

    _parameter_constraints: ClassVar[dict[str, Any]] = {"layer": [None, str]}

    def __init__(self, layer: str | None = None) -> None:
        self.layer = layer

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        coarse = GradCAM(self.layer)(scored.model, x, target=lambda *_, **__: scored.score)
        fine: Tensor = captum().GuidedBackprop(scored).attribute(x, additional_forward_args=(scored.index,))
        return fine * coarse


class _Relevance(Scored):
    """Starts relevance at the logits: each has its part in the target, logit times the target's slope."""

    def value(self, logits: Tensor, score: Score) -> Tensor:
        """Return ones whose gradient is the relevance; captum multiplies by the value in the end."""
        relevance = logits.detach() * _slope(score, logits)
        return 1 + (relevance * (logits - logits.detach())).sum(1)


class LRP(_ThroughLayers):
    """Layer-wise relevance propagation with the epsilon rule.

    Three forward passes and one backward pass a sample. Relevance starts at the logits, of which each
    has the logit times the target's slope (for a class: the logit alone), and goes back through
    weighted sums (linear, convolution, batch normalization, average pool) in proportion to what each
    input contributed; activations hand it on, maxima give it to the winner. Biases absorb some of it.
    Networks that do anything else (add, mean, multiply outside of such modules, normalise, attend,
    recur) are refused. Not implementation invariant.

    Parameters
    ----------
    epsilon : float, default=1e-9
        Added to the size of every sum that is divided by: the larger, the more relevance weak and
        contradictory contributions lose.

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

    about: ClassVar[About] = About(
        "3", "1", signed=True, complete="target, if without bias", needs="layers that LRP has rules for"
    )

    _parameter_constraints: ClassVar[dict[str, Any]] = {"epsilon": [Interval(Real, 0, None, closed="neither")]}
    _asks = _Relevance
    _kinds = (*_WEIGHTED, *_ELEMENTWISE)

    def __init__(self, epsilon: float = 1e-9) -> None:
        self.epsilon = epsilon

    def _check(self, structure: Structure) -> None:
        others = [step for step in structure.outside(self._kinds) if step.operation not in RESHAPING | _SELECTING]
        self._refuse(others, "Write it as a module that LRP has a rule for, or use IntegratedGradients.")
        for call in structure.calls_of((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
            if call.module.running_mean is None:
                raise ValueError(
                    f"LRP needs batch normalization with running statistics; {call.name!r} has none and mixes "
                    "the samples of a batch. Use IntegratedGradients."
                )

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        rules = captum("attr._utils.lrp_rules")
        for layer in scored.layers:
            layer.rule = rules.EpsilonRule(self.epsilon) if isinstance(layer, _WEIGHTED) else rules.IdentityRule()
        map_: Tensor = captum().LRP(scored).attribute(x, additional_forward_args=(scored.index,))
        return map_


class _Rescaled(Scored):
    """Rescales the target itself: logits count by its mean slope from the baseline's to the input's."""

    values: Tensor

    def value(self, logits: Tensor, score: Score) -> Tensor:
        """Return sums of logits that differ, between inputs and their baselines, as the target does."""
        ends, starts = logits.detach().chunk(2)
        slope = torch.zeros_like(logits)
        for node, weight in zip(*np.polynomial.legendre.leggauss(16), strict=True):
            point = starts + (float(node) + 1) / 2 * (ends - starts)
            slope += float(weight) / 2 * _slope(score, torch.cat([point, point]))
        values = (slope * logits).sum(1)
        self.values = values.detach()
        return values


class DeepLift(_ThroughLayers):
    """DeepLIFT with the rescale rule: differences from a baseline, handed back layer by layer.

    Three forward passes and two backward passes a sample (the baseline's go along). Complete. Nonlinear
    steps must be modules that it has a rule for (ReLU, LeakyReLU, ELU, Sigmoid, Tanh, Softplus, max
    pools without overlap); linear steps may be written in any way, residual connections too. Other
    networks are refused. Not implementation invariant.

    Parameters
    ----------
    baseline : float, Tensor or ndarray, default=0.0
        What the input is compared with: a number, or a tensor that broadcasts against a batch.

    Notes
    -----
    A target that is no logit (:class:`Loss`) is rescaled too: its slope is averaged along the straight
    line from the baseline's logits to the input's.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {"baseline": [Real, Tensor, np.ndarray]}
    _asks = _Rescaled
    _kinds = _RESCALED

    def __init__(self, baseline: float | Tensor = 0.0) -> None:
        self.baseline = baseline

    def _check(self, structure: Structure) -> None:
        others = [step for step in structure.outside(self._kinds) if not _is_linear(step)]
        self._refuse(others, "It needs a rule for what is not linear: write it as a module that DeepLift knows.")
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
        method = captum().DeepLift(scored)
        map_: Tensor = method.attribute(x, baselines=baseline, additional_forward_args=(scored.index,))
        _require_complete(map_.detach(), x.detach(), baseline, cast(_Rescaled, scored).values)
        return map_


def _require_complete(map_: Tensor, x: Tensor, baseline: float | Tensor, values: Tensor) -> None:
    """Catch what the structure does not show, such as a mask that depends on the input."""
    reached, started = values.chunk(2)
    gap = (map_.flatten(1).sum(1) - (reached - started)).abs()
    size = map_.flatten(1).abs().sum(1) + reached.abs() + started.abs()
    # Where input and baseline differ in their last digits only, so does what the map is made of.
    difference = x - baseline
    uncertain = (map_ / difference).nan_to_num(0, 0, 0).abs() * (x.abs() + (x - difference).abs())
    rounding = 100 * torch.finfo(x.dtype).eps * uncertain.flatten(1).sum(1)
    if (gap > 1e-3 * size + rounding).any():
        raise ValueError(
            f"DeepLift's map is not complete: it misses the target's difference by up to {gap.max():.2g}. The network "
            "draws at random, or does what is neither linear nor a module with a rule. Use IntegratedGradients."
        )


def _slope(score: Score, logits: Tensor) -> Tensor:
    """Differentiate the sum of the samples' scores with respect to the logits."""
    with torch.enable_grad():
        leaf = logits.detach().requires_grad_()
        return torch.autograd.grad(score(leaf).sum(), leaf)[0]


def _is_linear(step: Step) -> bool:
    return step.operation in RESHAPING | _LINEAR or (step.operation in _BILINEAR and step.operands == 1)


def _with_window(layer: nn.Module) -> nn.Module:
    """Let a pool over all places do as one whose window is the whole input: for that captum has a rule."""
    if type(layer) not in _WINDOWED:
        return layer
    pool = _WINDOWED[type(layer)](1)

    def widen(pool: nn.Module, args: tuple[Tensor]) -> None:
        vars(pool).update(dict.fromkeys(("kernel_size", "stride"), tuple(args[0].shape[2:])))

    pool.register_forward_pre_hook(widen)
    layer.forward = pool.__call__
    return pool


def _overlaps(pool: nn.Module) -> bool:
    if type(pool) in _WINDOWED:
        return bool((np.asarray(pool.output_size) != 1).any())
    kernel, stride, dilation = (np.asarray(vars(pool)[name]) for name in ("kernel_size", "stride", "dilation"))
    return bool((stride < kernel).any() or (dilation > 1).any())
