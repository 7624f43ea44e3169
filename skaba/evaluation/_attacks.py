"""Attacks that a comparison is not complete without."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from torch import Tensor

from skaba._validation import validate_parameters
from skaba.attribution import FromLayer, Loss, asking
from skaba.attribution._asking import answer, input_gradient
from skaba.attribution._method import per_sample, require_floats
from skaba.attribution._targets import require_generator


class PGD(BaseEstimator):
    """Projected gradient descent: the input nearby at which the loss is highest, as far as steps can find it.

    From a random point of the L-infinity ball around a sample, it climbs the loss by steps along the
    gradient's sign and stays in the ball. Every sample gets the point of highest loss seen on the way;
    the sample itself and its FGSM point are among them, so the attack is never weaker than FGSM in
    terms of the loss. It is an augmenter, so it can be trained with too.

    Parameters
    ----------
    n_steps : int, default=10
        Gradients a start.
    step_size : float, default=None
        In the units of the input; by default 2.5 times the radius, divided by ``n_steps``.
    restarts : int, default=1
        Random starts.
    bounds : (float, float), default=None
        Lowest and highest value that an input may take, such as ``(0, 1)`` for images.

    Notes
    -----
    The cost is ``restarts * (n_steps + 1) + 2`` forward and ``restarts * n_steps + 1`` backward passes. At
    an embedding's output, padding is never changed.

    References
    ----------
    Madry et al. (2018), "Towards Deep Learning Models Resistant to Adversarial Attacks"; the default step
    is that of the authors' ``robustness`` library.

    Examples
    --------
    Of a linear model no point of the ball has a higher loss than FGSM's:

    >>> import torch
    >>> from skaba.augmenters import fgsm
    >>> from skaba.evaluation import PGD
    >>> model = torch.nn.Linear(3, 2)
    >>> x, y = torch.randn(5, 3), torch.tensor([0, 1, 1, 0, 1])
    >>> asked = {"strength": 0.1, "criterion": torch.nn.CrossEntropyLoss(), "generator": torch.Generator()}
    >>> torch.allclose(PGD()(model, x, y, **asked), fgsm()(model, x, y, **asked))
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "step_size": [Interval(Real, 0, None, closed="neither"), None],
        "restarts": [Interval(Integral, 1, None, closed="left")],
        "bounds": [tuple, list, None],
    }

    def __init__(
        self,
        n_steps: int = 10,
        step_size: float | None = None,
        restarts: int = 1,
        bounds: tuple[float, float] | None = None,
    ) -> None:
        self.n_steps = n_steps
        self.step_size = step_size
        self.restarts = restarts
        self.bounds = bounds

    def __call__(
        self,
        model: Callable[[Tensor], Any],
        x: Tensor,
        y: Tensor | None,
        *,
        strength: float,
        criterion: Callable[[Tensor, Tensor], Tensor] | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Attack a batch.

        Parameters
        ----------
        model : nn.Module or callable
            Returns logits of shape (n, n_outputs). It is asked in evaluation mode and left without a trace.
        x : floating-point Tensor of shape (n, ...)
            Left unchanged.
        y : Tensor of shape (n,) or (n, n_outputs)
        strength : float
            Radius of the ball, in the units of x.
        criterion : callable
            The loss that is raised.
        generator : torch.Generator
            Decides the random starts.

        Returns
        -------
        Tensor of x's shape
            Detached.

        Raises
        ------
        TypeError
            If x is not floating-point.
        ValueError
            If a parameter is not allowed, y or the criterion is missing, or x lies outside of the bounds.
        """
        validate_parameters(self)
        require_floats(x)
        require_generator(generator, self)
        x = x.detach()
        self._check_inside(x)
        if strength == 0:
            return x
        ball = _Ball(model, x, strength, self.bounds)
        climb = _Climb(model, y, criterion)
        step_size = 2.5 * strength / self.n_steps if self.step_size is None else self.step_size
        with asking(model):
            gradient = climb.gradient(x)
            climb.visit(ball.point(_uphill(gradient) * strength))
            for _ in range(self.restarts):
                point = ball.point((2 * _uniform_like(x, generator) - 1) * strength)
                for _ in range(self.n_steps):
                    point = ball.point(point - x + climb.gradient(point).sign() * step_size)
                climb.visit(point)
        return climb.highest

    def _check_consistency(self) -> None:
        if self.bounds is None:
            return
        numbers = len(self.bounds) == 2 and all(isinstance(value, Real) for value in self.bounds)
        if not numbers or not self.bounds[0] < self.bounds[1]:
            raise ValueError(f"bounds={self.bounds!r} must be (low, high) with low < high, for example (0, 1).")

    def _check_inside(self, x: Tensor) -> None:
        if self.bounds is None or (self.bounds[0] <= x.min() and x.max() <= self.bounds[1]):
            return
        raise ValueError(
            f"x has values from {x.min():.4g} to {x.max():.4g}, outside of bounds={self.bounds!r}. Give the bounds "
            "in the units in which the network sees its input, or bounds=None."
        )


class _Ball:
    """The points that an attack may reach."""

    def __init__(
        self, model: Callable[[Tensor], Any], x: Tensor, radius: float, bounds: tuple[float, float] | None
    ) -> None:
        self.model = model
        self.x = x
        self.radius = radius
        self.bounds = bounds

    def point(self, change: Tensor) -> Tensor:
        """Return the point of the ball that is nearest to a changed x."""
        change = change.clamp(-self.radius, self.radius)
        if isinstance(self.model, FromLayer):
            change = self.model.without_padding(change)
        point = self.x + change
        return point if self.bounds is None else point.clamp(*self.bounds)


class _Climb:
    """Asks for losses and their gradients, and keeps each sample's point of the highest loss."""

    highest: Tensor
    loss: Tensor

    def __init__(
        self,
        model: Callable[[Tensor], Any],
        y: Tensor | None,
        criterion: Callable[[Tensor, Tensor], Tensor] | None,
    ) -> None:
        self.model = model
        self.y = y
        self.criterion = criterion

    def gradient(self, point: Tensor) -> Tensor:
        """Return the loss's gradient at a point, and keep the point where it is the highest so far."""

        def score(logits: Tensor) -> Tensor:
            self._keep(point, logits.detach())
            return Loss()(logits.detach(), self.y, criterion=self.criterion)(logits)

        return input_gradient(self.model, point, score)

    def visit(self, point: Tensor) -> None:
        """Keep a point where its loss is the highest so far."""
        with torch.no_grad():
            self._keep(point, answer(self.model, point))

    def _keep(self, point: Tensor, logits: Tensor) -> None:
        # Asked without a gradient, a criterion that only tells the mean of a batch tells each sample's loss.
        loss = Loss()(logits, self.y, criterion=self.criterion)(logits)
        if not hasattr(self, "loss"):
            self.highest, self.loss = point, loss
            return
        higher = loss > self.loss
        self.loss = torch.where(higher, loss, self.loss)
        self.highest = torch.where(per_sample(higher, point), point, self.highest)


def _uphill(gradient: Tensor) -> Tensor:
    """Return FGSM's direction, as ``fgsm()`` has it: up where the gradient is exactly 0."""
    return torch.where(gradient < 0, -1.0, 1.0).to(gradient.dtype)


def _uniform_like(x: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from [0, 1) on the generator's device, so that a GPU's starts are those of the CPU."""
    return torch.rand(x.shape, generator=generator, device=generator.device, dtype=x.dtype).to(x.device)
