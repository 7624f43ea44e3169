"""Predictions of long series by the mean over crops."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


class SlidingCrops(nn.Module):
    """Network for series whose probabilities are the mean over sliding crops.

    It returns the logits of the mean probabilities, so everything that works with the logits of a network works with
    it. A series of the length of one crop, or shorter, goes through the network as a whole: train it on crops, see
    :class:`skaba.preprocessing.RandomCrops`.

    Parameters
    ----------
    network : callable
        Class of the network that reads one crop, or a function that makes it.
    length : int
        Number of time steps of a crop.
    stride : int
        Number of time steps between the starts of two crops. Time steps after the last whole crop are not read.
    multi_label : bool, default=False
        Whether each logit has its own sigmoid; otherwise all logits share a softmax.
    **parameters
        Parameters of the network.

    Attributes
    ----------
    network : torch.nn.Module
        The network that reads one crop.

    References
    ----------
    N. Strodthoff, P. Wagner, T. Schaeffter, W. Samek. Deep learning for ECG analysis: benchmarks and insights from
    PTB-XL. IEEE J. Biomed. Health Inform. 25(5), 2021.

    Examples
    --------
    >>> import torch
    >>> from skaba.modules import FCN, SlidingCrops
    >>> model = SlidingCrops(FCN, length=250, stride=125, multi_label=True, n_classes=5, channels=12)
    >>> model(torch.zeros(2, 12, 1000)).shape
    torch.Size([2, 5])
    """

    def __init__(
        self, network: Callable[..., nn.Module], length: int, stride: int, multi_label: bool = False, **parameters: Any
    ) -> None:
        super().__init__()
        self.length = length
        self.stride = stride
        self.multi_label = multi_label
        self.network = network(**parameters)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits.

        Parameters
        ----------
        x : torch.Tensor of shape (n, channels, length)

        Returns
        -------
        logits : torch.Tensor of shape (n, n_classes)
            One logit per class.
        """
        if x.shape[-1] <= self.length:
            whole: Tensor = self.network(x)
            return whole
        crops = x.unfold(-1, self.length, self.stride).transpose(1, 2)  # (n, n_crops, channels, length)
        logits = self.network(crops.flatten(0, 1)).unflatten(0, crops.shape[:2])
        # Means of probabilities as sums in the log domain, because probabilities of 0 and 1 have no logits.
        if self.multi_label:
            log_present, log_absent = nn.functional.logsigmoid(logits), nn.functional.logsigmoid(-logits)
            return log_present.logsumexp(1) - log_absent.logsumexp(1)
        log_mean: Tensor = logits.log_softmax(-1).logsumexp(1) - math.log(crops.shape[1])
        return log_mean
