"""ABA at a lower price: categories of the last visit, a share of the samples, one batch in so many, coarser maps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from skaba._validation import validate_parameters
from skaba.attribution import InputXGradient, Loss, PredictedClass, RandomMap, TrueClass
from skaba.augmenters import (
    ABA,
    AdjustmentSet,
    Baseline,
    CategoryMemory,
    Cutoff,
    Percentiles,
    Proportional,
    fast_aba,
    fgsm,
    free_aba,
    mend_aba,
    preset,
)
from skaba.network import FromLayer
from tests.tiny_nets import TextNet, conv_net, images, linear, seeded, words

ALL_MOVE = AdjustmentSet([19])


class Fixed:
    """An attribution that is known beforehand, and counts what it is asked."""

    def __init__(self, map_=None):
        self.map_ = map_
        self.seen = []

    def __call__(self, model, x, y, *, target, criterion, generator):
        self.seen.append(x.clone())
        return x.detach() if self.map_ is None else self.map_


def augmented(aba, x, y=None, model=None, strength=0.1, generator=None, criterion=None):
    return aba(model, x, y, strength=strength, criterion=criterion, generator=generator or seeded())


def remembered(aba, gradient, n_samples=None):
    """A memory that knows the gradient of the first samples."""
    memory = CategoryMemory()
    n_boundaries = aba.selection.n_categories - 1
    memory.allocate(n_samples or len(gradient), tuple(gradient.shape[1:]), n_boundaries, torch.device("cpu"))
    aba.keep(memory, torch.arange(len(gradient)), gradient)
    return memory


def recall(aba, memory, index, x, strength, generator=None):
    """A batch as it is augmented by what is remembered; the batch itself stays as it is."""
    return aba.recall(memory, index, x, strength=strength, generator=generator or seeded())(x.clone())


def reusing(selection=None, **parameters):
    return mend_aba(target=Loss(), reuse="epoch", selection=selection or Cutoff(), **parameters)


# --- reuse: recall what was kept

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
    aba = reusing(selection, adjustments=adjustments_for(selection))
    wanted = augmented(ABA(Fixed(gradient), selection=selection, adjustments=aba.adjustments), x)
    recalled = recall(aba, remembered(aba, gradient), torch.arange(9), x, strength=0.1)
    assert (recalled.dtype, recalled.shape) == (dtype, x.shape)
    assert torch.equal(recalled, wanted)
    assert not torch.equal(recalled, x)


@settings(deadline=None, max_examples=40)
@given(st.floats(1e-6, 1e6), st.sampled_from(SELECTIONS), st.integers(0, 9))
def test_any_positive_multiple_of_the_gradient_will_do(factor, selection, seed):
    gradient = torch.randn(3, 40, generator=seeded(seed), dtype=torch.float64)
    aba = reusing(selection)
    assert torch.equal(remembered(aba, gradient).bits, remembered(aba, factor * gradient).bits)


def test_a_first_visit_is_not_augmented():
    x, aba = torch.randn(6, 3, 4), reusing(adjustments=ALL_MOVE, randomize=False)
    memory = remembered(aba, torch.randn(4, 3, 4), n_samples=10)
    recalled = recall(aba, memory, torch.tensor([0, 9, 3, 5, 1, 7]), x, strength=0.5)
    assert torch.equal(recalled, x + 0.5 * torch.tensor([1.0, 0, 1, 0, 1, 0])[:, None, None])


def test_every_sample_is_moved_by_its_own_map():
    x, gradient = torch.zeros(5, 30), torch.randn(5, 30)
    aba = reusing(adjustments=AdjustmentSet([(-1, 1)]), randomize=False)
    order = torch.tensor([3, 0, 4, 1, 2])
    recalled = recall(aba, remembered(aba, gradient), order, x, strength=0.5)
    assert torch.equal(recalled, 0.5 * gradient[order].sign())


def test_the_last_visit_counts():
    gradient, aba = torch.randn(2, 4, 30), reusing(adjustments=AdjustmentSet([(-1, 1)]), randomize=False)
    memory = remembered(aba, gradient[0])
    aba.keep(memory, torch.tensor([2]), gradient[1, 2:3])
    recalled = recall(aba, memory, torch.arange(4), torch.zeros(4, 30), strength=1.0)
    assert torch.equal(recalled[2], gradient[1, 2].sign())
    assert torch.equal(recalled[[0, 1, 3]], gradient[0, [0, 1, 3]].sign())


def test_dropping_to_a_baseline_needs_no_sizes():
    x, gradient = torch.randn(4, 30), torch.randn(4, 30)
    aba = reusing(adjustments=AdjustmentSet([(0, 1)]), randomize=False, change=Baseline(7.0))
    validate_parameters(aba)
    recalled = recall(aba, remembered(aba, gradient), torch.arange(4), x, strength=1.0)
    torch.testing.assert_close(recalled, torch.where(gradient < 0, x, torch.tensor(7.0)))


def test_the_batch_keeps_its_memory_layout():
    x = torch.randn(4, 3, 5, 6).to(memory_format=torch.channels_last)
    aba = reusing()
    recalled = recall(aba, remembered(aba, x), torch.arange(4), x, strength=0.5)
    assert recalled.is_contiguous(memory_format=torch.channels_last)


def test_a_recalled_map_leaves_padding_alone():
    x, gradient, aba = torch.zeros(4, 5, 3), torch.randn(4, 5, 3), reusing(adjustments=ALL_MOVE, randomize=False)
    padding = torch.rand(4, 5) < 0.5
    move = aba.recall(remembered(aba, gradient), torch.arange(4), x, strength=0.5, generator=seeded(), padding=padding)
    assert torch.equal(move(x.clone()), torch.where(padding, 0.0, 0.5).unsqueeze(-1).expand(4, 5, 3))


def test_share_and_every_hold_for_recalled_maps_too():
    x, gradient = torch.randn(10, 20), torch.randn(10, 20)
    aba = reusing(adjustments=ALL_MOVE, share=0.3, every=2)
    memory, generator = remembered(aba, gradient), seeded()
    changed = [int((recall(aba, memory, torch.arange(10), x, 0.1, generator) != x).any(1).sum()) for _ in range(60)]
    assert set(changed) == {0, 3}
    assert 15 < changed.count(3) < 45


def test_free_aba_is_fast_aba_on_the_loss_with_reuse():
    assert repr(free_aba()) == repr(fast_aba(target=Loss(), reuse="epoch"))
    assert repr(preset("free_aba", share=0.5)) == repr(fast_aba(target=Loss(), reuse="epoch", share=0.5))


def test_called_as_a_function_it_asks_for_a_map_all_the_same():
    net, x, y = conv_net(), images(9), torch.arange(9) % 5
    wanted = augmented(fast_aba(target=Loss()), x, y, net, criterion=nn.CrossEntropyLoss())
    assert torch.equal(augmented(free_aba(), x, y, net, criterion=nn.CrossEntropyLoss()), wanted)
    assert not torch.equal(wanted, x)


# --- share: some of the samples


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 30), st.floats(0, 1, exclude_min=True), st.integers(0, 99))
def test_exactly_a_share_of_the_samples_is_asked_about_and_moves(n, share, seed):
    x, witness = torch.randn(n, 6, generator=seeded(seed)), Fixed()
    x[:, 0] = torch.arange(n)
    result = augmented(ABA(witness, adjustments=ALL_MOVE, share=share), x, generator=seeded(seed))
    moved = (result != x).any(1)
    assert moved.sum() == round(share * n)
    assert torch.equal(result[~moved], x[~moved])
    asked = torch.cat([torch.zeros(0, 6), *witness.seen])
    assert torch.equal(asked, x[moved])


@pytest.mark.parametrize("name", ["challenger", "mend_aba", "fast_aba", "fgsm"])
def test_the_model_is_asked_about_the_share_alone(name):
    sizes, net = [], conv_net()
    x, y = images(40), torch.arange(40) % 5
    hook = net.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    result = augmented(preset(name, share=0.25), x, y, net, criterion=nn.CrossEntropyLoss())
    hook.remove()
    moved = int((result != x).flatten(1).any(1).sum())
    assert sizes == [moved]
    assert 0 < moved <= 10
    if name in ("mend_aba", "fgsm"):  # no draw of theirs is zero
        assert moved == 10


def test_all_samples_have_the_same_chance():
    aba, generator = ABA(adjustments=ALL_MOVE, share=0.25), seeded(1)
    counts = sum(aba._draw(8, 1.0, generator).any(1).float() for _ in range(2000))
    torch.testing.assert_close(counts / 2000, torch.full((8,), 0.25), rtol=0, atol=4 * (0.25 * 0.75 / 2000) ** 0.5)


def test_the_share_of_a_text_is_asked_about_with_its_own_words():
    net, ids, y = TextNet().eval(), words(20), torch.arange(20) % 3
    rest = FromLayer(net, "embedding", ids)
    hidden = rest.features()
    both = [fgsm(share=share) for share in (1.0, 0.3)]
    whole, some = (augmented(aba, hidden, y, rest, criterion=nn.CrossEntropyLoss()) for aba in both)
    moved = (some != hidden).flatten(1).any(1)
    assert moved.sum() == 6
    assert torch.equal(some[moved], whole[moved])


# --- every: some of the batches


@pytest.mark.parametrize("every", [2, 3, 10])
def test_one_batch_in_so_many_is_augmented_and_the_others_are_not_asked_about(every):
    witness, x, generator, n_batches = Fixed(), torch.randn(2, 5), seeded(2), 3000
    aba = ABA(witness, adjustments=ALL_MOVE, every=every)
    results = [augmented(aba, x, generator=generator) for _ in range(n_batches)]
    moved = sum(not torch.equal(result, x) for result in results)
    assert len(witness.seen) == moved
    share = 1 / every
    assert moved / n_batches == pytest.approx(share, abs=4 * (share * (1 - share) / n_batches) ** 0.5)


# --- neither draws anything unless asked to


@pytest.mark.parametrize("randomize", [True, False])
def test_by_default_the_adjustments_and_the_factors_are_all_that_is_drawn(randomize):
    x, aba = torch.randn(7, 11), mend_aba(attribution=Fixed(), randomize=randomize, share=1.0, every=1)
    ours, by_hand = seeded(3), seeded(3)
    for _ in range(3):
        result = augmented(aba, x, strength=0.2, generator=ours)
        steps = aba.adjustments.draw(7, 3, by_hand) * 0.2
        if randomize:
            steps *= torch.randn(7, 1, generator=by_hand).abs()
        assert torch.equal(ours.get_state(), by_hand.get_state())
        assert torch.equal(result, x + steps.gather(1, Percentiles(0.1, 0.9).categories(x)))


# --- resolution: coarser maps


class AnySize(nn.Module):
    """Logits linear in each channel's mean, whatever the number of places."""

    def __init__(self, n_channels, channels=1):
        super().__init__()
        self.channels = channels
        self.linear = linear(n_channels, 3).float()

    def forward(self, x):
        return self.linear(x.movedim(self.channels, 1).flatten(2).mean(2))


