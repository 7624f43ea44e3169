"""skaba: attribution-based augmentation inside a scikit-learn estimator."""

from skaba.estimators import ABAClassifier, ABAMultiLabelClassifier, ABARegressor

__all__ = ["ABAClassifier", "ABAMultiLabelClassifier", "ABARegressor"]
__version__ = "0.1.0.dev0"
