"""Fills, units and what is refused."""

from typing import Any

import numpy as np
import pytest
import torch

from skaba.attribution import Gradient, IntegratedGradients
from skaba.evaluation.fidelity import Masking, perturbation_curves, u_occurrence_rate
from skaba.network import blur
from tests.evaluation.fidelity.oracle import loop, polynomial, samples, units

SHARES = np.arange(0, 101, 25)


@pytest.mark.parametrize(("shape", "axes"), [((5,), 0), ((2, 8), (0, 2)), ((2, 4, 6), (0, 2, 3))])
def test_the_mean_is_that_of_the_channel_or_column_over_all_samples(shape: Any, axes: Any) -> None:
    X, maps = samples(6, *shape), samples(6, *shape, seed=1)
    curves = perturbation_curves(polynomial, X, maps, step=25, fill="mean")
    expected = loop(polynomial, X, maps, SHARES, most=True, fill=X.mean(axis=axes, keepdims=True))
    np.testing.assert_allclose(curves.mif, expected, rtol=1e-10)


@pytest.mark.parametrize(("shape", "axes"), [((2, 8), (2,)), ((2, 4, 6), (2, 3))])
def test_the_mean_of_the_sample_itself(shape: Any, axes: Any) -> None:
    X, maps = samples(6, *shape), samples(6, *shape, seed=1)
    curves = perturbation_curves(polynomial, X, maps, step=25, fill="sample_mean")
    expected = loop(polynomial, X, maps, SHARES, most=True, fill=X.mean(axis=axes, keepdims=True))
    np.testing.assert_allclose(curves.mif, expected, rtol=1e-10)


@pytest.mark.parametrize("unit", ["position", "feature"])
@pytest.mark.parametrize("shape", [(2, 8), (2, 4, 7)])
def test_the_mean_of_the_masked_region(shape: Any, unit: str) -> None:
    """By channel, also where the last regions are smaller."""
    X, maps = samples(5, *shape), samples(5, *shape, seed=1)
    fill = np.empty_like(X)
    for x, filled in zip(X, fill, strict=True):
        for places in units(shape, "feature", 3).values():
            for place in places:
                filled[place] = np.mean([x[each] for each in places])
    curves = perturbation_curves(polynomial, X, maps, step=25, fill="region_mean", window=3, unit=unit)
    expected = loop(polynomial, X, maps, SHARES, most=True, fill=fill, window=3, unit=unit)
    np.testing.assert_allclose(curves.mif, expected, rtol=1e-10)


def test_u_occurrences_take_the_six_fills_of_their_source() -> None:
    X, maps = samples(20, 2, 6, 6), samples(20, 2, 6, 6, seed=1)
    rates = [
        u_occurrence_rate(polynomial, X, maps, window=2, fill=fill)
        for fill in ("zero", 1.0, "random", "mean", "sample_mean", "region_mean")
    ]
    assert all(0 <= rate <= 1 for rate in rates)
    assert len(set(rates)) > 3


def test_means_of_what_has_no_regions_are_refused() -> None:
    with pytest.raises(ValueError, match="set window"):
        perturbation_curves(polynomial, samples(3, 2, 6), samples(3, 2, 6), fill="region_mean")
    for fill in ("sample_mean", "region_mean"):
        with pytest.raises(ValueError, match=f'fill="{fill}"'):
            perturbation_curves(polynomial, samples(3, 6), samples(3, 6), fill=fill)


def test_the_blurred_sample() -> None:
    X, maps = samples(3, 2, 16), samples(3, 2, 16, seed=1)
    curves = perturbation_curves(polynomial, X, maps, step=25, fill="blur")
    fill = blur(torch.as_tensor(X), 1, sigma=2.0).numpy()
    np.testing.assert_array_equal(curves.mif, loop(polynomial, X, maps, SHARES, most=True, fill=fill))


