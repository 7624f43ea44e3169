"""Pictures of augmentation and of its effects, as Display classes like those of scikit-learn.

* ``AttributionDisplay.from_estimator``: what a fitted estimator looks at.
* ``AugmentationDisplay.from_estimator``: what training does to samples.
* ``ComparisonDisplay.from_results``: a :class:`skaba.evaluation.Comparison`.
* ``FidelityDisplay.from_results``: :class:`skaba.evaluation.fidelity.Fidelities`; or ``from_estimator``.
* ``ReliabilityDisplay.from_results``: a :class:`skaba.evaluation.calibration.ReliabilityCurve`; or
  ``from_predictions``, ``from_estimator``.
* ``StrengthDisplay.from_search``: a fitted search over ``strength``.
* ``StrengthPathDisplay.from_estimator``: the strength that ``strength="auto"`` chose, epoch by epoch.
* ``WorthDisplay.from_results``: a :class:`skaba.evaluation.Worth`.
* ``AdjustmentDisplay``: scores of single adjustments.

Drawing needs matplotlib: ``pip install "skaba[plotting]"``.
"""

from skaba.plotting._adjustment import AdjustmentDisplay
from skaba.plotting._attribution import AttributionDisplay
from skaba.plotting._augmentation import AugmentationDisplay
from skaba.plotting._comparison import ComparisonDisplay
from skaba.plotting._fidelity import FidelityCurve, FidelityDisplay
from skaba.plotting._reliability import ReliabilityDisplay
from skaba.plotting._strength import StrengthCurve, StrengthDisplay
from skaba.plotting._strength_path import StrengthPathDisplay
from skaba.plotting._worth import WorthDisplay

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
    "StrengthPathDisplay",
    "WorthDisplay",
]
