"""Judging fitted estimators: calibration, attacks, controls and comparisons."""

from skaba.evaluation._attacks import PGD
from skaba.evaluation._calibration import expected_calibration_error
from skaba.evaluation._comparison import Comparison, compare
from skaba.evaluation._controls import controls, size_of_changes
from skaba.evaluation._intervals import paired_interval
from skaba.evaluation._robustness import score_under_attack

__all__ = [
    "PGD",
    "Comparison",
    "compare",
    "controls",
    "expected_calibration_error",
    "paired_interval",
    "score_under_attack",
    "size_of_changes",
]
