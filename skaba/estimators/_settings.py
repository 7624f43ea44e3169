"""Checks of skorch's parameters, for which skorch would raise an error late or without their names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from skaba._validation import unknown_name

COMPONENTS = {"module": nn, "criterion": nn, "optimizer": torch.optim}


def check_components(net: Any) -> None:
    """Raise a ValueError if module, criterion or optimizer is no class, function or instance that can be used."""
    for name, library in COMPONENTS.items():
        component = getattr(net, name)
        if isinstance(component, str):
            example = f"{library.__name__}.{component}" if hasattr(library, component) else "the class itself"
            raise ValueError(f"{name}={component!r} is a name: pass {example}.")
        if isinstance(component, torch.optim.Optimizer):
            kind = type(component).__name__
            raise ValueError(
                f"{name}={kind}(...) is bound to the parameters that it was made with: pass the class, {name}={kind}, "
                f"and its arguments as {name}__momentum=..."
            )
        if not callable(component):
            raise ValueError(f"{name}={component!r} must be a class, a function that returns an instance, or a module.")


def check_criterion(criterion: Any, refused: Mapping[tuple[type[nn.Module], ...], str]) -> None:
    """Raise a ValueError if a loss does not fit the task.

    Parameters
    ----------
    criterion : nn.Module class, instance or function
    refused : mapping
        For each group of losses, what to use instead.
    """
    kind = criterion if isinstance(criterion, type) else type(criterion)
    for losses, advice in refused.items():
        if issubclass(kind, losses):
            raise ValueError(f"criterion={kind.__name__} does not fit this task: {advice}")


def check_device(device: Any) -> None:
    """Raise a ValueError if there is no such device here."""
    if device is None:
        return
    try:
        kind = torch.device(device).type
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={device!r} is not a device of PyTorch; pass 'cpu', 'cuda' or 'mps'.") from error
    # torch.device accepts the name of any backend. Only using it shows whether it is there: torch built without CUDA
    # raises an AssertionError.
    try:
        torch.empty(0, device=kind)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"device={device!r}, but PyTorch finds no such device here; pass device='cpu'.") from error


def check_monitors(callbacks: Iterable[tuple[str, Any]], train_split: Any) -> None:
    """Raise a ValueError if a callback monitors a validation score but no samples are held out.

    Parameters
    ----------
    callbacks : iterable of (name, callback)
    train_split : float, int, callable or None
    """
    if train_split is not None:
        return
    for name, callback in callbacks:
        monitor = getattr(callback, "monitor", None)
        if isinstance(monitor, str) and monitor.startswith("valid_"):
            raise ValueError(
                f"The callback {name} monitors {monitor!r}, but train_split=None holds out no samples to validate on. "
                "Set train_split=0.2, or monitor='train_loss'."
            )


def check_trainable(parameters: Iterable[tuple[str, nn.Parameter]]) -> None:
    """Raise a ValueError if no parameter would be trained."""
    frozen = [not parameter.requires_grad for _, parameter in parameters]
    if all(frozen):
        raise ValueError(
            f"There is nothing to train: all {len(frozen)} parameters of the module are frozen. Call "
            "requires_grad_(True) on those that are to be trained."
        )


def unknown_parameters(names: Iterable[str], prefixes: Iterable[str], known: Iterable[str]) -> str | None:
    """Return the error message for unknown parameters, with the nearest names; None if there are none.

    Parameters
    ----------
    names : iterable of str
        As the user wrote them.
    prefixes : iterable of str
        Components whose parameters are written ``prefix__name``.
    known : iterable of str
        The parameters of the estimator itself.
    """
    prefixes = tuple(prefixes)
    unknown = sorted(name for name in names if not name.endswith("_") and not name.startswith(prefixes))
    if not unknown:
        return None
    known = [name for name in known if not name.startswith("_") and "__" not in name and name not in unknown]
    return " ".join(unknown_name("parameter", name, known) for name in unknown)
