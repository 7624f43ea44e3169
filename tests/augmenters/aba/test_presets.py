"""The named methods against their formulas, written out by hand for a linear model."""

import numpy as np
import pytest
import torch
from captum.robust import FGSM
from scipy.stats import chisquare, kstest
from sklearn.base import clone
from torch import nn

from skaba._validation import validate_parameters
from skaba.attribution import Gradient, InputXGradient, Loss, RandomMap, RandomTopClass, TrueClass
from skaba.augmenters import (
    ABA,
    PRESETS,
    AdjustmentSet,
    Constant,
    Cutoff,
    FreeABA,
    Percentiles,
    challenger,
    fast_aba,
    fgsm,
    mend_aba,
    preset,
)
from tests.augmenters.aba.test_adjustments import VECTORS
from tests.tiny_nets import conv_net, images, linear, seeded

N, D, C, STRENGTH = 6, 20, 5, 0.25

# name: (its preset, how features are split, what is explained)
PAPERS = {
    "challenger": (challenger, "percentiles", "predicted"),
    "mend_aba": (mend_aba, "percentiles", "predicted"),
    "fast_aba": (fast_aba, "cutoff", "predicted"),
    "fgsm": (fgsm, "cutoff", "loss"),
    "fgsm with tension": (lambda **parameters: fgsm(tension=True, **parameters), "cutoff", "loss"),
}


def build(name, **parameters):
    make, _, target = PAPERS[name]
    return make(**({} if target == "loss" else {"k": 1}), **parameters)


def batch():
    x = torch.randn(N, D, dtype=torch.float64, generator=seeded(11))
    return x, torch.tensor([0, 1, 2, 3, 4, 0])


def augmented(aba, net, x, y, seed=0, strength=STRENGTH):
    return aba(net, x, y, strength=strength, criterion=nn.CrossEntropyLoss(), generator=seeded(seed))


def gradient_by_hand(net, x, y, target):
    """The derivative of w_c . x + b_c, or of -log softmax, in NumPy."""
    weight = net.weight.detach().numpy()
    bias = net.bias.detach().numpy() if net.bias is not None else np.zeros(C)
    rows = []
    for sample, label in zip(x.numpy(), y.tolist(), strict=True):
        logits = weight @ sample + bias
        if target == "predicted":
            rows.append(weight[int(np.argmax(logits))])
        else:
            share = np.exp(logits) / np.exp(logits).sum()
            rows.append(weight.T @ (share - np.eye(C)[label]))
    return np.array(rows)


