"""Rivals that change the loss, the network or the optimiser, but not the samples."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from sklearn.base import clone
from torch import nn

from skaba._extras import require
from skaba._random_state import random_state_kept
from skaba.estimators import AugmentedNet
from skaba.evaluation.rivals._data import Data
from skaba.evaluation.rivals._r_drop import RDropLoss, TwoPasses
from skaba.evaluation.rivals._rival import Rival
from skaba.losses import SmoothBCEWithLogitsLoss

DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)


def label_smoothing(net: AugmentedNet, data: Data) -> Rival | None:
    """Return label smoothing, for classes with torch's cross-entropy and for labels with its binary cross-entropy."""
    if net.criterion is nn.CrossEntropyLoss:
        settings: dict[str, Any] = {}
    elif net.criterion in (nn.BCEWithLogitsLoss, SmoothBCEWithLogitsLoss):
        settings = {"criterion": SmoothBCEWithLogitsLoss}
    else:
        return None
    parameter = "criterion__label_smoothing"
    return _rival(
        "label smoothing",
        parameter,
        (0.05, 0.1, 0.2),
        0.1,
        own=net.get_params().get(parameter),
        settings=settings,
        source="Szegedy et al. (2016), Rethinking the Inception Architecture for Computer Vision, section 7",
    )


def dropout(net: AugmentedNet, data: Data) -> Rival | None:
    """Return dropout, for a module class or function with a parameter ``dropout``.

    Any other network would need to be changed by hand. The value that plain training uses is not in the grid.
    """
    # A module that is given as an instance would be made anew, without its other arguments.
    if isinstance(net.module, nn.Module):
        return None
    taken = inspect.signature(net.module).parameters.get("dropout")
    if taken is None:
        return None
    return _rival(
        "dropout",
        "module__dropout",
        (0.2, 0.5, 0.8),
        0.5,
        own=net.get_params().get("module__dropout", taken.default),
        source="Srivastava et al. (2014), Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
    )


def weight_decay(net: AugmentedNet, data: Data) -> Rival | None:
    """Return weight decay: AdamW in place of Adam, and SGD's own."""
    optimizers = {
        torch.optim.Adam: ("weight decay (AdamW)", torch.optim.AdamW, (0.01, 0.1, 1.0), 0.01),
        torch.optim.AdamW: ("weight decay (AdamW)", torch.optim.AdamW, (0.01, 0.1, 1.0), 0.01),
        torch.optim.SGD: ("weight decay", torch.optim.SGD, (0.0001, 0.0005, 0.005), 0.0005),
    }
    if net.optimizer not in optimizers:
        return None
    name, optimizer, values, default = optimizers[net.optimizer]
    # Adam adds the decay to the gradient, which is another method: none of its values is AdamW's.
    usual = inspect.signature(optimizer).parameters["weight_decay"].default
    own = net.get_params().get("optimizer__weight_decay", usual) if net.optimizer is optimizer else None
    source = "Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization"
    return _rival(
        name, "optimizer__weight_decay", values, default, own=own, settings={"optimizer": optimizer}, source=source
    )


def r_drop(net: AugmentedNet, data: Data) -> Rival | None:
    """Return R-Drop, for classes with torch's cross-entropy and a network with dropout.

    Its network runs twice in a training step, so an augmenter at a layer cannot be combined with it.
    """
    if net.criterion is not nn.CrossEntropyLoss or net.penalty is not None or not _drops(net):
        return None
    settings = {"module": TwoPasses, "module__network": net.module, "criterion": RDropLoss, "layer": None}
    source = "Liang et al. (2021), R-Drop: Regularized Dropout for Neural Networks"
    return _rival("R-Drop", "criterion__alpha", (0.5, 1.0, 5.0), 1.0, settings=settings, cost=2.0, source=source)


def _drops(net: AugmentedNet) -> bool:
    """Return whether the network of an estimator has a dropout layer that drops something."""
    # Initial weights, and other layers, may draw from the global random state.
    with random_state_kept():
        network = clone(net).initialize().module_
    return any(isinstance(layer, DROPOUT) and layer.p > 0 for layer in network.modules())


def sam(net: AugmentedNet, data: Data) -> Rival | None:
    """Return sharpness-aware minimisation around the estimator's optimiser.

    Raises
    ------
    ImportError
        If pytorch_optimizer is not installed.
    """
    if net.optimizer is torch.optim.LBFGS:  # it evaluates the loss several times per step itself
        return None
    require("rivals", "SAM", "pytorch_optimizer")
    from skaba.evaluation.rivals._sam import SAM  # noqa: PLC0415 - it derives from a class of an optional library

    return _rival(
        "SAM",
        "optimizer__rho",
        (0.02, 0.05, 0.1),
        0.05,
        settings={"optimizer": SAM, "optimizer__base_optimizer": net.optimizer},
        cost=2.0,
        source="Foret et al. (2021), Sharpness-Aware Minimization for Efficiently Improving Generalization",
    )


def _rival(
    name: str,
    parameter: str,
    values: tuple[float, ...],
    default: float,
    *,
    source: str,
    own: Any = None,
    settings: dict[str, Any] | None = None,
    cost: float = 1.0,
) -> Rival:
    """Return a rival whose grid does not include the value that plain training uses."""
    others = tuple(value for value in values if value != own)
    nearest = min(others, key=lambda value: abs(value - default))
    return Rival(name, parameter, others, nearest, {"augmenter": None, **(settings or {})}, cost, source)
