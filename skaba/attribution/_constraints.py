"""What the methods' parameters may be, in scikit-learn's notation."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

MODE: list[Any] = [StrOptions({"eval", "train"})]
NAME: list[Any] = [None, str]
COUNT: list[Any] = [Interval(Integral, 1, None, closed="left")]
COUNT_OR_NONE: list[Any] = [*COUNT, None]
POSITIVE: list[Any] = [Interval(Real, 0, None, closed="neither")]
NOT_NEGATIVE: list[Any] = [Interval(Real, 0, None, closed="left")]
BASELINE: list[Any] = [Real, Tensor, np.ndarray]
BACKGROUND: list[Any] = [None, Tensor, np.ndarray]
METHOD: list[Any] = [callable]


def at_least(lowest: int) -> list[Any]:
    """Return the constraint of an integer that has a lower bound."""
    return [Interval(Integral, lowest, None, closed="left")]
