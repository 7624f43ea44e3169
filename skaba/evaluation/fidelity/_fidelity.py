"""Fidelity: the area between the two perturbation curves of an attribution method."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skaba.evaluation._checks import SHARE, check_parameters
from skaba.evaluation._intervals import paired_interval
from skaba.evaluation._tables import markdown_table
from skaba.evaluation.fidelity._curves import PerturbationCurves, perturbation_curves


@dataclass(frozen=True, eq=False)
class Fidelity:
    """The fidelity of an attribution method. Made by :func:`fidelity`.

    Parameters
    ----------
    area : float
        A: the area between the LIF and the MIF curve, with shares in percent and scores in units of the
        unmasked score, averaged over samples. Higher is better; a random map has 0.
    interval : (float, float)
        Low and high end of the interval of the area.
    level : float
        The confidence level.
    curves : PerturbationCurves
        The curves of all samples, not normalised.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.evaluation.fidelity import Fidelity, PerturbationCurves
    >>> curves = PerturbationCurves(np.array([0, 50, 100]), np.ones((2, 3)), np.ones((2, 3)), np.zeros(2))
    >>> print(Fidelity(0.0, (0.0, 0.0), 0.95, curves))
    A = 0.0, 95 % interval [0.0, 0.0]
    """

    area: float
    interval: tuple[float, float]
    level: float
    curves: PerturbationCurves

    def __str__(self) -> str:
        low, high = self.interval
        return f"A = {self.area:.1f}, {100 * self.level:g} % interval [{low:.1f}, {high:.1f}]"


class Fidelities(dict[str, Fidelity]):
    """Fidelities by the name of the method. Made by :func:`compare_fidelity`.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.evaluation.fidelity import Fidelities, Fidelity, PerturbationCurves
    >>> curves = PerturbationCurves(np.array([0, 50, 100]), np.ones((2, 3)), np.ones((2, 3)), np.zeros(2))
    >>> print(Fidelities({"gradient": Fidelity(14.03, (13.5, 14.5), 0.95, curves)}).table())
    | method | A | 95 % interval |
    |---|---|---|
    | gradient | 14.0 | [13.5, 14.5] |
    """

    def table(self) -> str:
        """Return the areas as a Markdown table, the largest first.

        Returns
        -------
        str
        """
        level = next(iter(self.values())).level
        rows = [
            (name, f"{found.area:.1f}", f"[{found.interval[0]:.1f}, {found.interval[1]:.1f}]")
            for name, found in sorted(self.items(), key=lambda item: -item[1].area)
        ]
        return markdown_table(["method", "A", f"{100 * level:g} % interval"], rows)


def fidelity(
    estimator: Any,
    X: Any,
    attribution: Any,
    *,
    step: float = 5.0,
    targets: ArrayLike | None = None,
    level: float = 0.95,
    **masking: Any,
) -> Fidelity:
    """Return how well an attribution method shows what predictions are based on: A, with an interval.

    Parameters
    ----------
    estimator : estimator, nn.Module or callable
        Fitted; see :func:`perturbation_curves`.
    X : array-like of n samples
        At least two.
    attribution : attribution method or array-like
        A method, or the maps.
    step : float, default=5.0
        Percent of the units that each step masks.
    targets : array-like of int of shape (n,), default=None
        The column of the scores to follow; by default the column of the highest score.
    level : float, default=0.95
        The confidence level.
    **masking
        ``unit``, ``window``, ``reduction``, ``fill``, ``batch_size`` and ``random_state``: see :class:`Masking`.

    Returns
    -------
    Fidelity

    Raises
    ------
    TypeError, ValueError
        As :func:`perturbation_curves`; and if fewer than two samples are countable, see
        :meth:`PerturbationCurves.countable`.

    Warns
    -----
    UserWarning
        If maps are constant, or samples are left out because their unmasked score is not above 0 or close to 0. The
        warning counts them by the column that they are followed in.

    Notes
    -----
    The interval is Student's t over samples: it is about other samples, not about other fits. A sample's
    curve is divided by its unmasked score, so low scores weigh more than high ones.

    Where all is masked, both curves have the same value, so the score of the fill alone does not matter. But it does
    matter how much the masked samples differ from those the network was trained on; training with masked samples
    reduces this.

    References
    ----------
    Brocki and Chung (2023), "Feature perturbation augmentation for reliable evaluation of importance estimators
    in neural networks". It writes the reduction, "sum" or "abs", as an index.

    Examples
    --------
    >>> from skaba import ABAClassifier
    >>> from skaba.attribution import InputXGradient, RandomMap
    >>> from skaba.datasets import load_digits
    >>> from skaba.evaluation.fidelity import fidelity
    >>> from skaba.modules import ConvNet
    >>> digits = load_digits("tiny")
    >>> clf = ABAClassifier(ConvNet, max_epochs=50, random_state=0, verbose=0)
    >>> clf = clf.fit(digits.X_train, digits.y_train)
    >>> ours, control = (fidelity(clf, digits.X_test[:50], method) for method in (InputXGradient(), RandomMap()))
    >>> ours.interval[0] > 0
    True
    >>> control.interval[0] < 0 < control.interval[1]
    True
    """
    check_parameters("fidelity", level=(level, SHARE))
    curves = perturbation_curves(estimator, X, attribution, step=step, targets=targets, **masking)
    areas = curves.normalised().areas()
    if len(areas) < 2:
        raise ValueError(
            f"The unmasked score is far enough above 0 in {len(areas)} of {len(curves.targets)} samples, but an "
            "interval needs two: pass more samples, or a function whose scores are positive, such as probabilities."
        )
    # Left out, because dividing by such scores would make a few samples outweigh all others; never silently.
    if len(areas) < len(curves.targets):
        warnings.warn(_left_out(curves), stacklevel=2)
    interval = paired_interval(areas, level=level)
    return Fidelity(float(areas.mean()), interval, float(level), curves)


def _left_out(curves: PerturbationCurves) -> str:
    """Return the warning about samples that do not count, with their number by followed column."""
    columns, left_out = curves.targets, curves.targets[~curves.countable()]
    counts = [f"{(left_out == c).sum()} of {(columns == c).sum()} in column {c}" for c in np.unique(left_out)]
    return (
        f"{len(left_out)} of {len(columns)} samples are left out: their unmasked score is negative, 0, or close to 0 "
        f"compared with the median of their column, so that other scores cannot be divided by it ({', '.join(counts)})."
    )


def compare_fidelity(estimator: Any, X: Any, attributions: Mapping[str, Any], **parameters: Any) -> Fidelities:
    """Return the fidelity of several attribution methods, on the same samples.

    Parameters
    ----------
    estimator, X
        As for :func:`fidelity`.
    attributions : mapping of str to attribution method or array-like
        Methods or maps, by name.
    **parameters
        As for :func:`fidelity`.

    Returns
    -------
    Fidelities
        A dict in the order given, with ``table()``; :class:`skaba.plotting.FidelityDisplay` draws it.

    Raises
    ------
    TypeError, ValueError
        As :func:`fidelity`; and if there are no attributions.

    Examples
    --------
    >>> import torch
    >>> from skaba.attribution import Gradient, InputXGradient
    >>> from skaba.evaluation.fidelity import compare_fidelity
    >>> _ = torch.manual_seed(0)
    >>> model, X = torch.nn.Linear(8, 3), torch.randn(50, 8)
    >>> found = compare_fidelity(model, X, {"gradient": Gradient(), "input x gradient": InputXGradient()})
    >>> found["gradient"].area < found["input x gradient"].area
    True
    """
    if not isinstance(attributions, Mapping) or not attributions:
        raise ValueError(
            f'attributions={attributions!r} must map names to methods or maps: {{"gradient": Gradient()}}.'
        )
    return Fidelities({name: fidelity(estimator, X, each, **parameters) for name, each in attributions.items()})
