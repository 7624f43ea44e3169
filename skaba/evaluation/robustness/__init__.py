"""Scores of a fitted estimator on changed inputs: attacked, corrupted by noise, or partly covered."""

from skaba.evaluation.robustness._corruptions import GaussianCorruption, ImpulseCorruption, ShotCorruption
from skaba.evaluation.robustness._occlusion import occlusion_scores
from skaba.evaluation.robustness._pgd import PGD
from skaba.evaluation.robustness._under_attack import score_under_attack
from skaba.evaluation.robustness._under_corruption import score_under_corruption

__all__ = [
    "PGD",
    "GaussianCorruption",
    "ImpulseCorruption",
    "ShotCorruption",
    "occlusion_scores",
    "score_under_attack",
    "score_under_corruption",
]
