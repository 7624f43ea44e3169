"""Rivals that augment the samples."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from skaba.augmenters import CutMix, Mixup
from skaba.estimators import AugmentedNet
from skaba.evaluation.rivals._data import Data
from skaba.evaluation.rivals._rival import Rival

TAKE_MIXED_TARGETS = (
    nn.CrossEntropyLoss, nn.BCEWithLogitsLoss, nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss,
)  # fmt: skip


def mixup(net: AugmentedNet, data: Data) -> Rival | None:
    """Return mixup at the input, for word ids at the layer that the estimator names."""
    if not _mixes(net):
        return None
    source = "Zhang et al. (2018), mixup: Beyond Empirical Risk Minimization"
    return _rival("mixup", data, Mixup(), (0.2, 0.4, 1.0), source=source)


def cutmix(net: AugmentedNet, data: Data) -> Rival | None:
    """Return CutMix, for images and series."""
    if not _mixes(net) or data.kind not in ("images", "series"):
        return None
    source = "Yun et al. (2019), CutMix: Regularization Strategy to Train Strong Classifiers"
    return _rival("CutMix", data, CutMix(), (0.3, 1.0, 3.0), source=source)


def _mixes(net: AugmentedNet) -> bool:
    """Return whether samples can be mixed: the loss takes mixed targets, and there are no masks of samples."""
    criterion = net.criterion if inspect.isclass(net.criterion) else type(net.criterion)
    return issubclass(criterion, TAKE_MIXED_TARGETS) and net.penalty is None


def _rival(
    name: str,
    data: Data,
    augmenter: Any,
    values: tuple[float, ...],
    default: float | None = None,
    *,
    source: str,
    parameter: str = "strength",
    cost: float = 1.0,
) -> Rival:
    """Return a rival that augments the input, for word ids the output of the estimator's layer."""
    settings = {"augmenter": augmenter} if data.kind == "words" else {"augmenter": augmenter, "layer": None}
    chosen = augmenter.default_strength if default is None else default
    return Rival(name, parameter, values, chosen, settings, cost, source)
