"""Masking: many variants of many samples, scored a bounded number of rows at a time."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import StrOptions
from torch import Tensor
from torch.nn.functional import logsigmoid

from skaba._samples import readable
from skaba._targets import as_array
from skaba._validation import validate_parameters
from skaba.attribution import IBA, ClassScore
from skaba.evaluation._checks import COUNT, SEED, check_parameters
from skaba.evaluation._components import includes
from skaba.evaluation.fidelity._parts import Part, Parts, Task
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
from skaba.network import FILLS, FillSource, channel_moments, check_fill, fill_of

OFFERED = "moments", "regions"
"""The quantities that fills can be computed from in this module."""

Plan = Callable[[Ranked], tuple[Tensor, Tensor]]
"""Takes the ranked units of m samples; returns two integer tensors (m, k), low and high.

Variant j of sample i masks the units of ranks low[i, j] to high[i, j] - 1; the most important unit has rank 0.
"""

Read = Callable[[Tensor, Tensor], Tensor]
"""Takes scores (r, n_outputs) and, per row, the column to follow; returns values (r,)."""


@dataclass(frozen=True)
class Masking:
    """How samples are masked: the keyword arguments of every function of ``skaba.evaluation.fidelity``.

    Parameters
    ----------
    unit : {"position", "feature"}, default="position"
        What is masked at a time. A position is a pixel, a time step of all leads or a word, with all its
        channels; a feature is a single value, such as one lead at one time. For a table, (n, n_features),
        both are a column.
    window : int, default=1
        The number of positions along each spatial axis that are masked together: squares of an image, segments of a
        series. The last ones may be smaller. It must not be larger than the samples.
    reduction : {"sum", "abs"}, default="sum"
        How a map becomes one importance per unit: the sum of its values over channels and window, in which evidence
        and counter-evidence cancel out, or the sum of their absolute values.
    fill : float or str, default="zero"
        What replaces a masked unit: a number, or the name of one of ``skaba.network.FILLS``, whose statistics are then
        those of all samples; minimum and maximum are not known here. ``"random"`` is drawn once per sample, and
        ``"region_mean"`` needs a window. Padding does not count in any mean.
    batch_size : int, default=64
        Masked variants per pass through the estimator, which bounds the memory. It changes results by rounding only. A
        CPU's caches hold about so many small images; a GPU is faster with more.
    random_state : int, default=0
        Decides ties, noise and the random draws of the attribution method.

    Raises
    ------
    ValueError
        If a parameter is not allowed.

    Notes
    -----
    Units of equal importance come in random order, so a constant map counts as a random map; a warning says so.
    Padding of a text at an embedding is never masked: shares are shares of its words.

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
        check_parameters(
            "Masking",
            unit=(self.unit, [StrOptions({"position", "feature"})]),
            window=(self.window, COUNT),
            reduction=(self.reduction, [StrOptions({"sum", "abs"})]),
            batch_size=(self.batch_size, COUNT),
            random_state=(self.random_state, SEED),
        )
        check_fill(self.fill, OFFERED)


@dataclass(frozen=True)
class Followed:
    """The target of an attribution method: the followed column of the scores.

    Parameters
    ----------
    columns : int64 Tensor of shape (n,)
    task : {"classes", "labels", "values"}
        What a score stands for. With "classes" the target is the score itself, with "labels" the log-likelihood of the
        label, and with "values" minus the squared distance from the prediction. The last two are for IBA, which would
        turn the score of a class into a cross-entropy.
    """

    columns: Tensor
    task: Task

    def rows(self, index: Tensor) -> Followed:
        """Return the target of some of the samples, for methods that explain a batch in parts."""
        return Followed(self.columns[index], self.task)

    def __call__(self, logits: Tensor, y: Any, **_: Any) -> Callable[[Tensor], Tensor]:
        """Return the score as a function of logits, of which there may be several variants of each sample."""
        score = ClassScore(self.columns)
        if self.task == "classes":
            return score
        if self.task == "labels":
            return lambda logits: logsigmoid(score(logits))
        predicted = score(logits).detach()
        return lambda logits: -(score(logits).reshape(-1, len(predicted)) - predicted).square().flatten()


class Measured(NamedTuple):
    """The values that a plan's variants have, (n, k), and the column that was followed per sample, (n,)."""

    values: NDArray[np.float64]
    targets: NDArray[np.int64]


def of_target(scores: Tensor, targets: Tensor) -> Tensor:
    """Read the score that is followed."""
    return scores.gather(1, targets.unsqueeze(1)).squeeze(1)


