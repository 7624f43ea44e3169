"""The score, the calibration and the robustness of a fitted estimator in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.utils.multiclass import type_of_target

from skaba.estimators import ABAMultiLabelClassifier, find_net
from skaba.evaluation._checks import SEED, check_parameters
from skaba.evaluation._report_choices import Corruptions, check_given, choose_attacks, choose_noises, choose_size
from skaba.evaluation._tables import frame_of, markdown_table
from skaba.evaluation.calibration import brier_score, expected_calibration_error
from skaba.evaluation.calibration._predictions import column_numbers
from skaba.evaluation.robustness import occlusion_scores, score_under_attack, score_under_corruption
from skaba.evaluation.robustness._corruptions import N_SEVERITIES
from skaba.evaluation.robustness._samples import check_scorable

Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Report:
    """The measures of a fitted estimator. Made by :func:`report`; ``print`` shows a Markdown table.

    Parameters
    ----------
    rows : list of dict
        Each with ``"measure"`` (such as ``"accuracy"``), ``"under"`` (such as ``"FGSM"``; empty for unchanged samples),
        ``"level"`` (such as ``"strength 0.1"``) and ``"value"``.
    notes : list of str
        Assumptions, and what was left out and why.

    Examples
    --------
    >>> from skaba.evaluation import Report
    >>> rows = [{"measure": "accuracy", "under": "FGSM", "level": "strength 0.1", "value": 0.5}]
    >>> print(Report(rows, notes=[]))
    | measure | under | level | value |
    |---|---|---|---|
    | accuracy | FGSM | strength 0.1 | 0.500 |
    """

    rows: list[Row]
    notes: list[str]

    def table(self) -> str:
        """Return the rows as a Markdown table with the notes below it.

        Returns
        -------
        str
        """
        cells = [[row["measure"], row["under"], row["level"], f"{row['value']:.3f}"] for row in self.rows]
        table = markdown_table(["measure", "under", "level", "value"], cells)
        return "\n\n".join([table, *self.notes])

    def to_frame(self) -> Any:
        """Return the rows as a pandas data frame.

        Returns
        -------
        pandas.DataFrame
            With the columns ``measure``, ``under``, ``level`` and ``value``.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        return frame_of(self.rows)

    def __str__(self) -> str:
        return self.table()


def report(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    attacks: Mapping[str, tuple[Any, float]] | None = None,
    corruptions: Corruptions | None = None,
    bounds: tuple[ArrayLike, ArrayLike] | None = None,
    occlusion_size: int | Sequence[int] | None = None,
    random_state: int = 0,
) -> Report:
    """Measure a fitted estimator on test samples: score, calibration, and score under attacks, noise and occlusion.

    Parameters
    ----------
    estimator : estimator
        Fitted: an estimator of skaba or scikit-learn, a Pipeline, or a search, whose best estimator is measured.
    X : array-like of n samples
    y : array-like of shape (n, ...)
    attacks : mapping of str to (attack, strength), default=None
        See :func:`score_under_attack`; only skaba estimators can be attacked. By default FGSM and PGD without bounds,
        at the estimator's strength; to compare estimators of different strengths, pass attacks of the same strength.
    corruptions : mapping of str to callable, default=None
        See :func:`score_under_corruption`. By default Gaussian, shot and impulse noise within the bounds.
    bounds : (low, high), default=None
        Lowest and highest values that X may take, for the default noise: numbers, or arrays that broadcast to a
        sample. By default those of the given X: for a table (n, features), of each column; otherwise of X as a whole.
        The noise is a share of their distance; for signals with rare peaks, such as an ECG, that is too much: pass
        ``corruptions`` with a scale instead.
    occlusion_size : int or sequence of int, default=None
        See :func:`occlusion_scores`; by default squares of a quarter of an image's edges, or segments of a
        sixteenth of a series or a table. They are filled with the mean.
    random_state : int, default=0
        Decides the noise. Attacks use the estimator's ``random_state``.

    Returns
    -------
    Report
        Its rows, as far as they apply:

        * the estimator's score: accuracy, macro AUC (several labels per sample) or R² (regression);
        * for classifiers with ``predict_proba``, the expected calibration error and the Brier score; for several labels
          per sample, the mean over the labels, each taken as a problem of two classes;
        * the score under each attack;
        * the score under each noise at severities 1 to 5, and their mean;
        * the mean and the lowest score over all places of the square.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not allowed, or X and y do not fit; before any work.

    Notes
    -----
    Default measures that do not apply are left out and noted: attacks on estimators of other libraries, and, without
    ``layer=``, on word ids and several inputs; noise and occlusion of word ids, texts and several inputs; noise if X is
    constant. For noise at an embedding, pass an attack, ``attacks={"Gaussian noise": (GaussianNoise(), 0.1)}``; for
    occluded words, use :func:`occlusion_scores`.

    With a Pipeline, noise and squares change the given X, whereas attacks change the input of the network.

    By default, X is predicted about 33 times; the attacks on a net take 16 forward and 12 backward passes per sample.

    References
    ----------
    See :func:`score_under_attack`, :func:`score_under_corruption`, :func:`occlusion_scores`,
    :func:`expected_calibration_error` and :func:`brier_score`.

    Examples
    --------
    >>> from skaba import ABAClassifier
    >>> from skaba.augmenters import fgsm
    >>> from skaba.datasets import load_digits
    >>> from skaba.evaluation import report
    >>> from skaba.modules import ConvNet
    >>> digits = load_digits("tiny")
    >>> clf = ABAClassifier(ConvNet, max_epochs=20, random_state=0, verbose=0)
    >>> clf = clf.fit(digits.X_train, digits.y_train)
    >>> X, y = digits.X_test[:100], digits.y_test[:100]
    >>> print(report(clf, X, y, attacks={"FGSM": (fgsm(), 0.1)}, corruptions={}))     # {}: no noise
    | measure | under | level | value |
    |---|---|---|---|
    | accuracy | | | 0... |
    | expected calibration error | | | 0... |
    | Brier score | | | 0... |
    | accuracy | FGSM | strength 0.1 | 0... |
    | accuracy | occlusion | mean of 16 places | 0... |
    | accuracy | occlusion | lowest of 16 places | 0... |
    """
    estimator = getattr(estimator, "best_estimator_", estimator)
    check_scorable(estimator)
    check_parameters("report", random_state=(random_state, SEED))
    check_given(estimator, X, y)
    # Everything is checked before the first score, because measuring may take minutes.
    chosen_attacks, about_attacks = choose_attacks(estimator, X, attacks)
    noises, about_noise = choose_noises(X, y, corruptions, bounds)
    size, about_occlusion = choose_size(X, y, occlusion_size)
    name = score_name(estimator)
    calibration, about_calibration = _calibration(estimator, X, y)
    rows = [
        _row(name, float(estimator.score(X, y))),
        *calibration,
        *_attacked(name, estimator, X, y, chosen_attacks),
        *_corrupted(name, estimator, X, y, noises, random_state),
        *([] if size is None else _occluded(name, occlusion_scores(estimator, X, y, size))),
    ]
    return Report(rows, [*about_calibration, *about_attacks, *about_noise, *about_occlusion])


