"""Pictures of augmentation, as scikit-learn style Display classes."""

from skaba.plotting._augmentation import AugmentationDisplay
from skaba.plotting._strength import StrengthCurve, StrengthDisplay

__all__ = ["AugmentationDisplay", "StrengthCurve", "StrengthDisplay"]
