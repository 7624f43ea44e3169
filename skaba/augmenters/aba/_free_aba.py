"""FreeABA: attribution-based augmentation by the gradient of the training step."""

from __future__ import annotations

from functools import partial
from numbers import Real
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval
from torch import Tensor

from skaba.attribution import Loss
from skaba.augmenters._batch import Batch, require_samples
from skaba.augmenters._clipping import Clip, Mover
from skaba.augmenters.aba._aba import ABA, RandomMapABA
from skaba.augmenters.aba._adjustments import AdjustmentSet
from skaba.augmenters.aba._by_category import ByCategory, RandomOrder
from skaba.augmenters.aba._category_memory import CategoryMemory
from skaba.augmenters.aba._changes import Change, Constant, Proportional
from skaba.augmenters.aba._selections import Cutoff, Selection
from skaba.network import finite, finite_samples, unreached, watched

DEFAULT_REFRESH_FRACTION = 0.2
"""The default of ``renew`` at a layer whose gradient training does not compute anyway."""


class FreeABA(ByCategory):
    """Attribution-based augmentation by the maps of the previous epoch, which training computes anyway.

    The backward pass of the training step also computes the gradient of the loss at the features. Their categories are
    cached, as one bit per feature and boundary, and determine the sample's augmentation at its next visit. So the map
    is one epoch old, and was computed in training mode for the augmented sample. At its first visit a sample is not
    augmented.

    Samples are identified by their numbers in the training set. Estimators provide them; in other training
    loops, pass ``index=`` to :class:`skaba.training.Augmentation`. Called as a function, FreeABA computes maps as
    :class:`ABA` does.

    Parameters
    ----------
    selection : Percentiles or Cutoff, default=None
        The categories, by default ``Cutoff(0)``: low and high.
    adjustments : AdjustmentSet, default=None
        By default FastABA's ``AdjustmentSet([0, 0, 3, 4, 5, 6, 16, 17])``.
    change : Constant or Baseline, default=None
        How a step changes a feature, by default ``Constant()``.
    randomize : bool, default=True
        Whether the random factor is drawn from ``|N(0, 1)|`` per sample; otherwise it is 1.
    share : float, default=1.0
        The share of a batch that is augmented, drawn at random.
    renew : float, default=None
        The share of batches, drawn at random, whose categories are renewed. For the others no gradient at the features
        is computed, and the categories of an earlier epoch stay. The categories of a first visit are always cached. By
        default all batches are renewed; at a hidden layer (``layer=``) whose preceding layers are not trained, such as
        frozen word vectors, only a fifth, because training does not compute the gradient there.
    clip : (low, high), default=None
        The range that augmentation must not leave: numbers, or arrays that broadcast to a sample. A feature outside the
        range is not moved further away. None means no range.

    References
    ----------
    FastABA-CE of Kinkel (2023), section 3.8 and table A.2, with the maps of the previous epoch; reusing the training
    step's input gradient is the idea of Shafahi et al. (2019), "Adversarial Training for Free!".

    Examples
    --------
    >>> from skaba import ABAClassifier
    >>> from skaba.augmenters import FreeABA, Percentiles
    >>> from skaba.modules import ConvNet
    >>> clf = ABAClassifier(ConvNet, augmenter=FreeABA(selection=Percentiles(0.1, 0.9)), strength=0.1)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **ByCategory._parameter_constraints,
        "renew": [Interval(Real, 0, 1, closed="right"), None],
    }

    needs_index: ClassVar[bool] = True
    _with_maps: ClassVar[type[ABA]] = ABA

    def __init__(
        self,
        selection: Selection | None = None,
        adjustments: AdjustmentSet | None = None,
        change: Change | None = None,
        randomize: bool = True,
        share: float = 1.0,
        renew: float | None = None,
        clip: Clip | None = None,
    ) -> None:
        self.selection = Cutoff(0.0) if selection is None else selection
        self.adjustments = AdjustmentSet([0, 0, 3, 4, 5, 6, 16, 17]) if adjustments is None else adjustments
        self.change = Constant() if change is None else change
        self.randomize = randomize
        self.share = share
        self.renew = renew
        self.clip = clip

    def random_map(self) -> RandomMapFreeABA:
        """Return the control of this method: the same changes, by the cached categories in random order.

        Returns
        -------
        RandomMapFreeABA
            With copies of all parameters.
        """
        return self._as(RandomMapFreeABA)

    def new_memory(self, data: str, n_samples: int) -> CategoryMemory:
        """Return an empty memory of the samples' categories.

        Parameters
        ----------
        data : str
            A name for the data set and the layer.
        n_samples : int
            The number of samples; 0 if it is not known.

        Returns
        -------
        CategoryMemory
        """
        return CategoryMemory(f"{data} {self.selection!r}", n_samples)

    def _plan(self, batch: Batch, strength: float) -> Mover | None:
        memory = batch.memory
        if memory is None:  # called as a function: there is no training step whose gradient could be used
            shared = {name: getattr(self, name) for name in ByCategory._parameter_constraints}
            return self._with_maps(target=Loss(), **shared)._plan(batch, strength)
        # The last step should have cached categories, but no gradient reached the features.
        if memory.awaited and memory.is_empty():
            raise unreached()
        return _ByLastVisit(self, batch, strength)

    def _recall(self, batch: Batch, strength: float, x: Tensor) -> Mover:
        """Return the function that moves a batch by the categories of the previous visit."""
        memory, index = batch.memory, batch.index
        memory.prepare(index, x, self.selection.n_categories - 1)
        steps = self._draw_steps(len(x), strength, batch.generator)
        categories, known = memory.recall(index)
        steps = (steps * known.unsqueeze(1)).to(x.detach(), non_blocking=True)
        # Maps are not cached, and the allowed changes do not use them. The features are passed as a tensor of their
        # shape.
        return self._mover(categories, steps, x.detach(), batch.padding, batch.generator)

    def _renews(self, batch: Batch, *, costs_a_gradient: bool) -> bool:
        """Return whether the categories of a batch replace those of the previous visit."""
        by_default = DEFAULT_REFRESH_FRACTION if costs_a_gradient else 1
        share = by_default if self.renew is None else self.renew
        if share == 1 or bool(torch.rand((), generator=batch.generator) < share):
            return True
        return not batch.memory.holds(batch.index)

    def _keep(self, batch: Batch, gradient: Tensor) -> None:
        """Cache the categories of a batch, from the gradient at the features or a multiple of it."""
        gradient = gradient.detach()
        if not finite(gradient):  # in mixed precision gradients overflow now and then: such samples will not move
            unsound = ~finite_samples(gradient)
            gradient = gradient.index_fill(0, unsound.nonzero().squeeze(1), 0)
        batch.memory.keep(batch.index, self.selection.sort(gradient, padding=batch.padding))

    def _check_consistency(self) -> None:
        """Raise a ValueError if the parameters do not fit each other."""
        super()._check_consistency()
        # Signs and ranks do not depend on the factor 1 / n of the mean; other cut-offs do.
        if isinstance(self.selection, Cutoff) and self.selection.values != (0.0,):
            raise ValueError(
                f"FreeABA uses gradients of the mean over a batch, so {self.selection!r} would depend on the batch "
                "size. Use Cutoff(0) or Percentiles."
            )
        if isinstance(self.change, Proportional):
            raise ValueError("FreeABA caches categories, not maps: change=Proportional() needs ABA.")


class RandomMapFreeABA(RandomOrder, FreeABA):
    """FreeABA on shuffled maps: the same changes at random positions.

    The categories are cached as in the method, and permuted at random at each visit. See :class:`RandomMapABA`.

    Parameters
    ----------
    selection, adjustments, change, randomize, share, renew, clip
        As for :class:`FreeABA`.

    Examples
    --------
    >>> from skaba.augmenters import free_aba
    >>> free_aba(renew=0.5).random_map().renew
    0.5
    """

    _with_maps: ClassVar[type[ABA]] = RandomMapABA


class _ByLastVisit:
    """Moves a batch by the categories of the previous visit, and caches those of this visit.

    All random numbers are drawn at the first call, because an optimiser may run the network several times per step.
    """

    def __init__(self, augmenter: FreeABA, batch: Batch, strength: float) -> None:
        self.augmenter = augmenter
        self.batch = batch
        self.strength = strength
        self.move: Mover | None = None
        self.renews = False

    def __call__(self, x: Tensor) -> Tensor:
        if self.move is None:
            self.move = self._decided(x)
        x = self.move(x)
        return watched(x, partial(self.augmenter._keep, self.batch)) if self.renews else x

    def _decided(self, x: Tensor) -> Mover:
        batch = self.batch
        at_layer = batch.x is None
        if at_layer:
            require_samples(x, batch.n_samples, batch.model.layer)
        # If earlier layers are trained, the training step computes the gradient at this layer's output anyway.
        self.renews = self.augmenter._renews(batch, costs_a_gradient=at_layer and not x.requires_grad)
        move = self.augmenter._recall(batch, self.strength, x)
        batch.memory.awaited = self.renews
        return move
