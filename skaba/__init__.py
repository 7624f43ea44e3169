"""skaba: attribution-based augmentation inside a scikit-learn estimator."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skaba.estimators import ABAClassifier, ABAMultiLabelClassifier, ABARegressor, StrengthSearchCV

__all__ = ["ABAClassifier", "ABAMultiLabelClassifier", "ABARegressor", "StrengthSearchCV"]
__version__ = "0.1.0.dev0"

_PACKAGES = ("attribution", "augmenters", "datasets", "evaluation", "modules", "plotting", "preprocessing")


def __getattr__(name: str) -> Any:
    """Import a name when it is first used, because PyTorch takes seconds and ``skaba --help`` does not need it."""
    if name in __all__:
        return getattr(import_module("skaba.estimators"), name)
    if name in _PACKAGES:
        return import_module(f"skaba.{name}")
    raise AttributeError(f"module 'skaba' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__, *_PACKAGES])
