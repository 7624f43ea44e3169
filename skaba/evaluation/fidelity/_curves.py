"""Perturbation curves: how a prediction changes while more and more of its sample is masked."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import trapezoid
from torch import Tensor

from skaba.evaluation.fidelity._masking import Masking, Plan, Probe
from skaba.evaluation.fidelity._parts import scores_of
from skaba.evaluation.fidelity._units import Ranked

CLOSE_TO_0 = 0.1
"""A score below this share of the usual score is too small to divide others by."""

FEW = 5
"""With fewer samples, the usual score of a column is not known."""


@dataclass(frozen=True, eq=False)
class PerturbationCurves:
    """Scores of samples while more and more of them is masked. Made by :func:`perturbation_curves`.

    Parameters
    ----------
    shares : ndarray of shape (n_steps + 1,)
        Percent of the units that are masked, from 0 to 100.
    mif, lif : ndarray of shape (n, n_steps + 1)
        The followed score of each sample, with its most (mif) and its least (lif) important units masked first. Both
        start at the unmasked sample and end where all of it is masked.
    targets : ndarray of shape (n,)
        The column of the scores that is followed.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.evaluation.fidelity import PerturbationCurves
    >>> curves = PerturbationCurves(
    ...     np.array([0, 50, 100]), np.array([[4, 1, 0], [-1, 0, 0]]), np.array([[4, 5, 0], [-1, -1, 0]]), np.zeros(2))
    >>> curves.normalised().lif
    array([[1.  , 1.25, 0.  ]])
    >>> curves.normalised().areas()
    array([50.])
    """

    shares: NDArray[np.float64]
    mif: NDArray[np.float64]
    lif: NDArray[np.float64]
    targets: NDArray[np.int64]

    def normalised(self) -> PerturbationCurves:
        """Return the curves in units of the unmasked score.

        Returns
        -------
        PerturbationCurves
            Those of the :meth:`countable` samples.
        """
        counted = self.countable()
        scale = self.mif[counted, :1]
        return PerturbationCurves(
            self.shares, self.mif[counted] / scale, self.lif[counted] / scale, self.targets[counted]
        )

    def countable(self) -> NDArray[np.bool_]:
        """Return which samples have an unmasked score that other scores can be divided by.

        Returns
        -------
        ndarray of shape (n,)
            True where it is above a tenth of the usual score: the median absolute score of the samples that are
            followed in the same column, or of all samples if those are fewer than five. Divided by a negative score, a
            falling curve would rise, and a few scores close to 0 would outweigh all others.
        """
        scores, usual = self.mif[:, 0], np.empty(len(self.mif))
        usual[:] = np.median(np.abs(scores)) if len(scores) else 0  # NumPy warns of the median of nothing
        for column in np.unique(self.targets):
            same = self.targets == column
            if same.sum() >= FEW:
                usual[same] = np.median(np.abs(scores[same]))
        return np.asarray((scores > 0) & (scores > CLOSE_TO_0 * usual))

    def areas(self) -> NDArray[np.float64]:
        """Return the area between the LIF and the MIF curve of each sample, with shares in percent.

        Returns
        -------
        ndarray of shape (n,)
        """
        return np.asarray(trapezoid(self.lif - self.mif, self.shares, axis=1))


def perturbation_curves(
    estimator: Any, X: Any, attribution: Any, *, step: float = 5.0, targets: ArrayLike | None = None, **masking: Any
) -> PerturbationCurves:
    """Follow the score of the predicted class while samples are masked, in the order of their maps.

    Parameters
    ----------
    estimator : estimator, nn.Module or callable
        Fitted. The scores of a skaba estimator, also within a Pipeline or a search, and of an ``nn.Module`` are the
        network's outputs, the logits; for an ``ABAMultiLabelClassifier`` they are the probabilities of its labels,
        because 0 does not mean "nothing" for the logit of a label. For any other estimator, they are those of
        ``decision_function``, or of ``predict_proba`` without one. A function takes an array (n, ...) and
        returns scores (n, n_outputs).
    X : array-like of n samples
        The input of the estimator. The input of the network is masked: with a Pipeline, X after the steps before
        the network; with ``layer=``, that layer's output. Axis 1 holds channels; at an embedding's output, the last.
    attribution : attribution method or array-like
        A method, such as ``InputXGradient()``, which explains the followed score and needs a network; or the maps, of
        the shape of the masked input, or of that shape without channels.
    step : float, default=5.0
        Percent of the units that each step masks, at most 50. Counts are rounded to whole units, and the last
        step is shorter if need be.
    targets : array-like of int of shape (n,), default=None
        The column of the scores to follow; by default that of the unmasked sample's highest score: the predicted
        class, of several labels the likeliest one, of a regression the output itself.
    **masking
        ``unit``, ``window``, ``reduction``, ``fill``, ``batch_size`` and ``random_state``: see :class:`Masking`.

    Returns
    -------
    PerturbationCurves

    Raises
    ------
    TypeError
        If the estimator has no scores, or the masked input of a net does not hold floats.
    ValueError
        If a parameter is not allowed, the maps do not fit the samples, or a map holds NaN or infinity.

    Warns
    -----
    UserWarning
        If maps are constant.

    References
    ----------
    Brocki and Chung (2023), "Feature perturbation augmentation for reliable evaluation of importance estimators
    in neural networks"; Samek et al. (2017), "Evaluating the Visualization of What a Deep Neural Network has
    Learned".

    Examples
    --------
    The sum of the features falls by the masked features:

    >>> import numpy as np
    >>> from skaba.evaluation.fidelity import perturbation_curves
    >>> X = np.array([[1.0, 4.0, 3.0, 2.0]])
    >>> curves = perturbation_curves(lambda X: X.sum(axis=1, keepdims=True), X, X, step=25)
    >>> curves.mif
    array([[10.,  6.,  3.,  1.,  0.]])
    >>> curves.lif
    array([[10.,  9.,  7.,  4.,  0.]])
    """
    how, shares = Masking(**masking), shares_of(step)

    # Both orders in one plan, so that the unmasked and the fully masked sample are scored once.
    def both_orders(ranked: Ranked) -> tuple[Tensor, Tensor]:
        (low, high), (other_low, other_high) = most_first(shares)(ranked), least_first(shares)(ranked)
        return torch.cat([low, other_low], dim=1), torch.cat([high, other_high], dim=1)

    found = Probe(scores_of(estimator, X), attribution, targets, how, both_orders).measure()
    mif, lif = np.split(found.values, 2, axis=1)
    return PerturbationCurves(shares, mif, lif, found.targets)


def shares_of(step: float) -> NDArray[np.float64]:
    """Return the shares in percent, from 0 to 100."""
    if not isinstance(step, Real) or not 0 < float(step) <= 50:
        raise ValueError(
            f"step={step!r} must be a percentage above 0 and at most 50: the curves meet where everything is masked, "
            "so they need a point in between."
        )
    # 100 / step may be just above a whole number by rounding, which would add a step of no width.
    n_steps = math.ceil(100 / float(step) - 1e-9)
    return np.append(np.arange(n_steps) * float(step), 100.0)


def units_in(shares: NDArray[np.float64], counts: Tensor) -> Tensor:
    """Return shares of each sample's units as whole numbers, (m, k); halves are rounded up."""
    # torch.round would round halves to even numbers.
    exact = counts.double().unsqueeze(1) * torch.as_tensor(shares / 100, device=counts.device)
    return (exact + 0.5).floor().long()


def most_first(shares: NDArray[np.float64]) -> Plan:
    """Return the plan that masks shares of the most important units."""

    def plan(ranked: Ranked) -> tuple[Tensor, Tensor]:
        masked = units_in(shares, ranked.counts)
        return torch.zeros_like(masked), masked

    return plan


def least_first(shares: NDArray[np.float64]) -> Plan:
    """Return the plan that masks shares of the least important units."""

    def plan(ranked: Ranked) -> tuple[Tensor, Tensor]:
        masked, every = units_in(shares, ranked.counts), ranked.counts.unsqueeze(1)
        return every - masked, every.expand_as(masked)

    return plan
