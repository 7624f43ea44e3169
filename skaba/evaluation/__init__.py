"""Judging fitted estimators: calibration, attacks, controls and comparisons."""

from skaba.evaluation._compare import compare
from skaba.evaluation._comparison import Comparison
from skaba.evaluation._controls import controls, size_of_changes
from skaba.evaluation._intervals import paired_interval
from skaba.evaluation._report import Report, report
from skaba.evaluation.calibration import expected_calibration_error
from skaba.evaluation.robustness import PGD, score_under_attack

__all__ = [
    "PGD",
    "Comparison",
    "Report",
    "compare",
    "controls",
    "expected_calibration_error",
    "paired_interval",
    "report",
    "score_under_attack",
    "size_of_changes",
]
