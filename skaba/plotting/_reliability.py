"""How often a classifier is right against how sure it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, is_classifier

from skaba.evaluation.calibration import ReliabilityCurve, reliability_curve
from skaba.evaluation.calibration._predictions import column_numbers


class ReliabilityDisplay:
    """Accuracy against confidence, with the samples behind each point. Make it with a ``from_`` method.

    A point below the diagonal is a bin of predictions that claim too much, one above a bin that claims too little;
    the red bars show by how much. The grey histogram behind tells how many samples each bin has.

    Parameters
    ----------
    curve : ReliabilityCurve
        See :func:`skaba.evaluation.calibration.reliability_curve`.
    name : str, default=None
        Of the classifier, for the legend.

    Attributes
    ----------
    curve, name
        As given.
    ax_ : matplotlib Axes
    ax_counts_ : matplotlib Axes
        The histogram's, with its axis at the right.
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

    def __init__(self, curve: ReliabilityCurve, *, name: str | None = None) -> None:
        self.curve = curve
        self.name = name

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
        """Plot how reliable a fitted classifier's probabilities are.

        Parameters
        ----------
        estimator : classifier
            Fitted, with ``predict_proba``: skaba's, any of scikit-learn's, a Pipeline or a search.
        X : array-like of n samples
            That it was not trained on.
        y : array-like of shape (n,)
            Their labels.
        n_bins : int, default=15
        strategy : "uniform" or "quantile", default="uniform"
            Bins of equal width, or of equal mass.
        name : str, default=None
            For the legend; by default the estimator's class.
        ax : matplotlib Axes, default=None
            Where to plot; by default a new figure.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        TypeError
            If the estimator is no classifier, or gives no probabilities.
        ValueError
            If y holds no labels of the estimator's, or a parameter is not allowed.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.naive_bayes import GaussianNB
        >>> from skaba.plotting import ReliabilityDisplay
        >>> X, y = load_digits(return_X_y=True)
        >>> clf = GaussianNB().fit(X[:1000], y[:1000])
        >>> display = ReliabilityDisplay.from_estimator(clf, X[1000:], y[1000:])
        >>> display.curve.error > 0.1                   # naive Bayes is surer than it should be
        True
        """
        if isinstance(estimator, type) or (isinstance(estimator, BaseEstimator) and not is_classifier(estimator)):
            kind = estimator if isinstance(estimator, type) else type(estimator)
            raise TypeError(f"A {kind.__name__} is no classifier: pass a fitted one that has predict_proba.")
        if not hasattr(estimator, "predict_proba"):
            raise TypeError(f"A {type(estimator).__name__} has no predict_proba: pass a fitted classifier that has.")
        if y is None:
            raise ValueError("y=None: reliability compares predictions with the true labels; pass those of X.")
        probabilities = estimator.predict_proba(X)
        return cls.from_predictions(
            column_numbers(estimator, y),
            probabilities,
            n_bins=n_bins,
            strategy=strategy,
            name=type(estimator).__name__ if name is None else name,
            ax=ax,
        )

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
        """Plot how reliable probabilities are.

        Parameters
        ----------
        y : array-like of shape (n,)
            The true classes as column numbers of ``probabilities``.
        probabilities : array-like of shape (n, n_classes)
        n_bins, strategy, name, ax
            As in :meth:`from_estimator`; no name by default.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        ValueError
            As :func:`skaba.evaluation.calibration.reliability_curve`.
        """
        return cls(reliability_curve(y, probabilities, n_bins=n_bins, strategy=strategy), name=name).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> ReliabilityDisplay:
        """Plot the points, the diagonal and the histogram.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            By default that of a new figure.

        Returns
        -------
        ReliabilityDisplay
            Itself, with ``ax_``, ``ax_counts_`` and ``figure_``.
        """
        import matplotlib.pyplot as plt  # noqa: PLC0415 (heavy; only who plots should pay for it)

        if ax is None:
            _, ax = plt.subplots(figsize=(5.2, 4.6), layout="constrained")
        self.ax_ = ax
        self.figure_ = ax.figure
        self._plot_points()
        self._plot_counts()
        return self

    def _plot_points(self) -> None:
        curve, ax = self.curve, self.ax_
        filled = curve.counts > 0
        confidence, accuracy = curve.confidence[filled], curve.accuracy[filled]
        error = f"ECE {curve.error:.3f}"
        ax.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1, label="perfect calibration")
        ax.vlines(confidence, accuracy, confidence, color="tab:red", alpha=0.35, linewidth=5, label="gap")
        label = error if self.name is None else f"{self.name}\n({error})"
        ax.plot(confidence, accuracy, "o-", label=label, clip_on=False)
        ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="confidence (probability of the predicted class)", ylabel="accuracy")
        ax.legend(loc="best", fontsize="small")
        ax.grid(alpha=0.3)

    def _plot_counts(self) -> None:
        """Plot the histogram into the lowest quarter, behind the points, with an axis of its own at the right."""
        curve = self.curve
        counts = self.ax_.twinx()
        counts.bar(curve.edges[:-1], curve.counts, np.diff(curve.edges), align="edge", color="0.85", edgecolor="white")
        highest = int(curve.counts.max())
        counts.set(ylim=(0, 4 * highest), yticks=[0, highest])
        counts.set_ylabel("samples", loc="bottom")
        self.ax_.set_zorder(counts.get_zorder() + 1)
        self.ax_.patch.set_visible(False)
        self.ax_counts_ = counts
