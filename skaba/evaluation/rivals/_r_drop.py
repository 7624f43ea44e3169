"""R-Drop: two passes with different dropout must agree. A module that makes them, and a loss that compares them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class TwoPasses(nn.Module):
    """A network that returns the logits of two passes in training mode, and those of one in evaluation mode.

    Parameters
    ----------
    network : nn.Module class or instance
    **parameters
        The arguments of the class.
    """

    def __init__(self, network: Any, **parameters: Any) -> None:
        super().__init__()
        # As skorch does: an instance is used as it is, unless there are arguments to make a new one with.
        made = isinstance(network, nn.Module)
        kind = type(network) if made else network
        self.network = network if made and not parameters else kind(**parameters)

    def forward(self, *inputs: Any, **arguments: Any) -> Any:
        """Return logits, in training mode a pair of them.

        Parameters
        ----------
        *inputs, **arguments
            Those of the network.

        Returns
        -------
        Tensor of shape (n, n_classes), or a tuple of two
        """
        logits = self.network(*inputs, **arguments)
        return (logits, self.network(*inputs, **arguments)) if self.training else logits


class RDropLoss(nn.CrossEntropyLoss):
    """The mean cross-entropy of two passes, plus ``alpha`` times the symmetric divergence between them.

    Parameters
    ----------
    alpha : float, default=1.0
    **parameters
        Those of torch's ``CrossEntropyLoss``.
    """

    def __init__(self, weight: Tensor | None = None, alpha: float = 1.0, **parameters: Any) -> None:
        super().__init__(weight=weight, **parameters)
        self.alpha = alpha

    def forward(self, input: Any, target: Tensor) -> Tensor:
        """Return the loss.

        Parameters
        ----------
        input : tuple of two Tensors of shape (n, n_classes), or one such Tensor
            The logits of two passes; those of one in evaluation mode, whose loss is the cross-entropy.
        target : Tensor of shape (n,) or (n, n_classes)

        Returns
        -------
        Tensor
        """
        if isinstance(input, Tensor):
            return super().forward(input, target)
        one, other = input
        loss = (super().forward(one, target) + super().forward(other, target)) / 2
        p, q = torch.log_softmax(one, dim=1), torch.log_softmax(other, dim=1)
        divergence = (_divergence(p, q) + _divergence(q, p)) / 2
        return loss + self.alpha * (divergence if self.reduction == "none" else divergence.mean())


def _divergence(p: Tensor, q: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence of each sample, given log-probabilities."""
    return functional.kl_div(q, p, reduction="none", log_target=True).sum(dim=1)
