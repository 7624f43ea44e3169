"""The trace that a call may leave on a network and on global state."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def trace_of(model: Any) -> dict[str, Any]:
    """Record the state that attribution and augmentation must leave as it was, in a form that ``==`` compares.

    Parameters
    ----------
    model : nn.Module or callable
        The random states of torch, NumPy and Python and torch's gradient mode are always recorded; for a module also
        the training flags, attributes, hooks, buffers, parameters and their gradients.

    Returns
    -------
    dict of str to object

    Examples
    --------
    >>> import torch
    >>> from skaba.testing import trace_of
    >>> net = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout())
    >>> before = trace_of(net)
    >>> _ = net.eval()
    >>> [name for name, value in trace_of(net).items() if value != before[name]]
    ['.training', '0.training', '1.training']
    """
    numpy_state: Any = np.random.get_state()
    trace: dict[str, Any] = {
        "torch's random state": _bits(torch.get_rng_state()),
        "NumPy's random state": (numpy_state[1].tolist(), numpy_state[2:]),
        "Python's random state": random.getstate(),
        "gradient mode": torch.is_grad_enabled(),
    }
    if not isinstance(model, nn.Module):
        return trace
    for name, module in model.named_modules():
        trace[f"{name}.training"] = module.training
        trace[f"attributes of {name!r}"] = sorted(vars(module))
        for key, value in vars(module).items():
            if "hooks" in key:  # torch keeps hooks in dicts such as _forward_hooks; their number is enough
                trace[f"{name}.{key}"] = len(value) if value is not None else None
    for name, buffer in model.named_buffers():
        # Values, object and version: a buffer that was replaced or written into and restored has changed too.
        trace[f"buffer {name}"] = (_bits(buffer), id(buffer), buffer._version)
    for name, parameter in model.named_parameters():
        trace[f"parameter {name}"] = (_bits(parameter), parameter.requires_grad)
        trace[f"gradient of {name}"] = (_bits(parameter.grad), id(parameter.grad))
    return trace


@contextmanager
def traceless(model: Any) -> Iterator[None]:
    """Raise an AssertionError if the block leaves a trace on a model or on global state, also after an exception.

    Parameters
    ----------
    model : nn.Module or callable

    Raises
    ------
    AssertionError
        The message names the state that has changed.

    Examples
    --------
    >>> import torch
    >>> from skaba.testing import traceless
    >>> with traceless(torch.nn.Linear(3, 2)) as _:
    ...     torch.rand(1)
    Traceback (most recent call last):
    ...
    AssertionError: left a trace: torch's random state
    """
    before = trace_of(model)
    try:
        yield
    finally:
        after = trace_of(model)
        changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        if changed:
            raise AssertionError(f"left a trace: {', '.join(changed)}")


def _bits(tensor: Tensor | None) -> Any:
    if tensor is None:
        return None
    values = tensor.detach().cpu().reshape(-1)
    # Bytes, because NaN does not equal itself and -0.0 equals 0.0.
    return tensor.dtype, tuple(tensor.shape), values.view(torch.uint8).numpy().tobytes()
