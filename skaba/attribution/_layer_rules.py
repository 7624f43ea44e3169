"""Base class of methods that go back through a network by special rules for its layers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

import torch
from torch import Tensor, nn

from skaba.attribution._captum import Scored, ThroughCaptum
from skaba.attribution._checking import BoundTarget
from skaba.attribution._targets import Score
from skaba.network import Kinds, Model, Step, Structure, copied_network, described_steps, observe, separated, values_of


class ThroughLayers(ThroughCaptum):
    """Base class of methods that change the backward pass of layers, on a copy of the network.

    A network is refused if the method has no rule for one of its operations.
    """

    _scored_as: ClassVar[type[Scored]] = Scored
    _kinds: ClassVar[Kinds]

    def _attribute(self, model: Model, x: Tensor, target: BoundTarget, generator: torch.Generator | None) -> Tensor:
        if x.dtype is torch.float16:
            raise ValueError(f"{type(self).__name__} divides by what float16 rounds to 0: use float32 or bfloat16.")
        # Inside autocast, layers would compute in float16 and round to 0 in the same way.
        with torch.autocast(x.device.type, enabled=False):
            return super()._attribute(model, x, target, generator)

    def _scored(self, model: Model, x: Tensor, target: BoundTarget) -> Scored:
        # captum changes weights and sets rules as attributes, which must not happen to the user's network.
        network = copied_network(model)
        logits, structure = observe(network, x)
        self._check(structure)
        return self._scored_as(network, target(logits), torch.arange(len(x), device=x.device), self._layers(structure))

    def _layers(self, structure: Structure) -> list[nn.Module]:
        """Return the layers that captum may change."""
        return separated(structure.calls_of(self._kinds))

    @abstractmethod
    def _check(self, structure: Structure) -> None:
        """Raise a ValueError if the method would return a wrong map."""

    def _refuse(self, steps: Iterable[Step], advice: str) -> None:
        found = described_steps(steps)
        if found:
            raise ValueError(f"{type(self).__name__} does not fit this network: it has {found}. {advice}")


def slope_of(score: Score, logits: Tensor) -> Tensor:
    """Differentiate the sum of the samples' scores with respect to the logits."""
    with torch.enable_grad():
        leaf = logits.detach().requires_grad_()
        return torch.autograd.grad(values_of(score, leaf).sum(), leaf)[0]
