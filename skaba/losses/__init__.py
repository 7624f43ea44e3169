"""Losses: penalties on attributions, for features that are known to be irrelevant, and smoothed labels."""

from skaba.losses._penalty import ForwardPass, Penalty
from skaba.losses._rrr import RRR
from skaba.losses._smooth_bce import SmoothBCEWithLogitsLoss

__all__ = [
    "RRR",
    "ForwardPass",
    "Penalty",
    "SmoothBCEWithLogitsLoss",
]
