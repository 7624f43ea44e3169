"""The check of parameters: classes declare what is allowed, and everything is checked here before any work."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from functools import lru_cache
from operator import is_
from typing import Any
from weakref import WeakKeyDictionary

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import validate_parameter_constraints

_MOST_NAMES = 40
# Weak keys, so that components are freed as usual; estimators are hashed by identity.
_CHECKED: WeakKeyDictionary[BaseEstimator, list[Any]] = WeakKeyDictionary()
"""The parameters that each component had when :func:`validate_changed` last checked it."""


def validate_parameters(component: Any, constraints: dict[str, Any] | None = None) -> None:
    """Check a component's parameters, and those of every component nested in it.

    Parameters
    ----------
    component : object
        Anything with ``get_params``; other objects are not checked.
    constraints : dict, default=None
        What is allowed for each parameter, in scikit-learn's notation. By default the
        component's ``_parameter_constraints``.

    Raises
    ------
    sklearn.utils._param_validation.InvalidParameterError
        A ``ValueError`` that gives the parameter, what is allowed, and what was given.
    AttributeError
        If a component does not store one of its parameters under its name.
    """
    if not hasattr(component, "get_params"):
        return
    try:
        parameters = component.get_params(deep=False)
    except AttributeError as error:
        name = type(component).__name__
        raise AttributeError(
            f"{name} does not keep a parameter of its __init__ under the parameter's name: {error}. Set each of them "
            "there, as self.name = name."
        ) from error
    if constraints is None:
        constraints = getattr(component, "_parameter_constraints", {})
    validate_parameter_constraints(
        constraints,
        {name: value for name, value in parameters.items() if name in constraints},
        caller_name=type(component).__name__,
    )
    check = getattr(component, "_check_consistency", None)
    if check is not None:
        check()
    for value in parameters.values():
        if isinstance(value, BaseEstimator):
            validate_parameters(value)


def validate_changed(component: BaseEstimator) -> None:
    """Check a component's parameters, unless they are the same objects as at the last check.

    This takes microseconds, so it can be done before every batch. Changes inside a list or an array are not noticed.

    Parameters
    ----------
    component : BaseEstimator

    Raises
    ------
    ValueError
        As :func:`validate_parameters`.
    """
    values = _values(component)
    last = _CHECKED.get(component)
    # By identity: arrays have no single truth value, and comparing them would take time in every step.
    if last is None or len(values) != len(last) or not all(map(is_, values, last)):
        validate_parameters(component)
        _CHECKED[component] = values


def _values(component: BaseEstimator) -> list[Any]:
    """Return a component's parameters, and those of every component nested in it."""
    kind: Any = type(component)
    values = [getattr(component, name, None) for name in _names(kind)]
    for value in tuple(values):
        if isinstance(value, BaseEstimator):
            values += _values(value)
    return values


# scikit-learn inspects the signature of __init__ at every call.
@lru_cache(maxsize=128)
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(kind._get_param_names())


def unknown_name(what: str, name: object, known: Iterable[object]) -> str:
    """Return the message for a name that does not exist, with the most similar name that does.

    Parameters
    ----------
    what : str
        What kind of thing the name should refer to.
    name : object
        What was given; it may be a number, such as that of a class.
    known : iterable of object
        The names that exist. The message lists at most 40.

    Returns
    -------
    str
    """
    known = sorted(known, key=str)
    plain = {_plain(str(candidate)): candidate for candidate in known}
    nearest = difflib.get_close_matches(_plain(name), plain, n=1) if isinstance(name, str) else []
    hint = f" Did you mean {plain[nearest[0]]!r}?" if nearest else ""
    omitted = f" and {len(known) - _MOST_NAMES} more" if len(known) > _MOST_NAMES else ""
    listed = ", ".join(map(str, known[:_MOST_NAMES])) or "none"
    return f"There is no {what} named {name!r}.{hint} Known: {listed}{omitted}."


def _plain(name: str) -> str:
    """Return a name without case, underscores and hyphens: MendABA, mend-aba and mend_aba are the same."""
    return name.lower().replace("_", "").replace("-", "")
