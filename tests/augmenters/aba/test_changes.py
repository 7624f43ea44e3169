"""Changes: what a step does to a feature."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as stnp
from sklearn.base import clone

from skaba._validation import validate_parameters
from skaba.augmenters import ABA, AdjustmentSet, Baseline, Change, Constant, Cutoff, Percentiles, Proportional
from tests.tiny_nets import linear, seeded

CHANGES = [Constant(), Proportional(), Baseline(), Baseline(-2.5)]
finite = st.floats(-10, 10, allow_nan=False, width=32)


def batches(n=3, d=4):
    return stnp.arrays(np.float64, (n, d), elements=finite).map(torch.from_numpy)


def by_hand(change, x, attribution, step):
    """Each formula for one feature at a time: how far it moves."""
    out = []
    for i in range(len(x)):
        largest = max(abs(a) for a in attribution[i].tolist())
        row = []
        for j in range(x.shape[1]):
            value, a = x[i, j].item(), attribution[i, j].item()
            s = step[i, j if step.shape[1] > 1 else 0].item()
            if isinstance(change, Constant):
                row.append(s)
            elif isinstance(change, Proportional):
                weight = a if step.shape[1] == 1 else abs(a)
                row.append(s * weight / largest if largest else 0.0)
            else:
                row.append(min(abs(s), 1.0) * (change.value - value))
        out.append(row)
    return torch.tensor(out, dtype=x.dtype)


@pytest.mark.parametrize("change", CHANGES, ids=repr)
@pytest.mark.parametrize("steps", [1, 4], ids=["one category", "several"])
@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_formulas_feature_by_feature(change, steps, data):
    x, attribution, step = data.draw(batches()), data.draw(batches()), data.draw(batches(d=steps))
    torch.testing.assert_close(
        change(x, attribution, step).expand_as(x), by_hand(change, x, attribution, step), rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize("change", CHANGES, ids=repr)
def test_a_step_of_0_changes_nothing(change):
    x, attribution = torch.randn(3, 5), torch.randn(3, 5)
    for step in (torch.zeros(3, 5), torch.zeros(3, 1)):
        assert not change(x, attribution, step).any()


@pytest.mark.parametrize("change", CHANGES, ids=repr)
def test_leaves_its_arguments_alone(change):
    tensors = [torch.randn(3, 5) for _ in range(3)]
    copies = [tensor.clone() for tensor in tensors]
    change(*tensors)
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(tensors, copies, strict=True))


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_proportional_to_an_all_zero_map_moves_nothing(steps, dtype):
    x = torch.randn(3, 4).to(dtype)
    assert torch.equal(Proportional()(x, torch.zeros_like(x), torch.ones(3, steps, dtype=dtype)), torch.zeros_like(x))


def test_proportional_moves_the_largest_by_a_whole_step():
    attribution = torch.tensor([[-8.0, 2.0, 4.0], [0.1, 0.3, -0.2]])
    step = torch.tensor([[-1.0, 1.0, 1.0], [1.0, -1.0, 1.0]]) * 0.5
    moved = Proportional()(torch.zeros(2, 3), attribution, step)
    torch.testing.assert_close(moved.abs().amax(1), torch.full((2,), 0.5))
    assert torch.equal(moved.sign(), step.sign())


def test_proportional_with_one_category_follows_the_attributions_sign():
    attribution = torch.tensor([[-8.0, 2.0, 0.0, 4.0]])
    moved = Proportional()(torch.zeros(1, 4), attribution, torch.tensor([[0.5]]))
    assert moved.tolist() == [[-0.5, 0.125, 0.0, 0.25]]


def test_proportional_with_a_single_feature_moves_it_by_the_step():
    moved = Proportional()(torch.zeros(1, 1), torch.tensor([[-3.0]]), torch.tensor([[0.5]]))
    assert moved.tolist() == [[0.5]]


@pytest.mark.parametrize("value", [0.0, 1.7, -3.0])
def test_baseline_drops_what_an_adjustment_names(value):
    x = torch.randn(2, 4)
    step = torch.tensor([[1.0, 0.0, -1.0, 0.0], [0.0, -1.0, 0.0, 1.0]])
    dropped = x + Baseline(value)(x, torch.zeros(2, 4), step)
    assert torch.equal(dropped[step == 0], x[step == 0])
    torch.testing.assert_close(dropped[step != 0], torch.full((4,), value))


def test_baseline_drops_to_0_exactly():
    x = torch.randn(3, 100) * 1e3
    assert (x + Baseline()(x, x, torch.ones(3, 1)) == 0).all()


@pytest.mark.parametrize("strength", [1.0, 1.5, 100.0])
def test_baseline_never_goes_past(strength):
    x = torch.randn(3, 5, dtype=torch.float64)
    for sign in (-1, 1):
        moved = x + Baseline(2.0)(x, x, torch.full((3, 1), sign * strength, dtype=torch.float64))
        torch.testing.assert_close(moved, torch.full_like(x, 2.0))


# --- inside ABA


@pytest.mark.parametrize("change", CHANGES, ids=repr)
@pytest.mark.parametrize("selection", [Percentiles(), Cutoff(), Percentiles(0.1, 0.9)], ids=repr)
def test_in_aba(change, selection):
    net, x = linear(), torch.randn(3, 20, dtype=torch.float64)
    vector = {1: (1,), 2: (-1, 1), 3: (-1, 0, 1)}[selection.n_categories]
    aba = ABA(
        attribution=lambda model, x, y, **_: model.weight.detach()[: len(x)],
        selection=selection,
        adjustments=AdjustmentSet([vector]),
        change=change,
        randomize=False,
    )
    got = aba(net, x, None, strength=0.3, criterion=None, generator=seeded())
    map_ = net.weight.detach()[:3]
    step = torch.tensor(vector, dtype=x.dtype)[selection.categories(map_)] * 0.3
    if selection.n_categories == 1:
        step = step[:, :1]
    torch.testing.assert_close(got, x + by_hand(change, x, map_, step), rtol=1e-6, atol=1e-7)


def test_any_callable_is_a_change():
    aba = ABA(change=lambda x, attribution, step: 7 - x, adjustments=AdjustmentSet([19]))
    validate_parameters(aba)
    x = torch.randn(3, 20, dtype=torch.float64)
    assert (aba(linear(), x, None, strength=1.0, criterion=None, generator=seeded()) - 7).abs().max() < 1e-12


@pytest.mark.parametrize("change", CHANGES, ids=repr)
def test_clones_pickles_and_prints(change):
    for copy in (clone(change), pickle.loads(pickle.dumps(change)), eval(repr(change))):  # noqa: S301, S307
        assert type(copy) is type(change)
        assert copy.get_params() == change.get_params()


def test_the_base_class_is_abstract():
    with pytest.raises(TypeError, match="abstract"):
        Change()


@pytest.mark.parametrize("value", ["black", None, float("inf"), float("nan")])
def test_a_baseline_is_a_number(value):
    with pytest.raises(ValueError, match="'value' parameter of Baseline must be a float in the range"):
        validate_parameters(Baseline(value))
