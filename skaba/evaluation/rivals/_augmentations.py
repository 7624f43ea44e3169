"""Rivals that augment the samples."""

from __future__ import annotations

import inspect
from typing import Any

from torch import nn

from skaba._extras import require
from skaba.augmenters import FGM, CutMix, Mixup, Scaling, TimeMask, TimeShift, WordDropout
from skaba.estimators import AugmentedNet
from skaba.evaluation.rivals._data import Data
from skaba.evaluation.rivals._images import RandomAugment, RandomCrops
from skaba.evaluation.rivals._rival import Rival

TAKE_MIXED_TARGETS = (
    nn.CrossEntropyLoss, nn.BCEWithLogitsLoss, nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss,
)  # fmt: skip


GRADIENT = 1 + 2 / 3
"""The cost of a plain step and a gradient at the features: one forward pass, and half a backward pass, more."""


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


def shift(net: AugmentedNet, data: Data) -> Rival | None:
    """Return random shifts of images, by kornia."""
    return _crops("shift", data, flip=False)


def shift_and_flip(net: AugmentedNet, data: Data) -> Rival | None:
    """Return random shifts and horizontal flips of images, by kornia."""
    return _crops("shift and flip", data, flip=True)


def rand_augment(net: AugmentedNet, data: Data) -> Rival | None:
    """Return kornia's RandAugment, for grey and coloured images from 0 to 1."""
    if data.kind != "images" or data.shape[0] not in (1, 3) or not data.is_unit:
        return None
    require("rivals", "RandAugment", "kornia")
    source = "Cubuk et al. (2020), RandAugment: Practical Automated Data Augmentation with a Reduced Search Space"
    return _rival("RandAugment", data, RandomAugment(), (1, 2, 3), 2, source=source, parameter="augmenter__n")


def time_shift(net: AugmentedNet, data: Data) -> Rival | None:
    """Return random shifts in time, for series."""
    source = "Um et al. (2017), Data Augmentation of Wearable Sensor Data"
    return _for_series("time shift", data, TimeShift(), (0.05, 0.1, 0.2), source)


def scaling(net: AugmentedNet, data: Data) -> Rival | None:
    """Return random factors of the channels, for series."""
    source = "Um et al. (2017), Data Augmentation of Wearable Sensor Data"
    return _for_series("scaling", data, Scaling(), (0.1, 0.2, 0.4), source)


def time_mask(net: AugmentedNet, data: Data) -> Rival | None:
    """Return masks of time, for series."""
    return _for_series("time mask", data, TimeMask(), (0.1, 0.2, 0.4), "Park et al. (2019), SpecAugment")


def word_dropout(net: AugmentedNet, data: Data) -> Rival | None:
    """Return word dropout, for word ids."""
    if data.kind != "words":
        return None
    source = "Iyyer et al. (2015), Deep Unordered Composition Rivals Syntactic Methods for Text Classification"
    return _rival("word dropout", data, WordDropout(), (0.1, 0.2, 0.3), source=source)


def fgm(net: AugmentedNet, data: Data) -> Rival | None:
    """Return adversarial training with steps of fixed length, for word ids at the embedding."""
    source = "Miyato et al. (2017), Adversarial Training Methods for Semi-Supervised Text Classification"
    # The length of the paper is for word vectors; at an input it would leave nothing of the sample.
    default = 5.0 if data.kind == "words" else 1.0
    return _rival("FGM", data, FGM(), (0.2, 1.0, 5.0), default, source=source, cost=GRADIENT)


def _crops(name: str, data: Data, *, flip: bool) -> Rival | None:
    if data.kind != "images":
        return None
    require("rivals", f"The rival {name!r}", "kornia")
    # An eighth of the side, as published: 4 pixels of 32.
    side = min(data.shape[1:])
    usual = max(1, side // 8)
    values = tuple(pixels for pixels in sorted({max(1, usual // 2), usual, 2 * usual, 3 * usual}) if pixels < side)
    if not values:
        return None
    source = "He et al. (2016), Deep Residual Learning for Image Recognition, section 4.2"
    augmenter = RandomCrops(usual, flip)
    return _rival(name, data, augmenter, values, usual, source=source, parameter="augmenter__pixels")


def _for_series(name: str, data: Data, augmenter: Any, values: tuple[float, ...], source: str) -> Rival | None:
    return _rival(name, data, augmenter, values, source=source) if data.kind == "series" else None


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
    settings: dict[str, Any] = {"augmenter": augmenter}
    if data.kind != "words":
        settings["layer"] = None
    if parameter == "strength":
        default = augmenter.default_strength if default is None else default
    else:  # a function of a batch is applied at any strength but 0, which the estimator may have
        settings["strength"] = None
    return Rival(name, parameter, values, default, settings, cost, source)
