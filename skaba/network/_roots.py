"""Tensors that collect gradients like a leaf, but need no copy and allow work in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor


class _Root(torch.autograd.Function):
    """Makes a tensor without a gradient part of a new graph, as its first node."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, leaf: Tensor) -> Tensor:
        # Otherwise torch would return a view of x, which must not be changed in place:
        # https://pytorch.org/docs/stable/generated/torch.autograd.function.FunctionCtx.mark_dirty.html
        ctx.mark_dirty(x)
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None]:
        return None, None


def rooted(x: Tensor) -> Tensor:
    """Return x as a tensor that collects gradients and that, unlike a leaf, may be changed in place.

    Parameters
    ----------
    x : Tensor
        Must not require a gradient. It is not copied: do not use it elsewhere.
    """
    # autograd records a node only if some input requires a gradient, so there is an empty one that does.
    with torch.enable_grad():
        return cast(Tensor, _Root.apply(x, torch.empty(0, requires_grad=True)))  # type: ignore[no-untyped-call]


def watched(x: Tensor, watch: Callable[[Tensor], None]) -> Tensor:
    """Return x with a hook that reports its gradient in every backward pass. Under ``no_grad`` it is x unchanged.

    Parameters
    ----------
    x : Tensor
        It is not copied; later layers may work on it in place.
    watch : callable
        Called with the gradient in every backward pass.

    Returns
    -------
    Tensor of x's shape
    """
    if not torch.is_grad_enabled():
        return x
    x = x if x.requires_grad else rooted(x)
    x.register_hook(watch)  # type: ignore[no-untyped-call]
    return x