def _row(measure: str, value: float, under: str = "", level: str = "") -> Row:
    return {"measure": measure, "under": under, "level": level, "value": value}


def score_name(estimator: Any) -> str:
    """Return what an estimator's ``score`` measures."""
    if isinstance(find_net(estimator), ABAMultiLabelClassifier):
        return "macro AUC"
    if is_classifier(estimator):
        return "accuracy"
    return "R²" if is_regressor(estimator) else "score"


def _calibration(estimator: Any, X: Any, y: Any) -> tuple[list[Row], list[str]]:
    """Return the rows of calibration, and notes about them."""
    if not is_classifier(estimator):
        return [], []
    if not hasattr(estimator, "predict_proba"):
        return [], ["No calibration: the estimator has no predict_proba."]
    targets = np.asarray(y)
    if targets.ndim == 1:
        judged = [(column_numbers(estimator, y), estimator.predict_proba(X))]
    elif type_of_target(targets) == "multilabel-indicator" and find_net(estimator) is not None:
        probabilities = estimator.predict_proba(X)
        # Each label is a problem of two classes, whose probabilities are 1 - p and p.
        judged = [
            (labels.astype(int), np.column_stack([1 - p, p]))
            for labels, p in zip(targets.T, probabilities.T, strict=True)
        ]
    else:
        return [], ["No calibration: y holds neither one class per sample nor the 0/1 labels of a skaba estimator."]
    return [
        _row("expected calibration error", float(np.mean([expected_calibration_error(*pair) for pair in judged]))),
        _row("Brier score", float(np.mean([brier_score(*pair) for pair in judged]))),
    ], []


def _attacked(name: str, estimator: Any, X: Any, y: Any, attacks: Mapping[str, tuple[Any, float]]) -> list[Row]:
    return [
        _row(name, score_under_attack(estimator, X, y, attack, strength), under, f"strength {strength:g}")
        for under, (attack, strength) in attacks.items()
    ]


def _corrupted(name: str, estimator: Any, X: Any, y: Any, corruptions: Corruptions, random_state: int) -> list[Row]:
    rows = []
    severities = range(1, N_SEVERITIES + 1)
    for under, corruption in corruptions.items():
        # The same random_state for every severity, so that the scores differ by the strength of the noise only.
        scores = [
            score_under_corruption(estimator, X, y, corruption, severity, random_state=random_state)
            for severity in severities
        ]
        rows += [_row(name, score, under, f"severity {at}") for at, score in zip(severities, scores, strict=True)]
        rows.append(_row(name, float(np.mean(scores)), under, f"mean of severities 1 to {N_SEVERITIES}"))
    return rows


def _occluded(name: str, scores: NDArray[np.float64]) -> list[Row]:
    return [
        _row(name, float(scores.mean()), "occlusion", f"mean of {scores.size} places"),
        _row(name, float(scores.min()), "occlusion", f"lowest of {scores.size} places"),
    ]
