"""The base of all augmenters: what they share, in one place."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from numbers import Real
from typing import Any, ClassVar, NamedTuple

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skaba._validation import validate_changed
from skaba.attribution import as_labels
from skaba.augmenters._batch import Batch, require_samples
from skaba.augmenters._clipping import Mover, check_clip, clipped
from skaba.network import described, finite, finite_samples


class Plan(NamedTuple):
    """How a batch is augmented: decided before the training step's forward pass, carried out in it.

    Parameters
    ----------
    move : callable or None
        Takes the features, the input or a layer's output, and returns them augmented. It gives the same result however
        often it is called. None: nothing changes.
    y : Tensor or None
        The targets to train on.
    """

    move: Mover | None
    y: Tensor | None


class Augmenter(BaseEstimator, ABC):
    """A batch in, an augmented batch out.

    A subclass implements ``_plan``, and sets the unit and the default of its strength. The base class checks
    parameters, batch and strength, changes nothing at strength 0, restores padding, checks the shape of the result,
    brings it to the batch's dtype and device, and clips it if there is a parameter ``clip``.

    :func:`skaba.testing.check_augmenter` checks a custom augmenter.

    Attributes
    ----------
    default_strength : float
        The strength if the user gives none.
    strength_unit : str
        The unit of the strength.
    largest_strength : float
        The largest strength that is allowed; 1 for a share.
    is_attribution_based : bool
        Whether the strength is the s of attribution-based augmentation, in units of the features; :class:`Compose`
        passes its strength to such augmenters.
    needs_index : bool
        Whether the augmenter needs the samples' numbers in the training set; see ``new_memory``.
    uses_mask : bool
        Whether masks of features that may matter decide which features change.
    changes_targets : bool
        Whether the targets may change too.

    Examples
    --------
    A custom augmenter, for any estimator, at the input and at a layer:

    >>> import torch
    >>> from skaba.augmenters import Augmenter
    >>> class Fade(Augmenter):
    ...     default_strength = 0.5
    ...     strength_unit = "share of the brightness that is lost"
    ...     largest_strength = 1.0
    ...
    ...     def _plan(self, batch, strength):
    ...         share = strength * torch.rand((), generator=batch.generator).to(batch.device)
    ...         return lambda x: x * (1 - share)
    >>> faded = Fade()(None, torch.ones(2, 3), None, strength=1, criterion=None, generator=torch.Generator())
    >>> faded.shape, bool((faded < 1).all())
    (torch.Size([2, 3]), True)
    """

    default_strength: ClassVar[float] = 1.0
    strength_unit: ClassVar[str] = "none: at 0 nothing is augmented"
    largest_strength: ClassVar[float] = math.inf
    is_attribution_based: ClassVar[bool] = False
    needs_index: ClassVar[bool] = False
    uses_mask: ClassVar[bool] = False
    changes_targets: ClassVar[bool] = False
    _parameter_constraints: ClassVar[dict[str, Any]] = {}

    def __call__(
        self,
        model: Any,
        x: Tensor,
        y: Any,
        *,
        strength: float,
        criterion: Any,
        generator: torch.Generator,
    ) -> Any:
        """Augment a batch.

        Parameters
        ----------
        model : nn.Module, callable or None
            Returns logits of shape (n, n_outputs). Augmenters that use the model run it in evaluation mode and leave no
            trace on it.
        x : floating-point Tensor of shape (n, ...)
            Left unchanged.
        y : Tensor, array-like or None
            The targets, if they are needed.
        strength : float
            How strongly to augment, in the augmenter's own unit; 0 changes nothing.
        criterion : callable or None
            The loss, if it is needed.
        generator : torch.Generator on the CPU
            The source of all random numbers.

        Returns
        -------
        Tensor of x's shape, or a tuple of it and the targets
            Detached, on x's device; x itself if nothing changes. The tuple is returned if the augmenter changes the
            targets too: shares of the classes, (n, n_classes), or values of y's shape.

        Raises
        ------
        TypeError
            If x is not a floating-point tensor, the strength is not a number, or the generator is not a
            ``torch.Generator``.
        ValueError
            If a parameter or the strength is not allowed, or the batch does not suit the augmenter.
        """
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{_name(self)} takes a batch as torch.Tensor, got {described(x)}: pass torch.as_tensor(x)."
            )
        x, y = x.detach(), as_labels(y, x.device)
        plan = self.plan(Batch(model, x, y, criterion, generator), strength)
        if plan.move is None:
            return x
        augmented = plan.move(x.clone()).detach()
        return augmented if plan.y is y else (augmented, plan.y)

    def plan(self, batch: Batch, strength: float) -> Plan:
        """Decide how a batch is augmented.

        Parameters
        ----------
        batch : Batch
        strength : float

        Returns
        -------
        Plan

        Raises
        ------
        TypeError, ValueError
            As for a call.
        """
        validate_changed(self)
        self._check_call(batch, strength)
        if strength == 0 or batch.n_samples == 0:
            return Plan(None, batch.y)
        planned = self._plan(batch, float(strength))
        move, y = planned if isinstance(planned, tuple) else (planned, batch.y)
        if move is not None and not callable(move):
            raise TypeError(
                f"{_name(self)}._plan returned {described(move)}; it must return a function of the features, or None."
            )
        return Plan(None if move is None else self._finished(move, batch), y)

    @abstractmethod
    def _plan(self, batch: Batch, strength: float) -> Mover | tuple[Mover, Tensor] | None:
        """Return the function that augments the features of a batch.

        The function takes the features, (n, ...), and returns them augmented, in a new tensor. At a layer, gradients
        flow through it to the layers before. Return None for no change. To change the targets as well, return a tuple
        of the function and the new targets.

        Parameters
        ----------
        batch : Batch
            Its features may not be computed yet: ``batch.features()`` computes them, ``batch.attribute()`` a map.
        strength : float
            Greater than 0.
        """

    def new_memory(self, data: str, n_samples: int) -> Any:
        """Return an empty memory of samples, for an augmenter that needs their numbers; else None.

        Parameters
        ----------
        data : str
            A name for the data set and the layer.
        n_samples : int
            The number of samples; 0 if it is not known.
        """
        return None

    def _finished(self, move: Mover, batch: Batch) -> Mover:
        """Return ``move`` with a check of its result, with padding restored, and clipped."""
        return _Finished(self, move, batch)

    def _check_consistency(self) -> None:
        """Raise a ValueError if parameters that are allowed by themselves do not fit each other."""
        check_clip(getattr(self, "clip", None))

    def _check_call(self, batch: Batch, strength: Any) -> None:
        self._check_strength(strength)
        if not isinstance(batch.generator, torch.Generator):
            raise TypeError(
                f"{_name(self)} draws at random: pass generator=torch.Generator().manual_seed(0), got "
                f"{described(batch.generator)}."
            )
        x, y = batch.x, batch.y
        if x is not None and not x.is_floating_point():
            raise TypeError(
                f"{_name(self)} needs floating-point samples, got {x.dtype}. Scale images to floats; augment word ids "
                "at their embedding, with layer='embedding'."
            )
        if x is not None and x.dim() < 2:
            raise ValueError(
                f"{_name(self)} takes a batch, (n, ...), whose first axis is the samples; x has shape "
                f"{tuple(x.shape)}. Pass x.unsqueeze(0) for a single sample."
            )
        if isinstance(y, Tensor) and y.shape[:1] != (batch.n_samples,):
            raise ValueError(
                f"y must hold one target per sample: the batch has {batch.n_samples} samples, y has shape "
                f"{tuple(y.shape)}."
            )

    def _check_strength(self, strength: Any) -> None:
        if not isinstance(strength, Real):
            raise TypeError(f"strength={strength!r} must be a number, one for the whole batch, for example 0.1.")
        if not math.isfinite(strength):
            raise ValueError(f"strength={strength!r} must be finite, for example 0.1.")
        if float(strength) < 0:
            raise ValueError(f"strength={strength!r} must be at least 0; 0 switches augmentation off.")
        if float(strength) > self.largest_strength:
            raise ValueError(
                f"strength={strength!r} is too large for {_name(self)}, whose strength is {self.strength_unit}: at "
                f"most {self.largest_strength:g}."
            )


class _Finished:
    """Calls the function that an augmenter planned, and checks, repairs and clips its result."""

    def __init__(self, augmenter: Augmenter, move: Mover, batch: Batch) -> None:
        self.augmenter = augmenter
        self.move = move
        self.batch = batch
        self.state: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        if self.batch.x is None:  # the layer's output is seen here for the first time
            require_samples(x, self.batch.n_samples, self.batch.model.layer)
        # Writing in place would change the output of a layer that autograd, or another hook, may need.
        version = _version(x)
        result = require_same_shape(self._moved(x), x, self.augmenter).to(x)
        if _version(x) != version:
            raise ValueError(f"{self.augmenter!r} wrote into the features that it was given: return a new tensor.")
        if (padding := self.batch.padding) is not None:
            result = torch.where(padding.unsqueeze(-1), x, result)
        return clipped(result, x, getattr(self.augmenter, "clip", None))

    def _moved(self, x: Tensor) -> Tensor:
        # An optimiser such as LBFGS runs the network several times per step, and a checkpointed part runs twice. All
        # runs must draw the same numbers.
        generator = self.batch.generator
        if self.state is None:
            self.state = generator.get_state()
            return self.move(x)
        now = generator.get_state()
        generator.set_state(self.state)
        try:
            return self.move(x)
        finally:
            generator.set_state(now)


def require_same_shape(result: Any, x: Tensor, augmenter: Any) -> Tensor:
    """Return an augmented batch, or raise a ValueError if it is not a finite tensor of the batch's shape."""
    if not isinstance(result, Tensor) or result.shape != x.shape:
        raise ValueError(
            f"{augmenter!r} returned {described(result)} for a batch of shape {tuple(x.shape)}; it must keep the shape."
        )
    if not finite(result) and finite(x):  # a network that has diverged is not the augmenter's mistake
        n_bad = int((~finite_samples(result)).sum())
        raise ValueError(f"{augmenter!r} returned NaN or infinity, in {n_bad} of {len(x)} samples.")
    return result


def _version(x: Tensor) -> int:
    """Return how often a tensor was written into; torch does not count this in inference mode."""
    return 0 if x.is_inference() else x._version


def _name(augmenter: Augmenter) -> str:
    return type(augmenter).__name__
