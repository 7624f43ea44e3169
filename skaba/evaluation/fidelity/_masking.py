"""The engine of this room: many masked variants of many samples, asked about a bounded number of rows at a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypedDict

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from skaba._validation import unknown_name, validate_parameters
from skaba.attribution import IBA
from skaba.evaluation._components import includes
from skaba.evaluation.fidelity._fills import Filler, check_fill, filler
from skaba.evaluation.fidelity._followed import Followed
from skaba.evaluation.fidelity._parts import Part, Parts
from skaba.evaluation.fidelity._units import (
    Ranked,
    Units,
    as_masks,
    broadcastable,
    is_constant,
    places,
    ranked_by,
    ranks,
    units_of,
)

Plan = Callable[[Ranked], tuple[Tensor, Tensor]]
"""Takes what the maps say of the units of m samples; returns two integer tensors (m, k), low and high.

Variant j of sample i masks the units at the places low[i, j] to high[i, j] - 1 of the order, the most important first.
"""

Read = Callable[[Tensor, Tensor], Tensor]
"""Takes scores (r, n_outputs) and the column that each row's sample is followed by; returns (r,) values."""


class MaskingOptions(TypedDict, total=False):
    """The keyword arguments that :class:`Masking` takes."""

    unit: str
    window: int
    reduction: str
    fill: str | float
    batch_size: int
    random_state: int


