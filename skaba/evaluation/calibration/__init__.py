"""Whether a classifier is right as often as its confidence says."""

from skaba.evaluation.calibration._predictions import column_numbers
from skaba.evaluation.calibration._reliability import (
    ReliabilityCurve,
    brier_score,
    expected_calibration_error,
    reliability_curve,
)

__all__ = ["ReliabilityCurve", "brier_score", "column_numbers", "expected_calibration_error", "reliability_curve"]
