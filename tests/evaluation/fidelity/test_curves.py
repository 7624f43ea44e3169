"""Perturbation curves against plain loops over samples and steps."""

from typing import Any

import numpy as np
import pytest
import torch

from skaba.attribution import InputXGradient, RandomMap
from skaba.evaluation.fidelity import PerturbationCurves, _parts, perturbation_curves
from tests.evaluation.fidelity.oracle import loop, polynomial, samples
from tests.tiny_nets import conv_net

SHARES = np.arange(0, 101, 10)


@pytest.mark.parametrize("reduction", ["sum", "abs"])
@pytest.mark.parametrize(
    ("shape", "unit", "window"),
    [
        ((7,), "position", 1),
        ((7,), "feature", 1),
        ((3, 8), "position", 1),
        ((3, 8), "position", 3),
        ((3, 8), "feature", 1),
        ((3, 8), "feature", 3),
        ((2, 4, 5), "position", 1),
        ((2, 4, 5), "position", 2),
        ((2, 4, 5), "feature", 2),
    ],
)
def test_they_equal_a_plain_loop_to_the_bit(shape: Any, unit: str, window: int, reduction: str) -> None:
    X, maps = samples(4, *shape), samples(4, *shape, seed=1)
    how: dict[str, Any] = {"unit": unit, "window": window, "reduction": reduction, "fill": 0.3}
    curves = perturbation_curves(polynomial, X, maps, step=10, **how)
    np.testing.assert_array_equal(curves.shares, SHARES)
    np.testing.assert_array_equal(curves.mif, loop(polynomial, X, maps, SHARES, most=True, **how))
    np.testing.assert_array_equal(curves.lif, loop(polynomial, X, maps, SHARES, most=False, **how))
    np.testing.assert_array_equal(curves.targets, polynomial(X).argmax(axis=1))


