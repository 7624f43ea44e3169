"""Random states that belong to an estimator, not to the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from skaba._random_state import random_state_kept


class RandomStream:
    """A random state that replaces torch's global one inside a ``with`` block.

    Module initialisation, the order of the samples and dropout draw from the global random state. A fit with
    ``random_state`` therefore replaces it by a stream that belongs to the estimator: each block continues where the
    previous one ended, and the global state is restored afterwards.

    Parameters
    ----------
    seed : int
        ``torch.manual_seed(seed)`` gives the same numbers.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.states: dict[str, torch.Tensor] = {}

    @contextmanager
    def __call__(self, device: str) -> Iterator[None]:
        """Run the block on this stream; a CUDA device's state is kept beside the CPU's.

        Parameters
        ----------
        device : str
            The net's current device, which need not be the one on which it was first trained.
        """
        cuda = cuda_devices(device)
        with random_state_kept(cuda):
            torch.manual_seed(self.seed)  # the start of the stream, on all devices without a state
            if "cpu" in self.states:
                torch.set_rng_state(self.states["cpu"])
            for each in cuda:
                if str(each) in self.states:
                    torch.cuda.set_rng_state(self.states[str(each)], each)
            try:
                yield
            finally:
                self.states["cpu"] = torch.get_rng_state()
                self.states.update({str(each): torch.cuda.get_rng_state(each) for each in cuda})


def cuda_devices(device: str) -> list[torch.device]:
    """Return the device in a list if it is a CUDA device, else an empty list."""
    return [torch.device(device)] if str(device).startswith("cuda") else []
