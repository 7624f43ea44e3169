"""Attribution methods, measured where one knows what decides: on networks that have learned XOR."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skaba._validation import validate_parameters
from skaba.attribution import IBA, ClassScore, HillClimbing, Loss
from skaba.estimators import ABARegressor, as_seen_by_net, find_net, fitted_net, sharing
from skaba.evaluation._components import includes
from skaba.evaluation._folds import seeded
from skaba.evaluation.ground_truth._data import make_xor
from skaba.evaluation.ground_truth._metrics import dimensional_difference, masked_dimension_correlation, unit_grid
from skaba.evaluation.ground_truth._results import GroundTruthComparison, GroundTruthScores

_MAX_TRIES = 5
_SEARCHES = IBA, HillClimbing
"""Methods that search for what speaks for a label: of one output alone they would everywhere explain class 1."""


class XORBenchmark(BaseEstimator):
    """Networks that have learned XOR, and how well maps of them agree with what is known of it.

    Several networks are trained, each on a sample of its own (``make_xor``). A method is then asked for the maps
    of all points of a grid on the unit square at once. What is explained is the network's last output as it is: the
    prediction of a regressor, the logit of class 1 of a classifier; everywhere the same one. ``IBA`` and
    ``HillClimbing`` search for what speaks for a label, and are handed minus the loss of the point's own label.

    Parameters
    ----------
    estimator : ABARegressor, ABAClassifier or Pipeline that ends in one, default=None
        Takes two inputs. By default the source's network, 2 - 10 - 1 with ReLU and a sigmoid at the end, as a
        regressor trained on the squared error: 20 epochs of Adam, lr 0.01, in batches of 256. An estimator that
        augments tells what augmentation does to the maps.
    grid_size : int, default=200
        Points along each axis, S.
    min_accuracy : float, default=0.98
        Maps of a network that is right less often on new samples are not scored: they tell nothing about the
        method. The best there can be is 0.988 on average. A network that falls short is trained again from other random
        numbers, up to 5 times in all.
    n_seeds : int, default=5
        How many networks are trained.
    n_samples : int, default=10000
        Samples that each network is trained on, and as many new ones that its accuracy is measured on.
    random_state : int or None, default=None
        Decides the data and the estimator's own ``random_state`` of every network.

    Attributes
    ----------
    estimators_ : list of n_seeds fitted estimators
    accuracies_ : ndarray of shape (n_seeds,)
        Of each, on new samples.
    tries_ : ndarray of shape (n_seeds,)
        How often each was trained until it was accurate enough.
    probabilities_ : ndarray of shape (n_seeds, grid_size, grid_size)
        Of class 1 on the grid.

    Notes
    -----
    Before you choose a method by these figures:

    * They speak of two inputs and a network of ten units. That a method which scores well here also makes a better
      augmentation, or better maps of images, has not been shown.
    * The measures have defects: equal maps of pure noise have the best d and r_C there are, and the
      :func:`ideal_map` has r_C near 0 and a d no better than noise. r_DB tells only whether the one
      map is the other, turned, at the decision boundary: maps that are wrong in the same way for both inputs have
      r_DB = 1. r_ideal, the
      correlation with the ideal map there, tells a right map from a wrong one, as far as our formula for the ideal map
      is right. Read both. See :func:`dimensional_difference` and :func:`masked_dimension_correlation`.
    * The networks differ, and so do the scores: read medians together with their ranges. There is no single
      figure of quality.
    * The baseline decides much. Here 0.5 is the point that stands for "nothing": ``IntegratedGradients(
      baseline=0.5)`` and the same with 0 differ in the sign of r_C. Absolute values differ from signed ones; see
      :class:`Absolute`.
    * Some networks end in a local minimum and are trained again, so the scores are those of networks that have
      learned. ``docs/ground_truth.md`` has measured tables, and what another training changes.

    References
    ----------
    Heurich (2021), chapter 3.

    Examples
    --------
    A network made by hand in place of training, to be quick:

    >>> import torch
    >>> from skaba import ABARegressor
    >>> from skaba.attribution import Gradient, InputXGradient
    >>> from skaba.evaluation.ground_truth import XORBenchmark
    >>> class Solved(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.scale = torch.nn.Parameter(torch.tensor(-30.0))
    ...     def forward(self, x):
    ...         return torch.sigmoid(self.scale * (x - 0.5).prod(dim=1, keepdim=True))
    >>> solved = ABARegressor(Solved, augmenter=None, lr=1e-9, max_epochs=1, batch_size=10000, verbose=0)
    >>> benchmark = XORBenchmark(solved, grid_size=50, n_seeds=2, n_samples=4000, random_state=0).fit()
    >>> scores = benchmark.score(InputXGradient())
    >>> bool((scores.r_DB > 0.9).all())
    True
    >>> print(benchmark.compare({"gradient": Gradient(), "times input": InputXGradient()}).table())
    | method | d / S | r_C | r_DB | r_ideal | nonzero_C | nonzero_DB |
    |---|---|---|---|---|---|---|
    | gradient | 0... [0..., 0...] | ...
    | times input | 0... [0..., 0...] | ...
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "grid_size": [Interval(Integral, 2, None, closed="left")],
        "min_accuracy": [Interval(Real, 0, 1, closed="both")],
        "n_seeds": [Interval(Integral, 1, None, closed="left")],
        "n_samples": [Interval(Integral, 4, None, closed="left")],
        "random_state": [Interval(Integral, 0, None, closed="left"), None],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        grid_size: int = 200,
        min_accuracy: float = 0.98,
        n_seeds: int = 5,
        n_samples: int = 10000,
        random_state: int | None = None,
    ) -> None:
        self.estimator = estimator
        self.grid_size = grid_size
        self.min_accuracy = min_accuracy
        self.n_seeds = n_seeds
        self.n_samples = n_samples
        self.random_state = random_state

    def fit(self) -> XORBenchmark:
        """Train the networks. The estimator that was given is cloned, not trained.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the estimator is none of skaba's.
        ValueError
            If a parameter is not allowed.
        """
        validate_parameters(self)
        template = _default_estimator() if self.estimator is None else self.estimator
        if find_net(template) is None:
            raise TypeError(
                f"estimator={template!r} is no skaba estimator: pass an ABARegressor, an ABAClassifier, a Pipeline "
                "that ends in one, or None for the default."
            )
        seeds = np.random.SeedSequence(self.random_state).generate_state(self.n_seeds).tolist()
        learned = [self._learn(template, seed) for seed in seeds]
        self.estimators_ = [fitted for fitted, _, _ in learned]
        self.accuracies_ = np.array([accuracy for _, accuracy, _ in learned])
        self.tries_ = np.array([tries for _, _, tries in learned])
        grid, shape = _points(self.grid_size), (self.grid_size, self.grid_size)
        self.probabilities_ = np.stack([_probability(fitted, grid).reshape(shape) for fitted in self.estimators_])
        return self

    def score(self, attribution: Callable[..., Tensor]) -> GroundTruthScores:
        """Return how well a method's maps agree with what is known.

        Parameters
        ----------
        attribution : callable
            A method of :mod:`skaba.attribution`, or any callable with its arguments:
            ``method(model, x, y, *, target, criterion, generator)`` returns the maps of x. It is called once a
            network, with the whole grid as x, and as y what XOR says of the nearest corner. Its random draws come
            from the network's ``random_state``.

        Returns
        -------
        GroundTruthScores
            One value a network of each measure.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            Before ``fit``.
        ValueError
            If a network is not accurate enough, or the maps are not finite or of another shape.
        """
        self._require_accuracy()
        found = [
            self._score(_maps_of(fitted, attribution, self.grid_size), probability)
            for fitted, probability in zip(self.estimators_, self.probabilities_, strict=True)
        ]
        return GroundTruthScores(*np.array(found).T)

    def compare(self, attributions: Mapping[str, Callable[..., Tensor]]) -> GroundTruthComparison:
        """Score several methods on the same networks.

        Parameters
        ----------
        attributions : mapping of str to callable
            At least one, by name.

        Returns
        -------
        GroundTruthComparison

        Raises
        ------
        ValueError, sklearn.exceptions.NotFittedError
            As :meth:`score`, or if there is no method.
        """
        if not isinstance(attributions, Mapping) or not attributions:
            raise ValueError(
                f"attributions={attributions!r} must map names to at least one method, for example "
                '{"gradient": Gradient()}.'
            )
        return GroundTruthComparison({name: self.score(method) for name, method in attributions.items()})

    def _learn(self, template: Any, seed: int) -> tuple[Any, float, int]:
        """Return a fitted network, its accuracy, and how often it was trained."""
        accuracy, tries = -1.0, 0
        while accuracy < self.min_accuracy and tries < _MAX_TRIES:
            tries += 1
            own = int(np.random.SeedSequence([seed, tries]).generate_state(1)[0])
            known, new = (make_xor(self.n_samples, random_state=np.random.default_rng([own, part])) for part in (0, 1))
            fitted = seeded(template, own).fit(*known)
            accuracy = _accuracy(fitted, *new)
        return fitted, accuracy, tries

    def _require_accuracy(self) -> None:
        check_is_fitted(self, "estimators_")
        low = np.flatnonzero(self.accuracies_ < self.min_accuracy)
        if len(low):
            raise ValueError(
                f"{len(low)} of {len(self.accuracies_)} networks have not learned XOR in {_MAX_TRIES} tries: their "
                f"accuracies {', '.join(f'{self.accuracies_[i]:.3f}' for i in low)} are below min_accuracy="
                f"{self.min_accuracy}. Maps of such a network say nothing about the method. Train the estimator for "
                "longer, with another lr, or with a larger network, and fit again."
            )

    @staticmethod
    def _score(maps: NDArray[Any], probability: NDArray[Any]) -> tuple[float, ...]:
        probability = probability.clip(0, 1)  # a regressor without a sigmoid predicts beyond what it learned
        return dimensional_difference(maps, n_steps=maps[..., 0].size), *masked_dimension_correlation(maps, probability)


