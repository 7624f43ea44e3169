"""Copies of the objects that the user passed, so that training never changes them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import chain
from typing import Any

import numpy as np
from torch import Tensor, nn


def copied_component(component: Any, name: str, beside: tuple[nn.Module, nn.Module] | None = None) -> Any:
    """Return a copy of a module, a tensor, an array or a container of these, and any other object as it is.

    Parameters
    ----------
    component : object
        An object that a container holds twice is copied once.
    name : str
        The parameter's name, for the error message.
    beside : tuple of two nn.Modules, default=None
        A module and its copy. References of the component to parts of the first become references to the same parts of
        the second.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        If a module cannot be copied.
    """
    if not _is_trained(component):
        return component
    # The memo of deepcopy: parts listed there are replaced, not copied. So a criterion that holds parameters of the
    # module keeps those that are trained: https://docs.python.org/3/library/copy.html
    known = {} if beside is None else {id(old): new for old, new in zip(*map(_parts, beside), strict=True)}
    try:
        return copy.deepcopy(component, known)
    except RuntimeError as error:  # torch copies no tensors that were computed from parameters
        raise ValueError(
            f"{name} cannot be copied, so fit could not start from it again: {error} Pass the class that builds it, "
            f"and its arguments as {name}__name=value."
        ) from error


def _is_trained(component: Any) -> bool:
    """Return whether training might change a component, or a part of it if it is a container."""
    if isinstance(component, Mapping):
        component = list(component.values())
    if isinstance(component, (list, tuple)):
        return any(map(_is_trained, component))
    return isinstance(component, (nn.Module, Tensor, np.ndarray))


def _parts(module: nn.Module) -> Any:
    return chain(module.modules(), module.parameters())
