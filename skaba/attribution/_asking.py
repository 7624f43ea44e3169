"""Asking a model without leaving a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

Model = Callable[[Tensor], Any]
"""What is asked: an ``nn.Module``, or any callable that turns a batch into logits."""


@contextmanager
def asking(model: Model) -> Iterator[None]:
    """Hold a model in evaluation mode for the time of the block, then leave all as it was.

    Evaluation mode keeps BatchNorm's statistics and dropout's draws out of the
    question. The flags are set one by one, not by ``model.eval()``, because some
    modules override it and because a submodule that was frozen in evaluation mode
    must come back frozen. Torch's global random state is put back too, for models that
    draw at random even in evaluation mode. Buffers are not copied: a module that writes into
    one even in evaluation mode is the one thing that leaves a trace. Recurrent layers run without
    cuDNN, which refuses to differentiate them in evaluation mode.

    Parameters
    ----------
    model : nn.Module or callable
        A callable that is no module has no flags; only the random state is kept.
    """
    modules = list(model.modules()) if isinstance(model, nn.Module) else []
    training = [module for module in modules if module.training]
    recurrent = any(isinstance(module, nn.RNNBase) for module in modules)
    random_state = torch.get_rng_state()
    cuda_state = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None  # type: ignore[no-untyped-call]
    try:
        _set_training(training, False)
        with _without_cudnn() if recurrent else nullcontext():
            yield
    finally:
        _set_training(training, True)
        torch.set_rng_state(random_state)
        if cuda_state is not None:
            torch.cuda.set_rng_state_all(cuda_state)


@contextmanager
def _without_cudnn() -> Iterator[None]:
    enabled = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = enabled


def _set_training(modules: list[nn.Module], training: bool) -> None:
    # Straight into the instance where that is all there is to it: Module.__setattr__ looks for
    # parameters and submodules first, which at every step costs more than the rest of asking.
    for module in modules:
        if type(module).__setattr__ is nn.Module.__setattr__:
            vars(module)["training"] = training
        else:  # a scripted module keeps its flag elsewhere
            module.training = training


def unwrapped(component: Any) -> Any:
    """Return the module that ``torch.compile`` or data parallelism wrapped.

    Hooks that come later work on that one alone, and asking it waits for no other process. What
    accelerate puts into a module's ``forward`` (automatic mixed precision) stays in force.
    """
    while True:
        if isinstance(component, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            component = component.module
        elif "_orig_mod" in getattr(component, "_modules", ()):
            component = component._orig_mod
        else:
            return component


def first_output(output: Any) -> Tensor:
    """Return the logits of a model's answer: of a tuple the first entry, as skorch reads it."""
    logits = output[0] if isinstance(output, (tuple, list)) else output
    if isinstance(logits, Tensor):
        return logits
    raise TypeError(
        f"The model returned a {type(output).__name__}; it must return a tensor of logits "
        "(n, n_outputs), or a tuple that starts with one. Wrap the model in a module that does."
    )


def answer(model: Model, x: Tensor) -> Tensor:
    """Return the model's logits for a copy of x, since its first layer may work in place."""
    return first_output(model(x.clone()))


def input_gradient(model: Model, x: Tensor, score: Callable[[Tensor], Tensor]) -> Tensor:
    """Differentiate the sum of the samples' scores with respect to their input.

    Parameters
    ----------
    model : nn.Module or callable
    x : Tensor of shape (n, ...)
    score : callable
        Takes the logits and returns one value a sample, shape (n,).

    Returns
    -------
    Tensor of x's shape
        ``torch.autograd.grad`` follows the path to the input alone, so no
        parameter's gradient is computed, let alone accumulated.

    Raises
    ------
    ValueError
        If the input has no gradient.
    """
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        return gradient_of(score(answer(model, leaf)), leaf)


def gradient_of(values: Tensor, source: Any) -> Tensor:
    """Differentiate the sum of values with respect to a tensor, or to the edge of one, that they were computed from.

    Raises
    ------
    ValueError
        If they were not.
    """
    gradients: tuple[Tensor | None, ...] = (None,)
    if values.requires_grad:
        gradients = torch.autograd.grad(values, source, torch.ones_like(values), allow_unused=True)
    if gradients[0] is None:
        raise ValueError(
            "The target's gradient does not reach the input: a part of the network runs under no_grad, detaches "
            "its input or is not differentiable. Augment after that part, with layer='...'."
        )
    return gradients[0]
