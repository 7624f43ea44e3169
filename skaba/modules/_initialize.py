"""How the networks' weights start."""

from __future__ import annotations

from torch import nn


def he_normal(layer: nn.Module) -> None:
    """Draw a layer's weights such that ReLU layers keep the signal's variance; for ``module.apply``.

    From the normal distribution of He et al. (2015, section 2.2), with zero biases.
    Layers other than convolutions and linear ones are left as they are.
    """
    if not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
        return
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
