"""What an experiment compares: methods, controls, adjustments and sets of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from skaba._own_code import own_function
from skaba._validation import unknown_name
from skaba.attribution import Loss
from skaba.augmenters import (
    ABA,
    GROUPS,
    AdjustmentSet,
    GaussianNoise,
    challenger,
    fast_aba,
    fgsm,
    free_aba,
    mend_aba,
    require_augmenter,
)
from skaba.experiment._settings import Settings

PLAIN = "plain"
LONGER = "plain, longer"
RANDOM_MAP = "{}, random map"
NOISE = "noise as {}"

Make = Callable[[Settings], Any]


def _with_target(make: Callable[..., ABA]) -> Make:
    def made(settings: Settings) -> ABA:
        if settings.target == "loss":
            return make(target=Loss())
        return make() if settings.k is None else make(k=settings.k)

    return made


METHODS: dict[str, Make] = {
    PLAIN: lambda settings: None,
    "Challenger": _with_target(challenger),
    "MendABA": _with_target(mend_aba),
    "FastABA": _with_target(fast_aba),
    "FastABA-CE": lambda settings: fast_aba(target=Loss()),
    "FreeABA": lambda settings: free_aba(),
    "FGSM": lambda settings: fgsm(),
}

# Those whose target is a class, unless the settings say that the loss is explained.
WITH_CLASSES = frozenset({"Challenger", "MendABA", "FastABA"})

SETS = {
    "Neutral": ("neutral",),
    "Delta": ("delta",),
    "Epsilon": ("epsilon",),
    "Eps.&Neu.": ("epsilon", "neutral"),
    "Eps.&Del.": ("epsilon", "delta"),
    "All": GROUPS,
}


@dataclass(frozen=True)
class Arm:
    """One of the things that an experiment compares.

    Parameters
    ----------
    name : str
    augmenter : augmenter or None
    like : str, default=""
        A control's method: it takes over that one's strength, or the norm of its change.
    """

    name: str
    augmenter: Any
    like: str = ""


def arms_of(settings: Settings) -> list[Arm]:
    """Return what an experiment tunes and trains; controls come last.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    list of Arm

    Raises
    ------
    ValueError
        If a method does not exist, a function of your own returns no augmenter, or a control's method is not among the
        methods or has no map.

    Examples
    --------
    >>> from skaba.experiment import arms_of, read_settings
    >>> [arm.name for arm in arms_of(read_settings("experiments/e1_digits.toml"))]
    ['plain', 'MendABA', 'FreeABA', 'FGSM']
    """
    if settings.kind == "adjustments":
        return [Arm(str(index), _alone([index])) for index in range(27)]
    if settings.kind == "groups":
        return [Arm(name, _alone(members_of(name))) for name in SETS]
    methods = {name: _augmenter(name, settings) for name in settings.methods}
    for name in settings.controls_of:
        if name == PLAIN or name not in methods:
            raise ValueError(unknown_name("method to control", name, [name for name in methods if name != PLAIN]))
        if not hasattr(methods[name], "random_map"):
            raise ValueError(
                f"controls_of: {name} is not attribution-based, so it has no map to be replaced by a random one."
            )
    return [*(Arm(name, augmenter) for name, augmenter in methods.items()), *_controls(settings, methods)]


def arm_of(settings: Settings, name: str) -> Arm:
    """Return an arm by its name; plain training, on which the learning rate is tuned, is always one.

    Parameters
    ----------
    settings : Settings
    name : str

    Returns
    -------
    Arm
    """
    return {PLAIN: Arm(PLAIN, None), **{arm.name: arm for arm in arms_of(settings)}}[name]


def _augmenter(name: str, settings: Settings) -> Any:
    if ":" in name:
        return _own_augmenter(name)
    if name not in METHODS:
        raise ValueError(unknown_name("method", name, METHODS) + " One of your own is named as module:function.")
    return METHODS[name](settings)


def _own_augmenter(name: str) -> Any:
    make = own_function(name, "an augmenter")
    try:
        made = make()
    except TypeError as error:
        raise ValueError(f"{name} is to be called without arguments and return an augmenter: {error}.") from error
    require_augmenter(f"{name}()", made)
    return made


def members_of(name: str) -> list[int]:
    """Return the adjustments of one of the sets of table 3.2."""
    return [index for group in SETS[name] for index in AdjustmentSet.group(group).adjustments if isinstance(index, int)]


def _alone(indices: list[int]) -> ABA:
    # As the source does in its section 3.3.3: the loss is explained, and changes are not randomized.
    return ABA(target=Loss(), adjustments=AdjustmentSet(indices), randomize=False)


def _controls(settings: Settings, methods: Mapping[str, Any]) -> list[Arm]:
    arms = []
    for name in settings.controls_of:
        arms += [Arm(RANDOM_MAP.format(name), methods[name].random_map(), like=name)]
        arms += [Arm(NOISE.format(name), GaussianNoise(), like=name)]
    return [Arm(LONGER, None, like=PLAIN), *arms] if arms else []