class _LastOutput(BaseEstimator):
    """The last output of every sample: the prediction, or the logit of class 1."""

    def __call__(self, logits: Tensor, y: Tensor | None, *, criterion: Any = None, generator: Any = None) -> ClassScore:
        if logits.dim() != 2:
            raise ValueError(f"The module must return outputs of shape (n, n_outputs), got {tuple(logits.shape)}.")
        return ClassScore(torch.full((len(logits),), logits.shape[1] - 1, device=logits.device))


class _LabelScore(BaseEstimator):
    """Minus the loss of every sample's own label."""

    def __call__(
        self, logits: Tensor, y: Tensor | None, *, criterion: Any = None, generator: Any = None
    ) -> Callable[[Tensor], Tensor]:
        loss = Loss()(logits, y, criterion=criterion)
        return lambda logits: -loss(logits)


class _Network(nn.Sequential):
    """The source's network."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(2, 10), nn.ReLU(), nn.Linear(10, 1), nn.Sigmoid())


def _default_estimator() -> ABARegressor:
    return ABARegressor(
        _Network,
        augmenter=None,
        optimizer=torch.optim.Adam,
        lr=0.01,
        batch_size=256,
        max_epochs=20,
        iterator_train__shuffle=True,
        train_split=None,
        verbose=0,
    )


def _probability(estimator: Any, X: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probability of class 1: of a classifier its last column, of a regressor the prediction."""
    return np.asarray(estimator.predict_proba(X), dtype=np.float64).reshape(len(X), -1)[:, -1]


def _accuracy(estimator: Any, X: NDArray[np.float32], y: NDArray[np.int64]) -> float:
    return float(np.mean((_probability(estimator, X) > 0.5) == y))


def _points(grid_size: int) -> NDArray[np.float32]:
    return unit_grid(grid_size).reshape(-1, 2)


def _maps_of(estimator: Any, attribution: Any, grid_size: int) -> NDArray[Any]:
    """Return a method's maps of the whole grid, asked for at once: some methods compare the samples of a batch."""
    points = _points(grid_size)
    net = sharing(fitted_net(estimator), iterator_valid__batch_size=len(points))
    y = np.not_equal(*(points > 0.5).T).astype(np.int64)
    target = _LabelScore() if includes(attribution, _SEARCHES) else _LastOutput()
    maps = net.attribute(as_seen_by_net(estimator, points), y, attribution=attribution, target=target)
    if maps.shape != points.shape or not np.isfinite(maps).all():
        raise ValueError(
            f"{attribution!r} returned maps of shape {maps.shape} with {(~np.isfinite(maps)).sum()} values that are "
            f"not finite; on XOR they must have shape {points.shape}, finite, one value an input."
        )
    return maps.reshape(grid_size, grid_size, 2)
