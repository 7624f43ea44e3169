"""Attribution-based augmentation: its selections, adjustments, changes and presets."""

from skaba.augmenters.aba._aba import ABA, RandomMapABA
from skaba.augmenters.aba._adjustments import ADJUSTMENTS, GROUPS, AdjustmentSet, group_of
from skaba.augmenters.aba._categories import Categories
from skaba.augmenters.aba._category_memory import CategoryMemory
from skaba.augmenters.aba._changes import Baseline, Change, Constant, Proportional
from skaba.augmenters.aba._free_aba import FreeABA, RandomMapFreeABA
from skaba.augmenters.aba._moving import check_parts
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
    "GROUPS",
    "PRESETS",
    "AdjustmentSet",
    "Baseline",
    "Categories",
    "CategoryMemory",
    "Change",
    "Constant",
    "Cutoff",
    "FreeABA",
    "Percentiles",
    "Proportional",
    "RandomMapABA",
    "RandomMapFreeABA",
    "Selection",
    "challenger",
    "challenger_original",
    "check_parts",
    "fast_aba",
    "fgsm",
    "free_aba",
    "group_of",
    "mend_aba",
    "preset",
    "preset_that_explains",
    "register_preset",
]
