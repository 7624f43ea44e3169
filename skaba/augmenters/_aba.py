"""Attribution-based augmentation: the batch's attribution decides which features move."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from skaba._validation import validate_changed
from skaba.attribution import Gradient, Loss, RandomTopClass, attributed
from skaba.augmenters._adjustments import AdjustmentSet
from skaba.augmenters._batches import labelled, require_batch
from skaba.augmenters._categories import Categories
from skaba.augmenters._category_memory import CategoryMemory
from skaba.augmenters._changes import Change, Constant, Proportional
from skaba.augmenters._clipping import CLIP_CONSTRAINT, Clip, Mover, check_clip, clipping
from skaba.augmenters._moving import moved, n_categories, picked, require_samples, shaped
from skaba.augmenters._percentiles import Percentiles
from skaba.augmenters._selections import Cutoff, Selection, differing
from skaba.network import FromLayer, channel_axis_of, finite, finite_samples, rows_of, scaled, stretched

Criterion = Callable[[Tensor, Tensor], Tensor]
RENEWED_WHERE_DEAR = 0.2
"""Share of batches whose categories are found anew by default where the gradient at the features is dear."""


class ABA(BaseEstimator):
    """Attribution-based augmentation.

    Every sample is attributed, its features sorted into categories from low to high
    attribution, and each category moved as an adjustment says that is drawn for the
    sample: ``x' = x + a[category] * s * r``. Labels do not change.

    The adjustments are drawn first: a sample whose adjustment is all zero is
    returned as it is and never attributed.

    Parameters
    ----------
    attribution : callable, default=None
        The method, by default ``Gradient()``.
    target : callable, default=None
        What is explained, by default ``RandomTopClass()``.
    selection : Percentiles or Cutoff, default=None
        The categories, by default ``Percentiles(0.1, 0.9)``: low, middle, high.
    adjustments : AdjustmentSet, default=None
        By default MendABA's ``AdjustmentSet([1, 2, 3, 4, 5, 6])``.
    change : Constant, Proportional or Baseline, default=None
        What a step does to a feature, by default ``Constant()``.
    randomize : bool, default=True
        Whether each sample's step is multiplied by a draw of ``|N(0, 1)|``, or by 1.
    share : float, default=1.0
        Share of a batch that is attributed and augmented, drawn at random; the rest is trained on as it is.
        Cost falls in proportion.
    every : int, default=1
        One batch in so many, drawn at random, is attributed and augmented. Cost falls in proportion.
    resolution : float, default=1.0
        Below 1, maps of images, series and texts are asked at this share of each spatial axis, on an averaged
        input, and stretched. Cost falls with the number of places; the network must take inputs of any size.
    reuse : {None, "epoch"}, default=None
        With ``"epoch"`` an estimator does not ask for maps: it takes the gradient of the loss that training
        computes anyway, and keeps each feature's category until the sample is drawn again. So the map is an
        epoch old, of the input as it was augmented then, in training mode; a sample's first visit is not
        augmented. Needs the gradient of the loss, and boundaries that know order or sign alone.
        Called as a function, outside an estimator, ABA asks for a map all the same.
    renew : float, default=None
        With ``reuse``, the share of batches, drawn at random, whose categories are found anew; the others are
        augmented by those of an earlier epoch, and cost no gradient at the features. A sample's first visit always
        counts. By default all batches, but a fifth where nothing before the features is trained and they are a hidden
        layer's (``layer=``), such as words embedded by frozen vectors: there that gradient is a cost of its own.
        Without ``reuse`` it must be None.
    store : path-like, default=None
        With ``reuse``, a folder on whose disk the categories are kept, in place of memory.
    clip : (low, high), default=None
        A range that augmentation does not leave: numbers, or arrays that broadcast to a sample. A feature that lies
        outside already is not moved further away. None sets no range.

    References
    ----------
    Kinkel (2023), "Utilizing Attribution Maps for Regularization of Deep Neural Networks",
    chapter 3.

    Examples
    --------
    Two categories, one adjustment: gradient descent's smaller sibling.

    >>> import torch
    >>> from skaba.augmenters import ABA, AdjustmentSet, Cutoff
    >>> from skaba.attribution import TrueClass
    >>> aba = ABA(target=TrueClass(), selection=Cutoff(), adjustments=AdjustmentSet([(-1, 1)]),
    ...           randomize=False)
    >>> model = torch.nn.Linear(3, 2)
    >>> x, y = torch.zeros(1, 3), torch.tensor([0])
    >>> x_augmented = aba(model, x, y, strength=0.1, criterion=None, generator=torch.Generator())
    >>> torch.equal(x_augmented, 0.1 * model.weight[:1].sign())
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "attribution": [callable],
        "target": [callable],
        "selection": [Selection],
        "adjustments": [AdjustmentSet],
        "change": [callable],
        "randomize": ["boolean"],
        "share": [Interval(Real, 0, 1, closed="right")],
        "every": [Interval(Integral, 1, None, closed="left")],
        "resolution": [Interval(Real, 0, 1, closed="right")],
        "reuse": [StrOptions({"epoch"}), None],
        "renew": [Interval(Real, 0, 1, closed="right"), None],
        "store": [str, os.PathLike, None],
        "clip": CLIP_CONSTRAINT,
    }

    default_strength: ClassVar[float] = 0.1
    strength_unit: ClassVar[str] = "units of the input, or of the layer's output"

    def __init__(
        self,
        attribution: Callable[..., Tensor] | None = None,
        target: Callable[..., Any] | None = None,
        selection: Selection | None = None,
        adjustments: AdjustmentSet | None = None,
        change: Change | None = None,
        randomize: bool = True,
        share: float = 1.0,
        every: int = 1,
        resolution: float = 1.0,
        reuse: str | None = None,
        renew: float | None = None,
        store: str | os.PathLike[str] | None = None,
        clip: Clip | None = None,
    ) -> None:
        self.attribution = Gradient() if attribution is None else attribution
        self.target = RandomTopClass() if target is None else target
        self.selection = Percentiles(0.1, 0.9) if selection is None else selection
        self.adjustments = AdjustmentSet([1, 2, 3, 4, 5, 6]) if adjustments is None else adjustments
        self.change = Constant() if change is None else change
        self.randomize = randomize
        self.share = share
        self.every = every
        self.resolution = resolution
        self.reuse = reuse
        self.renew = renew
        self.store = store
        self.clip = clip

    def __call__(
        self,
        model: Callable[[Tensor], Any],
        x: Tensor,
        y: Tensor | None,
        *,
        strength: float,
        criterion: Criterion | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Augment a batch.

        Parameters
        ----------
        model : nn.Module or callable
            Returns logits of shape (n, n_outputs). It is asked in evaluation mode and left
            without a trace.
        x : floating-point Tensor of shape (n, ...)
            Left unchanged.
        y : Tensor, array-like or None
            The labels, if the target needs them.
        strength : float
            The s of the papers, in the units of x.
        criterion : callable or None
            The loss, if the target needs it.
        generator : torch.Generator on the CPU
            Decides every draw.

        Returns
        -------
        Tensor of x's shape
            On x's device, detached. It is x itself if no sample is to be changed.

        Raises
        ------
        TypeError
            If x is not a tensor, the strength is not a number, or the generator is not a torch.Generator.
        ValueError
            If a parameter is not allowed, y does not hold one target per sample, the target does not fit the model,
            or the map does not fit the batch or is not finite.
        """
        validate_changed(self)
        require_batch(self, x, strength, generator)
        x, y = x.detach(), labelled(self, x, y)
        steps, rows = self._draw_moved(len(x), strength, generator, x.device)
        if len(steps) == 0:
            return x
        padding = model.padding if isinstance(model, FromLayer) else None
        if rows is None:
            chosen, attribution = x, self._attribute(model, x, y, criterion, generator)
        else:
            chosen, padding = x.index_select(0, rows), picked(padding, rows)
            if self._asks_whole():
                attribution = self._attribute(model, x, y, criterion, generator).index_select(0, rows)
            else:
                attribution = self._attribute(rows_of(model, rows), chosen, picked(y, rows), criterion, generator)
        return self._mover(chosen, attribution, steps, rows, padding, generator)(x.clone())

    def shift(
        self,
        rest: FromLayer,
        y: Tensor | None,
        *,
        strength: float,
        criterion: Criterion | None,
        generator: torch.Generator,
    ) -> Mover:
        """Augment a batch at a hidden layer, whose output is not computed for samples that stay as they are.

        Parameters
        ----------
        rest : FromLayer
            The network, seen from the layer.
        y : Tensor or None
        strength : float
        criterion : callable or None
        generator : torch.Generator on the CPU

        Returns
        -------
        callable
            Takes the layer's output, which may be written into, and returns it augmented. Padding is never changed.

        Raises
        ------
        ValueError
            If a parameter is not allowed, or the target or the layer does not fit the model.
        """
        validate_changed(self)
        steps, rows = self._draw_moved(rest.n_samples, strength, generator, rest.device)
        if len(steps) == 0:
            return lambda output: output
        asked_rows, picked_rows = (None, rows) if self._asks_whole() else (rows, None)
        if asked_rows is not None:
            rest, y = rest.rows(asked_rows), picked(y, asked_rows)
        if type(self.attribution) is Gradient and type(self.change) is Constant and self.resolution == 1:
            # All that matters of the features is their gradient, which needs no pass of their own.
            x = self.attribution.at_layer(rest, y, target=self.target, criterion=criterion, generator=generator)
            attribution = x
        else:
            x = rest.features(getattr(self.attribution, "mode", "eval"), generator)
            attribution = self._attribute(rest, x, y, criterion, generator)
        require_samples(x, rest.n_samples, rest.layer)
        padding = rest.padding
        if picked_rows is not None:
            x, attribution = x.index_select(0, picked_rows), attribution.index_select(0, picked_rows)
            padding = picked(padding, picked_rows)
        return self._mover(x, attribution, steps, rows, padding, generator)

    def _asks_whole(self) -> bool:
        """Return whether samples that stay are asked about too: in training mode, BatchNorm's statistics are theirs."""
        return getattr(self.attribution, "mode", "eval") == "train"

    def _draw_moved(
        self, n_samples: int, strength: float, generator: torch.Generator, device: torch.device
    ) -> tuple[Tensor, Tensor | None]:
        """Return the steps of the samples that move, and which they are; None if all of them do."""
        steps = self._draw(n_samples, strength, generator)
        moved = steps.any(dim=1).nonzero().squeeze(1)
        if len(moved) == n_samples:
            return steps, None
        # The draw is known on the CPU, so a GPU gets the indices without being waited for.
        return steps[moved], moved.to(device, non_blocking=True)

    def _draw(self, n_samples: int, strength: float, generator: torch.Generator) -> Tensor:
        """Return each sample's step a category, shape (n, n_categories), on the CPU."""
        if self.every > 1 and torch.randint(self.every, (), generator=generator):
            return torch.zeros(n_samples, self.selection.n_categories)
        steps = self.adjustments.draw(n_samples, self.selection.n_categories, generator) * strength
        if self.randomize:
            steps *= torch.randn(n_samples, 1, generator=generator).abs()
        if self.share < 1:
            steps[torch.randperm(n_samples, generator=generator)[round(self.share * n_samples) :]] = 0
        return steps

    def _mover(
        self,
        x: Tensor,
        attribution: Tensor,
        steps: Tensor,
        rows: Tensor | None,
        padding: Tensor | None,
        generator: torch.Generator,
    ) -> Mover:
        """Return what moves a batch, given its samples that move, their maps, and where in them there is padding."""
        attribution = attribution.detach()
        by_category = steps.to(device=x.device, dtype=x.dtype, non_blocking=True)
        categories = self.selection.sort(attribution, wanted=differing(by_category), padding=padding)
        return self._moving(x, attribution, categories, by_category, rows, padding, generator)

    def _moving(
        self,
        x: Tensor,
        attribution: Tensor,
        categories: Categories,
        by_category: Tensor,
        rows: Tensor | None,
        padding: Tensor | None,
        generator: torch.Generator,
    ) -> Mover:
        """Return what moves samples by the steps of their categories."""
        by_category = categories.silenced(by_category)
        order = self._order(x, padding, generator)
        if order is not None:
            categories, attribution = categories.permuted(order), attribution.flatten(1).gather(1, order)
        if type(self.change) is Constant:
            return clipping(partial(categories.move, by_category=by_category, rows=rows, still=padding), self.clip)
        step = self.change(x.reshape(len(x), -1), attribution.reshape(len(x), -1), categories.steps(by_category))
        return clipping(partial(moved, shaped(step, x, padding, self.change), rows), self.clip)

    def _order(self, x: Tensor, padding: Tensor | None, generator: torch.Generator) -> Tensor | None:
        """Return from which feature each takes its category, (n, n_features); None: from itself."""
        return None

    def _attribute(
        self,
        model: Callable[[Tensor], Any],
        x: Tensor,
        y: Tensor | None,
        criterion: Criterion | None,
        generator: torch.Generator,
    ) -> Tensor:
        asked: dict[str, Any] = {"target": self.target, "criterion": criterion, "generator": generator}
        if self.resolution == 1:
            return attributed(self.attribution, model, x, y, **asked)
        channel_axis = channel_axis_of(model)
        return stretched(
            attributed(self.attribution, model, scaled(x, self.resolution, channel_axis), y, **asked), x, channel_axis
        )

    def recall(
        self,
        memory: CategoryMemory,
        index: Tensor,
        x: Tensor,
        *,
        strength: float,
        generator: torch.Generator,
        padding: Tensor | None = None,
    ) -> Mover:
        """Augment a batch by the categories of its samples' last visit: ``reuse="epoch"``.

        Parameters
        ----------
        memory : CategoryMemory
            Allocated for x's features.
        index : int64 Tensor of shape (n,)
            The samples' numbers.
        x : floating-point Tensor of shape (n, ...)
        strength : float
        generator : torch.Generator on the CPU
        padding : bool Tensor, default=None
            True where a sample has padding, which does not change; x's shape but for the last axis.

        Returns
        -------
        callable
            Takes x, which may be written into, and returns it augmented. Samples that are visited for the first
            time stay as they are.
        """
        steps = self._draw(len(x), strength, generator)
        categories, known = memory.recall(index)
        by_category = (steps * known.unsqueeze(1)).to(device=x.device, dtype=x.dtype, non_blocking=True)
        x = x.detach()  # in the place of maps, which are not kept: no change that is allowed looks at them
        return self._moving(x, x, categories.to(x.device), by_category, None, padding, generator)

    def renews(self, memory: CategoryMemory, index: Tensor, generator: torch.Generator, *, dear: bool = False) -> bool:
        """Return whether a batch's categories are to be kept, in place of those of its last visit.

        Parameters
        ----------
        memory : CategoryMemory
        index : int64 Tensor of shape (n,)
        generator : torch.Generator on the CPU
        dear : bool, default=False
            Whether the gradient at the features is a cost of its own.

        Returns
        -------
        bool
        """
        share = (RENEWED_WHERE_DEAR if dear else 1) if self.renew is None else self.renew
        if share == 1 or bool(torch.rand((), generator=generator) < share):
            return True
        return not memory.knows(index)

    def keep(self, memory: CategoryMemory, index: Tensor, gradient: Tensor, *, padding: Tensor | None = None) -> None:
        """Keep the categories of a batch for its next visit.

        A sample whose gradient is not finite, as happens in mixed precision, will not move then.

        Parameters
        ----------
        memory : CategoryMemory
        index : int64 Tensor of shape (n,)
        gradient : Tensor of shape (n, ...)
            Of the loss, at the augmented input; any positive multiple will do.
        padding : bool Tensor, default=None
            True where a sample has padding; the gradient's shape but for the last axis.
        """
        gradient = gradient.detach()
        if not finite(gradient):
            unsound = ~finite_samples(gradient)
            gradient = gradient.index_fill(0, unsound.nonzero().squeeze(1), 0)
        memory.keep(index, self.selection.sort(gradient, padding=padding))

    def _check_consistency(self) -> None:
        """Raise a ValueError if the adjustments do not match the selection, or nothing can be reused."""
        self.adjustments.table(n_categories(self.selection))
        check_clip(self.clip)
        for name in ("attribution", "target"):
            if isinstance(getattr(self, name), type):
                kind = getattr(self, name).__name__
                raise ValueError(f"{name}={kind} is a class: make an instance of it, {name}={kind}().")
        if self.reuse is None:
            if self.renew is not None:
                raise ValueError(f'renew={self.renew!r} has no effect without reuse="epoch": set it to None.')
            return
        if self.store is not None and not Path(self.store).is_dir():
            raise ValueError(f"store={self.store!r} is no folder: make it first, or set store=None to use memory.")
        if type(self.attribution) is not Gradient or not isinstance(self.target, Loss):
            raise ValueError(
                'reuse="epoch" takes the gradient of the loss that training computes: set attribution=Gradient() and '
                f"target=Loss(); got {self.attribution!r} and {self.target!r}."
            )
        if isinstance(self.selection, Cutoff) and self.selection.values != (0.0,):
            raise ValueError(
                f'reuse="epoch" sees gradients of the mean over a batch, so {self.selection!r} would depend on the '
                "batch size. Use Cutoff(0) or Percentiles."
            )
        if isinstance(self.change, Proportional):
            raise ValueError('reuse="epoch" keeps categories, not sizes: change=Proportional() needs reuse=None.')
        if self.resolution != 1:
            raise ValueError('reuse="epoch" asks for no maps, so resolution has no effect: set it to 1.')