def signs_by_hand(map_, vector, split):
    """Where an adjustment moves each feature: the rules of the papers in plain loops."""
    low, middle, high = vector
    signs = []
    for row in map_:
        ordered = sorted(row)
        p1, p2 = ordered[D // 10], ordered[9 * D // 10]
        if split == "percentiles":
            signs.append([low if a < p1 else middle if a < p2 else high for a in row])
        else:
            signs.append([low if a < 0 else high for a in row])
    return np.array(signs, dtype=float)


@pytest.mark.parametrize("index", range(27))
@pytest.mark.parametrize("attribution", [Gradient(), InputXGradient()], ids=["gradient", "times_input"])
@pytest.mark.parametrize("name", PAPERS)
def test_closed_form_of_every_adjustment(name, attribution, index):
    _, split, target = PAPERS[name]
    x, y = batch()
    for bias in (False, True):
        net = linear(D, C, bias=bias)
        aba = build(name, attribution=attribution, adjustments=AdjustmentSet([index]), randomize=False)
        map_ = gradient_by_hand(net, x, y, target)
        if isinstance(attribution, InputXGradient):
            map_ = map_ * x.numpy()
        wanted = x.numpy() + STRENGTH * signs_by_hand(map_, VECTORS[index], split)
        np.testing.assert_allclose(augmented(aba, net, x, y).numpy(), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("index", range(1, 27))
@pytest.mark.parametrize("name", PAPERS)
def test_randomized_samples_move_by_one_factor_each(name, index):
    _, split, target = PAPERS[name]
    x, y = batch()
    net = linear(D, C)
    aba = build(name, adjustments=AdjustmentSet([index]), randomize=True)
    moved = (augmented(aba, net, x, y) - x).numpy() / STRENGTH
    signs = signs_by_hand(gradient_by_hand(net, x, y, target), VECTORS[index], split)
    if not signs.any():  # (0, 1, 0) and (0, -1, 0) of two categories
        assert not moved.any()
        return
    factor = np.abs(moved).max(axis=1, keepdims=True)
    np.testing.assert_allclose(moved, factor * signs, rtol=0, atol=1e-9)
    assert (factor > 0).all()
    assert len(np.unique(factor.round(6))) == N


def test_the_random_factor_is_the_absolute_value_of_a_standard_normal():
    x = torch.zeros(4000, 3)
    aba = mend_aba(k=1, adjustments=AdjustmentSet([19]))
    moved = augmented(aba, nn.Linear(3, 2), x, None, strength=2.0) / 2.0
    assert (moved >= 0).all()
    assert torch.equal(moved, moved[:, :1].expand(-1, 3))
    assert kstest(moved[:, 0].numpy(), "halfnorm").pvalue > 1e-3


@pytest.mark.parametrize("name", [name for name in PAPERS if name != "fgsm"])
def test_own_adjustments_are_drawn_as_often_as_published(name):
    # Each sample's signs tell which adjustment it got.
    published = {
        "challenger": [0, 0, 0, 0, 3, 4, 5, 6],
        "mend_aba": [1, 2, 3, 4, 5, 6],
        "fast_aba": [0, 0, 3, 4, 5, 6, 16, 17],
        "fgsm with tension": [16, 17],
    }[name]
    _, split, target = PAPERS[name]
    n = 1200
    x, y = torch.randn(n, D, dtype=torch.float64), torch.zeros(n, dtype=torch.int64)
    net = linear(D, C)
    signs = (augmented(build(name), net, x, y) - x).numpy().round(9)
    signs = np.sign(signs)
    map_ = gradient_by_hand(net, x, y, target)
    counts = []
    for index in sorted(set(published)):
        hits = (signs == signs_by_hand(map_, VECTORS[index], split)).all(axis=1)
        counts.append(int(hits.sum()))
    assert sum(counts) == n
    expected = [published.count(index) / len(published) * n for index in sorted(set(published))]
    assert chisquare(counts, expected).pvalue > 1e-3


# --- FGSM


def test_fgsm_is_captums():
    net, x, y = conv_net().eval(), images(5), torch.tensor([0, 1, 2, 3, 4])
    attack = FGSM(net, loss_func=nn.CrossEntropyLoss(reduction="none"))
    attack.zero_thresh = 0.0
    wanted = attack.perturb(x.clone().requires_grad_(), epsilon=0.1, target=y).detach()
    got = augmented(fgsm(), net.train(), x, y, strength=0.1)
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss(), nn.CrossEntropyLoss(reduction="sum")], ids=repr)
def test_fgsm_is_the_sign_of_a_plain_backward_pass(criterion):
    net, x, y = conv_net(), images(5), torch.tensor([0, 1, 2, 3, 4])
    leaf = x.clone().requires_grad_()
    criterion(conv_net().eval()(leaf), y).backward()
    assert (leaf.grad != 0).all()
    got = fgsm()(net, x, y, strength=0.1, criterion=criterion, generator=seeded())
    torch.testing.assert_close(got, x + 0.1 * leaf.grad.sign())


def test_fgsm_moves_up_where_the_gradient_is_0():
    # The cut-off rule counts an attribution of exactly 0 as high; sign would leave the feature.
    net = linear(4, 2, bias=False)
    with torch.no_grad():
        net.weight[:, 1] = 0.0
    x, y = torch.randn(3, 4, dtype=torch.float64), torch.tensor([0, 1, 0])
    moved = augmented(fgsm(), net, x, y, strength=0.5) - x
    torch.testing.assert_close(moved[:, 1], torch.full((3,), 0.5, dtype=torch.float64))
    sign = np.sign(gradient_by_hand_of_two(net, x, y))
    assert (sign[:, [0, 2, 3]] != 0).all()
    np.testing.assert_allclose(moved.numpy()[:, [0, 2, 3]], 0.5 * sign[:, [0, 2, 3]])


def gradient_by_hand_of_two(net, x, y):
    weight = net.weight.detach().numpy()
    shares = np.exp(x.numpy() @ weight.T)
    shares /= shares.sum(1, keepdims=True)
    return (shares - np.eye(2)[y.numpy()]) @ weight


def test_fgsm_raises_the_loss_and_its_opposite_lowers_it():
    net, x, y = linear(D, C), *batch()
    opposite = fgsm(adjustments=fgsm().adjustments.opposites())
    batches = augmented(opposite, net, x, y, strength=0.05), x, augmented(fgsm(), net, x, y, strength=0.05)
    losses = [nn.functional.cross_entropy(net(batch), y).item() for batch in batches]
    assert losses[0] < losses[1] < losses[2]


def test_fgsm_with_tension_moves_half_the_other_way():
    net = linear(D, C)
    x, y = torch.randn(400, D, dtype=torch.float64), torch.zeros(400, dtype=torch.int64)
    up = augmented(fgsm(), net, x, y) - x
    agree = torch.sign(augmented(fgsm(tension=True), net, x, y) - x) * torch.sign(up)
    assert torch.equal(agree, agree[:, :1].expand_as(agree))  # a sample moves as a whole
    assert 150 < (agree[:, 0] > 0).sum() < 250


def test_fast_aba_with_the_loss_is_fast_aba_ce():
    x, y = batch()
    net = linear(D, C)
    got = augmented(fast_aba(target=Loss(), adjustments=AdjustmentSet([17]), randomize=False), net, x, y)
    np.testing.assert_allclose(got - x, STRENGTH * np.sign(gradient_by_hand(net, x, y, "loss")), atol=1e-12)


