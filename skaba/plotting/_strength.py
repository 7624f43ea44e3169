"""How well a network does at each strength."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection._search import BaseSearchCV
from sklearn.utils.validation import check_is_fitted

from skaba.plotting._axes_display import AxesDisplay
from skaba.plotting._matplotlib import matplotlib
from skaba.plotting._names import augmenter_name, wrapped

PLAIN = "no augmentation"
_SPACING = 5  # points between the bars of different curves at one strength


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
        Number of scores behind a point.
    is_plain : bool, default=False
        Whether nothing is augmented, so that the score is the same for every strength.
    """

    label: str
    strengths: NDArray[Any]
    means: NDArray[Any]
    deviations: NDArray[Any]
    n_scores: int
    is_plain: bool = False


@dataclass(eq=False, repr=False)
class StrengthDisplay(AxesDisplay):
    """Score against augmentation strength. Make it with :meth:`from_search`.

    A point is a mean score, its bar one standard deviation. The x axis is logarithmic if the strengths span a
    factor of 5 or more; a strength of 0 is then drawn at the left. Plain training is a horizontal line.

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

    curves: Sequence[StrengthCurve]
    _: KW_ONLY
    score_name: str = "score"
    _size = (6.4, 4.2)  # without an annotation, so that it is not a field of the dataclass

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

        If the search also varied other parameters, each point is the best score over their values.

        Parameters
        ----------
        search : GridSearchCV, RandomizedSearchCV, or sequence of them
            Fitted, with ``strength`` (or ``step__strength``) among the parameters. The folds of several
            searches, for example one per seed, are pooled. With several metrics, the metric that ``refit`` names
            is drawn.
        labels : dict of str to str, default=None
            Names for the legend, by the augmenter's own name: ``"mend_aba"`` for this preset, given by name or as
            the object ``mend_aba()``; ``"mend_aba(target__k=6)"`` for this preset with another parameter.
        score_name : str, default=None
            Label of the y axis; by default the name of the metric if it has one, else "score".
        ax : matplotlib Axes, default=None
            Where to draw; by default the Axes of a new figure.

        Returns
        -------
        StrengthDisplay

        Raises
        ------
        ValueError
            If a search did not vary the strength, varied it over values that are not numbers, had fits that
            failed, or scored several metrics and ``refit`` names none of them.
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
        names = labels or {}
        curves = [_curve(names.get(label, label), points, label == PLAIN) for label, points in scores.items()]
        return cls(curves, score_name=score_name or _score_name(searches[0])).plot(ax)

    def _draw(self) -> None:
        varied = [curve for curve in self.curves if not curve.is_plain]
        offsets = iter(_SPACING * (np.arange(len(varied)) - (len(varied) - 1) / 2))
        self.lines_ = [
            self._draw_plain(curve) if curve.is_plain else self._draw_varied(curve, next(offsets))
            for curve in self.curves
        ]
        self._scale([strength for curve in varied for strength in curve.strengths])
        self.ax_.autoscale_view()  # update_datalim, in _draw_varied, does not move the view itself
        self.ax_.set(xlabel="strength (in the augmenter's own unit)", ylabel=self.score_name)
        counts = "/".join(map(str, sorted({curve.n_scores for curve in self.curves})))
        title = f"mean ± standard deviation, {counts} folds"
        self.ax_.legend(title=title, fontsize="small", title_fontsize="small")
        self.ax_.grid(alpha=0.3)

    def _draw_plain(self, curve: StrengthCurve) -> Any:
        low, high = curve.means[0] - curve.deviations[0], curve.means[0] + curve.deviations[0]
        self.ax_.axhspan(low, high, color="black", alpha=0.08, linewidth=0)
        return self.ax_.axhline(curve.means[0], color="black", linestyle="--", label=wrapped(curve.label))

    def _draw_varied(self, curve: StrengthCurve, offset: float) -> Any:
        """Draw a line with its bars, shifted by an offset so that the bars of other curves do not hide them."""
        x, y, half = curve.strengths, curve.means, curve.deviations
        shifted = matplotlib("transforms").offset_copy(self.ax_.transData, self.figure_, x=offset, units="points")
        (line,) = self.ax_.plot(x, y, marker="o", label=wrapped(curve.label), transform=shifted)
        self.ax_.errorbar(x, y, half, fmt="none", color=line.get_color(), capsize=3, elinewidth=1, transform=shifted)
        # matplotlib ignores artists with another transform when it sets the limits of the axes.
        self.ax_.update_datalim(np.column_stack([np.tile(x, 2), np.concatenate([y - half, y + half])]))
        return line

    def _scale(self, strengths: list[float]) -> None:
        """Make the x axis logarithmic if the strengths span a factor of 5, and label each if they are few."""
        ticks = sorted(set(strengths))
        positive = [strength for strength in ticks if strength > 0]
        if not positive or positive[-1] < 5 * positive[0]:
            return
        if len(positive) < len(ticks):
            # A logarithmic axis has no 0. This one is linear between 0 and the smallest strength.
            self.ax_.set_xscale("symlog", linthresh=positive[0])
        else:
            self.ax_.set_xscale("log")
        if len(ticks) <= 10:
            self.ax_.set_xticks(ticks, labels=[f"{strength:g}" for strength in ticks], minor=False)
            self.ax_.minorticks_off()  # on a short logarithmic axis they have labels too, which would overlap


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


def _score_name(search: Any) -> str:
    """Return the name of the metric that is drawn, "score" if it has no name."""
    if not search.multimetric_ and isinstance(search.scoring, str):
        return str(search.scoring)
    return _column(search)


def _column(search: Any) -> str:
    """Return the name of the scores that are drawn in ``cv_results_``."""
    if not search.multimetric_:
        return "score"
    if isinstance(search.refit, str):
        return str(search.refit)
    raise ValueError("The search has several metrics; name the one to draw by its refit, for example refit='accuracy'.")


def _scores(search: Any) -> dict[tuple[str, float], list[float]]:
    """Return the scores of the folds per augmenter and strength; of several candidates, those of the best."""
    results, column = search.cv_results_, _column(search)
    scores = np.array([results[f"split{i}_test_{column}"] for i in range(search.n_splits_)])
    n_failed = int((~np.isfinite(scores)).sum())
    if n_failed:
        raise ValueError(
            f"{n_failed} of the search's {scores.size} fits have no finite score. Search with "
            "error_score='raise' to see why."
        )
    best: dict[tuple[str, float], list[float]] = {}
    for parameters, folds in zip(results["params"], scores.T.tolist(), strict=True):
        augmenter = _augmenter({**search.estimator.get_params(), **parameters})
        key = PLAIN if augmenter is None else augmenter_name(augmenter), _strength(parameters)
        if key not in best or np.mean(folds) > np.mean(best[key]):
            best[key] = folds
    return best


def _augmenter(parameters: Mapping[str, Any]) -> Any:
    keys = _keys(parameters, "augmenter")
    return parameters[min(keys, key=len)] if keys else None  # the outermost one, if augmenters are nested


def _strength(parameters: Mapping[str, Any]) -> float:
    keys = _keys(parameters, "strength")
    if not keys:
        raise ValueError(
            f"The search did not vary strength, only {sorted(parameters)}; put 'strength' into its grid, "
            "for example {'strength': [0.05, 0.1, 0.5]}."
        )
    strength = parameters[keys[0]]
    if not isinstance(strength, Real):  # "auto", or a rule
        raise ValueError(f"The search varied strength over {strength!r}, which is not a number and cannot be drawn.")
    return float(strength)


def _keys(parameters: Mapping[str, Any], name: str) -> list[str]:
    """Return the keys that set a parameter, with or without a prefix such as that of a Pipeline's step."""
    return [key for key in parameters if key.rpartition("__")[2] == name]


def _curve(label: str, points: dict[float, list[float]], is_plain: bool) -> StrengthCurve:
    strengths, scores = zip(*sorted(points.items()), strict=True)
    means, deviations = (np.array([measure(values) for values in scores]) for measure in (np.mean, np.std))
    is_plain = is_plain or not any(strengths)
    return StrengthCurve(label, np.array(strengths), means, deviations, max(map(len, scores)), is_plain)
