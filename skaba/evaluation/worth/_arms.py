"""The methods that are compared: plain training, ABA and its control, free rivals, combinations and outsiders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Real
from typing import Any

from skaba.estimators import made_augmenter, with_net
from skaba.evaluation._components import clone_with, random_map_of
from skaba.evaluation.rivals import Rival, find_rivals
from skaba.evaluation.rivals._data import data_of, net_of
from skaba.evaluation.rivals._outsiders import outsiders

PLAIN, ABA, RANDOM_MAP = "plain", "ABA", "random map"
FREE, METHOD, OUTSIDER = "free rivals", "ABA", "outsiders"
DEFAULT = "mend_aba"
ABA_COST = 1.67
"""The cost of a step with MendABA in units of a plain step, by its number of operations."""


@dataclass(frozen=True)
class Arm:
    """A method with its unfitted estimator.

    Parameters
    ----------
    name : str
    group : str
        ``PLAIN``, ``FREE``, ``METHOD`` or ``OUTSIDER``.
    estimator : estimator
    """

    name: str
    group: str
    estimator: Any


@dataclass(frozen=True)
class Arms:
    """All arms that may be compared.

    Parameters
    ----------
    core : list of Arm
        Plain training, ABA and its random map.
    free : list of Arm
        The rivals that cost no more than plain training.
    combined : dict of str to Arm
        By rival, ABA on top of it.
    outsiders : list of Arm
    """

    core: list[Arm]
    free: list[Arm]
    combined: dict[str, Arm]
    outsiders: list[Arm]

    def __iter__(self) -> Iterator[Arm]:
        """Iterate over all arms."""
        return iter([*self.core, *self.free, *self.combined.values(), *self.outsiders])


def make_arms(estimator: Any, X: Any, y: Any) -> Arms:
    """Return the arms for an estimator and its data.

    Parameters
    ----------
    estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor or Pipeline
    X : array-like of n samples
    y : array-like of shape (n, ...)

    Returns
    -------
    Arms

    Raises
    ------
    TypeError
        If the estimator has no net, or X is not an array.
    ValueError
        If its augmenter is not an ABA, or X is of no known kind.
    """
    data = data_of(estimator, X, y)
    # Without its strength, which belongs to the ABA: rivals bring theirs.
    plain = with_net(estimator, clone_with(net_of(estimator), {"augmenter": None, "strength": None}))
    aba, control = _with_aba(estimator)
    free = [rival for rival in find_rivals(estimator, X, y) if rival.cost <= 1]
    return Arms(
        core=[Arm(PLAIN, PLAIN, plain), Arm(ABA, METHOD, aba), Arm(RANDOM_MAP, METHOD, control)],
        free=[Arm(rival.name, FREE, rival.applied_to(plain)) for rival in free],
        combined={rival.name: arm for rival in free if (arm := _combined(rival, aba)) is not None},
        outsiders=[Arm(other.name, OUTSIDER, with_net(estimator, other.model)) for other in outsiders(data)],
    )


def _with_aba(estimator: Any) -> tuple[Any, Any]:
    """Return the estimator with its ABA, by default MendABA, and with the control of that."""
    net = net_of(estimator)
    augmenter = made_augmenter(net, net.augmenter or DEFAULT)
    if net.augmenter is not None:
        augmenter.set_params(**net.get_params_for("augmenter"))
    control = random_map_of(augmenter)
    if control is None:
        raise ValueError(
            f"augmenter={net.augmenter!r} is not an ABA, whose worth is measured here: set augmenter='mend_aba', "
            "another ABA, or None for the default."
        )
    # A strength of 0 means plain training.
    strength = net.strength or "auto"
    return tuple(
        with_net(estimator, clone_with(net, {"augmenter": each, "strength": strength})) for each in (augmenter, control)
    )


def _combined(rival: Rival, aba: Any) -> Arm | None:
    """Return ABA on top of a rival; None if they cannot be combined."""
    augmenter = net_of(aba).augmenter
    try:
        estimator = rival.with_augmenter(aba, augmenter)
    except ValueError:
        return None
    # A rule for the strength compares predictions with targets, which Mixup and CutMix change.
    changes_targets = getattr(net_of(estimator).augmenter, "changes_targets", False)
    if changes_targets and not isinstance(net_of(aba).strength, Real):
        return None
    return Arm(f"ABA on top of {rival.name}", METHOD, estimator)
