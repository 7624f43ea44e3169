"""Attribution-based augmentation: the batch's attribution decides which features move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator
from torch import Tensor

from skaba.attribution import Gradient, RandomTopClass, rows_of
from skaba.augmenters._adjustments import AdjustmentSet
from skaba.augmenters._changes import Change, Constant
from skaba.augmenters._selections import Percentiles, Selection

Criterion = Callable[[Tensor, Tensor], Tensor]


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
        What is explained, by default ``RandomTopClass(k=4)``.
    selection : Percentiles or Cutoff, default=None
        The categories, by default ``Percentiles(0.1, 0.9)``: low, middle, high.
    adjustments : AdjustmentSet, default=None
        By default MendABA's ``AdjustmentSet([1, 2, 3, 4, 5, 6])``.
    change : Constant, Proportional or Baseline, default=None
        What a step does to a feature, by default ``Constant()``.
    randomize : bool, default=True
        Whether each sample's step is multiplied by a draw of ``|N(0, 1)|``, or by 1.

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
    }

    def __init__(
        self,
        attribution: Callable[..., Tensor] | None = None,
        target: Callable[..., Any] | None = None,
        selection: Selection | None = None,
        adjustments: AdjustmentSet | None = None,
        change: Change | None = None,
        randomize: bool = True,
    ) -> None:
        self.attribution = Gradient() if attribution is None else attribution
        self.target = RandomTopClass() if target is None else target
        self.selection = Percentiles(0.1, 0.9) if selection is None else selection
        self.adjustments = AdjustmentSet([1, 2, 3, 4, 5, 6]) if adjustments is None else adjustments
        self.change = Constant() if change is None else change
        self.randomize = randomize

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
        y : Tensor or None
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
        ValueError
            If the adjustments do not match the selection, or the target not the model.
        """
        steps = self._draw(len(x), strength, generator)
        active = steps.any(dim=1).nonzero().squeeze(1)
        if len(active) == 0:
            return x.detach()
        if len(active) == len(x):
            return self._push(model, x, y, steps, criterion, generator)
        # The draw is known on the CPU, so a GPU gets the indices without being waited for.
        rows = active.to(x.device, non_blocking=True)
        pushed = self._push(
            rows_of(model, rows),
            x.index_select(0, rows),
            None if y is None else y.index_select(0, rows),
            steps[active],
            criterion,
            generator,
        )
        return x.detach().index_copy(0, rows, pushed)

    def _draw(self, n_samples: int, strength: float, generator: torch.Generator) -> Tensor:
        """Return each sample's step a category, shape (n, n_categories), on the CPU."""
        steps = self.adjustments.draw(n_samples, self.selection.n_categories, generator) * strength
        if self.randomize:
            steps *= torch.randn(n_samples, 1, generator=generator).abs()
        return steps

    def _push(
        self,
        model: Callable[[Tensor], Any],
        x: Tensor,
        y: Tensor | None,
        steps: Tensor,
        criterion: Criterion | None,
        generator: torch.Generator,
    ) -> Tensor:
        """Attribute samples that all move, and move them."""
        attribution = self.attribution(model, x, y, target=self.target, criterion=criterion, generator=generator)
        attribution = attribution.detach().reshape(len(x), -1)
        by_category = steps.to(device=x.device, dtype=x.dtype, non_blocking=True)
        step = self.selection.choose(attribution, by_category)
        return self.change(x.detach().reshape(len(x), -1), attribution, step).reshape(x.shape)

    def _check_consistency(self) -> None:
        """Raise a ValueError if the adjustments do not match the selection."""
        self.adjustments.table(self.selection.n_categories)
