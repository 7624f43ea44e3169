"""Whether a classifier is right as often as it claims."""

from skaba.evaluation.calibration._error import brier_score, expected_calibration_error
from skaba.evaluation.calibration._predictions import column_numbers
from skaba.evaluation.calibration._reliability import ReliabilityCurve, reliability_curve

__all__ = ["ReliabilityCurve", "brier_score", "column_numbers", "expected_calibration_error", "reliability_curve"]
