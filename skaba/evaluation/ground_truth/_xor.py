"""Attribution methods measured on networks that have learned XOR, where the correct attribution is known."""

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
from skaba.evaluation._checks import COUNT, SEED, TWO_OR_MORE
from skaba.evaluation._components import includes, seeded
from skaba.evaluation.ground_truth._data import make_xor
from skaba.evaluation.ground_truth._metrics import dimensional_difference, masked_dimension_correlation, unit_grid
from skaba.evaluation.ground_truth._results import GroundTruthComparison, GroundTruthScores

_MAX_TRIES = 5
_SEARCHES = IBA, HillClimbing
"""Methods that search for evidence for a label; given a single output, they would explain class 1 everywhere."""


class XORBenchmark(BaseEstimator):
    """Networks that have learned XOR, to measure how well attribution maps agree with its ground truth.

    Several networks are trained, each on other samples (``make_xor``). A method then attributes all points of a
    grid on the unit square at once. It explains the network's last output, the same one at all points: the prediction
    of a regressor, or the logit of class 1 of a classifier. ``IBA`` and ``HillClimbing``, which search for evidence for
    a label, explain minus the loss of each point's label.

    Parameters
    ----------
    estimator : ABARegressor, ABAClassifier or Pipeline that ends in one, default=None
        It takes two inputs. By default the source's network, 2 - 10 - 1 with ReLU and a sigmoid at the end, as a
        regressor trained on the squared error: 20 epochs of Adam, lr 0.01, in batches of 256. Pass an estimator that
        augments to see how augmentation changes the maps.
    grid_size : int, default=200
        Points along each axis, S.
    min_accuracy : float, default=0.98
        Maps of a network with a lower accuracy on new samples are not scored: they show nothing about the
        method. The best possible accuracy is 0.988 on average. A network that falls short is trained again from other
        random numbers, up to 5 times in all.
    n_seeds : int, default=5
        The number of networks.
    n_samples : int, default=10000
        The number of training samples of each network, and of new samples to measure its accuracy on.
    random_state : int or None, default=None
        Decides the data and the ``random_state`` of every network.

    Attributes
    ----------
    estimators_ : list of n_seeds fitted estimators
    accuracies_ : ndarray of shape (n_seeds,)
        The accuracy of each on new samples.
    tries_ : ndarray of shape (n_seeds,)
        How often each was trained until it was accurate enough.
    probabilities_ : ndarray of shape (n_seeds, grid_size, grid_size)
        The probabilities of class 1 on the grid.

    Notes
    -----
    Before you choose a method by these figures:

    * They are about two inputs and a network of ten units. It has not been shown that a method which scores well here
      also gives better augmentation, or better maps of images.
    * The measures have defects: equal maps of pure noise have the best possible d and r_C, and the
      :func:`ideal_map` has r_C near 0 and a d no better than noise. r_DB shows only whether one map is the other one
      turned, at the decision boundary: maps that are wrong in the same way for both inputs have r_DB = 1. r_ideal, the
      correlation with the ideal map there, distinguishes a correct map from a wrong one, as far as our formula for the
      ideal map is correct. Read both. See :func:`dimensional_difference` and :func:`masked_dimension_correlation`.
    * The networks differ, and so do the scores: read medians together with their ranges. There is no single
      figure of quality.
    * The baseline matters a lot. Here 0.5 is the point that means "nothing": ``IntegratedGradients(
      baseline=0.5)`` and the same with 0 differ in the sign of r_C. Absolute values differ from signed ones; see
      :class:`Absolute`.
    * Some networks end in a local minimum and are trained again, so the scores are those of networks that have
      learned. ``docs/ground_truth.md`` has measured tables, also with another training.

    References
    ----------
    Heurich (2021), chapter 3.

    Examples
    --------
    A network made by hand, as training would take longer:

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
        "grid_size": TWO_OR_MORE,
        "min_accuracy": [Interval(Real, 0, 1, closed="both")],
        "n_seeds": COUNT,
        "n_samples": [Interval(Integral, 4, None, closed="left")],
        "random_state": [*SEED, None],
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
        """Train the networks, which are clones of the given estimator.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If the estimator is not a skaba estimator.
        ValueError
            If a parameter is not allowed.
        """
        validate_parameters(self)
        template = _default_estimator() if self.estimator is None else self.estimator
        if find_net(template) is None:
            raise TypeError(
                f"estimator={template!r} is not a skaba estimator: pass an ABARegressor, an ABAClassifier, a Pipeline "
                "that ends in one, or None for the default."
            )
        # Not 0, 1, ...: neighbouring values of random_state would then share networks.
        seeds = np.random.SeedSequence(self.random_state).generate_state(self.n_seeds).tolist()
        learned = [self._learn(template, seed) for seed in seeds]
        self.estimators_ = [fitted for fitted, _, _ in learned]
        self.accuracies_ = np.array([accuracy for _, accuracy, _ in learned])
        self.tries_ = np.array([tries for _, _, tries in learned])
        grid, shape = _points(self.grid_size), (self.grid_size, self.grid_size)
        self.probabilities_ = np.stack([_probability(fitted, grid).reshape(shape) for fitted in self.estimators_])
        return self

    def score(self, attribution: Callable[..., Tensor]) -> GroundTruthScores:
        """Return how well a method's maps agree with the ground truth.

        Parameters
        ----------
        attribution : callable
            A method of :mod:`skaba.attribution`, or any callable with the same arguments:
            ``method(model, x, y, *, target, criterion, generator)`` returns the maps of x. It is called once per
            network, with the whole grid as x and the XOR label of the nearest corner as y. Its random draws come
            from the network's ``random_state``.

        Returns
        -------
        GroundTruthScores
            One value per network of each measure.

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
            # Each try draws from new streams, so a failed try does not change the draws of the next network.
            start = int(np.random.SeedSequence([seed, tries]).generate_state(1)[0])
            known, new = (
                make_xor(self.n_samples, random_state=np.random.default_rng([start, part])) for part in (0, 1)
            )
            fitted = seeded(template, start).fit(*known)
            accuracy = _accuracy(fitted, *new)
        return fitted, accuracy, tries

    def _require_accuracy(self) -> None:
        check_is_fitted(self, "estimators_")
        low = np.flatnonzero(self.accuracies_ < self.min_accuracy)
        if len(low):
            raise ValueError(
                f"{len(low)} of {len(self.accuracies_)} networks have not learned XOR in {_MAX_TRIES} tries: their "
                f"accuracies {', '.join(f'{self.accuracies_[i]:.3f}' for i in low)} are below min_accuracy="
                f"{self.min_accuracy}. Maps of such a network show nothing about the method. Train the estimator for "
                "longer, with another lr, or with a larger network, and fit again."
            )

    @staticmethod
    def _score(maps: NDArray[Any], probability: NDArray[Any]) -> tuple[float, ...]:
        probability = probability.clip(0, 1)  # a regressor without a sigmoid may predict other values
        return dimensional_difference(maps, n_steps=maps[..., 0].size), *masked_dimension_correlation(maps, probability)


