"""The work of ``skaba judge``: all attribution methods of a saved estimator, measured."""

from skaba.judge._judge import Judgement, judge
from skaba.judge._load import load_estimator, load_samples
from skaba.judge._score import score_or_reason

__all__ = ["Judgement", "judge", "load_estimator", "load_samples", "score_or_reason"]
