"""Augmenters that mix samples with each other, and their targets too."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor
from torch.nn.functional import one_hot

from skaba.augmenters._augmenter import Augmenter
from skaba.augmenters._batch import Batch
from skaba.augmenters._clipping import Mover
from skaba.augmenters._erasing import boxes, require_places
from skaba.network import described, draw_seed, per_sample, positions, to_channels

Share = float | Tensor
"""The share of each sample that remains after mixing: one number, or one per sample, of shape (n,)."""


# torchvision's and kornia's classes draw from global random states, mix images only, and take class indices only: they
# work neither at a layer nor on soft, multi-label or real targets.
class _Mixing(Augmenter):
    """Mixes each sample with a partner from its batch, and the targets in the same proportion."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {"probability": [Interval(Real, 0, 1, closed="both")]}

    changes_targets: ClassVar[bool] = True
    strength_unit: ClassVar[str] = "the alpha of Beta(alpha, alpha), which the share of each sample is drawn from"

    def __init__(self, probability: float = 1.0) -> None:
        self.probability = probability

    def _plan(self, batch: Batch, strength: float) -> tuple[Mover, Tensor] | None:
        name, y, generator = type(self).__name__, batch.y, batch.generator
        if y is None:
            raise ValueError(f"{name} mixes the targets too: pass y.")
        if not isinstance(y, Tensor):
            raise TypeError(f"{name} mixes the targets too, so y must be a torch.Tensor; got {described(y)}.")
        if batch.mask is not None:  # a pasted feature would need the mask of the sample that it comes from
            raise ValueError(f"{name} mixes samples, but each mask belongs to one sample: train without masks.")
        if torch.rand((), generator=generator) >= self.probability:
            return None
        # torch draws from a Beta distribution by its global random state only.
        share = float(np.random.default_rng(draw_seed(generator)).beta(strength, strength))
        partner = torch.randperm(batch.n_samples, generator=generator).to(batch.device)
        move, mixed = self._mix(batch, share, partner)
        return move, _mixed(_as_values(y, batch), partner, mixed)

    @abstractmethod
    def _mix(self, batch: Batch, share: float, partner: Tensor) -> tuple[Mover, Share]:
        """Return the function that mixes the features, and how much of each sample remains.

        Parameters
        ----------
        batch : Batch
        share : float
            The share of each sample that should remain.
        partner : int64 Tensor of shape (n,)
            The number of the sample that each is mixed with.
        """


class Mixup(_Mixing):
    """Train on weighted means of two samples and of their targets.

    ``x' = share * x + (1 - share) * x[partner]``, and the same for y. The share is drawn from Beta(strength, strength),
    once per batch, and the partners are the batch in random order. Classes become shares of the classes,
    (n, n_classes); several labels per sample, soft labels and real targets become weighted means.

    With ``layer=`` it is manifold mixup: that layer's outputs are mixed, and gradients flow to the layers before
    through both samples. It is always that layer, where Verma et al. draw one of several layers for each batch.

    Parameters
    ----------
    probability : float, default=1.0
        The probability that a batch is mixed.

    See Also
    --------
    CutMix : Pastes a part of another sample.

    Notes
    -----
    The strength is the alpha of the Beta distribution. With a small alpha most samples hardly change; with 1 the shares
    are uniform. The default is 0.2, as published for ImageNet; it lies in the range from 0.1 to 0.4 in which
    Zhang et al. found gains there, while larger values underfitted. For CIFAR-10 they published 1.

    At an embedding, words are mixed with the words at the same positions. Padding stays padding; where only the partner
    has padding, the word is mixed with the padding's vector. The targets do not depend on padding.

    The loss must take the mixed targets, as ``CrossEntropyLoss``, ``BCEWithLogitsLoss`` and ``MSELoss`` do. In
    :class:`Compose` put it last: an augmenter after it gets mixed targets, and those that explain a class refuse them.

    A mixed sample has the ``sample_weight`` of the sample that it replaces, whatever the weight of its partner. To
    exclude samples, leave them out: with a weight of 0 they would still be partners.

    References
    ----------
    Zhang et al. (2018), "mixup: Beyond Empirical Risk Minimization", ICLR. Verma et al. (2019), "Manifold Mixup: Better
    Representations by Interpolating Hidden States", ICML.

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import Mixup
    >>> model, x, y = torch.nn.Linear(2, 3), torch.eye(2), torch.tensor([0, 2])
    >>> mixed, shares = Mixup()(model, x, y, strength=1.0, criterion=None, generator=torch.Generator().manual_seed(3))
    >>> mixed
    tensor([[0.7893, 0.2107],
            [0.2107, 0.7893]])
    >>> shares
    tensor([[0.7893, 0.0000, 0.2107],
            [0.2107, 0.0000, 0.7893]])
    """

    default_strength: ClassVar[float] = 0.2

    def _mix(self, batch: Batch, share: float, partner: Tensor) -> tuple[Mover, Share]:
        return lambda x: share * x + (1 - share) * x.index_select(0, partner), share