def _last_output(logits: Tensor, y: Tensor | None, **_: Any) -> ClassScore:
    """Target: the last output of every sample, which is the prediction or the logit of class 1."""
    if logits.dim() != 2:
        raise ValueError(f"The module must return outputs of shape (n, n_outputs), got {tuple(logits.shape)}.")
    return ClassScore(torch.full((len(logits),), logits.shape[1] - 1, device=logits.device))


def _label_score(logits: Tensor, y: Tensor | None, *, criterion: Any, **_: Any) -> Callable[[Tensor], Tensor]:
    """Target: minus the loss of each sample's label."""
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
    """Return the probability of class 1: for a classifier, the last column; for a regressor, the prediction."""
    return np.asarray(estimator.predict_proba(X), dtype=np.float64).reshape(len(X), -1)[:, -1]


def _accuracy(estimator: Any, X: NDArray[np.float32], y: NDArray[np.int64]) -> float:
    return float(np.mean((_probability(estimator, X) > 0.5) == y))


def _points(grid_size: int) -> NDArray[np.float32]:
    return unit_grid(grid_size).reshape(-1, 2)


def _maps_of(estimator: Any, attribution: Any, grid_size: int) -> NDArray[Any]:
    """Return a method's maps of the whole grid in one batch: some methods compare the samples of a batch."""
    points = _points(grid_size)
    # attribute() works in batches of iterator_valid; on a view, the setting does not reach the fitted estimator.
    net = sharing(fitted_net(estimator), iterator_valid__batch_size=len(points))
    y = np.not_equal(*(points > 0.5).T).astype(np.int64)
    target = _label_score if includes(attribution, _SEARCHES) else _last_output
    maps = net.attribute(as_seen_by_net(estimator, points), y, attribution=attribution, target=target)
    if maps.shape != points.shape or not np.isfinite(maps).all():
        raise ValueError(
            f"{attribution!r} returned maps of shape {maps.shape} with {(~np.isfinite(maps)).sum()} values that are "
            f"not finite; on XOR they must be finite and have shape {points.shape}, one value per input."
        )
    return maps.reshape(grid_size, grid_size, 2)
