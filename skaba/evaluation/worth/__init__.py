"""Whether attribution-based augmentation is worth it for a network and its data."""

from skaba.evaluation.worth._results import Worth
from skaba.evaluation.worth._worth import worth

__all__ = ["Worth", "worth"]
