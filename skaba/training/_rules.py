"""The strength as a rule: made from a parameter, checked, and looked up without being changed."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import partial
from typing import Any

from sklearn.base import BaseEstimator, clone

from skaba.augmenters import Batch
from skaba.training._flip_rate import FlipRate

Rule = Callable[[Batch], float]
"""A function that returns the strength for a batch.

If it has a method ``observe(batch, plan)``, this is called once the batch's augmentation is planned.
"""


def rule_of(strength: Any) -> Any:
    """Return the rule that a parameter ``strength`` stands for, with a state of its own; None for a number.

    Parameters
    ----------
    strength : float, "auto", callable or None

    Returns
    -------
    callable or None

    Raises
    ------
    ValueError
        If it is a class.
    """
    if isinstance(strength, type):
        raise ValueError(f"strength={strength.__name__} is a class: pass {strength.__name__}().")
    if isinstance(strength, str) and strength == "auto":
        return FlipRate()
    if not callable(strength):
        return None
    # A copy, because a rule may keep state from step to step, and the parameter is the user's. Of an estimator only the
    # parameters are copied, so that training starts anew.
    return clone(strength) if isinstance(strength, BaseEstimator) else deepcopy(strength)


def check_rule(rule: Any, augmenter: Any) -> None:
    """Raise a ValueError if an augmenter's strength cannot follow a rule.

    Parameters
    ----------
    rule : callable or None
    augmenter : Augmenter or None
    """
    if not isinstance(rule, FlipRate) or augmenter is None:
        return
    if augmenter.changes_targets:
        raise ValueError(
            f"{augmenter!r} changes the targets, so {rule!r} cannot tell which predictions are right. Give a number as "
            "strength."
        )
    if rule.high > augmenter.largest_strength:
        raise ValueError(
            f"{rule!r} may reach a strength of {rule.high:g}, but for {augmenter!r} it is {augmenter.strength_unit}, "
            f"at most {augmenter.largest_strength:g}: set strength=FlipRate(high={augmenter.largest_strength:g})."
        )


def unobserved(strength: Any) -> Any:
    """Return a strength for batches that are only looked at: they do not change the rule.

    Parameters
    ----------
    strength : float or callable

    Returns
    -------
    float or callable
    """
    return partial(strength) if callable(strength) else strength  # without the method observe
