"""KeepAugment: augmentation outside the region that matters to the network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar

import torch
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from skaba.attribution import Gradient, TrueClass, protected
from skaba.augmenters._adapters import as_augmenter, replacing, require_inner
from skaba.augmenters._augmenter import Augmenter
from skaba.augmenters._batch import Batch
from skaba.augmenters._clipping import CLIP_CONSTRAINT, Clip, Mover
from skaba.augmenters._erasing import boxes, require_places
from skaba.augmenters.aba._by_category import check_parts
from skaba.augmenters.aba._percentiles import Percentiles
from skaba.network import described, finite, generator_on, positions, scaled, stretched, to_channels


class KeepAugment(Augmenter):
    """Augment a sample outside a region that matters to the network.

    :class:`ABA` changes features according to their attribution; KeepAugment keeps features according to it. The
    importance of a place is the largest absolute value of the map among its channels, and the score of a region is the
    sum over its places. One region per sample is drawn uniformly from all regions of one size whose score is high
    (``variant="paste"``) or low (``"cut"``).

    Parameters
    ----------
    augmentation : callable
        An augmenter, such as ``RandomErasing()``, or any function that takes a batch and returns it augmented, such as
        kornia's or torchvision's. Such a function may draw from the global random states of Python, NumPy and torch:
        in its call they are seeded by the estimator's ``random_state``, and restored afterwards.
    variant : {"paste", "cut"}, default="paste"
        With ``"paste"`` (selective paste) the whole sample is augmented, and a region that matters is pasted back.
        With ``"cut"`` (selective cut) only a region that does not matter is augmented;
        ``KeepAugment(torch.zeros_like, variant="cut")`` is KeepCutout.
    size : float, default=0.5
        The length of the region as a share of each spatial axis.
    quantile : float, default=0.6
        The quantile of the scores of a sample's regions that a region must reach to be pasted, or must not exceed to be
        cut.
    resolution : float, default=1.0
        Below 1, maps are computed on an input that is averaged to this share of each spatial axis, and stretched. The
        cost falls with the number of places; the network must take inputs of any size.
    attribution : callable, default=None
        The attribution method, by default ``Gradient()``.
    target : callable, default=None
        The value that is explained, by default ``TrueClass()``. Multi-label and regression targets have no true class:
        use ``Loss()`` for them.
    probability : float, default=1.0
        The probability that a sample is augmented. No map is computed for the others.
    clip : (low, high), default=None
        The range that augmentation must not leave: numbers, or arrays that broadcast to a sample. A feature outside the
        range is not moved further away. None means no range.

    Notes
    -----
    The strength, its unit and its default are those of the inner augmentation. A function of the batch alone has no
    strength: it is applied at any strength greater than 0.

    A score equal to the quantile counts both as high and as low. So if all scores are equal, as for a network that
    ignores its input, every region can be drawn.

    The paper also computes cheaper maps, from the loss of an additional early output. This needs a network that has
    one: pass an ``attribution`` that uses it.

    References
    ----------
    Gong et al. (2021), "KeepAugment: A Simple Information-Preserving Data Augmentation Approach", CVPR,
    section 3. The defaults of ``size`` and ``quantile`` are this library's; 0.5 is Cutout's 16 of 32 pixels.

    Examples
    --------
    Everything is set to 0 except for the half that the network uses:

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
    def default_strength(self) -> float:  # type: ignore[override]
        """That of the inner augmentation."""
        return as_augmenter(self.augmentation).default_strength

    @property
    def strength_unit(self) -> str:  # type: ignore[override]
        """That of the inner augmentation."""
        return as_augmenter(self.augmentation).strength_unit

    @property
    def largest_strength(self) -> float:  # type: ignore[override]
        """That of the inner augmentation."""
        return as_augmenter(self.augmentation).largest_strength

    @property
    def uses_mask(self) -> bool:  # type: ignore[override]
        """Whether the inner augmentation uses masks."""
        return bool(getattr(self.augmentation, "uses_mask", False))

    def _plan(self, batch: Batch, strength: float) -> Mover | None:
        x = batch.features()
        require_places("KeepAugment", x)
        at = replace(batch, x=x)
        if self.probability == 1:  # no draw, as for a function in Compose
            return replacing(batch, x, self._augmented(at, strength))
        chosen = torch.rand(len(x), generator=batch.generator) < self.probability
        if not chosen.any():
            return None
        rows = chosen.nonzero().squeeze(1).to(x.device)
        return replacing(batch, x, x.index_copy(0, rows, self._augmented(at.rows(rows), strength)))

    def _augmented(self, batch: Batch, strength: float) -> Tensor:
        """Augment all samples of a batch."""
        x = batch.features()
        importance = self._attribute(batch).abs().amax(dim=batch.channel_axis)
        region = to_channels(self._region(importance, batch.generator), x, batch.channel_axis)
        plan = as_augmenter(self.augmentation).plan(batch, strength)
        if plan.y is not batch.y:
            raise ValueError(
                f"KeepAugment cannot keep a part of samples whose targets change: use {self.augmentation!r} alone, or "
                "in Compose."
            )
        changed = x if plan.move is None else plan.move(x.clone())
        return torch.where(region, x, changed) if self.variant == "paste" else torch.where(region, changed, x)

    def _attribute(self, batch: Batch) -> Tensor:
        """Return the samples' maps, which may have a single channel."""
        x = batch.features()
        if self.resolution == 1:
            return self._map(batch, x)
        return stretched(self._map(batch, scaled(x, self.resolution, batch.channel_axis)), x, batch.channel_axis)

    def _map(self, batch: Batch, x: Tensor) -> Tensor:
        arguments: dict[str, Any] = {"criterion": batch.criterion, "generator": batch.generator}
        # Not attributed(): a map with a single channel, such as Grad-CAM's, is enough for the importance of places.
        map_ = self.attribution(batch.model, protected(x, self.attribution), batch.y, target=self.target, **arguments)
        is_map = isinstance(map_, Tensor) and map_.dim() == x.dim() and map_.device == x.device
        if not is_map or positions(map_, batch.channel_axis) != positions(x, batch.channel_axis):
            raise ValueError(
                f"attribution={self.attribution!r} returned {described(map_)} for samples of shape {tuple(x.shape)} on "
                f"{x.device}; its maps must be a torch.Tensor with the same places."
            )
        if not finite(map_):
            raise ValueError(f"attribution={self.attribution!r} returned maps with NaN or infinity.")
        checked: Tensor = map_
        return checked

    def _region(self, importance: Tensor, generator: torch.Generator) -> Tensor:
        """Draw a region per sample, given the importance of each place: bool, (n, *places)."""
        places = importance.shape[1:]
        size = [max(1, round(self.size * length)) for length in places]
        # The sum over a box is a sum of sums along one axis after the other.
        sums = importance
        for axis, length in enumerate(size, start=1):
            sums = sums.unfold(axis, length, 1).sum(dim=-1)
        scores = sums.flatten(1)
        (boundary,) = Percentiles(self.quantile).boundaries(scores)
        eligible = scores >= boundary if self.variant == "paste" else scores <= boundary
        # The largest of independent draws is uniform among the eligible regions, with one draw call for all samples.
        draws = torch.rand(scores.shape, generator=generator_on(scores.device, generator), device=scores.device)
        drawn = draws.masked_fill(~eligible, -1).argmax(dim=1)
        start = torch.stack(torch.unravel_index(drawn, sums.shape[1:]), dim=1)
        return boxes(start, torch.tensor(size, device=start.device), places)

    def _check_consistency(self) -> None:
        """Raise a ValueError if the augmentation cannot be used, or a part is a class in place of an instance."""
        super()._check_consistency()
        require_inner("augmentation", self.augmentation)
        check_parts(self, "attribution", "target")
