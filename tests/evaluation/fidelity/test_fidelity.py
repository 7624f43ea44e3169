"""The area between the curves, against closed forms; and what a random, a constant and the true map get."""

import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from skaba import ABAMultiLabelClassifier
from skaba.attribution import METHODS, Gradient, InputXGradient, MicroBatches, RandomMap, available
from skaba.evaluation import paired_interval
from skaba.evaluation.fidelity import compare_fidelity, fidelity, perturbation_curves
from tests.evaluation.fidelity.oracle import samples


def total(rows: np.ndarray) -> np.ndarray:
    return rows.sum(axis=tuple(range(1, rows.ndim)))[:, None]


def test_a_sum_in_closed_form() -> None:
    """Of two features, one of which makes a share p of the sum, the curves are 2p - 1 apart in the middle."""
    p = np.array([0.6, 0.7, 0.9])
    X = np.column_stack([p, 1 - p]) * np.array([[1.0], [5.0], [20.0]])
    found = fidelity(total, X, X, step=50)
    assert found.area == pytest.approx(np.mean(2 * p - 1) * 50)
    assert found.interval == paired_interval((2 * p - 1) * 50)


def test_the_opposite_order_has_the_opposite_area() -> None:
    X = np.abs(samples(20, 9))
    maps = samples(20, 9, seed=1)
    ours, opposite = fidelity(total, X, maps), fidelity(total, X, -maps)
    assert ours.area == pytest.approx(-opposite.area)


@pytest.mark.parametrize("fill", ["zero", "mean", "random", "blur"])
def test_random_maps_have_an_area_of_0_within_the_interval(fill: str) -> None:
    """As often as an interval of 95 % should cover it; of 40, 33 or fewer would be less than 1 % likely."""
    net = nn.Sequential(nn.Conv1d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(24, 3)).double()
    X = samples(60, 2, 8)
    targets = np.zeros(60, dtype=int)
    net[3].bias.data += 6  # scores above 0
    covered = []
    for seed in range(40):
        found = fidelity(net, X, RandomMap(), fill=fill, step=25, random_state=seed, targets=targets)
        covered.append(found.interval[0] <= 0 <= found.interval[1])
    assert sum(covered) > 33


def test_the_true_map_of_a_linear_model_has_the_largest_area_of_all_methods() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(2 * 6 * 6, 3)).double()
    X = samples(20, 2, 6, 6)
    with torch.no_grad():
        net[1].bias += 1  # scores above 0
        targets = net(torch.as_tensor(X)).argmax(dim=1)
    true = X * net[1].weight.detach().numpy()[targets].reshape(X.shape)
    usable = available(net, X[:1]).usable
    assert len(usable) > 12
    with pytest.warns(UserWarning, match="20 of 20 samples are constant"):  # VarGrad: a linear gradient does not vary
        found = compare_fidelity(net, X, {"true": true} | {name: METHODS[name]() for name in usable}, step=10)
    largest = found["true"].area
    assert all(each.area <= largest + 1e-9 for each in found.values())
    assert found["Gradient"].area < 0.5 * largest
    assert found["InputXGradient"].area == pytest.approx(largest)
    assert found["RandomMap"].area < 0.1 * largest


def test_constant_maps_are_warned_of_and_count_as_random() -> None:
    X = np.abs(samples(200, 12))
    with pytest.warns(UserWarning, match="The maps of 200 of 200 samples are constant"):
        found = fidelity(total, X, np.full_like(X, 3.0))
    assert found.interval[0] < 0 < found.interval[1]
    assert np.ptp(found.curves.normalised().areas()) > 1  # the order is drawn anew for every sample


def test_samples_without_a_positive_score_are_left_out_with_a_warning() -> None:
    X = np.array([[1.0, 2.0], [3.0, 1.0], [-1.0, 0.5], [1.0, -1.0]])
    with pytest.warns(UserWarning, match="2 of 4 samples are left out"):
        found = fidelity(total, X, X)
    assert found.area == fidelity(total, X[:2], X[:2]).area
    assert len(found.curves.mif) == 4
    for few in (X[1:], -X[:2], X[:1]):
        with pytest.raises(ValueError, match=r"unmasked score is far enough above 0 in [01] of"):
            fidelity(total, few, few)


