"""Losses on attributions, which penalise a network for using features that are known to be irrelevant."""

from skaba.losses._penalty import ForwardPass, Penalty
from skaba.losses._rrr import RRR

__all__ = [
    "RRR",
    "ForwardPass",
    "Penalty",
]
