"""Deletion, insertion, feature impact and U-occurrences, by hand and by plain loops."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from skaba.attribution import HillClimbing, RandomMap
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


def masked_impact(X: np.ndarray, masks: np.ndarray, fill: float) -> list[float]:
    """Return equation 7.2 for algorithm 5's two samples: without what a mask marks, and without the rest."""
    own = np.arange(len(X)), probabilities(X).argmax(axis=1)
    selected = [np.where(masks > 0, fill, X), np.where(masks > 0, X, fill)]
    return [float(np.abs(probabilities(x)[own] - probabilities(X)[own]).mean()) for x in selected]


def test_a_binary_mask_says_itself_what_is_important() -> None:
    """Of 32 % of the units, half would be filled up with units that are tied at 0, drawn at random."""
    X = samples(20, 2, 5, 5)
    masks = np.zeros((20, 1, 25))
    for row, mask in enumerate(masks):
        mask[0, np.random.default_rng(row).permutation(25)[: 8 if row else 3]] = 1
    masks = masks.reshape(20, 1, 5, 5)
    every_channel = np.repeat(masks, 2, axis=1)
    expected = masked_impact(X, every_channel, 0.3)
    for maps in (every_channel, masks[:, 0], masks[:, 0].astype(bool)):
        assert feature_impact_index(polynomial, X, maps, fill=0.3) == pytest.approx(expected)
    rest = feature_impact_index(polynomial, X, 1 - every_channel, fill=0.3)
    assert rest == pytest.approx(expected[::-1])


def test_the_mask_of_a_search_and_a_mask_of_single_features() -> None:
    net, X = torch.nn.Linear(12, 3), samples(6, 12).astype(np.float32)
    with torch.no_grad():
        net.weight.copy_(torch.randn(3, 12, generator=torch.Generator().manual_seed(0)))
    found = []

    def climbed(model: Any, x: Any, y: Any, **asked: Any) -> Any:
        found.append(HillClimbing(start=0.4)(model, x, y, **asked))
        return found[-1]

    impact = feature_impact_index(net, X, climbed)
    assert impact == feature_impact_index(net, X, HillClimbing(start=0.4))
    assert impact == pytest.approx(feature_impact_index(net, X, found[0].numpy()))
    images, single = samples(3, 2, 4), (samples(3, 2, 4, seed=1) > 0).astype(float)
    with pytest.raises(ValueError, match=r"cut through units.*unit='feature'"):
        feature_impact_index(polynomial, images, single)
    impact = feature_impact_index(polynomial, images, single, unit="feature", fill=0.3)
    assert impact == pytest.approx(masked_impact(images, single, 0.3))


@pytest.mark.parametrize("low_high", [(0, 255), (-1, 1), (0.1, 0.9), (0.8, 0.9), (-2, 0)])
@pytest.mark.parametrize("reduction", ["sum", "abs"])
@pytest.mark.filterwarnings("error")
def test_maps_of_any_two_values_are_masks(low_high: tuple[float, float], reduction: str) -> None:
    X = samples(5, 2, 5)
    units = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 1], [1, 1, 1]])  # the last is smaller than the others
    masks = np.repeat(np.repeat(units, 2, axis=1)[:, None, :5], 2, axis=1)
    expected = feature_impact_index(polynomial, X, masks, window=2)
    assert expected == pytest.approx(masked_impact(X, masks, 0.0))
    maps = np.where(masks, low_high[1], low_high[0])
    assert feature_impact_index(polynomial, X, maps, window=2, reduction=reduction) == expected
    with pytest.raises(ValueError, match="binary masks, of two values"):
        feature_impact_index(polynomial, X, maps, share=50)


def test_maps_of_two_features_are_no_masks() -> None:
    X, maps = samples(4, 2), samples(4, 2, seed=1)
    assert feature_impact_index(lambda x: x, X, maps) == feature_impact_index(lambda x: x, X, maps, share=50)


def test_other_maps_take_half_by_default_and_masks_take_no_share() -> None:
    X, maps = samples(4, 6), samples(4, 6, seed=1)
    assert feature_impact_index(polynomial, X, maps) == feature_impact_index(polynomial, X, maps, share=50)
    with pytest.raises(ValueError, match="binary masks"):
        feature_impact_index(polynomial, X, maps > 0, share=50)


@pytest.mark.parametrize("share", [0, 100, -1, "50", np.nan])
def test_shares_that_are_refused(share: Any) -> None:
    with pytest.raises(ValueError, match="share"):
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
    with pytest.raises(ValueError, match="'order' parameter of u_occurrence_rate must be a str among"):
        u_occurrence_rate(polynomial, samples(2, 4), samples(2, 4), order="mots")


def test_they_follow_given_targets() -> None:
    X, maps, targets = samples(5, 6), samples(5, 6, seed=1), np.array([0, 1, 2, 0, 1])

    def own(rows: np.ndarray) -> np.ndarray:
        return np.log(probabilities(rows))

    curves = perturbation_curves(lambda rows: np.exp(own(rows)), X, maps, targets=targets, step=10)
    assert deletion_score(own, X, maps, targets=targets, step=10) == pytest.approx(area(curves.mif))
    assert insertion_score(own, X, maps, targets=targets, step=10) == pytest.approx(area(curves.lif))
