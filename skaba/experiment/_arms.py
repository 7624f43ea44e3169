"""The methods that experiments compare, and the controls of a method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from skaba import augmenters
from skaba._own_code import own_function
from skaba._validation import unknown_name
from skaba.attribution import Loss

PLAIN = "plain"
LONGER = "plain, longer"
RANDOM_MAP = "{}, random map"
NOISE = "noise as {}"

METHODS: dict[str, Callable[..., Any]] = {
    PLAIN: lambda: None,
    "Challenger": augmenters.challenger,
    "MendABA": augmenters.mend_aba,
    "FastABA": augmenters.fast_aba,
    "FastABA-CE": partial(augmenters.fast_aba, target=Loss()),
    "FreeABA": augmenters.free_aba,
    "FGSM": augmenters.fgsm,
}

WITH_CLASSES = frozenset({"Challenger", "MendABA", "FastABA"})
"""The methods whose target is a class, unless the settings say that the loss is explained."""


@dataclass(frozen=True)
class Arm:
    """One of the things that an experiment compares.

    Parameters
    ----------
    name : str
    augmenter : augmenter or None
    like : str, default=""
        The method that a control belongs to. The control takes over its strength, or the norm of its changes.
    longer : float, default=1
        Epochs, as a multiple of the experiment's.
    """

    name: str
    augmenter: Any
    like: str = ""
    longer: float = 1.0

    @property
    def is_tuned(self) -> bool:
        """Whether its strength is tuned; that of a control follows from its method."""
        return self.augmenter is not None and not self.like

    @property
    def takes_norm(self) -> bool:
        """Whether its strength is the norm of its method's changes."""
        return bool(self.like) and isinstance(self.augmenter, augmenters.GaussianNoise)


def augmenter_of(name: str, **target: Any) -> Any:
    """Return a method's augmenter.

    Parameters
    ----------
    name : str
        One of ``METHODS``, or ``"module:function"`` for a function that returns an augmenter.
    **target
        ``k=`` or ``target=`` for the methods whose target is a class.

    Returns
    -------
    augmenter or None

    Raises
    ------
    ValueError
        If there is no such method, or the function returns no augmenter.
    """
    if ":" in name:
        return _own_augmenter(name)
    if name not in METHODS:
        raise ValueError(unknown_name("method", name, METHODS) + " One of your own is named as module:function.")
    return METHODS[name](**target) if name in WITH_CLASSES else METHODS[name]()


def _own_augmenter(name: str) -> Any:
    make = own_function(name, "an augmenter")
    try:
        made = make()
    except TypeError as error:
        raise ValueError(f"{name} must return an augmenter when called without arguments: {error}.") from error
    augmenters.require_augmenter(f"{name}()", made)
    return made


def controls_of(method: Arm) -> list[Arm]:
    """Return a method's controls: the same change by a random map, and noise of the same norm.

    Parameters
    ----------
    method : Arm

    Returns
    -------
    list of Arm

    Raises
    ------
    ValueError
        If the method has no map.
    """
    if not hasattr(method.augmenter, "random_map"):
        raise ValueError(
            f"controls_of: {method.name} is not attribution-based, so it has no map to be replaced by a random one."
        )
    random_map = Arm(RANDOM_MAP.format(method.name), method.augmenter.random_map(), like=method.name)
    return [random_map, Arm(NOISE.format(method.name), augmenters.GaussianNoise(), like=method.name)]
