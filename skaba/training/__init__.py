"""The augmented training step, for loops of any kind: a batch is augmented once, then trained on."""

from skaba.training._augmentation import Augmentation
from skaba.training._flip_rate import FlipRate
from skaba.training._masks import checked_mask, on_features
from skaba.training._rules import check_rule, rule_of, unobserved
from skaba.training._step import TrainingStep, network_view
from skaba.training._transformers import AugmentedTrainerMixin

__all__ = [
    "Augmentation",
    "AugmentedTrainerMixin",
    "FlipRate",
    "TrainingStep",
    "check_rule",
    "checked_mask",
    "network_view",
    "on_features",
    "rule_of",
    "unobserved",
]