class CutMix(_Mixing):
    """Paste a part of another sample, and mix the targets by the part's size.

    For an image the part is a rectangle with the image's aspect ratio, for a series a stretch of time, for a text at
    its embedding a stretch of words. A share is drawn from Beta(strength, strength), once per batch. The part takes up
    the remaining share of the area, and its centre is drawn uniformly. It is cut off at the border, so the targets are
    mixed by the area that is really pasted. Classes become shares of the classes, (n, n_classes); several labels per
    sample, soft labels and real targets become weighted means.

    Parameters
    ----------
    probability : float, default=1.0
        The probability that a batch is mixed.

    See Also
    --------
    Mixup : Weighted means of two samples.

    Notes
    -----
    The strength is the alpha of the Beta distribution; the default is 1, as published: the shares are uniform.

    In texts a word is pasted only where both samples have one, and the share of a sample is that of its words that
    remain.

    The loss must take the mixed targets, as ``CrossEntropyLoss``, ``BCEWithLogitsLoss`` and ``MSELoss`` do. In
    :class:`Compose` put it last: an augmenter after it gets mixed targets, and those that explain a class refuse them.

    A mixed sample has the ``sample_weight`` of the sample that it replaces, whatever the weight of its partner. To
    exclude samples, leave them out: with a weight of 0 they would still be partners.

    References
    ----------
    Yun et al. (2019), "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", ICCV.

    Examples
    --------
    >>> import torch
    >>> from skaba.augmenters import CutMix
    >>> x, y = torch.tensor([0.0, 1.0]).reshape(2, 1, 1).expand(2, 1, 8), torch.tensor([0.0, 1.0])
    >>> pasted, mixed = CutMix()(None, x, y, strength=1.0, criterion=None, generator=torch.Generator().manual_seed(5))
    >>> pasted[0]
    tensor([[0., 0., 0., 0., 0., 0., 1., 1.]])
    >>> mixed
    tensor([0.2500, 0.7500])
    """

    default_strength: ClassVar[float] = 1.0

    def _mix(self, batch: Batch, share: float, partner: Tensor) -> tuple[Mover, Share]:
        x, padding = batch.features(), batch.padding
        require_places("CutMix", x)
        sides = positions(x, batch.channel_axis)
        pasted = _box(sides, share, batch.generator).to(x.device).expand(len(x), *sides)
        counted = torch.ones_like(pasted) if padding is None else ~padding
        pasted = pasted & counted & counted.index_select(0, partner)
        n_pasted, n_places = (places.flatten(1).sum(dim=1) for places in (pasted, counted))
        where = to_channels(pasted, x, batch.channel_axis)
        kept = 1 - n_pasted.to(x.dtype) / n_places.clamp(min=1)
        return lambda x: torch.where(where, x.index_select(0, partner), x), kept


def _box(sides: Sequence[int], share: float, generator: torch.Generator) -> Tensor:
    """Draw the part that is pasted, one for the batch: bool, (1, *places)."""
    lengths = torch.tensor(sides)
    # Each side has the same share of its length, so that the part has the image's aspect ratio.
    size = (lengths * (1 - share) ** (1 / len(sides))).long()
    first = (torch.rand(len(sides), generator=generator) * lengths).long() - size // 2
    start, end = first.clamp(min=0), torch.minimum(first + size, lengths)
    return boxes(start[None], (end - start)[None], sides)


def _mixed(y: Tensor, partner: Tensor, share: Share) -> Tensor:
    kept = per_sample(share, y).to(y) if isinstance(share, Tensor) else share
    return kept * y + (1 - kept) * y.index_select(0, partner.to(y.device))


def _as_values(y: Tensor, batch: Batch) -> Tensor:
    """Return targets as numbers of which a mean can be taken: class indices as shares of the classes."""
    if y.is_floating_point():
        return y
    n_outputs, dtype = batch.n_outputs, _precision(batch)
    if n_outputs == 1 or (y.dim() == 2 and y.shape[1] == n_outputs):
        return y.to(dtype)
    if y.dim() > 1:
        raise ValueError(
            f"y has shape {tuple(y.shape)} and dtype {y.dtype}: targets that are mixed must be class indices, (n,), or "
            f"one number for each of the {n_outputs} outputs."
        )
    if y.min() < 0 or y.max() >= n_outputs:
        raise ValueError(
            f"y holds labels from {y.min()} to {y.max()}; a label must be the index of its class, 0 to {n_outputs - 1}."
        )
    return one_hot(y.long(), n_outputs).to(dtype)


def _precision(batch: Batch) -> torch.dtype:
    """Return the dtype of the features, or of the network if they are not computed yet."""
    if batch.x is not None:
        return batch.x.dtype
    parameters = (each.dtype for each in batch.model.parameters() if each.is_floating_point())
    return next(parameters, torch.get_default_dtype())