class AnyLength(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 5, padding_idx=0)
        self.rest = AnySize(5, channels=-1)

    def forward(self, ids):
        return self.rest(self.embedding(ids))


UP_DOWN = {"selection": Cutoff(), "adjustments": AdjustmentSet([(-1, 1)]), "randomize": False}
SHAPES = [(4, 3, 10), (4, 3, 8, 6), (4, 2, 7, 5), (4, 3, 1)]


@pytest.mark.parametrize("resolution", [0.1, 0.5, 0.7])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_map_that_is_the_same_everywhere_is_the_same_at_any_resolution(shape, resolution):
    net, x, y = AnySize(shape[1]), torch.randn(shape), torch.tensor([0, 1, 2, 0])
    result = augmented(ABA(target=TrueClass(), resolution=resolution, **UP_DOWN), x, y, net)
    signs = net.linear.weight.detach()[y].sign()
    wanted = x + 0.1 * signs.reshape(*signs.shape, *[1] * (len(shape) - 2))
    assert result.shape == x.shape
    torch.testing.assert_close(result, wanted)


def test_so_it_is_for_embedded_texts():
    net, ids, y = AnyLength().eval(), words(4), torch.tensor([0, 1, 2, 0])
    rest = FromLayer(net, "embedding", ids)
    hidden = rest.features()
    result = augmented(ABA(target=TrueClass(), resolution=0.5, **UP_DOWN), hidden, y, rest)
    wanted = 0.1 * net.rest.linear.weight.detach()[y].sign()[:, None] * (ids != 0).unsqueeze(2)
    torch.testing.assert_close(result, hidden + wanted)