def test_noise_has_the_mean_and_the_deviation_of_each_channel_and_is_the_same_at_every_step() -> None:
    X = samples(40, 2, 50) * np.array([[[3.0], [0.5]]]) + np.array([[[10.0], [-2.0]]])
    asked = []

    def watched(rows: np.ndarray) -> np.ndarray:
        asked.append(rows.copy())
        return polynomial(rows)

    perturbation_curves(watched, X, samples(*X.shape, seed=1), step=50, fill="random")
    rows = np.concatenate(asked)
    noise = rows[~np.isin(rows, X).any(axis=(1, 2))]  # where all of a sample is masked
    assert noise.shape == X.shape
    np.testing.assert_allclose(noise.mean(axis=(0, 2)), [10, -2], atol=0.3)
    np.testing.assert_allclose(noise.std(axis=(0, 2)), [3, 0.5], rtol=0.1)
    assert np.isin(rows, [X, noise]).all()


def test_ties_are_broken_at_random() -> None:
    """Of two features of one importance, either comes first about as often."""
    X = np.tile([1.0, 2.0, 4.0], (400, 1))
    curves = perturbation_curves(
        lambda rows: rows.sum(axis=1, keepdims=True), X, np.tile([5.0, 5.0, 1.0], (400, 1)), step=100 / 3
    )
    first = 7 - curves.mif[:, 1]
    assert set(first) == {1.0, 2.0}
    assert 150 < (first == 1).sum() < 250
    assert set(curves.lif[:, 1]) == {3.0}


