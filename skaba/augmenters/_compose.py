"""Several augmenters, one after another."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from numbers import Real
from typing import Any, ClassVar

from torch import Tensor

from skaba.augmenters._adapters import FromBatchFunction, as_augmenter, is_augmenter, require_inner
from skaba.augmenters._augmenter import Augmenter, Plan
from skaba.augmenters._batch import Batch
from skaba.augmenters._clipping import CLIP_CONSTRAINT, Clip, Mover


class Compose(Augmenter):
    """Apply augmenters one after another.

    Each augmenter receives the batch that the previous one returned. So an :class:`ABA` that comes last computes maps
    of the augmented samples.

    Parameters
    ----------
    augmenters : list of callables
        Augmenters, such as ``FPA()`` or ``mend_aba()``, and functions that take a batch and return it augmented, such
        as kornia's. In the call of a function, the global random states are seeded by the estimator's ``random_state``.
    strengths : list of float or None, default=None
        One entry per augmenter: a number is the augmenter's strength, or for a function the probability that a sample
        is augmented. None means the strength of the whole for an :class:`ABA`, the default strength for any other
        augmenter, and probability 1 for a function. By default all are None.
    clip : (low, high), default=None
        The range that augmentation must not leave: numbers, or arrays that broadcast to a sample. A feature outside the
        range is not moved further away. None means no range.

    Notes
    -----
    The strength of the whole applies to attribution-based augmenters: each ABA, and each function with the arguments
    of an augmenter but without a ``default_strength``. At 0 nothing is augmented.

    In a parameter search, augmenters are named by their place in the list: ``augmenter__0__p2``.

    :class:`FreeABA` is refused, because it needs the gradient of the training step.

    Examples
    --------
    Holes as published, then MendABA at a strength of 0.05:

    >>> from skaba import ABAClassifier
    >>> from skaba.augmenters import FPA, Compose, mend_aba
    >>> from skaba.modules import ConvNet
    >>> both = Compose([FPA(), mend_aba()])
    >>> clf = ABAClassifier(ConvNet, augmenter=both, strength=0.05, augmenter__0__p2=0.2)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "augmenters": ["array-like"],
        "strengths": ["array-like", None],
        "clip": CLIP_CONSTRAINT,
    }

    def __init__(
        self,
        augmenters: Sequence[Callable[..., Any]],
        strengths: Sequence[float | None] | None = None,
        clip: Clip | None = None,
    ) -> None:
        self.augmenters = augmenters
        self.strengths = strengths
        self.clip = clip

    @property
    def default_strength(self) -> float:  # type: ignore[override]
        """Default strength of the first augmenter that the strength of the whole applies to; 1 if there is none."""
        return next((as_augmenter(augmenter).default_strength for augmenter in self._scaled()), 1.0)

    @property
    def strength_unit(self) -> str:  # type: ignore[override]
        """Unit of the first augmenter that the strength of the whole applies to."""
        units = (as_augmenter(augmenter).strength_unit for augmenter in self._scaled())
        return next(units, "none: at 0 nothing is augmented")

    @property
    def largest_strength(self) -> float:  # type: ignore[override]
        """The smallest among the augmenters that the strength of the whole applies to."""
        return min((as_augmenter(augmenter).largest_strength for augmenter in self._scaled()), default=math.inf)

    @property
    def uses_mask(self) -> bool:  # type: ignore[override]
        """Whether any of the augmenters uses masks."""
        return any(getattr(augmenter, "uses_mask", False) for augmenter in self.augmenters)

    @property
    def changes_targets(self) -> bool:  # type: ignore[override]
        """Whether any of the augmenters changes the targets."""
        return any(getattr(augmenter, "changes_targets", False) for augmenter in self.augmenters)

    def _scaled(self) -> list[Any]:
        pairs = zip(self.augmenters, self._strengths(), strict=True)
        return [augmenter for augmenter, given in pairs if given is None and _is_scaled(augmenter)]

    def _plan(self, batch: Batch, strength: float) -> tuple[Mover, Any]:
        # Maps of later augmenters need the features as the earlier ones changed them, also at a layer.
        at, moves = batch.with_features(), []
        for augmenter, given in zip(self.augmenters, self._strengths(), strict=True):
            plan = _planned(at, augmenter, given, strength)
            if plan.move is not None:
                moves.append(plan.move)
                at = replace(at, x=plan.move(at.features().clone()))
            at = replace(at, y=plan.y)
        if batch.x is not None:
            return (lambda _: at.features()), at.y

        # At a layer all augmenters run again, on the output of the forward pass: gradients flow through them.
        def move(x: Tensor) -> Tensor:
            for each in moves:
                x = each(x.clone())
            return x

        return move, at.y

    def _strengths(self) -> Sequence[float | None]:
        return [None] * len(self.augmenters) if self.strengths is None else self.strengths

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; augmenters and their parameters are named by place, such as ``"0"`` and ``"0__p2"``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the augmenters and their parameters.

        Returns
        -------
        dict
        """
        parameters: dict[str, Any] = super().get_params(deep=False)
        if not deep:
            return parameters
        for place, augmenter in enumerate(self.augmenters):
            parameters[str(place)] = augmenter
            if hasattr(augmenter, "get_params"):
                nested = augmenter.get_params(deep=True)
                parameters.update({f"{place}__{name}": value for name, value in nested.items()})
        return parameters

    def set_params(self, **parameters: Any) -> Compose:
        """Set parameters, augmenters, and parameters of augmenters.

        Parameters
        ----------
        **parameters
            Such as ``strengths=[None, 0.1]``, or ``**{"0": FPA(), "1__share": 0.5}``.

        Returns
        -------
        self
        """
        plain = {name: value for name, value in parameters.items() if not name[:1].isdigit()}
        super().set_params(**plain)  # first: it may replace the list that the others refer to
        places = {name: value for name, value in parameters.items() if name.isdigit() and name in self.get_params()}
        if places:  # a new list: the given one may belong to the estimator that this one was cloned from
            self.augmenters = [places.get(str(place), old) for place, old in enumerate(self.augmenters)]
        super().set_params(**{name: value for name, value in parameters.items() if name not in {**plain, **places}})
        return self

    def _check_consistency(self) -> None:
        """Raise a ValueError if an augmenter or the strengths cannot be used."""
        super()._check_consistency()
        for place, augmenter in enumerate(self.augmenters):
            require_inner(f"augmenters[{place}]", augmenter)
        strengths = self._strengths()
        if len(strengths) != len(self.augmenters):
            raise ValueError(
                f"strengths has {len(strengths)} entries for {len(self.augmenters)} augmenters; give one for each, or "
                "strengths=None."
            )
        for place, (augmenter, given) in enumerate(zip(self.augmenters, strengths, strict=True)):
            largest = float("inf") if is_augmenter(augmenter) else 1
            if given is not None and not (isinstance(given, Real) and 0 <= given <= largest and given < float("inf")):
                meaning = "finite and at least 0" if is_augmenter(augmenter) else "a probability, from 0 to 1"
                raise ValueError(f"strengths[{place}]={given!r} of {augmenter!r} must be None or {meaning}.")


def _is_scaled(augmenter: Any) -> bool:
    """Return whether an augmenter takes the strength of the whole."""
    if isinstance(augmenter, Compose):
        return bool(augmenter._scaled())
    return as_augmenter(augmenter).is_attribution_based


def _planned(batch: Batch, augmenter: Any, given: float | None, strength: float) -> Plan:
    """Return how one of the augmenters changes a batch."""
    if not is_augmenter(augmenter):
        return FromBatchFunction(augmenter, 1.0 if given is None else given).plan(batch, strength)
    made = as_augmenter(augmenter)
    if given is None:
        given = strength if _is_scaled(augmenter) else made.default_strength
    return made.plan(batch, given)
