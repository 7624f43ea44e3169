"""Word dropout: words of a text are left out at random."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from skaba.augmenters._augmenter import Augmenter
from skaba.augmenters._batch import Batch
from skaba.augmenters._clipping import Mover
from skaba.augmenters._series import require_series
from skaba.network import generator_on, positions, to_channels


class WordDropout(Augmenter):
    """Set the vectors of random words to zero, at the output of the embedding.

    Each word is chosen independently. Padding does not change. For a series at the input, time steps are set to zero.

    Notes
    -----
    The strength is the probability that a word is left out; the default is that of the paper. Vectors that remain are
    not scaled, as in the paper.

    References
    ----------
    Iyyer et al. (2015), "Deep Unordered Composition Rivals Syntactic Methods for Text Classification", section 3.2.

    Examples
    --------
    >>> from skaba import ABAClassifier
    >>> from skaba.augmenters import WordDropout
    >>> from skaba.modules import TextCNN
    >>> clf = ABAClassifier(TextCNN, layer="embedding", augmenter=WordDropout(), strength=0.3)
    """

    default_strength: ClassVar[float] = 0.3
    strength_unit: ClassVar[str] = "the probability that a word is left out"
    largest_strength: ClassVar[float] = 1.0

    def _plan(self, batch: Batch, strength: float) -> Mover:
        def drop(x: Tensor) -> Tensor:
            require_series("WordDropout", x)
            shape = (len(x), *positions(x, batch.channel_axis))
            drawn = torch.rand(shape, generator=generator_on(x.device, batch.generator), device=x.device)
            return x.masked_fill(to_channels(drawn < strength, x, batch.channel_axis), 0)

        return drop
