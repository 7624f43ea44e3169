"""kornia's augmentations of images, as functions of a batch that clone and print."""

from __future__ import annotations

from typing import Any

import torch
from sklearn.base import BaseEstimator
from torch import Tensor


class RandomCrops(BaseEstimator):
    """Shift each image by a random number of pixels: a crop of the image after padding with zeros.

    Parameters
    ----------
    pixels : int, default=4
        The longest shift.
    flip : bool, default=False
        Whether half of the images are flipped horizontally too.
    """

    def __init__(self, pixels: int = 4, flip: bool = False) -> None:
        self.pixels = pixels
        self.flip = flip

    def __call__(self, x: Tensor) -> Tensor:
        """Return a batch shifted, and flipped.

        Parameters
        ----------
        x : Tensor of shape (n, channels, height, width)

        Returns
        -------
        Tensor of x's shape
        """
        from kornia import augmentation  # noqa: PLC0415 - an optional library, which takes seconds to import

        shifted: Tensor = augmentation.RandomCrop(tuple(x.shape[2:]), padding=self.pixels)(x)
        return augmentation.RandomHorizontalFlip()(shifted) if self.flip else shifted


class RandomAugment(BaseEstimator):
    """kornia's RandAugment, for grey images too.

    Parameters
    ----------
    n : int, default=2
        The number of operations per batch.
    """

    def __init__(self, n: int = 2) -> None:
        self.n = n

    def __call__(self, x: Tensor) -> Tensor:
        """Return a batch augmented.

        Parameters
        ----------
        x : Tensor of shape (n, channels, height, width)
            One or three channels, from 0 to 1.

        Returns
        -------
        Tensor of x's shape
        """
        from kornia.augmentation.auto import RandAugment  # noqa: PLC0415 - an optional library

        # Operations such as equalisation take three channels only.
        coloured: Any = RandAugment(n=self.n, m=10)(x.expand(-1, 3, -1, -1).contiguous())
        return coloured if x.shape[1] == 3 else torch.mean(coloured, dim=1, keepdim=True)
