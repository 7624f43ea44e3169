"""The work of ``skaba judge``: all attribution methods of a saved estimator, measured."""

from skaba.judge._judge import Judgement, judge
from skaba.judge._load import load_estimator, load_samples

__all__ = ["Judgement", "judge", "load_estimator", "load_samples"]
