"""Several augmenters, one after another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skaba._validation import validate_parameters
from skaba.augmenters._calling import augmented_by, require_usable


class Compose(BaseEstimator):
    """Apply augmenters one after another.

    Each sees what the one before made of the batch; so an :class:`ABA` that comes last attributes the samples
    as they will be trained on, up to its own change.

    Parameters
    ----------
    augmenters : list of callables
        Augmenters, such as ``FPA()`` or ``mend_aba()``, and functions that take a batch and return it augmented, such
        as kornia's; what these draw from global random states is decided by the estimator's ``random_state``.
    factors : list of float, default=None
        What each augmenter's strength is, in strengths of the whole; by default 1. For a function of the
        batch alone the strength is the probability, at most 1, that a sample is augmented.

    Notes
    -----
    Parameters of the augmenters are searched by their place in the list: ``augmenter__0__p2``.

    An :class:`ABA` with ``reuse="epoch"`` (``free_aba``) is refused: it takes the gradient of an estimator's own
    training step, which it cannot get at here.

    Examples
    --------
    Holes at full strength and MendABA at a strength of 0.1:

    >>> from skaba import ABAClassifier
    >>> from skaba.augmenters import FPA, Compose, mend_aba
    >>> from skaba.modules import ConvNet
    >>> both = Compose([FPA(), mend_aba()], factors=[1, 0.1])
    >>> clf = ABAClassifier(ConvNet, augmenter=both, strength=1, augmenter__0__p2=0.2)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {"augmenters": ["array-like"], "factors": ["array-like", None]}

    def __init__(self, augmenters: Sequence[Callable[..., Any]], factors: Sequence[float] | None = None) -> None:
        self.augmenters = augmenters
        self.factors = factors

    def __call__(
        self,
        model: Any,
        x: Tensor,
        y: Tensor | None,
        *,
        strength: float,
        criterion: Any,
        generator: torch.Generator,
    ) -> Tensor:
        """Augment a batch.

        Parameters
        ----------
        model : nn.Module, callable or None
            What the augmenters ask.
        x : floating-point Tensor of shape (n, ...)
            Left unchanged.
        y : Tensor or None
        strength : float
            Each augmenter gets it times its factor.
        criterion : callable or None
        generator : torch.Generator on the CPU
            Decides every draw.

        Returns
        -------
        Tensor of x's shape
            Detached.

        Raises
        ------
        ValueError
            If a parameter is not allowed, or an augmenter does not keep the batch's shape.
        """
        validate_parameters(self)
        asked: dict[str, Any] = {"criterion": criterion, "generator": generator}
        for augmenter, factor in zip(self.augmenters, self._factors(), strict=True):
            if strength * factor > 0:
                x = augmented_by(augmenter, model, x, y, strength=strength * factor, **asked)
        return x.detach()

    def _factors(self) -> Sequence[float]:
        return [1.0] * len(self.augmenters) if self.factors is None else self.factors

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters; the augmenters and their own are named by their place, ``"0"`` and ``"0__p2"``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the augmenters'.

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
        """Set parameters, an augmenter by its place, or parameters of one.

        Parameters
        ----------
        **parameters
            Such as ``factors=[1, 0.1]``, or ``**{"0": FPA(), "1__every": 2}``.

        Returns
        -------
        self
        """
        own = {name: value for name, value in parameters.items() if not name[:1].isdigit()}
        super().set_params(**own)  # first: it may replace the list that the others speak of
        places = {name: value for name, value in parameters.items() if name.isdigit() and name in self.get_params()}
        if places:
            self.augmenters = [places.get(str(place), old) for place, old in enumerate(self.augmenters)]
        super().set_params(**{name: value for name, value in parameters.items() if name not in {**own, **places}})
        return self

    def _check_consistency(self) -> None:
        """Raise a ValueError if an augmenter or the factors cannot be used."""
        for place, augmenter in enumerate(self.augmenters):
            require_usable(f"augmenters[{place}]", augmenter)
        factors = self._factors()
        if len(factors) != len(self.augmenters):
            raise ValueError(
                f"factors has {len(factors)} entries for {len(self.augmenters)} augmenters; give one for each, or None."
            )
        if not all(isinstance(factor, Real) and 0 <= factor < float("inf") for factor in factors):
            raise ValueError(f"factors must be finite numbers of at least 0, got {list(factors)}.")
