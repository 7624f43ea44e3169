"""Copies of what the user handed in, so that training never changes it."""

from __future__ import annotations

import copy
from itertools import chain
from typing import Any

import numpy as np
from torch import Tensor, nn


def copied_component(component: Any, name: str, beside: tuple[nn.Module, nn.Module] | None = None) -> Any:
    """Return a copy of a module, a tensor or an array; anything else is returned as it is.

    Parameters
    ----------
    component : object
    name : str
        Of the parameter, for the error.
    beside : tuple of two nn.Modules, default=None
        A module and its copy. Where the component refers to a part of the first, its copy refers to the second.

    Returns
    -------
    object

    Raises
    ------
    ValueError
        If a module cannot be copied.
    """
    if not isinstance(component, (nn.Module, Tensor, np.ndarray)):
        return component
    known = {} if beside is None else {id(old): new for old, new in zip(*map(_parts, beside), strict=True)}
    try:
        return copy.deepcopy(component, known)
    except RuntimeError as error:  # torch copies no tensors that were computed from parameters
        raise ValueError(
            f"{name} cannot be copied, so fit could not start from it again: {error} Pass the function or class that "
            "builds it instead of an instance."
        ) from error


def _parts(module: nn.Module) -> Any:
    return chain(module.modules(), module.parameters())
