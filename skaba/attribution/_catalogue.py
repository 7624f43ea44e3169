"""All methods by name, and those that a network can use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from skaba.attribution._checking import Target
from skaba.attribution._deep_lift import DeepLift
from skaba.attribution._grad_cam import GradCAM
from skaba.attribution._gradients import Gradient, InputXGradient
from skaba.attribution._hill_climbing import HillClimbing
from skaba.attribution._iba import IBA
from skaba.attribution._loss import Loss
from skaba.attribution._lrp import LRP
from skaba.attribution._method import AttributionMethod
from skaba.attribution._noise import SmoothGrad, SquaredSmoothGrad, VarGrad
from skaba.attribution._paths import ExpectedGradients, IntegratedGradients
from skaba.attribution._perturbation import FeatureAblation, GradientShap, KernelShap, Lime, Occlusion
from skaba.attribution._random_map import RandomMap
from skaba.attribution._rectifiers import DeconvNet, GuidedBackprop, GuidedGradCAM
from skaba.attribution._targets import Criterion, PredictedClass, RandomTopClass, TrueClass
from skaba.attribution._times_input import TimesInput
from skaba.network import FromLayer, answer, asking, require_floats, unwrapped

METHODS: dict[str, type[AttributionMethod]] = {
    method.__name__: method
    for method in (
        Gradient,
        InputXGradient,
        IntegratedGradients,
        ExpectedGradients,
        SmoothGrad,
        SquaredSmoothGrad,
        VarGrad,
        TimesInput,
        GradCAM,
        IBA,
        HillClimbing,
        RandomMap,
        DeconvNet,
        GuidedBackprop,
        GuidedGradCAM,
        LRP,
        DeepLift,
        GradientShap,
        KernelShap,
        Lime,
        Occlusion,
        FeatureAblation,
    )
}

TARGETS: dict[str, Any] = {target.__name__: target for target in (PredictedClass, TrueClass, Loss, RandomTopClass)}

DESCRIPTIONS: dict[str, str] = {
    name: str(method.__doc__).split("\n", maxsplit=1)[0].rstrip(".") for name, method in METHODS.items()
}
"""The first line of each method's docstring."""


class Trial(NamedTuple):
    """The result of trying a method on a network.

    Parameters
    ----------
    method : str
    usable : bool
    reason : str
        Why the method is not usable; else empty.
    """

    method: str
    usable: bool
    reason: str


class Trials(tuple[Trial, ...]):
    """The table that ``available`` returns; ``print`` shows it."""

    __slots__ = ()

    @property
    def usable(self) -> list[str]:
        """Names of the methods that the network can use."""
        return [trial.method for trial in self if trial.usable]

    def __str__(self) -> str:
        width = max(len(trial.method) for trial in self)
        return "\n".join(
            f"{trial.method:{width}}  {'yes' if trial.usable else 'no: ' + trial.reason}" for trial in self
        )


def available(
    module: nn.Module,
    x: Any,
    y: Any = None,
    *,
    layer: str | None = None,
    target: Target | None = None,
    criterion: Criterion | None = None,
) -> Trials:
    """Try every method, with its default parameters, on one sample of a network.

    A method is usable if it returns a finite map.

    Parameters
    ----------
    module : nn.Module
        Returns logits; for a fitted estimator pass its ``module_``. It is not changed.
    x : Tensor or array of shape (n, ...), or a mapping of them
        The module's input; the first sample is tried, in the module's precision.
    y : Tensor or array of shape (n, ...), default=None
        The labels, if ``target`` needs them.
    layer : str, default=None
        Attribute at this submodule's output, for example ``"embedding"`` for word ids.
    target : callable, default=None
        The scalar that is explained, by default ``PredictedClass()``.
    criterion : callable, default=None
        The loss, for the target ``Loss``.

    Returns
    -------
    Trials
        A tuple of ``(method, usable, reason)``; ``.usable`` lists the names of the usable methods.

    Raises
    ------
    TypeError
        If the module is not an ``nn.Module``, or x does not hold floats.
    ValueError
        If x is empty, or does not hold finite numbers. Errors that the module itself raises are not changed.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import available
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    >>> trials = available(net, torch.randn(1, 3))
    >>> "LRP" in trials.usable, "GradCAM" in trials.usable
    (True, False)
    """
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"available needs an nn.Module, got {type(module).__name__}; for a fitted estimator pass its module_."
        )
    model: nn.Module = unwrapped(module)
    inputs = _twice(x, model)
    y = None if y is None else _twice(y, model)
    if layer is not None:
        model = FromLayer(model, layer, inputs)
        inputs = model.features()
    arguments: dict[str, Any] = {"target": PredictedClass() if target is None else target, "criterion": criterion}
    require_floats(inputs)
    with asking(model), torch.no_grad():
        # A module or a target that cannot be called at all raises its own error here, before any method is tried.
        logits = answer(model, inputs)
        arguments["target"](logits, y, criterion=criterion, generator=torch.Generator())
    return Trials(_try(name, method(), model, inputs, y, arguments) for name, method in METHODS.items())


def _twice(values: Any, module: nn.Module) -> Any:
    """Return the first sample twice, since some methods compare samples; floats get the module's precision."""
    if isinstance(values, Mapping):
        return {name: _twice(value, module) for name, value in values.items()}
    try:
        first = torch.as_tensor(values)[:1]
    except (TypeError, ValueError) as error:
        raise ValueError(f"x must hold numbers: {error}") from error
    if not len(first):
        raise ValueError("x has no sample; pass at least one.")
    if not first.isfinite().all():
        raise ValueError("x contains NaN or infinity in its first sample; pass one that is finite.")
    # Integers, such as word ids, keep their type.
    weight = next((parameter for parameter in module.parameters() if parameter.is_floating_point()), None)
    if weight is not None:
        first = first.to(weight.device, weight.dtype if first.is_floating_point() else None)
    return torch.cat([first, first])


def _try(name: str, method: AttributionMethod, model: nn.Module, x: Tensor, y: Tensor | None, arguments: Any) -> Trial:
    try:
        method(model, x, y, generator=torch.Generator().manual_seed(0), **arguments)
    except Exception as error:  # noqa: BLE001 - any error of the method is the result
        return Trial(name, False, str(error) or type(error).__name__)
    return Trial(name, True, "")
