"""Augmenters: a batch in, an augmented batch out."""

from skaba.augmenters._aba import ABA
from skaba.augmenters._adjustments import ADJUSTMENTS, GROUPS, AdjustmentSet, group_of
from skaba.augmenters._calling import augmented_by, default_strength, require_augmenter
from skaba.augmenters._categories import Categories
from skaba.augmenters._category_memory import CategoryMemory
from skaba.augmenters._changes import Baseline, Change, Constant, Proportional
from skaba.augmenters._compose import Compose
from skaba.augmenters._fpa import FPA
from skaba.augmenters._gaussian_noise import GaussianNoise
from skaba.augmenters._keep_augment import KeepAugment
from skaba.augmenters._moving import require_samples
from skaba.augmenters._percentiles import Percentiles
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
from skaba.augmenters._random_erasing import RandomErasing
from skaba.augmenters._random_map_aba import RandomMapABA
from skaba.augmenters._selections import Cutoff, Selection

__all__ = [
    "ABA",
    "ADJUSTMENTS",
    "FPA",
    "GROUPS",
    "PRESETS",
    "AdjustmentSet",
    "Baseline",
    "Categories",
    "CategoryMemory",
    "Change",
    "Compose",
    "Constant",
    "Cutoff",
    "GaussianNoise",
    "KeepAugment",
    "Percentiles",
    "Proportional",
    "RandomErasing",
    "RandomMapABA",
    "Selection",
    "augmented_by",
    "challenger",
    "challenger_original",
    "default_strength",
    "fast_aba",
    "fgsm",
    "free_aba",
    "group_of",
    "mend_aba",
    "preset",
    "require_augmenter",
    "require_samples",
]
