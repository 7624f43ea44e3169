"""Augmenters: a batch in, an augmented batch out."""

from skaba.augmenters._aba import ABA
from skaba.augmenters._adjustments import ADJUSTMENTS, GROUPS, AdjustmentSet, group_of
from skaba.augmenters._category_memory import CategoryMemory
from skaba.augmenters._changes import Baseline, Change, Constant, Proportional
from skaba.augmenters._gaussian_noise import GaussianNoise
from skaba.augmenters._presets import (
    PRESETS,
    challenger,
    challenger_original,
    fast_aba,
    fgsm,
    free_aba,
    mend_aba,
    preset,
)
from skaba.augmenters._selections import Cutoff, Percentiles, Selection

__all__ = [
    "ABA",
    "ADJUSTMENTS",
    "GROUPS",
    "PRESETS",
    "AdjustmentSet",
    "Baseline",
    "CategoryMemory",
    "Change",
    "Constant",
    "Cutoff",
    "GaussianNoise",
    "Percentiles",
    "Proportional",
    "Selection",
    "challenger",
    "challenger_original",
    "fast_aba",
    "fgsm",
    "free_aba",
    "group_of",
    "mend_aba",
    "preset",
]
