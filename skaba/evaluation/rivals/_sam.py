"""Sharpness-aware minimisation as skorch's ``optimizer``. The module is imported only where the library is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytorch_optimizer
import torch


class SAM(pytorch_optimizer.SAM):
    """pytorch_optimizer's SAM, whose step computes both gradients by the closure.

    Parameters
    ----------
    params : iterable of Tensor or dict
    base_optimizer : torch.optim class, default=torch.optim.Adam
        The optimiser that takes the step, with the gradient at the worst point nearby.
    rho : float, default=0.05
        The distance of that point.
    **parameters
        Further arguments of ``pytorch_optimizer.SAM``, and those of the base optimiser, such as ``lr``.
    """

    def __init__(
        self, params: Any, base_optimizer: Any = torch.optim.Adam, rho: float = 0.05, **parameters: Any
    ) -> None:
        super().__init__(params, base_optimizer=base_optimizer, rho=rho, **parameters)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:
        """Compute the gradients, move to the worst point nearby, and step from here with the gradients there.

        Parameters
        ----------
        closure : callable
            Computes the loss and its gradients anew, as skorch's training step does.

        Returns
        -------
        Tensor
            The loss before the step.
        """
        # pytorch_optimizer starts from gradients that exist already. skorch computes them in the closure only, so those
        # that exist are the last batch's.
        with torch.enable_grad():
            loss = closure()
        super().step(closure)
        return loss

    def __getstate__(self) -> dict[str, Any]:
        # torch pickles defaults, state and parameter groups only; a net that was copied could not go on training.
        own = {name: getattr(self, name) for name in ("base_optimizer", "use_gc", "perturb_eps")}
        return {**super().__getstate__(), **own}
