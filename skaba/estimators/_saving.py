"""What a net learned from the data beside its weights, kept in the same file."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from torch import nn

ENTRY = "skaba"
"""Key in the metadata of a state_dict, which ``nn.Module.load_state_dict`` passes over."""


class LearnedState:
    """A net's module, whose state tells what the net learned from the data: labels, shapes and names.

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
        state._metadata[ENTRY] = {"learned": json.dumps(learned)}  # type: ignore[attr-defined]
        return state

    def load_state_dict(self, state: Any) -> None:
        """Load the module's state, and the net's if the file has it."""
        self.module.load_state_dict(state)
        entry = getattr(state, "_metadata", {}).get(ENTRY)
        if entry is not None:
            learned = json.loads(entry["learned"])
            self.net.load_learned_state({name: _unpacked(value) for name, value in learned.items()})


def _packed(value: Any) -> Any:
    """Return a value as JSON can hold it."""
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.str, "values": value.tolist()}
    return list(value) if isinstance(value, tuple) else value


def _unpacked(value: Any) -> Any:
    if isinstance(value, dict):
        return np.array(value["values"], dtype=np.dtype(value["dtype"]))
    return tuple(value) if isinstance(value, list) else value
