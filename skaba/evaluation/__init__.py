"""Judging fitted estimators: calibration, attacks, controls, rivals, comparisons, and the worth of augmentation."""

from skaba.evaluation._compare import compare
from skaba.evaluation._comparison import Comparison
from skaba.evaluation._controls import controls, size_of_changes
from skaba.evaluation._intervals import paired_interval
from skaba.evaluation._report import Report, report
from skaba.evaluation.calibration import expected_calibration_error
from skaba.evaluation.rivals import Rival, find_rivals, rivals
from skaba.evaluation.robustness import PGD, score_under_attack
from skaba.evaluation.worth import Worth, worth

__all__ = [
    "PGD",
    "Comparison",
    "Report",
    "Rival",
    "Worth",
    "compare",
    "controls",
    "expected_calibration_error",
    "find_rivals",
    "paired_interval",
    "report",
    "rivals",
    "score_under_attack",
    "size_of_changes",
    "worth",
]
