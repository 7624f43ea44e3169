"""All attribution methods that an estimator can use, measured on given samples and on XOR."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from skaba.attribution import IBA, METHODS, AttributionMethod, available
from skaba.estimators import as_seen_by_net, fitted_net
from skaba.evaluation.fidelity import Fidelity, fidelity
from skaba.evaluation.ground_truth import GroundTruthScores, XORBenchmark

Advance = Callable[[str, int, int], None]
_STAGE = "attribution methods"

_GROUND_TRUTH = "r_C", "r_DB", "r_ideal", "d"

IBA_BETA = 1e-9
"""The weight of information on XOR in Heurich (2021), section 3, with which the networks keep their accuracy."""


@dataclass(frozen=True, eq=False)
class Judgement:
    """The results for each method. Made by :func:`judge`.

    Parameters
    ----------
    fidelities : dict of str to Fidelity
        By method, for those that the estimator can use.
    ground_truth : dict of str to GroundTruthScores
        By method, for those that the XOR networks can use.
    reasons : dict of str to str
        By method, why the estimator cannot use it.
    warnings : dict of str to list of str
        Remarks about the figures, such as samples that were left out or why there is no ground truth, with the methods
        they are about.
    n_networks : int
        The number of networks that learned XOR.
    """

    fidelities: dict[str, Fidelity]
    ground_truth: dict[str, GroundTruthScores]
    reasons: dict[str, str]
    warnings: dict[str, list[str]]
    n_networks: int

    header: ClassVar[list[str]] = ["method", "A [95 %]", "r_C", "r_DB", "r_ideal", "d / S"]

    def caption(self) -> str:
        """Return what the columns mean."""
        return (
            "A: fidelity on the samples, the area between the curves of masking the least and the most important "
            "features first; a random map has 0, higher is better. r_C, r_DB, r_ideal, d / S: agreement with the "
            f"ground truth of XOR, median [range] over the {self.n_networks} networks that learned it. None of them "
            "alone is a figure of quality: see docs/ground_truth.md."
        )

    def rows(self) -> list[list[str]]:
        """Return the table's cells below ``header``: one row per usable method, the largest A first."""
        order = sorted(self.fidelities, key=lambda name: self.fidelities[name].area, reverse=True)
        return [[name, _area(self.fidelities[name]), *self._ground_truth(name)] for name in order]

    def _ground_truth(self, name: str) -> list[str]:
        if name not in self.ground_truth:
            return [""] * len(_GROUND_TRUTH)
        summary = self.ground_truth[name].summary()
        return [summary[measure] for measure in _GROUND_TRUTH]


def judge(
    estimator: Any,
    X: Any,
    *,
    benchmark: XORBenchmark | None = None,
    random_state: int = 0,
    advance: Advance | None = None,
) -> Judgement:
    """Measure every attribution method, with its default parameters, that a fitted estimator can use.

    Parameters
    ----------
    estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor, Pipeline or search
        Fitted.
    X : array-like of n samples
        Samples like those that the estimator was fitted on, preferably other ones.
    benchmark : XORBenchmark, default=None
        By default with 3 networks and 15 x 15 points, which is enough for its correlations. It is fitted.
    random_state : int, default=0
        Decides the random draws of the fidelity, and the networks of the default benchmark.
    advance : callable, default=None
        Called with a name for the work, the number of finished methods, and the number of all methods.

    Returns
    -------
    Judgement

    Raises
    ------
    TypeError, ValueError
        If the estimator is not a fitted skaba estimator, or X does not fit.

    Notes
    -----
    Methods with a baseline use 0 on the samples, which has to mean "nothing" there, and 0.5 on XOR.

    Examples
    --------
    Quickly, with an XOR network that is trained for a single epoch:

    >>> import numpy as np
    >>> import torch
    >>> from skaba import ABAClassifier, ABARegressor
    >>> from skaba.evaluation.ground_truth import XORBenchmark
    >>> from skaba.judge import judge
    >>> def net(n_inputs=2, n_outputs=1):
    ...     return torch.nn.Sequential(torch.nn.Linear(n_inputs, 5), torch.nn.ReLU(), torch.nn.Linear(5, n_outputs))
    >>> X = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    >>> clf = ABAClassifier(net, module__n_inputs=3, module__n_outputs=2, train_split=None, verbose=0)
    >>> xor = XORBenchmark(ABARegressor(net, max_epochs=1, verbose=0), grid_size=5, n_samples=100, min_accuracy=0)
    >>> found = judge(clf.fit(X, X[:, 0] > 0), X, benchmark=xor.set_params(n_seeds=1))
    >>> found.header
    ['method', 'A [95 %]', 'r_C', 'r_DB', 'r_ideal', 'd / S']
    >>> "Gradient" in found.fidelities, found.reasons["GradCAM"][:35]
    (True, ...)
    """
    net = fitted_net(estimator)
    trials = available(net.module_, as_seen_by_net(estimator, X[:1]), layer=net.layer)
    advance = _silent if advance is None else advance
    advance(_STAGE, 0, len(trials.usable))
    benchmark = XORBenchmark(n_seeds=3, grid_size=15, random_state=random_state) if benchmark is None else benchmark
    # All networks of the benchmark have the same structure, so one of them shows which methods they can use.
    known = _usable_on(benchmark.fit())
    reasons = {trial.method: trial.reason for trial in trials if not trial.usable}
    found = Judgement({}, {}, reasons, {}, benchmark.n_seeds)
    for finished, name in enumerate(trials.usable, 1):
        # Python would show a warning once per place in the code, that is, for the first method only.
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found.fidelities[name] = fidelity(estimator, X, METHODS[name](), random_state=random_state)
            except ValueError as error:  # the trial of available() with one sample need not show it
                found.reasons[name] = str(error)
        for text in dict.fromkeys(str(warning.message) for warning in caught):
            found.warnings.setdefault(text, []).append(name)
        if name in found.fidelities and name in known:
            try:
                found.ground_truth[name] = benchmark.score(_for_xor(METHODS[name]()))
            except ValueError as error:
                found.warnings.setdefault(f"no ground truth: {error}", []).append(name)
        advance(_STAGE, finished, len(trials.usable))
    return found


def _usable_on(benchmark: XORBenchmark) -> list[str]:
    """Return the methods that the XOR networks can use."""
    return available(fitted_net(benchmark.estimators_[0]).module_, np.array([[0.2, 0.9]], dtype=np.float32)).usable


def _for_xor(method: AttributionMethod) -> AttributionMethod:
    """Set a method's baseline to the "nothing" of XOR, between the classes, and IBA's weight to that of the source."""
    settings = dict.fromkeys({"baseline"} & method.get_params(deep=False).keys(), 0.5)
    if isinstance(method, IBA):
        settings["beta"] = IBA_BETA
    return method.set_params(**settings)  # type: ignore[no-any-return]


def _area(found: Fidelity) -> str:
    low, high = found.interval
    return f"{found.area:.1f} [{low:.1f}, {high:.1f}]"


def _silent(what: str, n_finished: int, n_methods: int) -> None:
    """Ignore the progress."""
