"""The augmenter as a parameter: by name or made, searched, seeded."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from sklearn.base import BaseEstimator, clone
from skorch import NeuralNet
from torch import nn

from skaba._random_state import holding_random_state
from skaba.augmenters import CategoryMemory, default_strength, preset, require_augmenter
from skaba.estimators._copies import copied_component
from skaba.estimators._random import RandomStream, resolve_seed
from skaba.network import find_layer, unwrapped

if TYPE_CHECKING:
    # Each mixin stands left of skorch's net; only the type checker is told so.
    from skorch import NeuralNet as _Net
else:
    _Net = object


class AugmenterParameters(_Net):
    """Turns ``augmenter`` and ``augmenter__*`` into the augmenter that training uses."""

    prefixes_: ClassVar[list[str]] = [*NeuralNet.prefixes_, "augmenter"]
    random_stream_: RandomStream | None = None
    seed_: int = 0
    # What a preset is made with if it is given by name; a task without classes explains the loss.
    _preset_parameters: ClassVar[dict[str, Any]] = {}

    def _initialize_virtual_params(self) -> Any:
        # Not initialize(): accelerate's mixin overrides that one without calling super.
        super()._initialize_virtual_params()
        self._register_virtual_param(["augmenter", "augmenter__*"], _set_augmenter)
        seed = resolve_seed(self.random_state)
        self.random_stream_ = None if self.random_state is None else RandomStream(seed)
        self.seed_ = seed
        self.generator_ = torch.Generator().manual_seed(seed)
        self.augmenter_ = self._make_augmenter(self.augmenter, self.get_params_for("augmenter"))
        self.categories_ = CategoryMemory()
        return self

    @property
    def strength_(self) -> float:
        """The strength in force: the estimator's own, or its augmenter's ``default_strength``."""
        return default_strength(self.augmenter_) if self.strength is None else float(self.strength)

    def _initialize_module(self, reason: str | None = None) -> Any:
        with self._own_random_state():
            super()._initialize_module(reason)
        module: Any = self.module_
        if not isinstance(module, nn.Module):
            raise ValueError(f"module={self.module!r} returned {module!r}; it must return an nn.Module.")
        self.precision_ = next((p.dtype for p in module.parameters() if p.is_floating_point()), None)
        if self.layer is not None:
            find_layer(module, self.layer)
        return self

    def initialized_instance(self, instance_or_cls: Any, kwargs: dict[str, Any]) -> Any:
        """Return a module or criterion to train: what the user handed in is copied, and stays as it is.

        Every ``fit`` therefore starts from the weights that the user gave, and nothing that was learned on one
        fold reaches another through ``clone``. What a function returns is copied too, since it may hold a module that
        the function keeps, such as a pretrained one.

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
        return copied_component(instance_or_cls, "criterion", beside=(self.module, unwrapped(self.module_)))

    def _initialize_criterion(self, reason: str | None = None) -> Any:
        with self._own_random_state():
            return super()._initialize_criterion(reason)

    def _own_random_state(self) -> AbstractContextManager[None]:
        return holding_random_state() if self.random_stream_ is None else self.random_stream_(self.device)

    def get_params(self, deep: bool = True, **kwargs: Any) -> dict[str, Any]:
        """Return the parameters; nested ones as they are in force.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include those of nested components.

        Returns
        -------
        dict
        """
        parameters = super().get_params(deep=deep, **kwargs)
        in_force = {name: value for name, value in vars(self).items() if name.startswith("augmenter__")}
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
        if "augmenter" in parameters:
            self._drop_what_does_not_fit(parameters["augmenter"])
        return super().set_params(**parameters)

    def _drop_what_does_not_fit(self, augmenter: Any) -> None:
        self._make_augmenter(augmenter, {})  # raises before anything is dropped
        for name, value in self.get_params_for("augmenter").items():
            try:
                self._make_augmenter(augmenter, {name: value})
            except ValueError:
                warnings.warn(f"augmenter__{name} is dropped: {augmenter!r} has no such parameter.", stacklevel=4)
                delattr(self, f"augmenter__{name}")
                self._params_to_validate.discard(f"augmenter__{name}")

    def _make_augmenter(self, augmenter: Any, nested: dict[str, Any]) -> Any:
        """Return the augmenter that training uses: never the parameter itself, which is the user's."""
        if isinstance(augmenter, str):
            augmenter = preset(augmenter, **self._preset_parameters)
        elif augmenter is not None:
            require_augmenter("augmenter", augmenter)
        if isinstance(augmenter, BaseEstimator):
            augmenter = clone(augmenter)
        if not nested:
            return augmenter
        if not isinstance(augmenter, BaseEstimator):
            names = ", ".join(f"augmenter__{name}" for name in nested)
            raise ValueError(f"{names} cannot be set: augmenter={augmenter!r} has no parameters.")
        return augmenter.set_params(**nested)


def _set_augmenter(net: Any, name: str, value: Any) -> None:
    """Set ``augmenter`` or one of its parameters on an initialised net: all of it, or nothing."""
    nested = net.get_params_for("augmenter")
    if name == "augmenter":
        made = net._make_augmenter(value, nested)
    else:
        nested[name.removeprefix("augmenter__")] = value
        made = net._make_augmenter(net.augmenter, nested)
    setattr(net, name, value)
    net.augmenter_ = made
