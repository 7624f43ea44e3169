"""Projected gradient descent, the standard attack that networks are compared under."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from torch import Tensor

from skaba._validation import validate_parameters
from skaba.attribution import Loss
from skaba.evaluation._checks import COUNT, POSITIVE
from skaba.evaluation.robustness._bounds import as_bounds, check_broadcasts, check_inside
from skaba.network import FromLayer, answer, asking, input_gradient, per_sample, require_floats, require_generator


class PGD(BaseEstimator):
    """Projected gradient descent: search for the nearby input with the highest loss.

    From a random point of the L-infinity ball around a sample, it takes steps along the sign of the loss's gradient and
    stays in the ball. Every sample gets the best point that was visited: a misclassified point, if there is any, and
    among those the one with the highest loss. The sample itself and its FGSM point are visited too. So without bounds,
    accuracy is never higher than under FGSM, and where the targets are not classes, the loss is never lower. It is an
    augmenter, so it can also be used in training.

    Parameters
    ----------
    n_steps : int, default=10
        Gradients per start.
    step_size : float, default=None
        In the units of the input; by default 2.5 times the radius, divided by ``n_steps``.
    restarts : int, default=1
        Random starts.
    bounds : (low, high), default=None
        Lowest and highest values that an input may take, in the units of the network's input: numbers, such as
        ``(0, 1)`` for images, or arrays that broadcast to a sample, such as one value per channel of standardised
        images, of shape (n_channels, 1, 1), or one per column of a table. None, as for ECG and embeddings: any value.

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
    For a linear model, no point of the ball has a higher loss than the FGSM point:

    >>> import torch
    >>> from skaba.augmenters import fgsm
    >>> from skaba.evaluation.robustness import PGD
    >>> model = torch.nn.Linear(3, 2)
    >>> x, y = torch.randn(5, 3), torch.tensor([0, 1, 1, 0, 1])
    >>> settings = {"strength": 0.1, "criterion": torch.nn.CrossEntropyLoss(), "generator": torch.Generator()}
    >>> torch.allclose(PGD()(model, x, y, **settings), fgsm()(model, x, y, **settings))
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_steps": COUNT,
        "step_size": [*POSITIVE, None],
        "restarts": COUNT,
        "bounds": [tuple, list, None],
    }

    def __init__(
        self,
        n_steps: int = 10,
        step_size: float | None = None,
        restarts: int = 1,
        bounds: tuple[ArrayLike, ArrayLike] | None = None,
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
            Returns logits of shape (n, n_outputs). It is called in evaluation mode and left as it was.
        x : floating-point Tensor of shape (n, ...)
            Left unchanged.
        y : Tensor of shape (n,) or (n, n_outputs)
        strength : float
            Radius of the ball, in the units of x.
        criterion : callable
            The loss that is increased.
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
            If a parameter is not allowed, y or the criterion is missing, or x lies outside the bounds.
        """
        validate_parameters(self)
        require_floats(x)
        require_generator(generator, self)
        x = x.detach()
        bounds = self._bounds_of(x)
        if strength == 0 or len(x) == 0:
            return x
        climb = _Climb(model, y, criterion)
        # By default, all steps together can cross the ball and still move along its surface.
        step_size = 2.5 * strength / self.n_steps if self.step_size is None else self.step_size

        def in_ball(change: Tensor) -> Tensor:
            """Return the point of the ball that is nearest to the changed x."""
            change = change.clamp(-strength, strength)
            point = x + (model.without_padding(change) if isinstance(model, FromLayer) else change)
            return point if bounds is None else point.clamp(*bounds)

        with asking(model):
            gradient = climb.gradient(x)
            # The sample itself was visited with its gradient; its FGSM point follows.
            climb.visit(in_ball(_uphill(gradient) * strength))
            for _ in range(self.restarts):
                point = in_ball((2 * _uniform_like(x, generator) - 1) * strength)
                for _ in range(self.n_steps):
                    # The pass that computes the gradient also visits the point, so only the last one needs a pass more.
                    point = in_ball(point - x + climb.gradient(point).sign() * step_size)
                climb.visit(point)
        return climb.best

    def _check_consistency(self) -> None:
        if self.bounds is not None:
            as_bounds(self.bounds)

    def _bounds_of(self, x: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return the bounds as tensors like x; raise a ValueError if x lies outside."""
        if self.bounds is None:
            return None
        low, high = as_bounds(self.bounds)
        check_broadcasts("bounds", low, tuple(x.shape[1:]))
        lowest, highest = (torch.tensor(values, dtype=x.dtype, device=x.device) for values in (low, high))
        check_inside(x, lowest, highest)
        return lowest, highest


@dataclass
class _Climb:
    """Computes losses and gradients, and keeps each sample's best point.

    A misclassified point is better than any other; among equals, the point with the higher loss is better.
    """

    model: Callable[[Tensor], Any]
    y: Tensor | None
    criterion: Callable[[Tensor, Tensor], Tensor] | None
    best: Tensor = field(init=False)
    loss: Tensor = field(init=False)
    wrong: Tensor = field(init=False)

    def gradient(self, point: Tensor) -> Tensor:
        """Return the gradient of the loss at a point, and keep the point for samples whose best point it is."""

        def score(logits: Tensor) -> Tensor:
            self._keep(point, logits.detach())
            return Loss()(logits.detach(), self.y, criterion=self.criterion)(logits)

        return input_gradient(self.model, point, score)

    def visit(self, point: Tensor) -> None:
        """Keep a point for the samples whose best point it is so far."""
        with torch.no_grad():
            self._keep(point, answer(self.model, point))

    def _keep(self, point: Tensor, logits: Tensor) -> None:
        # Without a gradient, Loss returns each sample's loss even if the criterion only returns the mean of a batch.
        loss = Loss()(logits, self.y, criterion=self.criterion)(logits)
        wrong = _misclassified(logits, self.y)
        if not hasattr(self, "loss"):
            self.best, self.loss, self.wrong = point, loss, wrong
            return
        # With several classes, a point may have a higher loss than another and still be classified correctly.
        better = torch.where(wrong == self.wrong, loss > self.loss, wrong)
        self.loss = torch.where(better, loss, self.loss)
        self.wrong = self.wrong | wrong
        self.best = torch.where(per_sample(better, point), point, self.best)


def _misclassified(logits: Tensor, y: Tensor | None) -> Tensor:
    """Return which samples are misclassified; none if the targets are not classes."""
    if y is None or y.dim() != 1 or y.is_floating_point() or logits.dim() != 2 or logits.shape[1] < 2:
        return torch.zeros(len(logits), dtype=torch.bool, device=logits.device)
    return logits.argmax(dim=1).ne(y)


def _uphill(gradient: Tensor) -> Tensor:
    """Return the direction of ``fgsm()``, which is upwards where the gradient is exactly 0."""
    return torch.where(gradient < 0, -1.0, 1.0).to(gradient.dtype)


def _uniform_like(x: Tensor, generator: torch.Generator) -> Tensor:
    """Draw from [0, 1) on the generator's device, so that the starts are the same on a GPU and on the CPU."""
    return torch.rand(x.shape, generator=generator, device=generator.device, dtype=x.dtype).to(x.device)
