"""Other numbers from scores of masked samples: deletion, insertion, feature impact and U-occurrences."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.integrate import trapezoid
from sklearn.utils._param_validation import Interval, StrOptions
from torch import Tensor

from skaba.evaluation._checks import check_parameters
from skaba.evaluation.fidelity._curves import least_first, most_first, shares_of, units_in
from skaba.evaluation.fidelity._masking import Masking, Probe
from skaba.evaluation.fidelity._parts import probabilities_of, scores_of
from skaba.evaluation.fidelity._units import Ranked


def deletion_score(
    estimator: Any, X: Any, attribution: Any, *, step: float = 5.0, targets: ArrayLike | None = None, **masking: Any
) -> float:
    """Return the area under the probability while the most important units are masked; lower is better.

    Parameters
    ----------
    estimator : estimator, nn.Module or callable
        Fitted. Probabilities are those of ``predict_proba``; for an ``nn.Module`` or a function, the softmax of its
        outputs.
    X : array-like of n samples
    attribution : attribution method or array-like
        A method, or the maps.
    step : float, default=5.0
        Percent of the units that each step masks.
    targets : array-like of int of shape (n,), default=None
        The class to follow, by its column; by default the predicted one.
    **masking
        ``unit``, ``window``, ``reduction``, ``fill``, ``batch_size`` and ``random_state``: see :class:`Masking`.

    Returns
    -------
    float
        Mean over samples, from 0 to 1.

    Raises
    ------
    TypeError
        If the estimator has no probabilities.
    ValueError
        As :func:`perturbation_curves`.

    References
    ----------
    Petsiuk et al. (2018), "RISE: Randomized Input Sampling for Explanation of Black-box Models".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skaba.evaluation.fidelity import deletion_score
    >>> X = np.random.default_rng(0).normal(size=(50, 4))
    >>> model = LogisticRegression().fit(X, X[:, 0] > 0)
    >>> decisive = X * model.coef_ * np.sign(model.decision_function(X))[:, None]
    >>> deletion_score(model, X, decisive) < deletion_score(model, X, -decisive)
    True
    """
    shares = shares_of(step)
    probe = Probe(probabilities_of(estimator, X), attribution, targets, Masking(**masking), most_first(shares))
    return float(trapezoid(probe.measure().values, shares / 100, axis=1).mean())


def insertion_score(
    estimator: Any, X: Any, attribution: Any, *, step: float = 5.0, targets: ArrayLike | None = None, **masking: Any
) -> float:
    """Return the area under the probability while the most important units are added to the fill; higher is better.

    Parameters
    ----------
    estimator, X, attribution, step, targets
        As for :func:`deletion_score`.
    **masking
        See :class:`Masking`. The source fills with zero for deletion, the default here, and with a blurred image for
        insertion: ``fill="blur"``.

    Returns
    -------
    float
        Mean over samples, from 0 to 1.

    Raises
    ------
    TypeError, ValueError
        As :func:`deletion_score`.

    Notes
    -----
    Inserting the most important units is the same as masking all the others, so this is the area under the LIF curve.

    References
    ----------
    Petsiuk et al. (2018), "RISE: Randomized Input Sampling for Explanation of Black-box Models".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skaba.evaluation.fidelity import insertion_score
    >>> X = np.random.default_rng(0).normal(size=(50, 4))
    >>> model = LogisticRegression().fit(X, X[:, 0] > 0)
    >>> decisive = X * model.coef_ * np.sign(model.decision_function(X))[:, None]
    >>> insertion_score(model, X, decisive) > insertion_score(model, X, -decisive)
    True
    """
    shares = shares_of(step)
    probe = Probe(probabilities_of(estimator, X), attribution, targets, Masking(**masking), least_first(shares))
    return float(trapezoid(probe.measure().values, shares / 100, axis=1).mean())


class FeatureImpact(NamedTuple):
    """How much the probability changes when a part of the units is masked.

    Parameters
    ----------
    without_important : float
        The important units are masked. Higher is better.
    without_rest : float
        All other units are masked. Lower is better.
    """

    without_important: float
    without_rest: float


def feature_impact_index(
    estimator: Any,
    X: Any,
    attribution: Any,
    *,
    share: float | None = None,
    targets: ArrayLike | None = None,
    **masking: Any,
) -> FeatureImpact:
    """Return the feature impact index (FII): how much the probability changes without the important or other units.

    Parameters
    ----------
    estimator, X, attribution
        As for :func:`deletion_score`.
    share : float, default=None
        Percent of the units that count as important, those with the highest values. By default 50. For binary masks,
        such as those of ``HillClimbing``, the units of the larger value are important, and a share is refused. Maps are
        binary masks if each has at most two values, such as 0 and 1, 0 and 255 or -1 and 1.
    targets : array-like of int of shape (n,), default=None
        The class to follow, by its column; by default the predicted one.
    **masking
        See :class:`Masking`. The source fills with 0, Gaussian noise, the mean and 1.

    Returns
    -------
    FeatureImpact
        Means over samples of the absolute difference, from 0 to 1.

    Raises
    ------
    TypeError, ValueError
        As :func:`deletion_score`; and if binary masks come with a share, or cut through units.

    References
    ----------
    Santos (2023), a thesis on right-reasons data augmentation, chapter 7: equation 7.2, and algorithm 5 for masks. For
    other maps, the highest 512 of 1024 pixels are important.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skaba.evaluation.fidelity import feature_impact_index
    >>> X = np.random.default_rng(0).normal(size=(50, 4))
    >>> model = LogisticRegression().fit(X, X[:, 0] > 0)
    >>> impact = feature_impact_index(model, X, np.abs(X * model.coef_), share=25)
    >>> impact.without_important > impact.without_rest
    True
    """
    how = Masking(**masking)
    check_parameters("feature_impact_index", share=(share, [Interval(Real, 0, 100, closed="neither"), None]))

    def plan(ranked: Ranked) -> tuple[Tensor, Tensor]:
        important, every = _important(ranked, share), ranked.counts.unsqueeze(1)
        none = torch.zeros_like(every)
        low, high = [none, none, important], [none, important, every]
        return torch.cat(low, dim=1), torch.cat(high, dim=1)

    probe = Probe(probabilities_of(estimator, X), attribution, targets, how, plan, takes_masks=True)
    unmasked, *masked = probe.measure().values.T
    return FeatureImpact(*(float(np.abs(values - unmasked).mean()) for values in masked))


def _important(ranked: Ranked, share: float | None) -> Tensor:
    """Return how many units of each sample are important, (m, 1)."""
    if ranked.full is None:
        return units_in(np.array([50.0 if share is None else float(share)]), ranked.counts)
    if share is not None:
        raise ValueError(
            f"share={share!r} ranks units by their values, but the maps are binary masks, of two values only. "
            "Leave share out: the units of the larger value then count as important."
        )
    marked = ranked.values == ranked.full
    if not (marked | (ranked.values == 0)).all():
        raise ValueError(
            "The binary masks cut through units, which they mark only partly: set unit='feature' for masks that differ "
            "between channels, and window=1 or the window that the masks were made with."
        )
    return (marked & (ranked.full > 0)).sum(dim=1, keepdim=True)


def u_occurrence_rate(
    estimator: Any, X: Any, attribution: Any, *, order: str = "most", targets: ArrayLike | None = None, **masking: Any
) -> float:
    """Return the share of samples whose prediction is lost and found again while more and more is masked.

    Units are masked one by one. If the target is predicted, then is not predicted, and then is predicted again with
    even more units masked, the sample has a U-occurrence: the order does not show what the prediction is based on.

    Parameters
    ----------
    estimator : estimator, nn.Module or callable
        Fitted; see :func:`perturbation_curves`.
    X : array-like of n samples
    attribution : attribution method or array-like
        A method, or the maps. ``RandomMap()`` gives a random order.
    order : {"most", "least"}, default="most"
        Which units are masked first.
    targets : array-like of int of shape (n,), default=None
        The class that should be predicted, by its column, such as the true class; by default the class that is
        predicted for the unmasked sample.
    **masking
        See :class:`Masking`. The source masks patches: set ``window`` to a tenth or a third of the side. This also
        bounds the cost, which is one row per unit. The six fills of the source are ``"zero"``, ``1.0``, ``"random"``
        (Gaussian noise; for standardised images N(0, 1)), ``"mean"`` (of the data set), ``"sample_mean"`` (of the
        image) and ``"region_mean"`` (of the patch).

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    TypeError, ValueError
        As :func:`perturbation_curves`.

    References
    ----------
    Santos (2023), a thesis on right-reasons data augmentation, algorithm 4 and section 7.4.1. The text names
    only some of the fills; the six are those of its code.

    Examples
    --------
    The class of this function is the parity of how many features are left:

    >>> import numpy as np
    >>> from skaba.evaluation.fidelity import u_occurrence_rate
    >>> def parity(X):
    ...     odd = np.count_nonzero(X, axis=1) % 2
    ...     return np.stack([1 - odd, odd], axis=1).astype(float)
    >>> X = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, 3.0]])
    >>> u_occurrence_rate(parity, X, X)
    0.5
    """
    how = Masking(**masking)
    check_parameters("u_occurrence_rate", order=(order, [StrOptions({"most", "least"})]))

    def one_by_one(ranked: Ranked) -> tuple[Tensor, Tensor]:
        every = ranked.counts.unsqueeze(1)
        # All samples of a part have as many variants; those of shorter texts repeat the last one.
        masked = torch.minimum(torch.arange(ranked.units.n_regions + 1, device=every.device), every)
        if order == "most":
            return torch.zeros_like(masked), masked
        return every - masked, every.expand_as(masked)

    probe = Probe(scores_of(estimator, X), attribution, targets, how, one_by_one, _is_predicted)
    predicted = probe.measure().values > 0
    # The target was predicted at some earlier step, is not predicted now, and is predicted at the next step.
    before = np.logical_or.accumulate(predicted, axis=1)[:, :-1]
    found_again = before & ~predicted[:, :-1] & predicted[:, 1:]
    return float(found_again.any(axis=1).mean())


def _is_predicted(scores: Tensor, targets: Tensor) -> Tensor:
    return (scores.argmax(dim=1) == targets).to(scores.dtype)