@pytest.mark.parametrize("shape", [(4, 3, 10), (4, 3, 8, 6)])
def test_maps_are_asked_of_the_averaged_input_and_stretched(shape):
    """The attribution returns what it is given: means of neighbours."""
    x, witness = torch.randn(shape), Fixed()
    result = augmented(ABA(witness, resolution=0.5, **UP_DOWN), x)
    pool, mode = ((functional.avg_pool1d, "linear"), (functional.avg_pool2d, "bilinear"))[len(shape) - 3]
    (asked,) = witness.seen
    torch.testing.assert_close(asked, pool(x, 2))
    torch.testing.assert_close(result, x + 0.1 * functional.interpolate(pool(x, 2), shape[2:], mode=mode).sign())


def test_fewer_places_are_computed():
    sizes, net, x = [], AnySize(3), torch.randn(6, 3, 20, 20)
    net.register_forward_pre_hook(lambda module, args: sizes.append(tuple(args[0].shape)))
    augmented(mend_aba(k=1, resolution=0.5, share=0.5), x, model=net)
    assert sizes == [(3, 3, 10, 10)]


@pytest.mark.parametrize("name", ["challenger", "mend_aba", "fast_aba", "fgsm"])
def test_the_full_resolution_is_no_option_at_all(name):
    net, x, y = conv_net(), images(9), torch.arange(9) % 5
    first, second = (
        augmented(preset(name, **options), x, y, net, criterion=nn.CrossEntropyLoss())
        for options in ({}, {"resolution": 1, "share": 1, "every": 1})
    )
    assert torch.equal(first, second)


