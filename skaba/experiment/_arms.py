"""What experiments compare: plain training, and changes to it that have at most one tuned value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sklearn.base import clone

from skaba import augmenters, evaluation
from skaba._own_code import own_function
from skaba._validation import unknown_name
from skaba.attribution import Loss
from skaba.experiment._data import Data
from skaba.experiment._fit import Fit
from skaba.experiment._outsiders import outsider_of

PLAIN = "plain"
LONGER = "plain, longer"
AUTO = "{}, auto"
RANDOM_MAP = "{}, random map"
NOISE = "noise as {}"
BOTH = "{} + {}"

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
    """Plain training, and the base of all other arms.

    Parameters
    ----------
    name : str
    candidates : list of float, default=()
        The values that are tried. Nothing is tuned if there are none; the value of all fits is then 0.
    settings : mapping of str to object
        Parameters of the estimator in place of the experiment's.
    """

    name: str
    candidates: tuple[float, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_tuned(self) -> bool:
        """Whether the arm has a value to tune."""
        return bool(self.candidates)

    def epochs(self, epochs: int, value: float) -> int:
        """Return the number of epochs of a fit, given the experiment's."""
        return epochs

    def applied_to(self, net: Any, data: Data, fit: Fit) -> Any:
        """Return what is fitted.

        Parameters
        ----------
        net : estimator
            As plain training fits it. It may be changed.
        data : Data
        fit : Fit
            Gives the value.

        Returns
        -------
        estimator
        """
        return net.set_params(**self.settings)


@dataclass(frozen=True)
class Longer(Arm):
    """Plain training whose number of epochs is tuned: the value is a multiple of the experiment's."""

    def epochs(self, epochs: int, value: float) -> int:
        """Return the multiple of the experiment's epochs, at least one."""
        return max(1, round(epochs * value))


@dataclass(frozen=True)
class Augmented(Arm):
    """Training with an augmenter whose strength is tuned, or found by ``strength="auto"`` if there are no candidates.

    Parameters
    ----------
    augmenter : augmenter
    """

    augmenter: Any = None

    def applied_to(self, net: Any, data: Data, fit: Fit) -> Any:
        """Return the net with the augmenter, at the strength of the fit."""
        own = clone(self.augmenter, safe=False)  # a user's own may be a plain function
        return net.set_params(augmenter=own, strength=fit.value if self.is_tuned else "auto", **self.settings)


@dataclass(frozen=True)
class RivalArm(Arm):
    """Training with one of the rivals of :func:`skaba.evaluation.find_rivals`, at its own tuned value."""

    def applied_to(self, net: Any, data: Data, fit: Fit) -> Any:
        """Return the net with the rival."""
        return rival_of(net, data, self.name).applied_to(net, fit.value)


@dataclass(frozen=True)
class Both(Arm):
    """Training with a rival and a method, each at its tuned value: ``rival_value`` and ``value`` of the fit.

    Parameters
    ----------
    rival, method : Arm
    """

    rival: Arm = field(kw_only=True)
    method: Augmented = field(kw_only=True)

    def applied_to(self, net: Any, data: Data, fit: Fit) -> Any:
        """Return the net with both."""
        net = self.method.applied_to(net, data, fit)
        return rival_of(net, data, self.rival.name).with_augmenter(net, net.augmenter, fit.rival_value)


@dataclass(frozen=True)
class Outside(Arm):
    """A model of scikit-learn in place of the network. Each fit tunes it on the validation set."""

    def applied_to(self, net: Any, data: Data, fit: Fit) -> Any:
        """Return the model, which learns nothing from the net."""
        return outsider_of(net, data, self.name)


def method_arm(name: str, augmenter: Any, strengths: list[float]) -> Arm:
    """Return the arm of a method; plain training has no augmenter and no strength."""
    return Arm(name) if augmenter is None else Augmented(name, tuple(strengths), augmenter=augmenter)


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
    """Return a method's controls: the same change by a random map, and noise. Each is tuned as the method is.

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
    if not (isinstance(method, Augmented) and has_map(method)):
        raise ValueError(
            f"controls_of: {method.name} is not attribution-based, so it has no map to be replaced by a random one."
        )
    changed = {RANDOM_MAP: method.augmenter.random_map(), NOISE: augmenters.GaussianNoise()}
    return [Augmented(name.format(method.name), method.candidates, augmenter=own) for name, own in changed.items()]


def has_map(method: Arm) -> bool:
    """Return whether a method is attribution-based, and so has a control with a random map."""
    return isinstance(method, Augmented) and hasattr(method.augmenter, "random_map")


def numbers_samples(method: Arm) -> bool:
    """Return whether a method keeps something per sample, so that features must stay where they are."""
    return isinstance(method, Augmented) and getattr(method.augmenter, "needs_index", False)


def rival_of(net: Any, data: Data, name: str) -> Any:
    """Return a rival by its name.

    Raises
    ------
    ValueError
        If no rival of this name suits the network and the data.
    """
    known = {rival.name: rival for rival in evaluation.find_rivals(net, data.bunch.X_train, data.bunch.y_train)}
    if name not in known:
        raise ValueError(unknown_name("rival that suits this network and these data", name, known))
    return known[name]
