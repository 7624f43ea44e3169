"""Pictures of augmentation and of what it brings, as scikit-learn style Display classes."""

from skaba.plotting._adjustment import AdjustmentDisplay
from skaba.plotting._attribution import AttributionDisplay
from skaba.plotting._augmentation import AugmentationDisplay
from skaba.plotting._comparison import ComparisonDisplay
from skaba.plotting._fidelity import FidelityCurve, FidelityDisplay
from skaba.plotting._reliability import ReliabilityDisplay
from skaba.plotting._strength import StrengthCurve, StrengthDisplay

__all__ = [
    "AdjustmentDisplay",
    "AttributionDisplay",
    "AugmentationDisplay",
    "ComparisonDisplay",
    "FidelityCurve",
    "FidelityDisplay",
    "ReliabilityDisplay",
    "StrengthCurve",
    "StrengthDisplay",
]
