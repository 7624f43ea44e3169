"""The functions behind ``skaba judge``, which measures all attribution methods of a saved estimator."""

from skaba.judge._judge import Judgement, judge
from skaba.judge._load import load_estimator, load_samples, score_or_reason

__all__ = ["Judgement", "judge", "load_estimator", "load_samples", "score_or_reason"]
