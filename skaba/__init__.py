"""skaba: attribution-based augmentation inside a scikit-learn estimator."""

__version__ = "0.1.0.dev0"
