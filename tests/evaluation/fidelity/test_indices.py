"""Deletion, insertion, feature impact and U-occurrences, by hand and by plain loops."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from skaba.attribution import RandomMap
from skaba.evaluation.fidelity import (
    deletion_score,
    feature_impact_index,
    insertion_score,
    perturbation_curves,
    u_occurrence_rate,
)
from tests.evaluation.fidelity.oracle import loop, polynomial, samples


def softmax(scores: np.ndarray) -> np.ndarray:
    return torch.softmax(torch.as_tensor(scores), dim=1).numpy()


def probabilities(rows: np.ndarray) -> np.ndarray:
    return softmax(polynomial(rows))


SHARES = np.arange(0, 101, 10)


def area(curves: np.ndarray) -> float:
    """Return the mean area by the trapezoidal rule with ten steps."""
    return float(np.mean((curves[:, 1:] + curves[:, :-1]).sum(axis=1) / 2 / 10))


def test_deletion_and_insertion_are_areas_under_plain_loops() -> None:
    X, maps = samples(4, 2, 4, 5), samples(4, 2, 4, 5, seed=1)
    deleted = loop(probabilities, X, maps, SHARES, most=True, fill=0.3)
    assert deletion_score(polynomial, X, maps, step=10, fill=0.3) == pytest.approx(area(deleted))
    # The most important share is put into a sample of fill alone.
    fill = np.full_like(X, 0.3)
    targets = probabilities(X).argmax(axis=1)
    order = np.argsort(-maps.sum(axis=1).reshape(4, -1), axis=1)
    inserted = np.empty((4, 11))
    for i in range(4):
        for column, share in enumerate(SHARES):
            changed = fill[i].reshape(2, -1).copy()
            chosen = order[i, : int(share / 100 * 20)]
            changed[:, chosen] = X[i].reshape(2, -1)[:, chosen]
            inserted[i, column] = probabilities(changed.reshape(1, 2, 4, 5))[0, targets[i]]
    assert insertion_score(polynomial, X, maps, step=10, fill=0.3) == pytest.approx(area(inserted))


def test_probabilities_are_the_estimators_own(table: Any, classifier: Any) -> None:
    X, y = table
    net, maps = classifier().fit(X, y), samples(*X.shape, seed=1)
    by_module = deletion_score(net.module_, X, maps)
    assert deletion_score(net, X, maps) == pytest.approx(by_module)
    logistic = LogisticRegression().fit(X, y)
    expected = area(loop(logistic.predict_proba, X, maps, SHARES, most=True))
    assert deletion_score(logistic, X, maps, step=10) == pytest.approx(expected)
    with pytest.raises(TypeError, match="LinearSVC has no predict_proba"):
        insertion_score(LinearSVC().fit(X, y), X, maps)


def test_impact_by_hand() -> None:
    def sure(rows: np.ndarray) -> np.ndarray:
        first = rows[:, :2].sum(axis=1) / 10
        return np.log(np.column_stack([first, 1 - first]))

    X = np.array([[6.0, 1.0, 3.0, 3.0], [5.0, 3.0, 1.0, 4.0]])
    maps = np.array([[4.0, 1.0, 3.0, 2.0], [4.0, 3.0, 1.0, 2.0]])
    impact = feature_impact_index(sure, X, maps, share=50, fill=1.0)
    # Sample 0: .7 to .2 without its first and third, to .7 without the others; sample 1: .8 to .2, and .8.
    np.testing.assert_allclose(impact, [(0.5 + 0.6) / 2, 0])
    impact = feature_impact_index(sure, X, maps, share=25, fill=1.0)
    np.testing.assert_allclose(impact, [(0.5 + 0.4) / 2, (0.0 + 0.2) / 2], atol=1e-12)


@pytest.mark.parametrize("share", [0, 100, -1, "50", np.nan])
def test_shares_that_are_refused(share: Any) -> None:
    with pytest.raises(ValueError, match="share="):
        feature_impact_index(polynomial, samples(2, 4), samples(2, 4), share=share)


def test_the_u_occurrence_rate_is_that_of_a_plain_loop() -> None:
    X, maps = samples(60, 2, 9), samples(60, 2, 9, seed=1)
    for order, most in (("most", True), ("least", False)):
        occurred = []
        for x, map_ in zip(X, maps, strict=True):
            places = np.argsort(map_.reshape(2, 3, 3).sum(axis=(0, 2)) * (-1 if most else 1))
            changed, target = x.copy().reshape(2, 3, 3), polynomial(x[None]).argmax()
            right = [True]
            for place in places:
                changed[:, place] = 0.4
                right.append(polynomial(changed.reshape(1, 2, 9)).argmax() == target)
            occurred.append(_found_again(right))
        rate = u_occurrence_rate(polynomial, X, maps, order=order, window=3, fill=0.4)
        assert 0 < rate < 1
        assert rate == pytest.approx(np.mean(occurred))


def _found_again(right: list[bool]) -> bool:
    return any(
        right[i] and not right[j] and right[k]
        for i in range(len(right))
        for j in range(i + 1, len(right))
        for k in range(j + 1, len(right))
    )


def test_a_target_that_is_never_predicted_cannot_be_found_again() -> None:
    X = samples(20, 6)
    never = polynomial(X).argmin(axis=1)

    def ranked(rows: np.ndarray) -> np.ndarray:
        return np.column_stack([np.ones(len(rows)), np.zeros((len(rows), 2))])

    assert u_occurrence_rate(ranked, X, samples(20, 6, seed=1), targets=np.maximum(never, 1)) == 0


def test_texts_of_several_lengths_and_a_random_order(texts: Any, text_classifier: Any) -> None:
    net = text_classifier().fit(*texts)
    rates = [u_occurrence_rate(net, texts[0], RandomMap(), random_state=seed) for seed in (0, 0)]
    assert rates[0] == rates[1] <= 1


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(ValueError, match="no order named 'mots'"):
        u_occurrence_rate(polynomial, samples(2, 4), samples(2, 4), order="mots")


def test_they_follow_given_targets() -> None:
    X, maps, targets = samples(5, 6), samples(5, 6, seed=1), np.array([0, 1, 2, 0, 1])

    def own(rows: np.ndarray) -> np.ndarray:
        return np.log(probabilities(rows))

    curves = perturbation_curves(lambda rows: np.exp(own(rows)), X, maps, targets=targets, step=10)
    assert deletion_score(own, X, maps, targets=targets, step=10) == pytest.approx(area(curves.mif))
    assert insertion_score(own, X, maps, targets=targets, step=10) == pytest.approx(area(curves.lif))
