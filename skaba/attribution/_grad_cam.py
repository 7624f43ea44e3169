"""Grad-CAM: activations of a convolution, weighted by their gradients."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from skaba.attribution._checking import BoundTarget
from skaba.attribution._constraints import MODE, NAME
from skaba.attribution._method import About, AttributionMethod
from skaba.network import Model, answer, channel_axis_of, find_layer, require_places, upsample, values_of, within


class GradCAM(AttributionMethod):
    """Activations of a layer, weighted by their mean gradients.

    One forward and one backward pass per sample; the backward pass ends at the layer. Each
    channel of the layer is weighted by the mean of its gradient. The weighted sum is stretched
    (bilinearly) to the input's height and width, or length, and every channel of the input gets
    the same map. Not implementation invariant: the map depends on the layer, not only on the function.

    Parameters
    ----------
    layer : str, default=None
        The submodule whose output is weighted, named as in ``named_modules()`` of the network. It must
        return channels first, (n, channels, ...). By default the convolution (one- or
        two-dimensional) that the forward pass calls last. If a layer is called several
        times, the last call counts.
    relu : bool, default=True
        Whether to keep evidence for the target only, as in the paper; False keeps the sign.
    mode : {"eval", "train"}, default="eval"
        The mode of the model; see :class:`Gradient`.

    References
    ----------
    Selvaraju et al. (2017), "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
    Localization", section 3, equations 1 and 2.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import GradCAM, PredictedClass
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 2))
    >>> map_ = GradCAM()(net, torch.randn(5, 3, 8, 8), target=PredictedClass())
    >>> map_.shape, bool((map_ >= 0).all())
    (torch.Size([5, 3, 8, 8]), True)
    """

    about: ClassVar[About] = About("1", "1", signed=False, needs="a convolution")
    is_differentiable: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {"layer": NAME, "relu": ["boolean"], "mode": MODE}

    def __init__(self, layer: str | None = None, relu: bool = True, mode: str = "eval") -> None:
        self.layer = layer
        self.relu = relu
        self.mode = mode

    def _attribute(self, model: Model, x: Tensor, target: BoundTarget, generator: torch.Generator | None) -> Tensor:
        with torch.enable_grad(), _outputs(self._watched(model, x), x.requires_grad) as outputs:
            logits = answer(model, x)
            values = values_of(target(logits), logits)
        if not outputs:
            raise ValueError(f"The forward pass never reaches {self._place()}; choose another layer.")
        activation = outputs[-1]
        require_places("GradCAM", x, activation)
        # The target may not depend on the layer, or on anything; either way there is no gradient, which is an error.
        gradient = None
        if values.requires_grad:
            ones = torch.ones_like(values)
            (gradient,) = torch.autograd.grad(values, activation, ones, create_graph=x.requires_grad, allow_unused=True)
        if gradient is None:
            raise ValueError(
                f"The target's gradient does not reach {self._place()}: it lies before the layer that the model is "
                "viewed from (or at it), or what follows it is not differentiable. Choose a later layer."
            )
        # The paper's alpha: the mean over positions, equation 1.
        weights = gradient.flatten(2).mean(2)
        map_ = torch.einsum("nc,nc...->n...", weights, activation if x.requires_grad else activation.detach())
        return upsample(map_.relu() if self.relu else map_, x, channel_axis_of(model))

    def _watched(self, model: Model, x: Tensor) -> list[nn.Module]:
        """Return the layers whose output may be the one that is weighted."""
        if not isinstance(model, nn.Module):
            raise TypeError(f"GradCAM needs an nn.Module with a convolution, got a {type(model).__name__}.")
        if self.layer is not None:
            view = within(model, self.layer, x)
            return [find_layer(view.module, view.layer)]
        convolutions: list[nn.Module] = [
            module for module in model.modules() if isinstance(module, (nn.Conv1d, nn.Conv2d))
        ]
        if not convolutions:
            raise ValueError("GradCAM finds no convolution in the network: set layer, or use another method.")
        return convolutions

    def _place(self) -> str:
        return "any convolution" if self.layer is None else f"layer={self.layer!r}"


@contextmanager
def _outputs(layers: list[nn.Module], create_graph: bool) -> Iterator[list[Tensor]]:
    """Collect the last output of any of the layers, cut off from the layers before unless the graph is kept."""
    outputs: list[Tensor] = []

    def gather(layer: nn.Module, args: Any, output: Any) -> Tensor:
        if not isinstance(output, Tensor):
            raise ValueError(
                f"GradCAM needs a layer that returns one tensor; this one returns a {type(output).__name__}."
            )
        # The last call counts, so it replaces earlier ones. A detached output starts a new graph, so the backward pass
        # ends there.
        outputs[:] = [output if create_graph and output.requires_grad else output.detach().requires_grad_()]
        return outputs[0].clone()  # the next layer may work in place

    with ExitStack() as hooks:
        for layer in layers:
            hooks.callback(layer.register_forward_hook(gather).remove)
        yield outputs