@dataclass(eq=False)
class Probe:
    """Masks samples by a plan, in the order of their maps, and reads the scores.

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
        Whether the plan only needs to know which units a binary mask marks, not an order among them.
    """

    parts: Parts
    attribution: Any
    targets: ArrayLike | None
    masking: Masking
    plan: Plan
    read: Read = of_target
    takes_masks: bool = False

    def __post_init__(self) -> None:
        n_samples = self.parts.n_samples
        self.attribution = _checked_attribution(self.attribution, n_samples)
        are_given = self.takes_masks and isinstance(self.attribution, np.ndarray)
        self.masks = as_masks(torch.as_tensor(self.attribution)) if are_given else None
        self.given = None if self.targets is None else _checked_targets(self.targets, n_samples)
        # Three streams, so that the draws do not depend on how the samples are split into parts.
        ties, noise, method = np.random.SeedSequence(int(self.masking.random_state)).spawn(3)
        self.ties, self.noise = np.random.default_rng(ties), np.random.default_rng(noise)
        self.generator = torch.Generator().manual_seed(int(method.generate_state(1)[0]))
        # Statistics of all samples take a pass over them, so they are only computed for fills that need them.
        needs = FILLS[self.masking.fill].needs if isinstance(self.masking.fill, str) else ""
        self.statistics = _statistics(self.parts) if needs == "moments" else {}
        self.followed: list[NDArray[np.int64]] = []
        self.n_constant = 0

    def measure(self) -> Measured:
        """Return the values of all samples; warn of constant maps, in the name of the caller's caller."""
        values = np.asarray(self.parts.each(self._measure), dtype=np.float64)
        if self.n_constant:
            warnings.warn(
                f"The maps of {self.n_constant} of {self.parts.n_samples} samples are constant: they rank nothing. "
                "Where an order is needed, their units come in random order.",
                stacklevel=3,
            )
        return Measured(values, np.concatenate(self.followed))

    def _measure(self, part: Part) -> Tensor:
        scores = self._unmasked(part)
        targets = self._targets(part, scores)
        units = units_of(part, self.masking.unit, self.masking.window)
        maps = self._maps(part, targets)
        ranked = ranked_by(maps, self._masks(part, maps), part, units, self.masking.reduction)
        if ranked.full is None:  # units of binary masks need no order
            self.n_constant += int(is_constant(ranked.values, units).sum())
        rank = ranks(ranked.values, units, self.ties)
        low, high = self.plan(ranked)
        # Variants that several steps have in common, such as the sample with nothing masked, are scored once.
        columns, back = torch.unique(torch.stack([low, high]), dim=2, return_inverse=True)
        return self._masked(part, units, rank, columns, self.read(scores, targets), targets)[:, back]

    def _unmasked(self, part: Part) -> Tensor:
        index = torch.arange(len(part.x), device=part.x.device)
        chunks = torch.split(index, self.masking.batch_size)
        with part.asking():
            return _finite(torch.cat([part.score(part.x.index_select(0, chunk), chunk) for chunk in chunks]))

    def _targets(self, part: Part, scores: Tensor) -> Tensor:
        if self.given is None:
            targets = scores.argmax(dim=1)
        else:
            targets = torch.as_tensor(self.given[part.start : part.start + len(part.x)], device=scores.device)
            if targets.max() >= scores.shape[1]:
                raise ValueError(
                    f"targets holds {int(targets.max())}, but there are {scores.shape[1]} columns of scores."
                )
        self.followed.append(targets.cpu().numpy())
        return targets

    def _maps(self, part: Part, targets: Tensor) -> Tensor:
        """Return the maps of a part; a method is called for them."""
        if isinstance(self.attribution, np.ndarray):
            return torch.as_tensor(self.attribution[part.start : part.start + len(part.x)], device=part.x.device)
        if part.model is None:
            raise ValueError("An attribution method needs a network (a skaba estimator or an nn.Module): pass maps.")
        # Other methods explain the score that is followed; IBA needs a loss, see Followed.
        target = Followed(targets, self.parts.task if includes(self.attribution, IBA) else "classes")
        answer = self.attribution(
            part.model, part.x, None, target=target, criterion=self.parts.criterion, generator=self.generator
        )
        if not isinstance(answer, (Tensor, np.ndarray)) or answer.shape[:1] != part.x.shape[:1]:
            got = f"shape {tuple(answer.shape)}" if hasattr(answer, "shape") else f"a {type(answer).__name__}"
            raise ValueError(
                f"The attribution method returned {got} for {len(part.x)} samples; it must return a tensor of maps, "
                "one per sample."
            )
        answer = readable(answer, "attribution") if isinstance(answer, np.ndarray) else answer
        maps = torch.as_tensor(answer, device=part.x.device).detach().double()  # NumPy has no bfloat16
        _check_finite(maps.cpu().numpy(), part.start)
        return maps

    def _masks(self, part: Part, maps: Tensor) -> Tensor | None:
        """Return the binary masks of a part, or None if its maps are no masks or the plan does not take masks."""
        if not self.takes_masks:
            return None
        if not isinstance(self.attribution, np.ndarray):
            return as_masks(maps)
        return None if self.masks is None else self.masks[part.start : part.start + len(part.x)].to(maps.device)

    def _fill(self, part: Part, units: Units) -> Tensor:
        """Return the fill of a part: it broadcasts over x, and its first axis may be 1."""
        source = FillSource(part.x, part.channel_axis, part.padding, self.statistics.__getitem__, self._normal, units)
        return fill_of(self.masking.fill, source)

    def _normal(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.noise.standard_normal(tuple(x.shape)), device=x.device).to(x.dtype)

    def _masked(
        self, part: Part, units: Units, rank: Tensor, columns: Tensor, unmasked: Tensor, targets: Tensor
    ) -> Tensor:
        """Return the value of every variant, (m, k); variants that mask nothing are not scored again."""
        # Ranks are compared as floats, which is faster than as integers; see places().
        (low, high), fill = columns.float(), self._fill(part, units)
        place, fills = places(rank, units), bool(fill.any())
        values, masks = unmasked.unsqueeze(1).repeat(1, low.shape[1]), low < high
        if not masks.any():
            return values
        rows = masks.nonzero()[:, 0], low[masks].unsqueeze(1), high[masks].unsqueeze(1) - 1
        skips = bool(low.any())  # without it, all masks begin at rank 0, and half of the work below is saved
        found = []
        with part.asking():
            for index, first, last in zip(*(each.split(self.masking.batch_size) for each in rows), strict=True):
                here = place.index_select(0, index)
                # Ranks are whole numbers, so this is 1 before the first and after the last, 0 between, and exact.
                # On a CPU it is several times faster than comparing, and products are faster than torch.where.
                kept = (here - last).clamp_(0, 1)
                if skips:
                    kept.add_((first - here).clamp_(0, 1))
                kept = broadcastable(kept, units, part).to(part.x.dtype)
                # index_select copies, so the copy may be changed in place.
                changed = part.x.index_select(0, index).mul_(kept)
                if fills:
                    changed.addcmul_(1 - kept, fill if len(fill) == 1 else fill.index_select(0, index))
                scores = _finite(part.score(changed, index))
                found.append(self.read(scores, targets[index]))
        values[masks] = torch.cat(found)
        return values


