"""The strength that a rule chose, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skaba.estimators import fitted_net
from skaba.plotting._axes_display import AxesDisplay


@dataclass(eq=False, repr=False)
class StrengthPathDisplay(AxesDisplay):
    """The strength over the epochs of training, and what steered it. Make it with ``from_estimator``.

    Parameters
    ----------
    strength : ndarray of shape (n_epochs,)
        The strength at the end of each epoch.
    flip_rate : ndarray of shape (n_epochs,)
        The share of right predictions that augmentation turned wrong; NaN before the rule's first look.
    train_fit : ndarray of shape (n_epochs,)
        How well the unchanged samples were predicted; NaN before the rule's first look.
    target : float
        The rule's target for the flip rate.

    Attributes
    ----------
    strength, flip_rate, train_fit, target
        As given.
    ax_ : matplotlib Axes
    ax_shares_ : matplotlib Axes
        The Axes of the shares, whose y axis is at the right.
    figure_ : matplotlib Figure or SubFigure

    Examples
    --------
    >>> from skaba import ABAClassifier
    >>> from skaba.datasets import load_digits
    >>> from skaba.modules import ConvNet
    >>> from skaba.plotting import StrengthPathDisplay
    >>> digits = load_digits("tiny")
    >>> clf = ABAClassifier(ConvNet, strength="auto", max_epochs=10, batch_size=20, random_state=0, verbose=0)
    >>> display = StrengthPathDisplay.from_estimator(clf.fit(digits.X_train, digits.y_train))
    >>> display.strength.shape
    (10,)
    """

    strength: NDArray[Any]
    flip_rate: NDArray[Any]
    train_fit: NDArray[Any]
    target: float
    _size = (6.4, 4.0)  # without an annotation, so that it is not a field of the dataclass

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> StrengthPathDisplay:
        """Plot the path of a fitted estimator's strength.

        Parameters
        ----------
        estimator : ABAClassifier, ABAMultiLabelClassifier, ABARegressor, Pipeline or search
            Fitted with ``strength="auto"`` or a :class:`skaba.training.FlipRate`.
        ax : matplotlib Axes, default=None
            Where to draw; by default the Axes of a new figure.

        Returns
        -------
        StrengthPathDisplay

        Raises
        ------
        ValueError
            If the strength was not chosen by such a rule.
        """
        net = fitted_net(estimator)
        if not hasattr(net.strength_, "target"):
            raise ValueError(
                f"strength={net.strength!r} has no path: fit the estimator with strength='auto' or a FlipRate."
            )
        names = ("strength", "flip_rate", "train_fit")
        path: dict[str, NDArray[Any]] = {name: np.array(net.history[:, name]) for name in names}
        return cls(**path, target=net.strength_.target).plot(ax)

    def _draw(self) -> None:
        epochs = np.arange(1, len(self.strength) + 1)
        self.ax_.plot(epochs, self.strength, color="C0", label="strength")
        self.ax_.set(xlabel="epoch", ylabel="strength", yscale="log")
        self.ax_shares_ = self.ax_.twinx()
        self.ax_shares_.plot(epochs, self.train_fit, "--", color="C2", label="predicted rightly")
        self.ax_shares_.plot(epochs, self.flip_rate, "--", color="C1", label="turned wrong")
        self.ax_shares_.axhline(self.target, color="C1", linewidth=0.8, alpha=0.6)
        self.ax_shares_.set(ylabel="share of the training samples", ylim=(0, 1.02))
        self.ax_shares_.legend(handles=[*self.ax_.lines, *self.ax_shares_.lines[:2]], fontsize="small")
