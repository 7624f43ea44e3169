"""clip=: what augmentation must not leave."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from skaba._validation import validate_parameters
from skaba.attribution import Loss
from skaba.augmenters import (
    FPA,
    Batch,
    Compose,
    GaussianNoise,
    KeepAugment,
    Proportional,
    RandomErasing,
    RandomMapABA,
    fgsm,
    free_aba,
    mend_aba,
)
from skaba.augmenters._clipping import clipped
from skaba.network import FromLayer
from tests.augmenters.aba.visits import recalled, remembered
from tests.tiny_nets import TextNet, conv_net, images, seeded, words

CRITERION = torch.nn.CrossEntropyLoss()
AUGMENTERS = {
    "mend_aba": lambda clip: mend_aba(clip=clip),
    "some samples": lambda clip: mend_aba(share=0.5, clip=clip),
    "proportional": lambda clip: mend_aba(change=Proportional(), clip=clip),
    "control": lambda clip: RandomMapABA(clip=clip),
    "noise": lambda clip: GaussianNoise(clip=clip),
    "FPA": lambda clip: FPA(p1_max=1, probability=1, fill="random", clip=clip),
    "RandomErasing": lambda clip: RandomErasing(probability=1, clip=clip),
    "KeepAugment": lambda clip: KeepAugment(GaussianNoise(), clip=clip),
    "Compose": lambda clip: Compose([torch.exp, fgsm()], clip=clip),
}
EVERY = pytest.mark.parametrize("make", AUGMENTERS.values(), ids=AUGMENTERS)


def augmented(augmenter, x, model=None, strength=None, y=None):
    if strength is None:
        strength = 1.0 if isinstance(augmenter, FPA | RandomErasing) else 2.0
    y = torch.arange(len(x)) % 3 if y is None else y
    return augmenter(model or conv_net(), x, y, strength=strength, criterion=CRITERION, generator=seeded())


def by_hand(free, x, low, high):
    """The rule in plain Python: the range, stretched to where the feature was."""
    pairs = zip(free.flatten().tolist(), x.flatten().tolist(), strict=True)
    values = [min(max(after, min(low, before)), max(high, before)) for after, before in pairs]
    return torch.tensor(values, dtype=x.dtype).reshape(x.shape)


@EVERY
@pytest.mark.parametrize("clip", [(0, 1), (-0.5, 0.25), (0.1, float("inf"))], ids=str)
def test_is_the_free_result_clipped(make, clip):
    x = images(6)  # a good part of which lies outside
    free, within = augmented(make(None), x), augmented(make(clip), x)
    torch.testing.assert_close(within, by_hand(free, x, *clip))
    assert not torch.equal(free, within)
    assert torch.equal(augmented(make((-1e6, 1e6)), x), free)


@EVERY
def test_samples_in_the_range_stay_in_it(make):
    x = torch.rand(6, 2, 6, 6, generator=seeded())
    result = augmented(make((0, 1)), x)
    assert ((result >= 0) & (result <= 1)).all()
    assert not torch.equal(result, x)


@settings(deadline=None, max_examples=60)
@given(st.floats(-3, 3), st.floats(-3, 3), st.floats(-3, 3), st.floats(0.1, 2))
def test_no_feature_is_moved_away_from_the_range(before, after, low, width):
    x, free = torch.tensor([[before]]), torch.tensor([[after]])
    result = clipped(free, x, (low, low + width)).item()

    def outside(value):
        return max(low - value, value - low - width, 0)

    assert outside(result) <= max(outside(x.item()), 1e-6)
    assert clipped(x, x, (low, low + width)).item() == x.item()


def test_bounds_may_differ_from_feature_to_feature():
    x = torch.full((4, 2, 6, 6), 0.5)
    low, high = np.array([0.0, 0.4]).reshape(2, 1, 1), torch.tensor([0.6, 0.5]).reshape(2, 1, 1)
    result = augmented(GaussianNoise(clip=(low, high)), x)
    assert (result[:, 0].min(), result[:, 0].max()) == (0, pytest.approx(0.6))
    assert (result[:, 1].min(), result[:, 1].max()) == (pytest.approx(0.4), 0.5)
    whole = augmented(GaussianNoise(clip=(low * np.ones((2, 6, 6)), 9)), x)
    assert (whole[:, 1] >= 0.4).all()


@pytest.mark.parametrize("layer", ["embedding", "convolution"])
def test_at_a_layer(layer):
    """By ``plan``, as an estimator does, and as a function of the layer's features."""
    net, ids, y = TextNet().eval(), words(12), torch.arange(12) % 3
    rest = FromLayer(net, layer, ids)
    x, aba = rest.features(), mend_aba(target=Loss(), clip=(-0.3, 0.3))
    arguments = {"strength": 1.0, "criterion": CRITERION}
    direct = aba(rest, x, y, generator=seeded(), **arguments)
    plan = aba.plan(Batch(FromLayer(net, layer, ids), None, y, CRITERION, seeded()), 1.0)
    torch.testing.assert_close(plan.move(x.clone()), direct)
    free = clone(aba).set_params(clip=None)(rest, x, y, generator=seeded(), **arguments)
    torch.testing.assert_close(direct, by_hand(free, x, -0.3, 0.3))
    assert not torch.equal(direct, free)
    if layer == "embedding":
        assert torch.equal(direct[ids == 0], x[ids == 0])