def _statistics(parts: Parts) -> dict[str, Tensor]:
    """Return the mean and the standard deviation of each channel over all samples."""
    moments = parts.each(lambda part: channel_moments(part.x, part.channel_axis, part.padding))
    mean = moments[:, 0].mean(axis=0)
    # Rounding may turn the variance of a constant channel slightly negative.
    deviation = np.sqrt(np.maximum(moments[:, 1].mean(axis=0) - mean**2, 0))
    return {"mean": torch.as_tensor(mean), "deviation": torch.as_tensor(deviation)}


def _finite(scores: Tensor) -> Tensor:
    if not torch.isfinite(scores).all():
        raise ValueError("The estimator returned scores that are not finite: there is nothing to follow.")
    return scores


def _checked_attribution(attribution: Any, n_samples: int) -> Any:
    """Return a method as it is, or maps as an array."""
    if isinstance(attribution, type):
        raise ValueError(
            f"attribution={attribution.__name__} is a class: pass an instance of it, {attribution.__name__}()."
        )
    if callable(attribution) and not isinstance(attribution, Tensor):
        validate_parameters(attribution)
        return attribution
    maps = as_array(attribution) if isinstance(attribution, Tensor) else np.asarray(attribution)
    if maps.dtype.kind not in "fiub":
        raise ValueError(f"attribution={attribution!r} must be an attribution method or an array of maps.")
    maps = readable(maps, "attribution")
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
            f"targets must hold one column of the scores per sample, {n_samples} integers of at least 0; got "
            f"{columns.dtype} of shape {columns.shape}."
        )
    return columns.astype(np.int64)
