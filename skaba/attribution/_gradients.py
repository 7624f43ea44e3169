"""Attribution methods made of plain input gradients."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from skaba._validation import validate_parameters
from skaba.attribution._checking import Bound, BoundTarget, Target, as_labels, checked_map
from skaba.attribution._constraints import MODE
from skaba.attribution._method import About, AttributionMethod
from skaba.attribution._targets import Criterion
from skaba.network import FromLayer, Model, asking, input_gradient


class Gradient(AttributionMethod):
    """Gradient of the target with respect to the input.

    Also called "vanilla gradient" or saliency. One forward and one backward pass per sample. It needs no baseline and
    fits every differentiable model; it is the papers' choice for augmentation.

    Parameters
    ----------
    mode : {"eval", "train"}, default="eval"
        The mode of the model. In "train" BatchNorm normalises by the statistics of the batch, as
        it does in the training step, so that a sample's map depends on the others. Dropout drops, and the
        generator, which is then needed, decides what. Running statistics do not change.
        BatchNorm layers that are frozen (in evaluation mode while the model trains) stay frozen.

    References
    ----------
    Simonyan, Vedaldi and Zisserman (2014), "Deep Inside Convolutional Networks"; Kinkel
    (2023), sections 2.5.3 and 3.5.

    Examples
    --------
    The map of a linear model is the row of weights that belongs to the class.

    >>> import torch
    >>> from skaba.attribution import Gradient, TrueClass
    >>> model = torch.nn.Linear(3, 2, bias=False)
    >>> x, y = torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    >>> map_ = Gradient()(model, x, y, target=TrueClass())
    >>> torch.equal(map_, model.weight[y])
    True

    A penalty on the map moves the weights.

    >>> Gradient()(model, x, y, target=TrueClass(), create_graph=True).square().sum().backward()
    >>> torch.equal(model.weight.grad, 4 * model.weight)
    True
    """

    about: ClassVar[About] = About("1", "1", signed=True, needs="a gradient")
    is_differentiable: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {"mode": MODE}

    def __init__(self, mode: str = "eval") -> None:
        self.mode = mode

    def _attribute(self, model: Model, x: Tensor, target: BoundTarget, generator: torch.Generator | None) -> Tensor:
        return input_gradient(model, x, lambda logits: target(logits)(logits), create_graph=x.requires_grad)

    def at_layer(
        self,
        view: FromLayer,
        y: Tensor | None = None,
        *,
        target: Target,
        criterion: Criterion | None = None,
        generator: torch.Generator | None = None,
        create_graph: bool = False,
    ) -> Tensor:
        """Attribute a layer's output in the pass that computes it.

        In evaluation mode the map equals ``self(view, view.features(), y, ...)``, but the pass that computes the
        features is saved. In training mode it is the gradient at what the layer returns in this pass.

        Parameters
        ----------
        view : FromLayer
            The network, seen from the layer.
        y, target, criterion, generator
            As in a call.
        create_graph : bool, default=False
            Keep the map in the graph of all parameters, also of those before the layer.

        Returns
        -------
        Tensor of the output's shape
            The signed map, detached unless ``create_graph=True``.

        Raises
        ------
        ValueError
            If the layer is not called exactly once, does not return a tensor, or has no gradient.
        """
        validate_parameters(self)
        bound_target = Bound(target, as_labels(y, view.device), criterion, generator)
        with asking(view, self.mode, generator, create_graph):
            map_ = view.gradient(lambda logits: bound_target(logits)(logits), create_graph)
        # The gradient has the output's shape, so only the values are checked.
        return checked_map(map_, map_, self)


class InputXGradient(AttributionMethod):
    """Gradient times input.

    One forward and one backward pass per sample. For a piecewise linear model without
    biases it is complete: the map sums to the target. For another method's map times the input
    see :class:`TimesInput`.

    Parameters
    ----------
    mode : {"eval", "train"}, default="eval"
        The mode of the model; see :class:`Gradient`.

    References
    ----------
    Shrikumar et al. (2016), "Not Just a Black Box"; Kinkel (2023), sections 2.5.3 and 3.5.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import InputXGradient, TrueClass
    >>> model = torch.nn.Linear(3, 2, bias=False)
    >>> x, y = torch.randn(4, 3), torch.tensor([0, 1, 1, 0])
    >>> map_ = InputXGradient()(model, x, y, target=TrueClass())
    >>> torch.allclose(map_.sum(1), model(x).gather(1, y[:, None])[:, 0], atol=1e-6)
    True
    """

    about: ClassVar[About] = About(
        "1", "1", signed=True, complete="target, if piecewise linear without bias", needs="a gradient"
    )
    is_differentiable: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {"mode": MODE}

    def __init__(self, mode: str = "eval") -> None:
        self.mode = mode

    def _attribute(self, model: Model, x: Tensor, target: BoundTarget, generator: torch.Generator | None) -> Tensor:
        return x * input_gradient(model, x, lambda logits: target(logits)(logits), create_graph=x.requires_grad)
