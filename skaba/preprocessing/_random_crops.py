"""Random crops of series in the batches of training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate


class RandomCrops:
    """Make a batch of random crops, one per series, as the ``collate_fn`` of training batches.

    Each epoch thus sees other parts of the same series. For predictions by the mean over sliding crops, wrap the
    network in :class:`skaba.modules.SlidingCrops`.

    FreeABA moves features by what it kept of their position in an earlier epoch, so it cannot be used with crops.

    Parameters
    ----------
    length : int
        Number of time steps of a crop.
    random_state : int, default=0
        Seed of the draws. A copy of the object starts anew where the copied one stands.

    Raises
    ------
    ValueError
        If a series is shorter than the crop.

    References
    ----------
    N. Strodthoff, P. Wagner, T. Schaeffter, W. Samek. Deep learning for ECG analysis: benchmarks and insights from
    PTB-XL. IEEE J. Biomed. Health Inform. 25(5), 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.preprocessing import RandomCrops
    >>> series = np.zeros((12, 1000), dtype=np.float32)
    >>> x, y = RandomCrops(250)([(series, 1), (series, 0)])
    >>> x.shape, y.tolist()
    (torch.Size([2, 12, 250]), [1, 0])
    """

    def __init__(self, length: int, random_state: int = 0) -> None:
        self.length = length
        # The samples of all batches share one generator; the global random state is neither read nor changed.
        self._generator = np.random.default_rng(random_state)

    def __call__(self, samples: list[tuple[Any, Any]]) -> Any:
        """Return the batch of crops, with the targets as they are."""
        return default_collate([(self._crop(torch.as_tensor(x)), y) for x, y in samples])

    def _crop(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[-1] < self.length:
            raise ValueError(f"A series of shape {tuple(x.shape)} is shorter than a crop of {self.length}.")
        start = int(self._generator.integers(x.shape[-1] - self.length + 1))
        return x[..., start : start + self.length]
