"""FreeABA: categories of the last visit decide how a sample moves."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from skaba._validation import validate_parameters
from skaba.attribution import Loss
from skaba.augmenters import (
    ABA,
    AdjustmentSet,
    Baseline,
    CategoryMemory,
    Cutoff,
    FreeABA,
    Percentiles,
    Proportional,
    fast_aba,
    free_aba,
    preset,
)
from tests.augmenters.aba.visits import recalled, remembered, visit
from tests.tiny_nets import conv_net, images, seeded

ALL_MOVE = AdjustmentSet([19])


def augmented(aba, x, y=None, model=None, strength=0.1, generator=None, criterion=None):
    return aba(model, x, y, strength=strength, criterion=criterion, generator=generator or seeded())


# --- what is recalled is what was kept

SELECTIONS = [Cutoff(), Percentiles(0.1, 0.9), Percentiles(0.3), Percentiles(), Percentiles(0.2, 0.4, 0.6, 0.8)]


def adjustments_for(selection):
    """All up, the low down and the high up, and the opposite."""
    n = selection.n_categories
    rising = tuple(range(1 - n, n, 2)) if n > 1 else (2,)
    return AdjustmentSet([(1,) * n, rising, tuple(-value for value in rising)])


@pytest.mark.parametrize("shape", [(9, 20), (9, 2, 13), (9, 2, 6, 5)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("selection", SELECTIONS, ids=repr)
def test_a_recalled_map_moves_a_batch_as_the_map_itself(selection, dtype, shape):
    x, gradient = (torch.randn(shape, generator=seeded(i)).to(dtype) for i in range(2))
    aba = FreeABA(selection, adjustments=adjustments_for(selection))
    wanted = augmented(ABA(lambda *_, **__: gradient, selection=selection, adjustments=aba.adjustments), x)
    moved = recalled(aba, remembered(aba, gradient), torch.arange(9), x, strength=0.1)
    assert (moved.dtype, moved.shape) == (dtype, x.shape)
    assert torch.equal(moved, wanted)
    assert not torch.equal(moved, x)


@settings(deadline=None, max_examples=40)
@given(st.floats(1e-6, 1e6), st.sampled_from(SELECTIONS), st.integers(0, 9))
def test_any_positive_multiple_of_the_gradient_will_do(factor, selection, seed):
    gradient = torch.randn(3, 40, generator=seeded(seed), dtype=torch.float64)
    aba = FreeABA(selection)
    assert torch.equal(remembered(aba, gradient).bits, remembered(aba, factor * gradient).bits)


def test_a_first_visit_is_not_augmented():
    x, aba = torch.randn(6, 3, 4), FreeABA(adjustments=ALL_MOVE, randomize=False)
    memory = remembered(aba, torch.randn(4, 3, 4), n_samples=10)
    moved = recalled(aba, memory, torch.tensor([0, 9, 3, 5, 1, 7]), x, strength=0.5)
    assert torch.equal(moved, x + 0.5 * torch.tensor([1.0, 0, 1, 0, 1, 0])[:, None, None])


def test_every_sample_is_moved_by_its_own_map():
    x, gradient = torch.zeros(5, 30), torch.randn(5, 30)
    aba = FreeABA(adjustments=AdjustmentSet([(-1, 1)]), randomize=False)
    order = torch.tensor([3, 0, 4, 1, 2])
    moved = recalled(aba, remembered(aba, gradient), order, x, strength=0.5)
    assert torch.equal(moved, 0.5 * gradient[order].sign())


def test_the_last_visit_counts():
    gradient, aba = torch.randn(2, 4, 30), FreeABA(adjustments=AdjustmentSet([(-1, 1)]), randomize=False)
    memory = remembered(aba, gradient[0])
    aba._keep(visit(memory, torch.tensor([2]), gradient[1, 2:3]), gradient[1, 2:3])
    moved = recalled(aba, memory, torch.arange(4), torch.zeros(4, 30), strength=1.0)
    assert torch.equal(moved[2], gradient[1, 2].sign())
    assert torch.equal(moved[[0, 1, 3]], gradient[0, [0, 1, 3]].sign())


def test_dropping_to_a_baseline_needs_no_sizes():
    x, gradient = torch.randn(4, 30), torch.randn(4, 30)
    aba = FreeABA(adjustments=AdjustmentSet([(0, 1)]), randomize=False, change=Baseline(7.0))
    validate_parameters(aba)
    moved = recalled(aba, remembered(aba, gradient), torch.arange(4), x, strength=1.0)
    torch.testing.assert_close(moved, torch.where(gradient < 0, x, torch.tensor(7.0)))


def test_the_batch_keeps_its_memory_layout():
    x = torch.randn(4, 3, 5, 6).to(memory_format=torch.channels_last)
    aba = FreeABA()
    moved = recalled(aba, remembered(aba, x), torch.arange(4), x, strength=0.5)
    assert moved.is_contiguous(memory_format=torch.channels_last)


def test_a_recalled_map_leaves_padding_alone():
    x, gradient, aba = torch.zeros(4, 5, 3), torch.randn(4, 5, 3), FreeABA(adjustments=ALL_MOVE, randomize=False)
    padding = torch.rand(4, 5) < 0.5
    moved = recalled(aba, remembered(aba, gradient), torch.arange(4), x, 0.5, padding=padding)
    assert torch.equal(moved, torch.where(padding, 0.0, 0.5).unsqueeze(-1).expand(4, 5, 3))


def test_share_holds_for_recalled_maps_too():
    x, gradient = torch.randn(10, 20), torch.randn(10, 20)
    aba = FreeABA(adjustments=ALL_MOVE, share=0.3)
    memory, generator = remembered(aba, gradient), seeded()
    moved = [recalled(aba, memory, torch.arange(10), x, 0.1, generator) != x for _ in range(20)]
    assert [int(each.any(1).sum()) for each in moved] == [3] * 20
    assert torch.stack(moved).any(2).any(0).all()  # others at each visit


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_sample_whose_gradient_is_not_finite_does_not_move(bad):
    gradient, aba = torch.randn(3, 4), FreeABA(adjustments=AdjustmentSet([(-1, 1)]), randomize=False)
    gradient[1, 2] = bad
    moved = recalled(aba, remembered(aba, gradient), torch.arange(3), torch.zeros(3, 4), strength=1.0)
    assert torch.equal(moved, gradient.sign().index_fill(0, torch.tensor([1]), 0))


# --- when they are renewed


@pytest.mark.parametrize(
    ("renew", "costs_a_gradient", "share"),
    [(None, False, 1), (None, True, 0.2), (1, True, 1), (0.5, False, 0.5), (0.5, True, 0.5)],
)
def test_a_share_of_the_batches_is_renewed(renew, costs_a_gradient, share):
    aba, generator, n = FreeABA(renew=renew), seeded(), 2000
    batch = visit(remembered(aba, torch.randn(4, 5)), torch.arange(4), None, generator)
    renewed = sum(aba._renews(batch, costs_a_gradient=costs_a_gradient) for _ in range(n))
    assert renewed / n == pytest.approx(share, abs=4 * (share * (1 - share) / n) ** 0.5)


def test_a_first_visit_always_counts():
    aba, generator = FreeABA(renew=1e-9), seeded()
    memory = remembered(aba, torch.randn(4, 5), n_samples=10)
    assert not aba._renews(visit(memory, torch.tensor([3, 0]), None, generator), costs_a_gradient=True)
    assert aba._renews(visit(memory, torch.tensor([3, 4]), None, generator), costs_a_gradient=True)


# --- a training step: the gradient of one visit decides the next


def test_a_step_keeps_what_the_next_one_moves_by():
    net, aba = nn.Linear(6, 3), FreeABA(adjustments=AdjustmentSet([(-1, 1)]), randomize=False)
    x, y, memory, index = torch.randn(4, 6), torch.arange(4) % 3, CategoryMemory(), torch.tensor([5, 2, 9, 0])

    def step():
        move = aba.plan(visit(memory, index, x), 0.5).move
        moved = move(x.clone())
        nn.functional.cross_entropy(net(moved), y).backward()
        return moved.detach()

    assert torch.equal(step(), x)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(net(leaf), y), leaf)
    torch.testing.assert_close(step(), x + 0.5 * gradient.sign())


def test_a_network_through_which_no_gradient_comes_back_is_named_at_the_second_step():
    aba, memory, index, x = FreeABA(), CategoryMemory(), torch.arange(4), torch.randn(4, 6)
    aba.plan(visit(memory, index, x), 0.5).move(x.clone())  # and no backward pass
    with pytest.raises(ValueError, match="gradient does not reach the input"):
        aba.plan(visit(memory, index, x), 0.5)


# --- beside FastABA


def test_free_aba_is_fast_aba_on_the_loss():
    shared = ("selection", "adjustments", "change", "randomize", "share", "clip")
    assert {repr(getattr(free_aba(), name)) for name in shared} == {repr(getattr(fast_aba(), name)) for name in shared}
    assert repr(preset("free_aba", share=0.5)) == repr(FreeABA(share=0.5))


def test_called_as_a_function_it_asks_for_a_map_all_the_same():
    net, x, y = conv_net(), images(9), torch.arange(9) % 5
    wanted = augmented(fast_aba(target=Loss()), x, y, net, criterion=nn.CrossEntropyLoss())
    assert torch.equal(augmented(free_aba(), x, y, net, criterion=nn.CrossEntropyLoss()), wanted)
    assert not torch.equal(wanted, x)


# --- what does not go together


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"selection": Cutoff(0.1)}, r"Cutoff\(0\.1\) would depend on the batch size\. Use Cutoff\(0\) or Percentiles"),
        ({"selection": Cutoff(-1)}, "would depend on the batch size"),
        ({"change": Proportional()}, r"caches categories, not maps: change=Proportional\(\) needs ABA"),
        ({"selection": Percentiles(0.2, 0.4, 0.6, 0.8)}, "adjustment"),
    ],
)
def test_what_cannot_be_kept_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        validate_parameters(free_aba(**parameters))
    if "adjustment" not in message:
        validate_parameters(fast_aba(target=Loss(), **parameters))  # with maps of their own it is allowed


@pytest.mark.parametrize("name", ["attribution", "target", "resolution"])
def test_the_gradient_of_the_loss_is_no_choice(name):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        free_aba(**{name: 1})


@pytest.mark.parametrize(
    "parameters",
    [{}, {"selection": Cutoff(0)}, {"change": Baseline()}, {"share": 0.5, "renew": 0.3}],
    ids=str,
)
def test_what_can_be_kept_is_allowed(parameters):
    validate_parameters(free_aba(**parameters))
    validate_parameters(free_aba(**{**parameters, "selection": Percentiles(0.1, 0.9)}))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("share", [0, -0.1, 1.1, "half", None]),
        ("renew", [0, -0.5, 1.5, "all"]),
        ("randomize", [None, 2]),
        ("change", ["constant"]),
    ],
)
def test_values_that_are_not_allowed_are_named(name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"The '{name}' parameter of FreeABA must be"):
            validate_parameters(FreeABA().set_params(**{name: value}))
