"""The base class of attribution methods, and the call of any method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skaba._validation import validate_parameters
from skaba.attribution._checking import METHOD, Bound, BoundTarget, Target, as_labels, checked_map, require_form
from skaba.attribution._targets import Criterion
from skaba.network import Model, asking, require_floats


class About(NamedTuple):
    """How a method differs from the others: the columns of the papers' comparison.

    Parameters
    ----------
    forward, backward : str
        Passes per sample, as a formula in the method's parameters.
    signed : bool
        Whether the map distinguishes features that speak for the target from those against it.
    complete : str, default=""
        What the map sums to, or empty.
    baseline : bool, default=False
        Whether the method compares with an input that stands for "nothing".
    needs : str, default="any model"
        What the network must have or be.
    """

    forward: str
    backward: str
    signed: bool
    complete: str = ""
    baseline: bool = False
    needs: str = "any model"


class AttributionMethod(ABC, BaseEstimator):
    """Base class: a model, an input and a target in; a signed map of the input's shape out.

    A subclass writes ``_attribute``. The call around it puts the model into
    evaluation mode and leaves no trace: training flags, buffers, parameter
    gradients, hooks and the global random state are restored afterwards, also
    after an exception. :func:`skaba.testing.check_attribution_method` tests a subclass.

    Attributes
    ----------
    about : About
        A class attribute: cost, sign and limits, as ``skaba methods`` lists them. It is optional.
    is_differentiable : bool
        A class attribute: whether the method can return a map that stays in the graph (``create_graph=True``).
    mode : {"eval", "train"}
        The mode of the model during the call: "eval", unless a method has it as a parameter.
    """

    about: ClassVar[About] = About("?", "?", signed=True)
    is_differentiable: ClassVar[bool] = False
    mode: str = "eval"
    _parameter_constraints: ClassVar[dict[str, Any]] = {}

    def __call__(
        self,
        model: Model,
        x: Tensor,
        y: Tensor | None = None,
        *,
        target: Target,
        criterion: Criterion | None = None,
        generator: torch.Generator | None = None,
        create_graph: bool = False,
    ) -> Tensor:
        """Attribute a batch.

        Parameters
        ----------
        model : nn.Module or callable
            Returns logits of shape (n, n_outputs).
        x : floating-point Tensor of shape (n, ...)
            The batch; it is not changed.
        y : Tensor, array-like or None, default=None
            The labels, if the target needs them.
        target : callable
            The scalar that is explained: ``RandomTopClass``, ``TrueClass``,
            ``PredictedClass``, ``FixedClass``, ``Loss``, or a callable with their arguments.
        criterion : callable, default=None
            The loss, for the target ``Loss``.
        generator : torch.Generator on the CPU, default=None
            Decides everything that is random; needed if anything is.
        create_graph : bool, default=False
            Keep the map in the graph, so that it can be differentiated with respect to the model's parameters, and to
            x if it requires a gradient: for a penalty on maps. Only for methods with ``is_differentiable``. A network
            that recomputes activations (``torch.utils.checkpoint``) does so when the penalty is differentiated, in
            the mode that it has then.

        Returns
        -------
        Tensor of x's shape
            The signed map, detached unless ``create_graph=True``.

        Raises
        ------
        TypeError
            If x is not a floating-point tensor, or the target cannot be called as one.
        ValueError
            If a parameter is not allowed, the method does not fit the model or cannot keep the graph, or a subclass
            returns anything but a finite tensor of x's shape.
        """
        require_floats(x)
        if self._parameter_constraints:
            validate_parameters(self)
        if create_graph:
            require_differentiable(self)
        bound_target = Bound(target, as_labels(y, x.device), criterion, generator)
        with asking(model, self.mode, generator, create_graph):
            # detach() returns a new tensor, so the flag of the caller's x does not change.
            source = x if create_graph and x.requires_grad else x.detach().requires_grad_(create_graph)
            map_ = checked_map(self._attribute(model, source, bound_target, generator), x, self).to(x.dtype)
        return map_ if create_graph else map_.detach()

    @abstractmethod
    def _attribute(self, model: Model, x: Tensor, target: BoundTarget, generator: torch.Generator | None) -> Tensor:
        """Return the map of a batch; the model is already in its mode.

        x requires a gradient if, and only if, the map must stay in the graph; otherwise it is detached.
        """


class OfMethod:
    """Mixin for methods that are computed from the maps of another method; they have its mode and differentiability."""

    method: Any

    @property
    def mode(self) -> str:
        """The mode of the underlying method."""
        return getattr(self.method, "mode", "eval")

    @property
    def is_differentiable(self) -> bool:
        """Whether the underlying method can return a map that stays in the graph."""
        return getattr(self.method, "is_differentiable", False)


def attributed(
    method: Callable[..., Any],
    model: Model,
    x: Tensor,
    y: Tensor | None = None,
    *,
    target: Target,
    criterion: Criterion | None = None,
    generator: torch.Generator | None = None,
    create_graph: bool = False,
) -> Tensor:
    """Call an attribution method, or a function with the same arguments, and check the map.

    Parameters
    ----------
    method : callable
        A function that can keep the graph has an attribute ``is_differentiable = True`` and takes ``create_graph``.
    model, x, y, target, criterion, generator, create_graph
        As for :class:`AttributionMethod`.

    Returns
    -------
    Tensor of x's shape
        Detached unless ``create_graph=True``.

    Raises
    ------
    TypeError
        If the method cannot be called with these arguments.
    ValueError
        If it returns anything but a finite tensor of x's shape, or cannot keep the graph.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import PredictedClass, attributed
    >>> def mean(model, x, y, *, target, criterion, generator):
    ...     return x.mean(dim=1)
    >>> attributed(mean, torch.nn.Linear(3, 2), torch.ones(2, 3), target=PredictedClass())
    Traceback (most recent call last):
    ...
    ValueError: <function mean at ...> returned a tensor of shape (2,) for a batch of shape (2, 3); it must return ...
    """
    arguments: dict[str, Any] = {"target": target, "criterion": criterion, "generator": generator}
    if create_graph:  # a method that cannot keep the graph need not take the argument
        require_differentiable(method)
        arguments["create_graph"] = True
    try:
        # A plain function does not enable gradients itself, and the caller may be within no_grad.
        with torch.set_grad_enabled(create_graph or torch.is_grad_enabled()):
            map_ = method(model, protected(x, method), y, **arguments)
    except TypeError as error:
        require_form(method, METHOD, error)
        raise
    map_ = checked_map(map_, x, method)
    return map_ if create_graph else map_.detach()


def protected(x: Tensor, method: Any) -> Tensor:
    """Return the batch that a method is called with: a copy, because it may write in place, except for skaba's."""
    return x if type(method).__module__.startswith("skaba.") else x.clone()


def require_differentiable(method: Any) -> None:
    """Raise a ValueError unless a method can return a map that stays in the graph."""
    if not getattr(method, "is_differentiable", False):
        kinds: list[Any] = AttributionMethod.__subclasses__()
        able = ", ".join(kind.__name__ for kind in kinds if kind.is_differentiable is True)
        raise ValueError(
            f"{method!r} cannot return a map that stays in the graph (create_graph=True): its is_differentiable is "
            f"not True. Methods that can: {able}, and SmoothGrad, SquaredSmoothGrad, VarGrad, TimesInput and "
            "MicroBatches of these."
        )
