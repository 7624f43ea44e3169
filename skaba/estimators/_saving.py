"""Labels, shapes and names that a net learned from the data, saved in the file of its weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from torch import nn

if TYPE_CHECKING:
    # For the type checker only: skorch's net follows the mixins in the bases.
    from skorch import NeuralNet as _Net
else:
    _Net = object

ENTRY = "skaba"
"""Key in the metadata of a state_dict, which ``nn.Module.load_state_dict`` passes over."""


class SavedNet(_Net):
    """Saves what was learned from the data in addition to the weights, in the file of the weights."""

    # Attributes that are learned from the data in addition to the weights.
    _learned: ClassVar[tuple[str, ...]] = (
        "sample_shape_",
        "floats_in_",
        "n_features_in_",
        "feature_names_in_",
        "rule_state_",
    )
    learned_: bool = False
    _task: ClassVar[str]

    def learned_state(self) -> dict[str, Any]:
        """Return what was learned from the data in addition to the weights; ``save_params(f_params=...)`` saves it.

        Returns
        -------
        dict
            Arrays, tuples, numbers and booleans by attribute.
        """
        known = {name: getattr(self, name) for name in self._learned if getattr(self, name, None) is not None}
        return {"task": self._task, **known}

    def load_learned_state(self, state: dict[str, Any]) -> None:
        """Take over what ``learned_state`` returned.

        Parameters
        ----------
        state : dict

        Raises
        ------
        ValueError
            If it was learned by an estimator for another task.
        """
        if state["task"] != self._task:
            raise ValueError(
                f"The file holds the weights of a {state['task']}, but {type(self).__name__} is a {self._task}."
            )
        for name in self._learned:
            if name in state:
                setattr(self, name, state[name])
        self.learned_ = True

    def _get_module(self, name: str, msg: str) -> Any:
        """Return the object whose state ``save_params`` writes and ``load_params`` reads."""
        module = super()._get_module(name, msg)
        return LearnedState(self, module) if name == "module_" else module


class LearnedState:
    """A net's module, whose state also holds the labels, shapes and names that the net learned.

    They are JSON in the metadata of the module's ``state_dict``. PyTorch keeps that metadata when the state is
    saved, reads it back without unpickling objects, and loads the weights into a plain module as before.

    Parameters
    ----------
    net : AugmentedNet
    module : nn.Module
    """

    def __init__(self, net: Any, module: nn.Module) -> None:
        self.net = net
        self.module = module

    def state_dict(self) -> Any:
        """Return the module's state with the net's in its metadata."""
        state = self.module.state_dict()
        learned = {name: _packed(value) for name, value in self.net.learned_state().items()}
        # Not an entry of the state itself: load_state_dict of a plain module would refuse it as an unexpected key.
        state._metadata[ENTRY] = {"learned": json.dumps(learned)}  # type: ignore[attr-defined]
        return state

    def load_state_dict(self, state: Any) -> None:
        """Load the module's state, and the net's if the file has it."""
        entry = getattr(state, "_metadata", {}).get(ENTRY)
        if entry is not None:
            learned = json.loads(entry["learned"])
            self.net.load_learned_state({name: _unpacked(value) for name, value in learned.items()})
        self.module.load_state_dict(state)


def _packed(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.str, "values": value.tolist()}
    return list(value) if isinstance(value, tuple) else value


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict):
        return np.array(value["values"], dtype=np.dtype(value["dtype"]))
    return tuple(value) if isinstance(value, list) else value
