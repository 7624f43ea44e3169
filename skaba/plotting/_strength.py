"""How well a network does at each strength."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils.validation import check_is_fitted

from skaba.plotting._names import augmenter_name, wrapped

PLAIN = "no augmentation"


@dataclass(frozen=True)
class StrengthCurve:
    """The scores of one augmenter.

    Parameters
    ----------
    label : str
        The augmenter's name.
    strengths, means, deviations : ndarray of shape (n_strengths,)
        Ascending strengths; mean and standard deviation of the scores over the folds.
    n_scores : int
        Scores behind a point.
    is_plain : bool, default=False
        Whether nothing is augmented, so that the score is that of every strength.
    """

    label: str
    strengths: NDArray[Any]
    means: NDArray[Any]
    deviations: NDArray[Any]
    n_scores: int
    is_plain: bool = False


class StrengthDisplay:
    """Score against augmentation strength. Make it with :meth:`from_search`.

    Parameters
    ----------
    curves : sequence of StrengthCurve
    score_name : str, default="score"
        Label of the y axis.

    Attributes
    ----------
    curves, score_name
        As given.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure or SubFigure
    lines_ : list of Line2D
        One per curve.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.plotting import StrengthCurve, StrengthDisplay
    >>> curve = StrengthCurve("mend_aba", np.array([0.1, 1.0]), np.array([0.8, 0.9]), np.zeros(2), 3)
    >>> StrengthDisplay([curve]).plot().ax_.get_xscale()
    'log'
    """

    def __init__(self, curves: Sequence[StrengthCurve], *, score_name: str = "score") -> None:
        self.curves = curves
        self.score_name = score_name

    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        labels: dict[str, str] | None = None,
        score_name: str | None = None,
        ax: Any = None,
    ) -> StrengthDisplay:
        """Plot the scores of a fitted search over ``strength``, one line per augmenter.

        Where a search varies other parameters too, each point is the best that they reached.

        Parameters
        ----------
        search : GridSearchCV, RandomizedSearchCV, or sequence of them
            Fitted, with ``strength`` (also ``step__strength``) among the parameters. The folds of several
            searches, for example one per seed, are pooled. Of several metrics the one that ``refit`` names
            is drawn.
        labels : dict of str to str, default=None
            Names for the legend in place of the augmenters' own: ``"mend_aba"``, also of the object
            ``mend_aba()``; ``"mend_aba(target__k=6)"``.
        score_name : str, default=None
            Label of the y axis; by default that of the metric if it has one, else "score".
        ax : matplotlib Axes, default=None
            Where to plot; by default a new figure.

        Returns
        -------
        StrengthDisplay

        Raises
        ------
        ValueError
            If a search did not vary the strength, varied it over what is no number, had fits that failed,
            or scored several metrics and ``refit`` names none of them.
        TypeError
            If it is not a search.
        sklearn.exceptions.NotFittedError
            If a search is not fitted.

        Examples
        --------
        >>> from sklearn.model_selection import GridSearchCV
        >>> from skaba import ABAClassifier
        >>> from skaba.datasets import load_digits
        >>> from skaba.modules import ConvNet
        >>> from skaba.plotting import StrengthDisplay
        >>> digits = load_digits("tiny")
        >>> clf = ABAClassifier(ConvNet, max_epochs=1, verbose=0)
        >>> grid = {"strength": [0.1, 1.0], "augmenter": ["mend_aba", "fast_aba"]}
        >>> search = GridSearchCV(clf, grid, cv=2).fit(digits.X_train, digits.y_train)
        >>> [line.get_label() for line in StrengthDisplay.from_search(search).lines_]
        ['mend_aba', 'fast_aba']
        """
        searches = _checked_searches(search)
        scores: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
        for one in searches:
            for (label, strength), folds in _scores(one).items():
                scores[label][strength].extend(folds)
        name = score_name or _metric(searches[0], searches[0].scoring)
        names = labels or {}
        curves = [_curve(names.get(label, label), points, label == PLAIN) for label, points in scores.items()]
        return cls(curves, score_name=name).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> StrengthDisplay:
        """Plot the curves with bars of one standard deviation.

        The x axis is logarithmic if the strengths span a factor of 5 or more; a strength of 0 among
        them keeps a place of its own at the left. Plain training is a horizontal line.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            By default that of a new figure.

        Returns
        -------
        StrengthDisplay
            Itself, with ``ax_``, ``figure_`` and ``lines_``.
        """
        import matplotlib.pyplot as plt  # noqa: PLC0415 (heavy; only who plots should pay for it)

        if ax is None:
            _, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
        self.ax_ = ax
        self.figure_ = ax.figure
        varied = [curve for curve in self.curves if not curve.is_plain]
        places = {id(curve): 5 * (index - (len(varied) - 1) / 2) for index, curve in enumerate(varied)}
        self.lines_ = [
            self._plot_plain(curve) if curve.is_plain else self._plot_varied(curve, places[id(curve)])
            for curve in self.curves
        ]
        self._scale([strength for curve in varied for strength in curve.strengths])
        ax.autoscale_view()
        counts = sorted({curve.n_scores for curve in self.curves})
        ax.set(xlabel="strength (in the augmenter's own unit)", ylabel=self.score_name)
        ax.legend(
            title=f"mean ± standard deviation, {'/'.join(map(str, counts))} folds",
            fontsize="small",
            title_fontsize="small",
        )
        ax.grid(alpha=0.3)
        return self

    def _plot_plain(self, curve: StrengthCurve) -> Any:
        low, high = curve.means[0] - curve.deviations[0], curve.means[0] + curve.deviations[0]
        self.ax_.axhspan(low, high, color="black", alpha=0.08, linewidth=0)
        return self.ax_.axhline(curve.means[0], color="black", linestyle="--", label=wrapped(curve.label))

    def _plot_varied(self, curve: StrengthCurve, points_aside: float) -> Any:
        """Plot a line with its bars, a little beside those of the others, which would hide them."""
        from matplotlib.transforms import offset_copy  # noqa: PLC0415 (as above)

        x, y, half = curve.strengths, curve.means, curve.deviations
        aside = offset_copy(self.ax_.transData, fig=self.figure_, x=points_aside, units="points")
        (line,) = self.ax_.plot(x, y, marker="o", label=wrapped(curve.label), transform=aside)
        self.ax_.errorbar(x, y, half, fmt="none", color=line.get_color(), capsize=3, elinewidth=1, transform=aside)
        # Under a transform of their own they do not count for the limits of the axes.
        self.ax_.update_datalim(np.column_stack([np.tile(x, 2), np.concatenate([y - half, y + half])]))
        return line

    def _scale(self, strengths: list[float]) -> None:
        ticks = sorted(set(strengths))
        positive = [strength for strength in ticks if strength > 0]
        if not positive or positive[-1] < 5 * positive[0]:
            return
        if len(positive) < len(ticks):
            self.ax_.set_xscale("symlog", linthresh=positive[0])
        else:
            self.ax_.set_xscale("log")
        if len(ticks) <= 10:
            self.ax_.set_xticks(ticks, labels=[f"{strength:g}" for strength in ticks], minor=False)
            self.ax_.minorticks_off()


def _checked_searches(search: Any) -> list[Any]:
    searches = list(search) if isinstance(search, (list, tuple)) else [search]
    wrong = [type(one).__name__ for one in searches if not isinstance(one, BaseSearchCV)]
    if wrong or not searches:
        raise TypeError(
            f"Got {', '.join(wrong) or 'no search'}; pass a fitted GridSearchCV or RandomizedSearchCV that varied "
            "strength, or a list of them."
        )
    for one in searches:
        check_is_fitted(one, "cv_results_")
    return searches


def _metric(search: Any, scoring: Any) -> str:
    """Return the name of the metric that is drawn, "score" if it has none."""
    if not search.multimetric_:
        return scoring if isinstance(scoring, str) else "score"
    if isinstance(search.refit, str):
        return str(search.refit)
    raise ValueError("The search has several metrics; say which is drawn by its refit, for example refit='accuracy'.")


def _scores(search: Any) -> dict[tuple[str, float], list[float]]:
    """Return the folds' scores of each augmenter and strength: of several candidates the best one's."""
    best: dict[tuple[str, float], list[float]] = {}
    metric = _metric(search, None)
    columns = [search.cv_results_[f"split{i}_test_{metric}"] for i in range(search.n_splits_)]
    n_failed = int((~np.isfinite(columns)).sum())
    if n_failed:
        raise ValueError(
            f"{n_failed} of the search's {np.size(columns)} fits have no finite score. Search with "
            "error_score='raise' to see why."
        )
    for candidate, parameters in enumerate(search.cv_results_["params"]):
        augmenter = _parameter(search, parameters, "augmenter")
        strength = _number(_parameter(search, parameters, "strength", needed=True))
        key = PLAIN if augmenter is None else augmenter_name(augmenter), strength
        folds = [float(column[candidate]) for column in columns]
        if key not in best or np.mean(folds) > np.mean(best[key]):
            best[key] = folds
    return best


def _number(strength: Any) -> float:
    if isinstance(strength, Real):
        return float(strength)
    raise ValueError(f"The search varied strength over {strength!r}, which has no place on an axis of numbers.")


def _parameter(search: Any, parameters: dict[str, Any], name: str, needed: bool = False) -> Any:
    """Look a parameter up among the searched ones, then on the estimator."""
    for key, value in parameters.items():
        if key == name or key.endswith(f"__{name}"):
            return value
    if needed:
        raise ValueError(
            f"The search did not vary {name}, only {sorted(parameters)}; put {name!r} into its grid, "
            "for example {'strength': [0.05, 0.1, 0.5]}."
        )
    own = search.estimator.get_params()
    return next((own[key] for key in own if key == name or key.endswith(f"__{name}")), None)


def _curve(label: str, points: dict[float, list[float]], is_plain: bool) -> StrengthCurve:
    strengths = sorted(points)
    scores = [np.asarray(points[strength]) for strength in strengths]
    return StrengthCurve(
        label,
        np.array(strengths),
        np.array([values.mean() for values in scores]),
        np.array([values.std() for values in scores]),
        max(len(values) for values in scores),
        is_plain=is_plain or not any(strengths),
    )
