"""Random states that belong to an estimator, not to the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from sklearn.utils import check_random_state

RandomState = int | np.random.RandomState | None


class RandomStream:
    """A random state that stands in for torch's global one inside a ``with`` block.

    Module initialisation, batch order and dropout know only the global random state. A
    fit with ``random_state`` therefore runs on a stream of its own: every block goes on
    where the last one ended, and the global state never notices.

    Parameters
    ----------
    seed : int
        ``torch.manual_seed(seed)`` gives the same numbers.
    device : str
        A CUDA device's state is kept beside the CPU's.
    """

    def __init__(self, seed: int, device: str) -> None:
        self.cuda = [torch.device(device)] if str(device).startswith("cuda") else []
        with torch.random.fork_rng(self.cuda):
            torch.manual_seed(seed)
            self.states = self._read()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Run the block on this stream."""
        with torch.random.fork_rng(self.cuda):
            self._write(self.states)
            try:
                yield
            finally:
                self.states = self._read()

    def _read(self) -> list[torch.Tensor]:
        return [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in self.cuda)]

    def _write(self, states: list[torch.Tensor]) -> None:
        torch.set_rng_state(states[0])
        for device, state in zip(self.cuda, states[1:], strict=True):
            torch.cuda.set_rng_state(state, device)


def resolve_seed(random_state: RandomState) -> int:
    """Return the seed that a ``random_state`` stands for.

    Parameters
    ----------
    random_state : int, RandomState or None
        An int is the seed. A RandomState is drawn from. None takes the seed from torch's
        global state without advancing it, so that ``torch.manual_seed`` decides and an
        unaugmented fit sees the same numbers as without us.

    Returns
    -------
    int
    """
    if isinstance(random_state, np.random.RandomState):
        return int(check_random_state(random_state).randint(2**31 - 1))
    if random_state is not None:
        return int(random_state)
    copied = torch.Generator()
    copied.set_state(torch.get_rng_state())
    return int(torch.randint(2**31 - 1, (), generator=copied))
