"""A rule for the strength: as strong as the network bears."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, ClassVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval

from skaba.augmenters import Batch, Plan
from skaba.training._probe import Probe, probed

RECENT = 0.3
"""The weight of the latest batch in running means."""
STATE = ("strength_", "flip_rate_", "fit_", "n_batches_")


class FlipRate(BaseEstimator):
    """A rule that chooses the strength: augmentation turns a fixed share of the right predictions wrong.

    Every few batches the network predicts a batch in evaluation mode, before and after augmentation. The flip rate is
    the share of right predictions that augmentation turns wrong. Above its target, the strength shrinks; below, it
    grows. It grows beyond its start only while the network fits the unchanged samples. If it does not, there is no
    overfitting to fight, and the strength returns to its start.

    Parameters
    ----------
    target : float, default=0.2
        The flip rate.
    fitted : float, default=0.9
        The share of unchanged samples that the network must predict rightly for the strength to grow.
    start : float, default=0.1
        The first strength.
    low, high : float, default=0.003 and 1
        The smallest and the largest strength. Scale the features to about unit variance.
    pace : float, default=3.0
        How fast the strength changes: by a factor exp(pace * (target - flip rate)) each time.
    every : int, default=12
        The number of batches from one look to the next. Looking takes two forward passes.

    Attributes
    ----------
    strength_ : float
        The strength in force.
    flip_rate_, fit_ : float
        Running means of what was measured; NaN before.
    n_batches_ : int
        The number of batches so far.

    Notes
    -----
    The rule works at the input and at a layer. For several labels per sample, flips are averaged over
    positive and negative labels; for a regression, they are the increase of the loss, as a share of the loss of a
    constant prediction.

    It is related to the adaptive augmentation of StyleGAN2-ADA, whose strength holds a measure of overfitting at a
    target.

    References
    ----------
    Karras et al. (2020), "Training Generative Adversarial Networks with Limited Data", section 3.1.

    Examples
    --------
    >>> from skaba import ABAClassifier
    >>> from skaba.datasets import load_digits
    >>> from skaba.modules import ConvNet
    >>> from skaba.training import FlipRate
    >>> digits = load_digits("tiny")
    >>> clf = ABAClassifier(ConvNet, augmenter="fast_aba", strength=FlipRate(), max_epochs=60, batch_size=20,
    ...                     random_state=0, verbose=0).fit(digits.X_train, digits.y_train)
    >>> clf.history[-1, "strength"] > clf.history[0, "strength"]
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "target": [Interval(Real, 0, 1, closed="neither")],
        "fitted": [Interval(Real, 0, 1, closed="left")],
        "start": [Interval(Real, 0, None, closed="neither")],
        "low": [Interval(Real, 0, None, closed="neither")],
        "high": [Interval(Real, 0, None, closed="neither")],
        "pace": [Interval(Real, 0, None, closed="neither")],
        "every": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        target: float = 0.2,
        fitted: float = 0.9,
        start: float = 0.1,
        low: float = 0.003,
        high: float = 1.0,
        pace: float = 3.0,
        every: int = 12,
    ) -> None:
        self.target = target
        self.fitted = fitted
        self.start = start
        self.low = low
        self.high = high
        self.pace = pace
        self.every = every
        self.strength_ = start
        self.flip_rate_ = self.fit_ = math.nan
        self.n_batches_ = 0

    def __call__(self, batch: Batch) -> float:
        """Return the strength in force."""
        return self.strength_

    def observe(self, batch: Batch, plan: Plan) -> None:
        """Look at a batch of training, every few batches, and change the strength.

        Parameters
        ----------
        batch : Batch
        plan : Plan
            How the batch is augmented.
        """
        self.n_batches_ += 1
        if self.n_batches_ % self.every == 0:
            self.learn(probed(batch, plan))

    def learn(self, probe: Probe) -> None:
        """Change the strength by what augmentation did to a batch."""
        self.fit_ = _running(self.fit_, probe.fit)
        self.flip_rate_ = _running(self.flip_rate_, probe.flips)
        error, top = self.target - probe.flips, self.high
        if self.fit_ < self.fitted:
            top = max(self.start, self.strength_)
            if self.strength_ > self.start:
                error = min(error, self.fit_ - self.fitted)
        self.strength_ = min(max(self.strength_ * math.exp(self.pace * error), self.low), top)

    def figures(self) -> dict[str, float]:
        """Return what the history of training records per epoch.

        Returns
        -------
        dict of str to float
        """
        return {"strength": self.strength_, "flip_rate": self.flip_rate_, "train_fit": self.fit_}

    def state_dict(self) -> dict[str, float]:
        """Return the state that is needed to continue later.

        Returns
        -------
        dict of str to float
        """
        return {name: float(getattr(self, name)) for name in STATE}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Load a state that ``state_dict`` returned.

        Parameters
        ----------
        state : dict
        """
        for name in STATE:
            setattr(self, name, state[name])

    def remark(self) -> str | None:
        """Say what kept the rule from its target, if anything did.

        Returns
        -------
        str or None
        """
        if self.n_batches_ < self.every:
            return f"{self!r} looks once in {self.every} batches, and there were {self.n_batches_:.0f}: set every=1."
        if self.strength_ <= self.start and self.fit_ < self.fitted:
            return (
                f"The strength did not grow beyond {self.start:g}: the network predicts {100 * self.fit_:.0f} % "
                f"of what it is trained on, less than fitted={self.fitted:g}. It does not overfit, so augmentation is "
                "not expected to help. Train longer, or give a number as strength."
            )
        if self.strength_ >= self.high:
            return (
                f"The strength reached {self.high:g}, and augmentation turns only {100 * self.flip_rate_:.0f} % of the "
                "right predictions wrong. Scale the features to about unit variance, or raise high."
            )
        return None

    def _check_consistency(self) -> None:
        if not self.low <= self.start <= self.high:
            raise ValueError(f"start={self.start!r} must be from low={self.low!r} to high={self.high!r}.")


def _running(mean: float, value: float) -> float:
    return value if math.isnan(mean) else (1 - RECENT) * mean + RECENT * value