def test_gradients_reach_what_comes_before_as_if_nothing_had_moved():
    aba, hidden = mend_aba(target=Loss(), clip=(0, 0.1)), torch.randn(4, 5, requires_grad=True)
    net = torch.nn.Sequential(torch.nn.Identity(), torch.nn.Linear(5, 3))
    rest = FromLayer(net, "0", hidden.detach())
    plan = aba.plan(Batch(rest, None, torch.arange(4) % 3, CRITERION, seeded()), 1.0)
    plan.move(hidden * 1).sum().backward()
    assert torch.equal(hidden.grad, torch.ones(4, 5))


def test_what_is_recalled_is_clipped_too():
    gradient, x, index = torch.randn(9, 7, generator=seeded()), torch.rand(9, 7), torch.arange(9)
    moved = {}
    for clip in (None, (0, 1)):
        aba = free_aba(clip=clip)
        moved[clip] = recalled(aba, remembered(aba, gradient), index, x, strength=1.0)
    assert torch.equal(moved[0, 1], moved[None].clamp(0, 1))
    assert not torch.equal(moved[0, 1], moved[None])


@EVERY
@pytest.mark.parametrize(
    "clip",
    [(1, 0), (0, 0), (float("nan"), 1), (0,), (0, 1, 2), (None, 1), ("0", "a"), (np.zeros(3), np.array([1, 1, 0]))],
    ids=str,
)
def test_a_bad_range_is_refused_before_any_work(make, clip):
    with pytest.raises(ValueError, match=r"clip=.* must be \(low, high\) with low < high"):
        validate_parameters(make(clip))


@EVERY
@pytest.mark.parametrize("clip", [1, "01", 0.5])
def test_a_range_is_a_pair(make, clip):
    with pytest.raises(ValueError, match="'clip' parameter of"):
        validate_parameters(make(clip))


@EVERY
def test_a_range_of_another_shape_is_refused(make):
    with pytest.raises(ValueError, match=r"part of shape \(5,\), which does not broadcast to a sample of shape"):
        augmented(make((np.zeros(5), 1)), images(6))


def test_it_is_a_parameter_like_any_other():
    aba = mend_aba(clip=(np.zeros(3), 1))
    assert clone(aba).clip[1] == 1
    assert "clip" in repr(mend_aba(clip=(0, 1)))
    assert mend_aba().set_params(clip=(0, 1)).clip == (0, 1)