def test_of_a_network_they_equal_a_loop_too() -> None:
    net = conv_net().double()
    X, maps = samples(3, 2, 6, 6), samples(3, 2, 6, 6, seed=1)

    def score(rows: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return net.eval()(torch.as_tensor(rows)).numpy()

    curves = perturbation_curves(net, X, maps, step=10)
    np.testing.assert_allclose(curves.mif, loop(score, X, maps, SHARES, most=True), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(curves.lif, loop(score, X, maps, SHARES, most=False), rtol=1e-10, atol=1e-12)


def test_they_start_at_the_sample_and_end_where_all_of_it_is_masked() -> None:
    X = samples(5, 3, 8)
    curves = perturbation_curves(polynomial, X, samples(5, 3, 8, seed=1), fill=0.5, targets=np.full(5, 2))
    for each in (curves.mif, curves.lif):
        np.testing.assert_array_equal(each[:, 0], polynomial(X)[:, 2])
        np.testing.assert_array_equal(each[:, -1], polynomial(np.full_like(X, 0.5))[:, 2])


def test_a_map_without_channels_is_that_of_its_sums() -> None:
    X, maps = samples(4, 2, 4, 5), samples(4, 2, 4, 5, seed=1)
    whole, summed = (perturbation_curves(polynomial, X, each) for each in (maps, maps.sum(axis=1)))
    np.testing.assert_array_equal(whole.mif, summed.mif)
    np.testing.assert_array_equal(whole.lif, summed.lif)


@pytest.mark.parametrize("fill", ["zero", "mean", "random", "blur"])
def test_neither_batch_size_nor_the_size_of_parts_changes_a_bit(fill: str, monkeypatch: Any) -> None:
    X = samples(9, 2, 4, 5)
    maps = np.round(samples(9, 2, 4, 5, seed=1))  # with many ties
    reference = perturbation_curves(polynomial, X, maps, fill=fill)
    for rows, part in ((1, 128), (7, 4), (1000, 1)):
        monkeypatch.setattr(_parts, "PART", part)
        curves = perturbation_curves(polynomial, X, maps, fill=fill, batch_size=rows)
        np.testing.assert_array_equal(curves.mif, reference.mif)
        np.testing.assert_array_equal(curves.lif, reference.lif)


def test_no_pass_has_more_rows_than_allowed_and_no_variant_is_asked_about_twice() -> None:
    asked = []

    def watched(rows: np.ndarray) -> np.ndarray:
        asked.append(len(rows))
        return polynomial(rows)

    perturbation_curves(watched, samples(5, 4), samples(5, 4, seed=1), step=1, batch_size=6)
    assert max(asked) == 6
    assert sum(asked) == 5 * (1 + 3 + 3 + 1)  # as they are; 1 to 3 features of either order; all of them


def test_random_state_decides_ties_and_noise_and_nothing_else_is_touched() -> None:
    X = samples(6, 8)
    before = np.random.get_state()[1].tolist(), torch.get_rng_state()  # type: ignore[index, union-attr]
    with pytest.warns(UserWarning, match="6 of 6 samples are constant"):
        first, again, other = (
            perturbation_curves(polynomial, X, np.zeros_like(X), fill="random", random_state=seed) for seed in (0, 0, 1)
        )
    np.testing.assert_array_equal(first.mif, again.mif)
    assert (first.mif != other.mif).any()
    assert np.random.get_state()[1].tolist() == before[0]  # type: ignore[index, union-attr]
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize(
    ("step", "shares"),
    [(50, [0, 50, 100]), (30, [0, 30, 60, 90, 100]), (100 / 3, [0, 100 / 3, 200 / 3, 100])],
)
def test_steps_that_do_not_divide_the_whole_end_with_a_shorter_one(step: float, shares: Any) -> None:
    curves = perturbation_curves(polynomial, samples(2, 6), samples(2, 6, seed=1), step=step)
    np.testing.assert_allclose(curves.shares, shares)
    assert curves.mif.shape == curves.lif.shape == (2, len(shares))


def test_half_a_unit_counts_as_one() -> None:
    X = np.array([[1.0, 2.0, 4.0, 8.0, 16.0]])
    curves = perturbation_curves(lambda rows: rows.sum(axis=1, keepdims=True), X, X, step=10)
    np.testing.assert_array_equal(31 - curves.mif[0], [0, 16, 16, 24, 24, 28, 28, 30, 30, 31, 31])


def test_a_method_is_asked_about_the_score_that_is_followed() -> None:
    net, X = torch.nn.Linear(6, 3).double(), samples(5, 6)
    targets = np.array([2, 0, 1, 1, 0])
    maps = X * net.weight.detach().numpy()[targets]
    by_method = perturbation_curves(net, X, InputXGradient(), targets=targets)
    by_hand = perturbation_curves(net, X, maps, targets=targets)
    np.testing.assert_array_equal(by_method.mif, by_hand.mif)
    np.testing.assert_array_equal(by_method.lif, by_hand.lif)


def test_of_a_linear_score_no_order_falls_faster_or_stays_higher_than_that_of_the_true_map() -> None:
    net, X = torch.nn.Linear(12, 4).double(), samples(20, 12)
    true = perturbation_curves(net, X, InputXGradient())
    other = perturbation_curves(net, X, RandomMap())
    assert (true.mif <= other.mif + 1e-12).all()
    assert (true.lif >= other.lif - 1e-12).all()


def test_normalised_curves_are_shares_of_a_positive_score() -> None:
    curves = PerturbationCurves(
        np.array([0.0, 40, 100]),
        np.array([[2.0, 1, 0], [0, 1, 1], [-1, 2, 3], [4, 0, 0]]),
        np.array([[2.0, 3, 0], [0, 1, 1], [-1, 2, 3], [4, 4, 0]]),
        np.array([0, 1, 2, 1]),
    )
    normalised = curves.normalised()
    np.testing.assert_array_equal(normalised.mif, [[1, 0.5, 0], [1, 0, 0]])
    np.testing.assert_array_equal(normalised.lif, [[1, 1.5, 0], [1, 1, 0]])
    np.testing.assert_array_equal(normalised.targets, [0, 1])
    # A triangle over all of the axis, as high as the curves are apart at 40 %.
    np.testing.assert_allclose(normalised.areas(), [50, 50])
