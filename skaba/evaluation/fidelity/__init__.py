"""Whether attribution maps show what a prediction is based on: samples are masked in the order of their maps."""

from skaba.evaluation.fidelity._curves import PerturbationCurves, perturbation_curves
from skaba.evaluation.fidelity._fidelity import Fidelities, Fidelity, compare_fidelity, fidelity
from skaba.evaluation.fidelity._indices import (
    FeatureImpact,
    deletion_score,
    feature_impact_index,
    insertion_score,
    u_occurrence_rate,
)
from skaba.evaluation.fidelity._masking import Masking

__all__ = [
    "FeatureImpact",
    "Fidelities",
    "Fidelity",
    "Masking",
    "PerturbationCurves",
    "compare_fidelity",
    "deletion_score",
    "feature_impact_index",
    "fidelity",
    "insertion_score",
    "perturbation_curves",
    "u_occurrence_rate",
]
