"""Methods that change how ReLUs pass gradients back, computed by captum."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from skaba.attribution._captum import Scored
from skaba.attribution._checking import Chosen
from skaba.attribution._constraints import NAME
from skaba.attribution._grad_cam import GradCAM
from skaba.attribution._layer_rules import ThroughLayers
from skaba.attribution._method import About
from skaba.network import Structure, operations

# Operations that cut values off, whether they are called as functions or as methods. captum cannot change them.
_RECTIFYING = operations("relu threshold clamp clampmin hardtanh maximum minimum maskedfill where")


class _ThroughRectifiers(ThroughLayers):
    """A method that changes how ReLUs pass gradients back; everything else passes its plain gradient."""

    _kinds = (nn.ReLU,)
    _captums: ClassVar[str] = "GuidedBackprop"

    def _check(self, structure: Structure) -> None:
        rectifiers = [step for step in structure.outside(self._kinds) if step.operation in _RECTIFYING]
        self._refuse(rectifiers, "Only nn.ReLU modules can be changed: write every rectifier as one.")
        if all(type(step.module) is not nn.ReLU for step in structure.steps):
            raise ValueError(
                f"{type(self).__name__} changes nn.ReLU modules, and there is none on the way from the input to the "
                "logits. Use another method, for example IntegratedGradients."
            )

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        return self._run(self._captums, scored, x)


class DeconvNet(_ThroughRectifiers):
    """Gradient; ReLUs pass back positive values only.

    The sign of the ReLU's input does not matter. Two forward passes and one backward pass per sample. Smooth
    activations pass the plain gradient; networks that cut values off without ``nn.ReLU`` are refused. Not
    implementation invariant.

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
    _captums = "Deconvolution"


class GuidedBackprop(_ThroughRectifiers):
    """Gradient; active ReLUs pass back positive values only.

    Two forward passes and one backward pass per sample. Activations other than ReLU pass the plain
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


class GuidedGradCAM(_ThroughRectifiers):
    """Guided backpropagation times Grad-CAM.

    The product shows details at the places that Grad-CAM marks. Three forward and two backward passes per sample. See
    :class:`GradCAM` for how its coarse map is stretched to the input, and :class:`GuidedBackprop` for the networks
    that it needs. Not implementation invariant.

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
    _parameter_constraints: ClassVar[dict[str, Any]] = {"layer": NAME}

    def __init__(self, layer: str | None = None) -> None:
        self.layer = layer

    def _explain(self, scored: Scored, x: Tensor, generator: torch.Generator | None) -> Tensor:
        coarse = GradCAM(self.layer)(scored.model, x, target=Chosen(scored.score))
        return coarse * super()._explain(scored, x, generator)
