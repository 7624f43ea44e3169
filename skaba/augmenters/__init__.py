"""Augmenters: a batch in, an augmented batch out."""

from skaba.augmenters._adapters import as_augmenter, require_augmenter
from skaba.augmenters._augmenter import Augmenter, Plan
from skaba.augmenters._batch import Batch
from skaba.augmenters._clipping import Mover
from skaba.augmenters._compose import Compose
from skaba.augmenters._fgm import FGM
from skaba.augmenters._fpa import FPA
from skaba.augmenters._gaussian_noise import GaussianNoise
from skaba.augmenters._keep_augment import KeepAugment
from skaba.augmenters._mixing import CutMix, Mixup
from skaba.augmenters._random_erasing import RandomErasing
from skaba.augmenters._series import Scaling, TimeMask, TimeShift
from skaba.augmenters._word_dropout import WordDropout
from skaba.augmenters.aba._aba import ABA, RandomMapABA
from skaba.augmenters.aba._adjustments import ADJUSTMENTS, GROUPS, AdjustmentSet, group_of
from skaba.augmenters.aba._categories import Categories
from skaba.augmenters.aba._category_memory import CategoryMemory
from skaba.augmenters.aba._changes import Baseline, Change, Constant, Proportional
from skaba.augmenters.aba._free_aba import FreeABA, RandomMapFreeABA
from skaba.augmenters.aba._percentiles import Percentiles
from skaba.augmenters.aba._presets import (
    PRESETS,
    challenger,
    challenger_original,
    fast_aba,
    fgsm,
    free_aba,
    mend_aba,
    preset,
    preset_that_explains,
    register_preset,
)
from skaba.augmenters.aba._selections import Cutoff, Selection

__all__ = [
    "ABA",
    "ADJUSTMENTS",
    "FGM",
    "FPA",
    "GROUPS",
    "PRESETS",
    "AdjustmentSet",
    "Augmenter",
    "Baseline",
    "Batch",
    "Categories",
    "CategoryMemory",
    "Change",
    "Compose",
    "Constant",
    "CutMix",
    "Cutoff",
    "FreeABA",
    "GaussianNoise",
    "KeepAugment",
    "Mixup",
    "Mover",
    "Percentiles",
    "Plan",
    "Proportional",
    "RandomErasing",
    "RandomMapABA",
    "RandomMapFreeABA",
    "Scaling",
    "Selection",
    "TimeMask",
    "TimeShift",
    "WordDropout",
    "as_augmenter",
    "challenger",
    "challenger_original",
    "fast_aba",
    "fgsm",
    "free_aba",
    "group_of",
    "mend_aba",
    "preset",
    "preset_that_explains",
    "register_preset",
    "require_augmenter",
]
