"""What every attribution method has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import StrOptions
from torch import Tensor

from skaba._validation import validate_parameters
from skaba.attribution._checking import METHOD, BoundTarget, Target, as_labels, bound, checked_map, require_form
from skaba.attribution._targets import Criterion
from skaba.network import Model, asking, require_floats

MODE = StrOptions({"eval", "train"})
"""What a method's parameter ``mode`` may be."""


class About(NamedTuple):
    """What tells a method from the others: the columns of the papers' comparison.

    Parameters
    ----------
    forward, backward : str
        Passes a sample, in the method's own parameters.
    signed : bool
        Whether the map tells features that speak for the target from those against it.
    complete : str, default=""
        Empty, or what the map sums to.
    baseline : bool, default=False
        Whether it compares with an input that stands for "nothing".
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
    """A model, an input and a target in; a signed map of the input's shape out.

    A subclass writes ``_attribute``. The call around it puts the model into
    evaluation mode and leaves no trace: training flags, buffers, parameter
    gradients, hooks and the global random state are afterwards as before, also
    after an exception.

    Attributes
    ----------
    about : About
        A class attribute: cost, sign and limits, as ``skaba methods`` lists them. An own method needs none.
    mode : {"eval", "train"}
        The mode in which the model is asked: "eval", unless a method has it as a parameter.
    """

    about: ClassVar[About] = About("?", "?", signed=True)
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
    ) -> Tensor:
        """Attribute a batch.

        Parameters
        ----------
        model : nn.Module or callable
            Returns logits of shape (n, n_outputs).
        x : floating-point Tensor of shape (n, ...)
            The batch, left unchanged.
        y : Tensor, array-like or None, default=None
            The labels, if the target needs them.
        target : callable
            Which scalar is explained: ``RandomTopClass``, ``TrueClass``,
            ``PredictedClass``, ``FixedClass``, ``Loss``, or a callable with their arguments.
        criterion : callable, default=None
            The loss, for the target ``Loss``.
        generator : torch.Generator on the CPU, default=None
            Decides all that is random; needed if anything is.

        Returns
        -------
        Tensor of x's shape
            The signed map, detached.

        Raises
        ------
        TypeError
            If x is no floating-point tensor, or the target is none.
        ValueError
            If a parameter is not allowed, the method does not fit the model, or an own method returns anything
            but a finite tensor of x's shape.
        """
        require_floats(x)
        if self._parameter_constraints:
            validate_parameters(self)
        bound_target = bound(target, as_labels(y, x.device), criterion, generator)
        with asking(model, self.mode, generator):
            return checked_map(self._attribute(model, x.detach(), bound_target, generator), x, self).to(x.dtype)

    @abstractmethod
    def _attribute(self, model: Model, x: Tensor, target: BoundTarget, generator: torch.Generator | None) -> Tensor:
        """Return the map of a detached batch; the model is in evaluation mode already."""


def attributed(
    method: Callable[..., Any],
    model: Model,
    x: Tensor,
    y: Tensor | None = None,
    *,
    target: Target,
    criterion: Criterion | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Ask an attribution method, or a function of your own with its arguments, and check the map.

    Parameters
    ----------
    method : callable
    model, x, y, target, criterion, generator
        As for :class:`AttributionMethod`.

    Returns
    -------
    Tensor of x's shape
        Detached.

    Raises
    ------
    TypeError
        If the method cannot be called with these arguments.
    ValueError
        If it returns anything but a finite tensor of x's shape.

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
    try:
        map_ = method(model, protected(x, method), y, target=target, criterion=criterion, generator=generator)
    except TypeError as error:
        require_form(method, METHOD, error)
        raise
    return checked_map(map_, x, method)


def protected(x: Tensor, method: Any) -> Tensor:
    """Return a batch as a method is given it: a copy, unless the method is skaba's, since it may write in place."""
    return x if type(method).__module__.startswith("skaba.") else x.clone()
