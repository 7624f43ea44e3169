"""Checks of the parameters of functions, declared as scikit-learn declares those of estimators."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from sklearn.utils._param_validation import Interval, validate_parameter_constraints

COUNT = [Interval(Integral, 1, None, closed="left")]
NOT_NEGATIVE = [Interval(Real, 0, None, closed="left")]
POSITIVE = [Interval(Real, 0, None, closed="neither")]
SEED = [Interval(Integral, 0, None, closed="left")]
TWO_OR_MORE = [Interval(Integral, 2, None, closed="left")]
SHARE = [Interval(Real, 0, 1, closed="neither")]


def check_parameters(function: str, **parameters: tuple[Any, list[Any]]) -> None:
    """Check parameters, given as ``name=(value, constraints)`` in scikit-learn's notation.

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        A ``ValueError`` that names the function and the parameter, what is allowed, and what was given.
    """
    validate_parameter_constraints(
        {name: constraints for name, (_, constraints) in parameters.items()},
        {name: value for name, (value, _) in parameters.items()},
        caller_name=function,
    )
