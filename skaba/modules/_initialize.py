"""Initialisation of weights."""

from __future__ import annotations

from torch import nn


def he_normal(layer: nn.Module) -> None:
    """Initialise a layer so that the variance of the signal stays the same through ReLU layers.

    Weights of convolutions and linear layers are drawn from the normal distribution of
    He et al. (2015, section 2.2), and their biases are set to zero. Other layers are not
    changed. For use with ``module.apply``.
    """
    if not isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
        return
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