@pytest.mark.parametrize(("shape", "largest"), [((2, 7), 7), ((2, 4, 6), 6)])
def test_windows_larger_than_the_samples_are_refused(shape: Any, largest: int) -> None:
    X = samples(3, *shape)
    perturbation_curves(polynomial, X, X, step=50, window=largest)
    with pytest.raises(ValueError, match=f"window={largest + 1} is larger than the samples"):
        perturbation_curves(polynomial, X, X, step=50, window=largest + 1)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"unit": "pixel"}, "'unit' parameter of Masking must be a str among .* Got 'pixel' instead"),
        ({"reduction": "mean"}, "'reduction' parameter of Masking must be a str among .* Got 'mean' instead"),
        ({"fill": "blurr"}, "Did you mean 'blur'"),
        ({"fill": np.nan}, "no fill named nan.*Known: blur, mean.* A fill may also be a finite number"),
        ({"fill": None}, "no fill named None"),
        ({"window": 0}, "'window' parameter of Masking must be an int in the range .* Got 0 instead"),
        ({"batch_size": 2.5}, "'batch_size' parameter of Masking.* Got 2.5"),
        ({"random_state": -1}, "'random_state' parameter of Masking.* Got -1"),
    ],
)
def test_parameters_that_are_refused(parameters: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Masking(**parameters)
    with pytest.raises(ValueError, match=message):
        perturbation_curves(lambda rows: pytest.fail("asked"), samples(2, 4), samples(2, 4), **parameters)


def test_an_unknown_parameter_is_refused() -> None:
    with pytest.raises(TypeError, match="fil"):
        perturbation_curves(polynomial, samples(2, 4), samples(2, 4), fil="mean")


@pytest.mark.parametrize("step", [0, -5, 50.1, 100, "5", np.nan])
def test_steps_that_are_refused(step: Any) -> None:
    with pytest.raises(ValueError, match=r"step=.* above 0 and at most 50"):
        perturbation_curves(polynomial, samples(2, 4), samples(2, 4), step=step)


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (samples(3, 4, 5), r"shape \(3, 4, 5\) for 2 samples"),
        (samples(2), r"shape \(2,\) for 2 samples"),
        (samples(2, 4, 6), r"The map of a sample has shape \(4, 6\), but the sample has \(3, 4, 5\); the map must"),
        (samples(2, 1, 4, 5), r"must have shape \(3, 4, 5\) or \(4, 5\)"),
        (np.full((2, 4, 5), np.nan), "NaN or infinity in 2 of 2 samples, the first of them sample 0"),
        (np.stack([np.zeros((4, 5)), np.full((4, 5), np.inf)]), "in 1 of 2 samples, the first of them sample 1"),
        (np.array([["a"], ["b"]]), "must be an attribution method or an array of maps"),
        (Gradient, r"Gradient is a class.*Gradient\(\)"),
        (IntegratedGradients(steps=0), "steps"),
        (Gradient(), "needs a network"),
    ],
)
def test_maps_that_are_refused(maps: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        perturbation_curves(polynomial, samples(2, 3, 4, 5), maps)


def test_a_map_of_positions_cannot_rank_single_features() -> None:
    with pytest.raises(ValueError, match=r"must have shape \(3, 4, 5\)\."):
        perturbation_curves(polynomial, samples(2, 3, 4, 5), samples(2, 4, 5), unit="feature")


def test_a_method_that_returns_nan_is_named() -> None:
    def broken(model: Any, x: Any, y: Any, **_: Any) -> Any:
        return torch.full_like(x, torch.nan)

    with pytest.raises(ValueError, match="NaN or infinity in 2 of 2 samples"):
        perturbation_curves(torch.nn.Linear(4, 2), samples(2, 4), broken)


def test_tables_have_no_neighbours() -> None:
    for how in ({"window": 2}, {"fill": "blur"}):
        with pytest.raises(ValueError, match="table"):
            perturbation_curves(polynomial, samples(2, 6), samples(2, 6), **how)


@pytest.mark.parametrize("targets", [[0, 1], [0, 1, -1], [0.0, 1.0, 2.0], [0, 1, 3], 1])
def test_targets_that_are_refused(targets: Any) -> None:
    with pytest.raises(ValueError, match="targets"):
        perturbation_curves(polynomial, samples(3, 6), samples(3, 6), targets=targets)


def test_scores_that_are_no_numbers_are_named() -> None:
    with pytest.raises(ValueError, match="not finite"):
        perturbation_curves(lambda rows: np.full((len(rows), 2), np.nan), samples(3, 6), samples(3, 6))


@pytest.mark.parametrize("function", [perturbation_curves, u_occurrence_rate])
def test_scores_that_are_no_numbers_of_masked_samples_alone_are_named_too(function: Any) -> None:
    def broken(rows: Any) -> Any:
        return np.where((rows == 0).any(axis=1, keepdims=True), [[1.0, np.nan]], [[1.0, 0.0]])

    X = 1 + samples(3, 6) ** 2
    with pytest.raises(ValueError, match="not finite"):
        function(broken, X, X)


def test_a_method_that_leaves_the_network_in_training_mode_does_no_harm() -> None:
    net, X = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(), torch.nn.Linear(8, 2)), samples(3, 4)

    def careless(model: Any, x: Any, y: Any, **_: Any) -> Any:
        model.train()
        return x**2

    found = perturbation_curves(net.eval(), X, careless)
    np.testing.assert_array_equal(found.mif, perturbation_curves(net.eval(), X, X**2).mif)


def test_a_method_may_return_an_array() -> None:
    net, X = torch.nn.Linear(4, 2), samples(3, 4)

    def array(model: Any, x: Any, y: Any, **_: Any) -> Any:
        return x.numpy() ** 2

    found = perturbation_curves(net, X, array)
    np.testing.assert_allclose(found.mif, perturbation_curves(net, X, X**2).mif, rtol=1e-6)


@pytest.mark.parametrize(
    ("answer", "got"), [(None, "a NoneType"), (torch.zeros(1, 4), r"shape \(1, 4\)"), (torch.zeros(()), r"shape \(\)")]
)
def test_what_a_method_may_not_return(answer: Any, got: str) -> None:
    with pytest.raises(ValueError, match=f"attribution method returned {got} for 3 samples"):
        perturbation_curves(torch.nn.Linear(4, 2), samples(3, 4), lambda *_, **__: answer)