# --- configuration


@pytest.mark.parametrize(
    ("name", "target", "selection", "adjustments", "randomize"),
    [
        ("challenger", "RandomTopClass()", Percentiles(0.1, 0.9), [0, 0, 0, 0, 3, 4, 5, 6], False),
        ("mend_aba", "RandomTopClass()", Percentiles(0.1, 0.9), [1, 2, 3, 4, 5, 6], True),
        ("fast_aba", "RandomTopClass()", Cutoff(0), [0, 0, 3, 4, 5, 6, 16, 17], True),
        ("fgsm", "Loss()", Cutoff(0), [(-1, 1)], False),
    ],
)
def test_settings_are_the_papers(name, target, selection, adjustments, randomize):
    aba = preset(name)
    assert type(aba) is ABA
    validate_parameters(aba)
    assert isinstance(aba.attribution, Gradient)
    assert isinstance(aba.change, Constant)
    assert repr(aba.target) == target
    assert aba.selection == selection
    assert aba.adjustments == AdjustmentSet(adjustments)
    assert aba.randomize is randomize
    assert repr(PRESETS[name]()) == repr(aba)


def test_fgsm_with_tension_has_both_directions():
    assert preset("fgsm", tension=True).adjustments == AdjustmentSet([(-1, 1), (1, -1)])


@pytest.mark.parametrize("name", ["challenger", "mend_aba", "fast_aba"])
def test_k_is_4_by_default_and_can_be_set(name):
    assert preset(name).target.k is None
    assert preset(name, k=6).target.k == 6
    assert isinstance(preset(name, k=6).target, RandomTopClass)


@pytest.mark.parametrize("name", sorted(set(PRESETS) - {"free_aba"}))
def test_every_parameter_can_be_replaced(name):
    own = {
        "attribution": RandomMap(),
        "target": TrueClass(),
        "selection": Percentiles(0.5),
        "adjustments": AdjustmentSet([(1, 0)]),
        "change": Constant(),
        "randomize": True,
    }
    assert {key: getattr(preset(name, **own), key) for key in own} == own


def test_every_parameter_of_free_aba_can_be_replaced():
    own = {
        "selection": Percentiles(0.5),
        "adjustments": AdjustmentSet([(1, 0)]),
        "change": Constant(),
        "randomize": False,
        "renew": 0.5,
    }
    assert {key: getattr(preset("free_aba", **own), key) for key in own} == own


@pytest.mark.parametrize("name", PRESETS)
def test_calls_share_nothing(name):
    first, second = preset(name), preset(name)
    assert first.change is not second.change
    assert first is not second
    if name != "free_aba":
        assert first.target is not second.target
        assert first.attribution is not second.attribution
    assert repr(clone(first)) == repr(first)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("mendaba", "mend_aba"),
        ("fastaba", "fast_aba"),
        ("FGSM", "fgsm"),
        ("MendABA", "mend_aba"),
        ("xyz", None),
        ("chalenger", "challenger"),
    ],
)
def test_an_unknown_name_gets_the_nearest(name, nearest):
    hint = f" Did you mean '{nearest}'?" if nearest else ""
    message = rf"There is no augmenter named '{name}'\.{hint}".replace("?", r"\?")
    with pytest.raises(ValueError, match=rf"{message} Known: {', '.join(sorted(PRESETS))}\."):
        preset(name)


def test_an_unknown_parameter_is_refused():
    with pytest.raises(TypeError, match="strength"):
        preset("mend_aba", strength=0.1)


def test_free_aba_has_no_k():
    assert type(preset("free_aba")) is FreeABA
    with pytest.raises(TypeError, match="unexpected keyword argument 'k'"):
        preset("free_aba", k=3)


@pytest.mark.parametrize("as_given", [np.asarray, torch.Tensor.tolist], ids=["NumPy", "list"])
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_labels_may_be_lists_and_arrays(name, as_given):
    net, (x, y) = linear(D, C), batch()
    assert torch.equal(augmented(preset(name), net, x, as_given(y)), augmented(preset(name), net, x, y))


@pytest.mark.parametrize("y", [torch.zeros(7, dtype=torch.int64), torch.tensor(1), [0], 3], ids=str)
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_there_is_one_label_per_sample(name, y):
    x, _ = batch()
    with pytest.raises(ValueError, match=rf"one target per sample: the batch has {len(x)} samples, y has shape"):
        augmented(preset(name), linear(D, C), x, y)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_sample_without_its_batch_is_refused(name):
    with pytest.raises(
        ValueError, match=r"(Free)?ABA takes a batch, \(n, \.\.\.\).* x\.unsqueeze\(0\) for a single sample"
    ):
        augmented(preset(name), linear(D, C), batch()[0][0], None)
