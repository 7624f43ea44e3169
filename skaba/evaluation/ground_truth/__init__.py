"""Attribution methods measured on problems whose correct attributions are known."""

from skaba.evaluation.ground_truth._absolute import Absolute
from skaba.evaluation.ground_truth._data import make_ring_of_gaussians, make_xor
from skaba.evaluation.ground_truth._metrics import (
    MaskedCorrelation,
    dimensional_difference,
    ideal_map,
    masked_dimension_correlation,
    unit_grid,
)
from skaba.evaluation.ground_truth._results import GroundTruthComparison, GroundTruthScores
from skaba.evaluation.ground_truth._xor import XORBenchmark

__all__ = [
    "Absolute",
    "GroundTruthComparison",
    "GroundTruthScores",
    "MaskedCorrelation",
    "XORBenchmark",
    "dimensional_difference",
    "ideal_map",
    "make_ring_of_gaussians",
    "make_xor",
    "masked_dimension_correlation",
    "unit_grid",
]