@dataclass(frozen=True)
class Masking:
    """How samples are masked: what every function of ``skaba.evaluation.fidelity`` takes as keyword arguments.

    Parameters
    ----------
    unit : {"position", "feature"}, default="position"
        What is masked at a time. A position is a pixel, a time step of all leads or a word, with all its
        channels; a feature is a single value, such as one lead at one time. Of a table, (n, n_features),
        either is a column.
    window : int, default=1
        Positions along each spatial axis that are masked together: squares of an image, stretches of a series.
        The last ones may be smaller. It must not be larger than the samples.
    reduction : {"sum", "abs"}, default="sum"
        How a map becomes one importance per unit: the sum of its values over channels and window, which keeps
        evidence and counter-evidence apart, or the sum of their absolute values.
    fill : float or {"zero", "mean", "sample_mean", "region_mean", "random", "blur"}, default="zero"
        What takes a masked unit's place: a number; ``"mean"``, that of the channel (of a table: the column) over all
        samples; ``"sample_mean"``, that of the channel over the sample; ``"region_mean"``, that of the channel over the
        masked unit itself, which takes a window; ``"random"``, normal noise with the channel's mean and
        standard deviation, drawn once per sample; ``"blur"``, the sample smoothed by a Gaussian whose deviation is an
        eighth of its shortest spatial axis. Padding counts in no mean.
    batch_size : int, default=64
        Masked variants in one pass through the estimator, which bounds the memory. It changes no result but by
        rounding. A CPU's caches hold about so many small images; a GPU is faster with more.
    random_state : int, default=0
        Decides ties, noise and draws of the attribution method.

    Raises
    ------
    ValueError
        If a parameter is not allowed.

    Notes
    -----
    Units of one importance come in random order, so a constant map counts as a random one; a warning says so.
    Padding of a text at an embedding is never masked: shares are those of its words.

    Examples
    --------
    >>> from skaba.evaluation.fidelity import Masking
    >>> Masking(fill="mean").unit
    'position'
    """

    unit: str = "position"
    window: int = 1
    reduction: str = "sum"
    fill: str | float = "zero"
    batch_size: int = 64
    random_state: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (("unit", ("position", "feature")), ("reduction", ("sum", "abs"))):
            if getattr(self, name) not in allowed:
                raise ValueError(unknown_name(name, str(getattr(self, name)), allowed))
        for name, lowest in (("window", 1), ("batch_size", 1), ("random_state", 0)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or value < lowest:
                raise ValueError(f"{name}={value!r} must be an integer of at least {lowest}.")
        check_fill(self.fill)


@dataclass(frozen=True)
class Measured:
    """What came of a plan.

    Parameters
    ----------
    values : ndarray of shape (n, k)
    targets : ndarray of shape (n,)
        The column that each sample is followed by.
    """

    values: NDArray[np.float64]
    targets: NDArray[np.int64]


def of_target(scores: Tensor, targets: Tensor) -> Tensor:
    """Read the score that is followed."""
    return scores.gather(1, targets.unsqueeze(1)).squeeze(1)


def measure(
    parts: Parts,
    attribution: Any,
    targets: ArrayLike | None,
    masking: Masking,
    plan: Plan,
    read: Read = of_target,
    *,
    takes_masks: bool = False,
) -> Measured:
    """Mask samples by a plan, in the order of their maps, and read the scores.

    Parameters
    ----------
    parts : Parts
    attribution : callable or array-like
        A method, or the maps of all samples.
    targets : array-like of shape (n,) or None
        By default the column of the highest score of the unmasked sample.
    masking : Masking
    plan : callable
    read : callable
    takes_masks : bool, default=False
        Whether the plan asks of binary masks only which units they mark, and needs no order among these.
    """
    probe = _Probe(parts, attribution, targets, masking, plan, read, takes_masks)
    values = np.asarray(parts.each(probe), dtype=np.float64)
    if probe.n_constant:
        warnings.warn(
            f"The maps of {probe.n_constant} of {parts.n_samples} samples are constant: they rank nothing. Where an "
            "order is needed, their units come in random order.",
            stacklevel=3,
        )
    return Measured(values, np.concatenate(probe.targets))


class _Probe:
    """Measures part after part, and keeps what is drawn once for all of them."""

    def __init__(
        self,
        parts: Parts,
        attribution: Any,
        targets: ArrayLike | None,
        masking: Masking,
        plan: Plan,
        read: Read,
        takes_masks: bool,
    ) -> None:
        self.masking, self.plan, self.read, self.takes_masks = masking, plan, read, takes_masks
        self.criterion, self.task = parts.criterion, parts.task
        self.attribution = _checked_attribution(attribution, parts.n_samples)
        are_given = takes_masks and isinstance(self.attribution, np.ndarray)
        self.masks = as_masks(torch.as_tensor(self.attribution)) if are_given else None
        self.given = None if targets is None else _checked_targets(targets, parts.n_samples)
        # Streams of their own: how samples are split into parts must not decide what is drawn.
        ties, noise, method = np.random.SeedSequence(int(masking.random_state)).spawn(3)
        self.ties = np.random.default_rng(ties)
        self.generator = torch.Generator().manual_seed(int(method.generate_state(1)[0]))
        self.fill: Filler = filler(masking.fill, parts, np.random.default_rng(noise))
        self.targets: list[NDArray[np.int64]] = []
        self.n_constant = 0

    def __call__(self, part: Part) -> Tensor:
        scores = self._unmasked(part)
        targets = self._targets(part, scores)
        units = units_of(part, self.masking.unit, self.masking.window)
        maps = self._maps(part, targets)
        ranked = ranked_by(maps, self._masks(part, maps), part, units, self.masking.reduction)
        if ranked.full is None:
            self.n_constant += int(is_constant(ranked.values, units).sum())
        rank = ranks(ranked.values, units, self.ties)
        low, high = self.plan(ranked)
        columns, back = torch.unique(torch.stack([low, high]), dim=2, return_inverse=True)
        return self._masked(part, units, rank, columns, self.read(scores, targets), targets)[:, back]

    def _unmasked(self, part: Part) -> Tensor:
        index = torch.arange(len(part.x), device=part.x.device)
        chunks = torch.split(index, self.masking.batch_size)
        with part.asking():
            return _finite(torch.cat([part.ask(part.x.index_select(0, chunk), chunk) for chunk in chunks]))

    def _targets(self, part: Part, scores: Tensor) -> Tensor:
        if self.given is None:
            targets = scores.argmax(dim=1)
        else:
            targets = torch.as_tensor(self.given[part.start : part.start + len(part.x)], device=scores.device)
            if targets.max() >= scores.shape[1]:
                raise ValueError(
                    f"targets holds {int(targets.max())}, but there are {scores.shape[1]} columns of scores."
                )
        self.targets.append(targets.cpu().numpy())
        return targets

    def _maps(self, part: Part, targets: Tensor) -> Tensor:
        """Return the maps of a part, asked for if there are none yet."""
        if isinstance(self.attribution, np.ndarray):
            return torch.as_tensor(self.attribution[part.start : part.start + len(part.x)], device=part.x.device)
        if part.model is None:
            raise ValueError("An attribution method needs a network (a skaba estimator or an nn.Module): pass maps.")

        target = Followed(targets, self.task if includes(self.attribution, IBA) else "classes")
        answer = self.attribution(
            part.model, part.x, None, target=target, criterion=self.criterion, generator=self.generator
        )
        if not isinstance(answer, (Tensor, np.ndarray)) or answer.shape[:1] != part.x.shape[:1]:
            got = f"shape {tuple(answer.shape)}" if hasattr(answer, "shape") else f"a {type(answer).__name__}"
            raise ValueError(
                f"The attribution method returned {got} for {len(part.x)} samples; it must return a tensor of maps, "
                "one a sample."
            )
        maps = torch.as_tensor(answer, device=part.x.device).detach().double()  # NumPy has no bfloat16
        _check_finite(maps.cpu().numpy(), part.start)
        return maps

    def _masks(self, part: Part, maps: Tensor) -> Tensor | None:
        """Return what the maps of a part mark, if they are binary masks and the plan takes these."""
        if not self.takes_masks:
            return None
        if not isinstance(self.attribution, np.ndarray):
            return as_masks(maps)
        return None if self.masks is None else self.masks[part.start : part.start + len(part.x)].to(maps.device)

    def _masked(
        self, part: Part, units: Units, rank: Tensor, columns: Tensor, unmasked: Tensor, targets: Tensor
    ) -> Tensor:
        """Return what is read of every variant, (m, k); one that masks nothing is not asked about again."""
        (low, high), fill = columns.float(), self.fill(part, units)
        place, fills = places(rank, units), bool(fill.any())
        values, masks = unmasked.unsqueeze(1).repeat(1, low.shape[1]), low < high
        if not masks.any():
            return values
        rows = masks.nonzero()[:, 0], low[masks].unsqueeze(1), high[masks].unsqueeze(1) - 1
        skips = bool(low.any())
        found = []
        with part.asking():
            for index, first, last in zip(*(each.split(self.masking.batch_size) for each in rows), strict=True):
                here = place.index_select(0, index)
                # Places are whole numbers, so this is 1 before the first and after the last, 0 between, and exact.
                # On a CPU it is several times faster than comparing, and products are faster than torch.where.
                kept = (here - last).clamp_(0, 1)
                if skips:
                    kept.add_((first - here).clamp_(0, 1))
                kept = broadcastable(kept, units, part).to(part.x.dtype)
                changed = part.x.index_select(0, index).mul_(kept)
                if fills:
                    changed.addcmul_(1 - kept, fill if len(fill) == 1 else fill.index_select(0, index))
                scores = _finite(part.ask(changed, index))
                found.append(self.read(scores, targets[index]))
        values[masks] = torch.cat(found)
        return values


def _finite(scores: Tensor) -> Tensor:
    if not torch.isfinite(scores).all():
        raise ValueError("The estimator returned scores that are no finite numbers: there is nothing to follow.")
    return scores


def _checked_attribution(attribution: Any, n_samples: int) -> Any:
    """Return a method as it is, or maps as an array."""
    if isinstance(attribution, type):
        raise ValueError(
            f"attribution={attribution.__name__} is a class: make a method of it, {attribution.__name__}()."
        )
    if callable(attribution) and not isinstance(attribution, Tensor):
        validate_parameters(attribution)
        return attribution
    if isinstance(attribution, Tensor):
        attribution = attribution.detach()
        attribution = (attribution.float() if attribution.dtype == torch.bfloat16 else attribution).cpu().numpy()
    maps = np.asarray(attribution)
    if maps.dtype.kind not in "fiub":
        raise ValueError(f"attribution={attribution!r} must be an attribution method or an array of maps.")
    if maps.ndim < 2 or len(maps) != n_samples:
        raise ValueError(f"The maps have shape {maps.shape} for {n_samples} samples; pass one per sample, (n, ...).")
    _check_finite(maps, 0)
    return maps


def _check_finite(maps: NDArray[Any], start: int) -> None:
    finite = np.isfinite(maps.reshape(len(maps), -1)).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"The maps hold NaN or infinity in {(~finite).sum()} of {len(maps)} samples, the first of them sample "
            f"{start + int(finite.argmin())}: they rank nothing. Drop these samples, or use another method."
        )


def _checked_targets(targets: ArrayLike, n_samples: int) -> NDArray[np.int64]:
    columns = np.asarray(targets)
    if columns.shape != (n_samples,) or columns.dtype.kind not in "iu" or (columns < 0).any():
        raise ValueError(
            f"targets must hold one column of the scores a sample, {n_samples} whole numbers from 0 on; got "
            f"{columns.dtype} of shape {columns.shape}."
        )
    return columns.astype(np.int64)
