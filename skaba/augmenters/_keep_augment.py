"""KeepAugment: an augmentation that leaves alone what the network looks at."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from skaba._validation import validate_parameters
from skaba.attribution import Gradient, TrueClass, protected
from skaba.augmenters._batches import labelled, require_batch
from skaba.augmenters._calling import NO_UNIT, augmented_by, default_strength, require_inner
from skaba.augmenters._clipping import CLIP_CONSTRAINT, Clip, check_clip, clipped
from skaba.augmenters._erasing import boxes, require_places
from skaba.augmenters._percentiles import Percentiles
from skaba.network import (
    channel_axis_of,
    described,
    finite,
    generator_on,
    positions,
    rows_of,
    scaled,
    stretched,
    to_channels,
)


class KeepAugment(BaseEstimator):
    """Augment a sample everywhere but in a region that matters to the network.

    The opposite of :class:`ABA`: there attribution says what is changed, here what is kept. All regions of one
    size are scored by the sum of the map's absolute values, of each place the largest among its channels.
    One is drawn uniformly from those that score high (``variant="paste"``) or low (``"cut"``).

    Parameters
    ----------
    augmentation : callable
        An augmenter, such as ``RandomErasing()``, or any function that takes a batch and returns it augmented,
        such as kornia's or torchvision's. What it draws from Python's, NumPy's and torch's global random states
        is decided by the estimator's ``random_state``, and the states are left as they were.
    variant : {"paste", "cut"}, default="paste"
        ``"paste"``, selective paste: the whole sample is augmented, and a region that matters is pasted back.
        ``"cut"``, selective cut: only a region that does not matter is augmented.
        ``KeepAugment(torch.zeros_like, variant="cut")`` is KeepCutout.
    size : float, default=0.5
        The region's share of each spatial axis.
    quantile : float, default=0.6
        How high a region has to score to be pasted, or may score to be cut, as a quantile of the scores of all
        regions of the sample.
    resolution : float, default=1.0
        Below 1, maps are asked at this share of each spatial axis, on an averaged input, and stretched. Cost
        falls with the number of places; the network must take inputs of any size.
    attribution : callable, default=None
        The method, by default ``Gradient()``.
    target : callable, default=None
        What is explained, by default ``TrueClass()``. Several labels and real targets have no true class: there
        set ``Loss()``.
    probability : float, default=1.0
        Probability that a sample is augmented. No map is computed for the others.
    clip : (low, high), default=None
        A range that augmentation does not leave: numbers, or arrays that broadcast to a sample. A feature that lies
        outside already is not moved further away. None sets no range.

    Notes
    -----
    The strength is that of the augmentation inside, and so are its unit and its default. A function of the batch
    alone has none: it is applied at any strength but 0.

    Regions are drawn for each sample anew. Scores equal to the quantile count both as high and as low, so a
    map without differences (a network that ignores its input) makes every region eligible.

    The paper's other saving, maps from the loss of an additional early output, needs a network that has one: pass
    an ``attribution`` that asks it.

    References
    ----------
    Gong et al. (2021), "KeepAugment: A Simple Information-Preserving Data Augmentation Approach", CVPR,
    section 3. The region's size and the quantile are this library's defaults; 0.5 is Cutout's 16 of 32 pixels.

    Examples
    --------
    Everything becomes 0 but the half that the network looks at:

    >>> import torch
    >>> from skaba.augmenters import KeepAugment
    >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2))
    >>> with torch.no_grad():
    ...     _ = model[1].weight.copy_(torch.tensor([[0.0, 0.0, 3.0, 3.0], [0.0, 0.0, 1.0, 1.0]]))
    >>> keep, x = KeepAugment(torch.zeros_like, quantile=0.99), torch.ones(1, 1, 4)
    >>> keep(model, x, torch.tensor([0]), strength=1, criterion=None, generator=torch.Generator())
    tensor([[[0., 0., 1., 1.]]])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "variant": [StrOptions({"paste", "cut"})],
        "size": [Interval(Real, 0, 1, closed="neither")],
        "quantile": [Interval(Real, 0, 1, closed="neither")],
        "resolution": [Interval(Real, 0, 1, closed="right")],
        "attribution": [callable],
        "target": [callable],
        "probability": [Interval(Real, 0, 1, closed="both")],
        "clip": CLIP_CONSTRAINT,
    }

    def __init__(
        self,
        augmentation: Callable[..., Any],
        variant: str = "paste",
        size: float = 0.5,
        quantile: float = 0.6,
        resolution: float = 1.0,
        attribution: Callable[..., Tensor] | None = None,
        target: Callable[..., Any] | None = None,
        probability: float = 1.0,
        clip: Clip | None = None,
    ) -> None:
        self.augmentation = augmentation
        self.variant = variant
        self.size = size
        self.quantile = quantile
        self.resolution = resolution
        self.attribution = Gradient() if attribution is None else attribution
        self.target = TrueClass() if target is None else target
        self.probability = probability
        self.clip = clip

    @property
    def default_strength(self) -> float:
        """That of the augmentation inside."""
        return default_strength(self.augmentation)

    @property
    def strength_unit(self) -> str:
        """That of the augmentation inside."""
        return str(getattr(self.augmentation, "strength_unit", NO_UNIT))

    def __call__(
        self,
        model: Callable[[Tensor], Any],
        x: Tensor,
        y: Tensor | None,
        *,
        strength: float,
        criterion: Any,
        generator: torch.Generator,
    ) -> Tensor:
        """Augment a batch, and keep what matters.

        Parameters
        ----------
        model : nn.Module or callable
            Returns logits of shape (n, n_outputs). It is asked in evaluation mode and left without a trace.
        x : floating-point Tensor of shape (n, channels, height, width) or (n, channels, length)
            Left unchanged.
        y : Tensor, array-like or None
            The labels, if the target needs them.
        strength : float
            Of the augmentation inside.
        criterion : callable or None
            The loss, if the target needs it.
        generator : torch.Generator on the CPU
            Decides every draw.

        Returns
        -------
        Tensor of x's shape
            Detached.

        Raises
        ------
        ValueError
            If a parameter is not allowed, samples are neither images nor series, or the augmentation or the
            attribution does not keep their shape.
        """
        validate_parameters(self)
        require_batch(self, x, strength, generator)
        require_places("KeepAugment", x)
        x, y = x.detach(), labelled(self, x, y)
        if strength == 0 or len(x) == 0:
            return x
        asked: dict[str, Any] = {"strength": strength, "criterion": criterion, "generator": generator}
        if self.probability == 1:
            return clipped(self._augmented(model, x, y, **asked), x, self.clip)
        rows = (torch.rand(len(x), generator=generator) < self.probability).nonzero().squeeze(1).to(x.device)
        if len(rows) == 0:
            return x
        own = self._augmented(rows_of(model, rows), x[rows], None if y is None else y[rows], **asked)
        return clipped(x.index_copy(0, rows, own), x, self.clip)

    def _augmented(
        self, model: Callable[[Tensor], Any], x: Tensor, y: Tensor | None, *, strength: float, **asked: Any
    ) -> Tensor:
        """Augment all samples of a batch."""
        channel_axis = channel_axis_of(model)
        attribution = self._attribute(model, x, y, channel_axis, asked)
        importance = attribution.abs().amax(dim=channel_axis)
        region = to_channels(self._region(importance, asked["generator"]), x, channel_axis)
        changed = augmented_by(self.augmentation, model, x, y, strength=strength, **asked)
        return torch.where(region, x, changed) if self.variant == "paste" else torch.where(region, changed, x)

    def _attribute(
        self, model: Callable[[Tensor], Any], x: Tensor, y: Tensor | None, channel_axis: int, asked: dict[str, Any]
    ) -> Tensor:
        if self.resolution == 1:
            return self._checked(self._asked(model, x, y, asked), x, channel_axis)
        small = scaled(x, self.resolution, channel_axis)
        map_ = self._checked(self._asked(model, small, y, asked), small, channel_axis)
        return stretched(map_, x, channel_axis)

    def _asked(self, model: Callable[[Tensor], Any], x: Tensor, y: Tensor | None, asked: dict[str, Any]) -> Any:
        return self.attribution(model, protected(x, self.attribution), y, target=self.target, **asked)

    def _checked(self, map_: Any, x: Tensor, channel_axis: int) -> Tensor:
        """Return a map if it has all places of the samples; it may have a single channel."""
        is_map = isinstance(map_, Tensor) and map_.dim() == x.dim() and map_.device == x.device
        if not is_map or positions(map_, channel_axis) != positions(x, channel_axis):
            raise ValueError(
                f"attribution={self.attribution!r} returned {described(map_)} for samples of shape {tuple(x.shape)} on "
                f"{x.device}; its maps must be a torch.Tensor with the same places."
            )
        if not finite(map_):
            raise ValueError(f"attribution={self.attribution!r} returned maps with NaN or infinity.")
        checked: Tensor = map_
        return checked

    def _region(self, importance: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a region of each sample: bool, of the shape (n, *places) of what matters how much."""
        places = importance.shape[1:]
        size = [max(1, round(self.size * length)) for length in places]
        sums = importance
        for axis, length in enumerate(size, start=1):
            sums = sums.unfold(axis, length, 1).sum(dim=-1)
        scores = sums.flatten(1)
        (boundary,) = Percentiles(self.quantile).boundaries(scores)
        eligible = scores >= boundary if self.variant == "paste" else scores <= boundary
        draws = torch.rand(scores.shape, generator=generator_on(scores.device, generator), device=scores.device)
        drawn = draws.masked_fill(~eligible, -1).argmax(dim=1)
        start = torch.stack(torch.unravel_index(drawn, sums.shape[1:]), dim=1)
        return boxes(start, torch.tensor(size, device=start.device), places)

    def _check_consistency(self) -> None:
        """Raise a ValueError if the augmentation cannot be used, or for a class in place of an instance."""
        check_clip(self.clip)
        require_inner("augmentation", self.augmentation)
        for name in ("attribution", "target"):
            if isinstance(getattr(self, name), type):
                kind = getattr(self, name).__name__
                raise ValueError(f"{name}={kind} is a class: make an instance of it, {name}={kind}().")
