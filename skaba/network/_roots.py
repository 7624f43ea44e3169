"""Tensors that gradients arrive at, without a copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor


class _Root(torch.autograd.Function):
    """Lets a tensor that has no gradient of its own be one that gradients arrive at."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, leaf: Tensor) -> Tensor:
        ctx.mark_dirty(x)  # so it is returned as it is, not as a view, which must not be worked on in place
        return x

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None]:
        return None, None


def rooted(x: Tensor) -> Tensor:
    """Return x as a tensor that gradients arrive at, and that may be worked on in place, which a leaf may not.

    Parameters
    ----------
    x : Tensor
        Without a gradient of its own. It is taken over, not copied.
    """
    with torch.enable_grad():
        return cast(Tensor, _Root.apply(x, torch.empty(0, requires_grad=True)))  # type: ignore[no-untyped-call]


def watched(x: Tensor, watch: Callable[[Tensor], None]) -> Tensor:
    """Return x such that a backward pass tells its gradient; outside of one it is x itself.

    Parameters
    ----------
    x : Tensor
        Taken over, not copied: what follows may work on it in place.
    watch : callable
        Is given the gradient in every backward pass.

    Returns
    -------
    Tensor of x's shape
    """
    if not torch.is_grad_enabled():
        return x
    x = x if x.requires_grad else rooted(x)
    x.register_hook(watch)  # type: ignore[no-untyped-call]
    return x