@pytest.mark.parametrize("adjustments", [ALL_MOVE, AdjustmentSet([0, 3, 4])], ids=["all", "some"])
@pytest.mark.parametrize("resolution", [0.5, 1.0])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_the_memory_layout_is_kept(layout, resolution, adjustments):
    x = torch.randn(12, 3, 8, 6).to(memory_format=layout)
    aba = ABA(InputXGradient(), PredictedClass(), adjustments=adjustments, resolution=resolution)
    result = augmented(aba, x, model=AnySize(3))
    assert result.is_contiguous(memory_format=layout)
    torch.testing.assert_close(result, augmented(aba, x.contiguous(), model=AnySize(3)), rtol=0, atol=1e-6)


def test_tables_have_no_resolution():
    aba = mend_aba(resolution=0.5, attribution=RandomMap())
    for x in (torch.randn(3, 8), torch.randn(3, 2, 4, 4, 4)):
        with pytest.raises(ValueError, match=r"resolution needs an input with one or two spatial axes"):
            augmented(aba, x, model=AnySize(2))


# --- what does not go together


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"target": PredictedClass()}, r"set attribution=Gradient\(\) and target=Loss\(\); got Gradient\(\) and Pred"),
        ({"attribution": InputXGradient()}, r"set attribution=Gradient\(\).*got InputXGradient\(\) and Loss\(\)"),
        ({"attribution": Fixed()}, "takes the gradient of the loss that training computes"),
        ({"selection": Cutoff(0.1)}, r"Cutoff\(0\.1\) would depend on the batch size\. Use Cutoff\(0\) or Percentiles"),
        ({"selection": Cutoff(-1)}, "would depend on the batch size"),
        ({"change": Proportional()}, r"keeps categories, not sizes: change=Proportional\(\) needs reuse=None"),
        ({"resolution": 0.5}, "resolution has no effect: set it to 1"),
        ({"selection": Percentiles(0.2, 0.4, 0.6, 0.8)}, "adjustment"),
    ],
)
def test_what_cannot_be_reused_is_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        validate_parameters(free_aba(**parameters))
    if "adjustment" not in message:
        validate_parameters(free_aba(**parameters, reuse=None))  # for maps that are asked it is allowed


@pytest.mark.parametrize(
    "parameters",
    [{}, {"selection": Cutoff(0)}, {"change": Baseline()}, {"share": 0.5, "every": 3}, {"store": "/tmp"}],  # noqa: S108
    ids=str,
)
def test_what_can_be_reused_is_allowed(parameters):
    validate_parameters(free_aba(**parameters))
    validate_parameters(mend_aba(target=Loss(), reuse="epoch", **{**parameters, "selection": Percentiles(0.1, 0.9)}))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("share", [0, -0.1, 1.1, "half", None]),
        ("every", [0, -1, 1.5, None]),
        ("resolution", [0, -0.5, 1.5, None]),
        ("reuse", ["batch", True, 1]),
        ("store", [1, True]),
    ],
)
def test_values_that_are_not_allowed_are_named(name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"The '{name}' parameter of ABA must be"):
            validate_parameters(mend_aba(**{name: value}))


def test_a_folder_that_does_not_exist_is_refused_before_any_work(tmp_path):
    with pytest.raises(ValueError, match=r"store=.* is no folder: make it first"):
        validate_parameters(free_aba(store=tmp_path / "nowhere"))
    validate_parameters(free_aba(store=tmp_path))