def test_scores_close_to_0_are_left_out_and_counted_by_column() -> None:
    """The second column's scores are small all along, and that alone leaves none out."""
    X = np.abs(samples(20, 6)) + 0.5
    X[[0, 10]] = [1.0, -1.0, 1.0, -1.0, 0.5, -0.49]  # whose curves would be some hundred times their score
    columns, normal = np.repeat([0, 1], 10), np.delete(np.arange(20), [0, 10])

    def scores(rows: np.ndarray) -> np.ndarray:
        return rows.sum(axis=1, keepdims=True) * [1, 0.001]

    with pytest.warns(UserWarning, match=r"2 of 20 samples are left out.*1 of 10 in column 0, 1 of 10 in column 1"):
        found = fidelity(scores, X, X, targets=columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found.area == pytest.approx(fidelity(scores, X[normal], X[normal], targets=columns[normal]).area)


def test_areas_of_several_labels_are_shares_of_a_probability() -> None:
    """Of logits about 0, which is no "nothing" to a label, they were in the thousands."""
    X = samples(40, 5).astype(np.float32)
    several = ABAMultiLabelClassifier(
        nn.Linear, module__in_features=5, module__out_features=3, augmenter=None, verbose=0
    )
    several.set_params(max_epochs=1, random_state=0).fit(X, (X[:, :3] > 0).astype(int))
    with torch.no_grad():
        several.module_.bias.fill_(-0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = fidelity(several, X, InputXGradient())
    assert 0 < found.area < 100
    by_logits = perturbation_curves(several.module_, X, X).normalised().areas()
    assert np.abs(by_logits).max() > 100


@pytest.mark.parametrize("level", [0, 1, 95, "0.95", np.nan])
def test_levels_that_are_refused(level: Any) -> None:
    with pytest.raises(ValueError, match="'level' parameter of fidelity must be"):
        fidelity(lambda rows: pytest.fail("asked"), samples(3, 4), samples(3, 4), level=level)


def test_a_wider_level_gives_a_wider_interval() -> None:
    X, maps = np.abs(samples(30, 8)), samples(30, 8, seed=1)
    narrow, wide = (fidelity(total, X, maps, level=level) for level in (0.5, 0.99))
    assert wide.interval[0] < narrow.interval[0] < narrow.interval[1] < wide.interval[1]


def test_a_comparison_has_each_methods_own_fidelity_and_a_table_by_area() -> None:
    X = np.abs(samples(10, 5))
    maps = {"wrong|way": -X, "right": X}
    found = compare_fidelity(total, X, maps, step=10)
    assert list(found) == ["wrong|way", "right"]
    assert found["right"].area == fidelity(total, X, X, step=10).area
    lines = found.table().splitlines()
    assert lines[0] == "| method | A | 95 % interval |"
    assert lines[2].startswith(f"| right | {found['right'].area:.1f} | [")
    assert lines[3].startswith(r"| wrong\|way | -")
    assert str(found["right"]).startswith(f"A = {found['right'].area:.1f}, 95 % interval [")


@pytest.mark.parametrize("attributions", [{}, [Gradient()], Gradient()])
def test_comparisons_of_nothing_are_refused(attributions: Any) -> None:
    with pytest.raises(ValueError, match="must map names"):
        compare_fidelity(total, samples(3, 4), attributions)


@pytest.mark.parametrize("change", [lambda maps: maps[::-1], lambda maps: maps.astype(">f8")])
def test_maps_of_any_layout(change: Any) -> None:
    X = np.abs(samples(20, 9))
    maps = change(samples(20, 9, seed=1))
    expected = fidelity(total, X, np.array(maps, dtype=np.float64, order="C"))
    assert compare_fidelity(total, X, {"given": maps})["given"].area == expected.area

    def method(model: nn.Module, x: torch.Tensor, y: Any, **_: Any) -> np.ndarray:
        return np.asarray(change(x.numpy()))

    net, rows = nn.Linear(9, 2), samples(20, 9).astype(np.float32)
    maps_of_net = np.array(change(rows), dtype=np.float64, order="C")
    targets = np.zeros(20, dtype=np.int64)
    by_method = perturbation_curves(net, rows, method, targets=targets)
    assert np.array_equal(by_method.mif, perturbation_curves(net, rows, maps_of_net, targets=targets).mif)


def test_a_method_may_compute_its_maps_in_parts() -> None:
    net, X = nn.Linear(9, 3), samples(20, 9).astype(np.float32)
    whole = perturbation_curves(net, X, InputXGradient())
    in_parts = perturbation_curves(net, X, MicroBatches(InputXGradient(), batch_size=3))
    assert np.array_equal(in_parts.mif, whole.mif)
