"""Rivals: what a user would try instead of attribution-based augmentation."""

from skaba.evaluation.rivals._catalogue import find_rivals, rivals
from skaba.evaluation.rivals._rival import Rival

__all__ = ["Rival", "find_rivals", "rivals"]
