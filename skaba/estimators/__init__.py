"""scikit-learn estimators that augment in the training step: the one place that knows skorch."""

from skaba.estimators._classifier import ABAClassifier
from skaba.estimators._multi_label import ABAMultiLabelClassifier
from skaba.estimators._pipeline import attribute, augment, split_pipeline
from skaba.estimators._regressor import ABARegressor

__all__ = ["ABAClassifier", "ABAMultiLabelClassifier", "ABARegressor", "attribute", "augment", "split_pipeline"]
