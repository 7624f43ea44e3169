"""torch's global random state, which all threads of a process share."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import RLock

import numpy as np
import torch


class _Holder:
    """A lock that is free in a forked process, because the thread that may hold it exists only in the parent."""

    def __init__(self) -> None:
        self.renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        # Reentrant, because a fit holds the lock while the maps of its steps take it again.
        self.lock = RLock()


_HOLDER = _Holder()


@contextmanager
def holding_random_state() -> Iterator[None]:
    """Hold the lock on torch's global random state inside the block.

    All threads share this state. Code that sets, restores or draws from it during a fit holds this lock, so that a fit
    in one thread draws the same numbers whatever other threads of skaba do. Other threads wait.
    """
    with _HOLDER.lock:
        yield


@contextmanager
def random_state_kept(cuda: Sequence[torch.device] = ()) -> Iterator[None]:
    """Hold the lock on torch's global random state inside the block, and restore the state afterwards.

    Parameters
    ----------
    cuda : sequence of torch.device, default=()
        CUDA devices whose states are restored too.
    """
    with holding_random_state(), torch.random.fork_rng(cuda):
        yield


RandomState = int | np.random.RandomState | None


def resolve_seed(random_state: RandomState) -> int:
    """Return the seed that a ``random_state`` stands for.

    Parameters
    ----------
    random_state : int, RandomState or None
        An int is the seed. From a RandomState, a seed is drawn. With None, the seed comes from torch's global state,
        which is not advanced: ``torch.manual_seed`` decides, and a fit without augmentation draws the same numbers as
        in skorch.

    Returns
    -------
    int
    """
    if isinstance(random_state, np.random.RandomState):
        return int(random_state.randint(2**31 - 1))
    if random_state is not None:
        return int(random_state)
    # Drawn from a copy, which leaves the global state where it is.
    copied = torch.Generator()
    copied.set_state(torch.get_rng_state())
    return int(torch.randint(2**31 - 1, (), generator=copied))
