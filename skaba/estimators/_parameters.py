"""The augmenter as a parameter: by name or made, searched, seeded."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from sklearn.base import BaseEstimator, clone
from skorch import NeuralNet
from torch import nn

from skaba._random_state import holding_random_state, resolve_seed
from skaba.attribution import Loss
from skaba.augmenters import CategoryMemory, as_augmenter, preset, preset_that_explains, require_augmenter
from skaba.estimators._copies import copied_component
from skaba.estimators._random import RandomStream
from skaba.network import find_layer, unwrapped
from skaba.training import rule_of

if TYPE_CHECKING:
    # For the type checker only: skorch's net follows the mixins in the bases.
    from skorch import NeuralNet as _Net
else:
    _Net = object


COMPONENTS = {"augmenter": "augmenter_", "penalty": "penalty_", "strength": "rule_"}
"""Parameters that may have parameters of their own, written ``augmenter__target__k``, and where the component is kept
that training uses."""


class AugmenterParameters(_Net):
    """Turns ``augmenter``, ``penalty``, ``strength`` and what is nested in them into what training uses."""

    prefixes_: ClassVar[list[str]] = [*NeuralNet.prefixes_, *COMPONENTS]
    random_stream_: RandomStream | None = None
    seed_: int = 0
    penalty_: Any = None
    rule_: Any = None
    # Whether a sample has one true class. If not, presets given by name explain the loss.
    _has_classes: ClassVar[bool] = False

    def _initialize_virtual_params(self) -> Any:
        # Not initialize(): accelerate's mixin overrides that one without calling super.
        super()._initialize_virtual_params()
        for name in COMPONENTS:
            self._register_virtual_param([name, f"{name}__*"], _set_component)
        seed = resolve_seed(self.random_state)
        self.random_stream_ = None if self.random_state is None else RandomStream(seed)
        self.seed_ = seed
        self.generator_ = torch.Generator().manual_seed(seed)
        for name, place in COMPONENTS.items():
            setattr(self, place, self._made(name, getattr(self, name), self.get_params_for(name)))
        self.categories_ = CategoryMemory()
        return self

    @property
    def strength_(self) -> Any:
        """The strength in force: a number, or a rule in its present state; for None the augmenter's default."""
        if isinstance(self.strength, Real):
            return float(self.strength)
        if self.strength is not None:
            return self.rule_
        return 0.0 if self.augmenter_ is None else as_augmenter(self.augmenter_).default_strength

    @property
    def rule_state_(self) -> tuple[float, ...] | None:
        """The state of a rule for the strength, which is saved with the weights; None if there is none."""
        return tuple(self.rule_.state_dict().values()) if hasattr(self.rule_, "state_dict") else None

    @rule_state_.setter
    def rule_state_(self, values: tuple[float, ...]) -> None:
        if hasattr(self.rule_, "state_dict"):
            self.rule_.load_state_dict(dict(zip(self.rule_.state_dict(), values, strict=True)))

    def _initialize_module(self, reason: str | None = None) -> Any:
        with self._own_random_state():  # initial weights are drawn from the global random state
            super()._initialize_module(reason)
        module: Any = self.module_
        if not isinstance(module, nn.Module):
            raise ValueError(f"module={self.module!r} returned {module!r}; it must return an nn.Module.")
        self.precision_ = next((p.dtype for p in module.parameters() if p.is_floating_point()), None)
        if self.layer is not None:  # an unknown layer is an error before any training
            find_layer(module, self.layer)
        return self

    def initialized_instance(self, instance_or_cls: Any, kwargs: dict[str, Any]) -> Any:
        """Return a module or criterion to train: a copy of what the user passed, which never changes.

        Each ``fit`` therefore starts from the weights that the user gave, and ``clone`` carries nothing from one fold
        to another. The module that a function returns is copied too, because the function may return the same object in
        each call, such as a pretrained module.

        Parameters
        ----------
        instance_or_cls : nn.Module or callable
        kwargs : dict
            Arguments; modules, tensors and arrays among them are copied too.

        Returns
        -------
        nn.Module

        Raises
        ------
        ValueError
            If it cannot be copied.
        """
        if kwargs or not isinstance(instance_or_cls, nn.Module):
            made = super().initialized_instance(instance_or_cls, copied_component(kwargs, "module"))
            return made if isinstance(instance_or_cls, (type, nn.Module)) else copied_component(made, "module")
        if instance_or_cls is self.module or not isinstance(self.module, nn.Module):
            return copied_component(instance_or_cls, "module")
        # A criterion may hold the user's module or its parameters, as a regulariser does: its copy holds the copied
        # ones.
        return copied_component(instance_or_cls, "criterion", beside=(self.module, unwrapped(self.module_)))

    def _initialize_criterion(self, reason: str | None = None) -> Any:
        with self._own_random_state():
            return super()._initialize_criterion(reason)

    def _own_random_state(self) -> AbstractContextManager[None]:
        return holding_random_state() if self.random_stream_ is None else self.random_stream_(self.device)

    def get_params(self, deep: bool = True, **kwargs: Any) -> dict[str, Any]:
        """Return the parameters; nested ones that were set replace those of the components.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the parameters of nested components.

        Returns
        -------
        dict
        """
        parameters = super().get_params(deep=deep, **kwargs)
        # BaseEstimator reads nested parameters from the component that was given, which set_params leaves unchanged.
        prefixes = tuple(f"{name}__" for name in COMPONENTS)
        in_force = {name: value for name, value in vars(self).items() if name.startswith(prefixes)}
        return {**parameters, **in_force}

    def set_params(self, **parameters: Any) -> Any:
        """Set parameters; nested ones are written ``augmenter__target__k``.

        With a new ``augmenter``, nested parameters that were set for the old one stay in force as far
        as the new one has them; the others are dropped, with a warning.

        Parameters
        ----------
        **parameters

        Returns
        -------
        self
        """
        for name in COMPONENTS:
            if name in parameters:
                self._drop_what_does_not_fit(name, parameters[name])
        return super().set_params(**parameters)

    def _drop_what_does_not_fit(self, component: str, new: Any) -> None:
        self._made(component, new, {})  # raises before anything is dropped
        for name, value in self.get_params_for(component).items():
            try:
                self._made(component, new, {name: value})
            except ValueError:
                warnings.warn(f"{component}__{name} is dropped: {new!r} has no such parameter.", stacklevel=4)
                delattr(self, f"{component}__{name}")
                # skorch checks the names in this set when the net is initialised.
                self._params_to_validate.discard(f"{component}__{name}")

    def _made(self, component: str, given: Any, nested: dict[str, Any]) -> Any:
        """Return the component that training uses: a clone if it is a scikit-learn estimator."""
        made = self._named(component, given)
        if isinstance(made, BaseEstimator):
            made = clone(made)
        if not nested:
            return made
        if not isinstance(made, BaseEstimator):
            names = ", ".join(f"{component}__{name}" for name in nested)
            raise ValueError(f"{names} cannot be set: {component}={given!r} has no parameters.")
        return made.set_params(**nested)

    def _named(self, component: str, given: Any) -> Any:
        """Return a component, made if it is given by name; raise a ValueError if it cannot be used."""
        if component == "augmenter":
            if isinstance(given, str):
                return preset(given) if self._has_classes else preset_that_explains(given, Loss())
            if given is not None:
                require_augmenter("augmenter", given)
        elif component == "strength":
            return rule_of(given)
        elif given is not None and (isinstance(given, type) or not callable(given)):
            raise ValueError(f"penalty={given!r} must be a penalty, such as skaba.losses.RRR(weight=10.0), or None.")
        return given


def _set_component(net: Any, name: str, value: Any) -> None:
    """Set a component or one of its parameters on an initialised net; after an error nothing is set."""
    component, _, parameter = name.partition("__")
    nested = net.get_params_for(component)
    if parameter:
        nested[parameter] = value
        made = net._made(component, getattr(net, component), nested)
    else:
        made = net._made(component, value, nested)
    setattr(net, name, value)
    setattr(net, COMPONENTS[component], made)
