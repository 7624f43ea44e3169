"""How often a classifier is right, against its confidence."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_classifier

from skaba.evaluation.calibration import ReliabilityCurve, column_numbers, reliability_curve
from skaba.plotting._axes_display import AxesDisplay


@dataclass(eq=False, repr=False)
class ReliabilityDisplay(AxesDisplay):
    """Accuracy against confidence, with the number of samples behind each point.

    A point below the diagonal is a bin of overconfident predictions, a point above it a bin of underconfident
    ones; the red bars show by how much. The grey histogram shows the number of samples per bin. Make it with a
    ``from_`` method.

    Parameters
    ----------
    curve : ReliabilityCurve
        See :func:`skaba.evaluation.calibration.reliability_curve`.
    name : str, default=None
        Name of the classifier in the legend.

    Attributes
    ----------
    curve, name
        As given.
    ax_ : matplotlib Axes
    ax_counts_ : matplotlib Axes
        The Axes of the histogram, whose y axis is at the right.
    figure_ : matplotlib Figure or SubFigure

    References
    ----------
    Guo et al. (2017), "On Calibration of Modern Neural Networks", figure 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.plotting import ReliabilityDisplay
    >>> p = np.random.default_rng(0).uniform(0.5, 1, size=200)
    >>> display = ReliabilityDisplay.from_predictions(np.zeros(200, dtype=int), np.column_stack([p, 1 - p]))
    >>> display.ax_.get_ylabel()
    'accuracy'
    """

    curve: ReliabilityCurve
    _: KW_ONLY
    name: str | None = None
    _size = (5.2, 4.6)  # without an annotation, so that it is not a field of the dataclass

    @classmethod
    def from_results(cls, results: ReliabilityCurve, *, name: str | None = None, ax: Any = None) -> ReliabilityDisplay:
        """Plot what ``reliability_curve`` found.

        Parameters
        ----------
        results : ReliabilityCurve
        name : str, default=None
            For the legend.
        ax : matplotlib Axes, default=None
            Where to draw; by default the Axes of a new figure.

        Returns
        -------
        ReliabilityDisplay

        Examples
        --------
        >>> from skaba.evaluation.calibration import reliability_curve
        >>> from skaba.plotting import ReliabilityDisplay
        >>> curve = reliability_curve([0, 0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.4, 0.6]], n_bins=2)
        >>> ReliabilityDisplay.from_results(curve, name="ours").name
        'ours'
        """
        return cls(results, name=name).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        n_bins: int = 15,
        strategy: str = "uniform",
        name: str | None = None,
        ax: Any = None,
    ) -> ReliabilityDisplay:
        """Plot the reliability of a fitted classifier's probabilities.

        Parameters
        ----------
        estimator : classifier
            Fitted, with ``predict_proba``: of skaba or scikit-learn, a Pipeline or a search.
        X : array-like of n samples
            Samples that it was not trained on.
        y : array-like of shape (n,)
            Their labels.
        n_bins : int, default=15
        strategy : "uniform" or "quantile", default="uniform"
            Bins of equal width, or with equal numbers of samples.
        name : str, default=None
            For the legend; by default the name of the estimator's class.
        ax : matplotlib Axes, default=None
            Where to draw; by default the Axes of a new figure.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        TypeError
            If the estimator is not a classifier, or has no ``predict_proba``.
        ValueError
            If y holds labels that the estimator was not fitted on, or a parameter is not allowed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from skaba.plotting import ReliabilityDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = GaussianNB().fit(X[:1000], y[:1000])
        >>> display = ReliabilityDisplay.from_estimator(clf, X[1000:], y[1000:])
        >>> display.curve.error > 0.1                   # naive Bayes is overconfident
        True
        """
        if isinstance(estimator, type) or (isinstance(estimator, BaseEstimator) and not is_classifier(estimator)):
            kind = estimator if isinstance(estimator, type) else type(estimator)
            raise TypeError(f"{kind.__name__} is not a fitted classifier: pass one that has predict_proba.")
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(f"{type(estimator).__name__} has no predict_proba: pass a fitted classifier that has it.")
        if y is None:
            raise ValueError("y=None: reliability compares predictions with the true labels; pass the labels of X.")
        y, probabilities = column_numbers(estimator, y), estimator.predict_proba(X)
        name = type(estimator).__name__ if name is None else name
        return cls.from_predictions(y, probabilities, n_bins=n_bins, strategy=strategy, name=name, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        y: ArrayLike,
        probabilities: ArrayLike,
        *,
        n_bins: int = 15,
        strategy: str = "uniform",
        name: str | None = None,
        ax: Any = None,
    ) -> ReliabilityDisplay:
        """Plot the reliability of probabilities.

        Parameters
        ----------
        y : array-like of shape (n,)
            The true classes, as column numbers of ``probabilities``.
        probabilities : array-like of shape (n, n_classes)
        n_bins, strategy, name, ax
            As in :meth:`from_estimator`; there is no default name.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        ValueError
            As :func:`skaba.evaluation.calibration.reliability_curve`.
        """
        curve = reliability_curve(y, probabilities, n_bins=n_bins, strategy=strategy)
        return cls.from_results(curve, name=name, ax=ax)

    def _draw(self) -> None:
        self._draw_points()
        self._draw_counts()

    def _draw_points(self) -> None:
        curve, ax = self.curve, self.ax_
        filled = curve.counts > 0
        confidence, accuracy = curve.confidence[filled], curve.accuracy[filled]
        error = f"ECE {curve.error:.3f}"
        ax.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1, label="perfect calibration")
        ax.vlines(confidence, accuracy, confidence, color="tab:red", alpha=0.35, linewidth=5, label="gap")
        label = error if self.name is None else f"{self.name}\n({error})"
        # Not clipped, because points with an accuracy of 0 or a confidence of 1 lie on the border.
        ax.plot(confidence, accuracy, "o-", label=label, clip_on=False)
        ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence (probability of the predicted class)", ylabel="accuracy")
        ax.legend(loc="best", fontsize="small")
        ax.grid(alpha=0.3)

    def _draw_counts(self) -> None:
        """Draw the histogram into the lowest quarter, behind the points, with a second y axis at the right."""
        curve = self.curve
        counts = self.ax_.twinx()
        counts.bar(curve.edges[:-1], curve.counts, np.diff(curve.edges), align="edge", color="0.85", edgecolor="white")
        highest = int(curve.counts.max())
        counts.set(ylim=(0, 4 * highest), yticks=[0, highest])
        counts.set_ylabel("samples", loc="bottom")
        # The second Axes would cover the points. The first one is moved to the front, and its background, which would
        # then cover the bars, is made transparent.
        self.ax_.set_zorder(counts.get_zorder() + 1)
        self.ax_.patch.set_visible(False)
        self.ax_counts_ = counts
