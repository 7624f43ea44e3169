"""scikit-learn estimators that augment in the training step: the only room that adapts skorch."""

from skaba.estimators._classifier import ABAClassifier
from skaba.estimators._looking import (
    augmented_batch,
    fresh_generator,
    known_samples,
    made_augmenter,
    nonlinearity_of,
    over_batches,
    uses_masks,
    view_of,
)
from skaba.estimators._multi_label import ABAMultiLabelClassifier, macro_auc
from skaba.estimators._net import AugmentedNet
from skaba.estimators._pipeline import (
    as_seen_by_net,
    attribute,
    augment,
    find_net,
    fitted_net,
    sharing,
    split_pipeline,
    with_net,
)
from skaba.estimators._regressor import ABARegressor

__all__ = [
    "ABAClassifier",
    "ABAMultiLabelClassifier",
    "ABARegressor",
    "AugmentedNet",
    "as_seen_by_net",
    "attribute",
    "augment",
    "augmented_batch",
    "find_net",
    "fitted_net",
    "fresh_generator",
    "known_samples",
    "macro_auc",
    "made_augmenter",
    "nonlinearity_of",
    "over_batches",
    "sharing",
    "split_pipeline",
    "uses_masks",
    "view_of",
    "with_net",
]
