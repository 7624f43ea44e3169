"""Parts of somebody else's in ABA and in estimators: no change in the library is needed."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from skaba import ABAClassifier
from skaba.attribution import Loss, TrueClass
from skaba.augmenters import (
    ABA,
    PRESETS,
    AdjustmentSet,
    Change,
    Cutoff,
    FreeABA,
    Percentiles,
    Selection,
    fast_aba,
    mend_aba,
    preset,
    preset_that_explains,
    register_preset,
)
from tests.tiny_nets import conv_net, images, mlp, seeded

X = np.random.default_rng(0).random((24, 6), dtype=np.float32)
Y = np.arange(24) % 4


def weights(augmenter):
    settings = {"max_epochs": 2, "batch_size": 8, "train_split": None, "random_state": 0, "verbose": 0}
    clf = ABAClassifier(mlp(), augmenter=augmenter, strength=0.5, **settings).fit(X, Y)
    return torch.cat([parameter.detach().flatten() for parameter in clf.module_.parameters()])


class MeanAndZero(Selection):
    """Three categories: below the smaller of 0 and the mean of a sample's map, between, and above."""

    def __init__(self):
        self.values = (0.0, 0.0)

    def boundaries(self, attribution, wanted=None):
        mean = attribution.mean(dim=1, keepdim=True)
        return [mean.clamp(max=0), mean.clamp(min=0)]


def test_a_selection():
    net, x, y = conv_net(), images(5), torch.arange(5)
    aba = ABA(target=TrueClass(), selection=MeanAndZero(), adjustments=AdjustmentSet([(-1, 0, 1)]), randomize=False)
    moved = aba(net, x, y, strength=0.5, criterion=None, generator=seeded()) - x
    leaf = x.clone().requires_grad_()
    (map_,) = torch.autograd.grad(conv_net().eval()(leaf).gather(1, y[:, None]).sum(), leaf)
    mean = map_.flatten(1).mean(1).reshape(-1, 1, 1, 1)
    wanted = torch.where(map_ < mean.clamp(max=0), -0.5, torch.where(map_ >= mean.clamp(min=0), 0.5, 0.0))
    torch.testing.assert_close(moved, wanted)
    for augmenter in (aba, FreeABA(selection=MeanAndZero()), mend_aba(selection=MeanAndZero()).random_map()):
        assert not torch.equal(weights(augmenter), weights(None))


class Rising(AdjustmentSet):
    """Draws more for later samples of a batch."""

    def draw(self, n_samples, n_categories, generator):
        return super().draw(n_samples, n_categories, generator) * torch.arange(1.0, n_samples + 1)[:, None]


def test_a_set_of_adjustments():
    aba = ABA(lambda model, x, y, **_: x, adjustments=Rising([(-1, 0, 1)]), randomize=False)
    x = torch.arange(10.0).repeat(3, 1)
    moved = aba(None, x, None, strength=0.5, criterion=None, generator=seeded()) - x
    assert moved[:, [0, 9]].tolist() == [[-0.5, 0.5], [-1.0, 1.0], [-1.5, 1.5]]
    assert not torch.equal(weights(mend_aba(adjustments=Rising([3, 4]))), weights(None))


MAKERS = (lambda own: mend_aba(adjustments=own), lambda own: FreeABA(Percentiles(0.1, 0.9), own))


@pytest.mark.parametrize("make", MAKERS, ids=["mend_aba", "FreeABA"])
def test_a_strength_per_category(make):
    """Low features move by half the strength, high ones by twice, the others stay."""
    own = AdjustmentSet([(-0.5, 0, 2), (0.5, 0, -2)])
    aba, x, y = make(own).set_params(randomize=False), torch.zeros(6, 20), torch.arange(6) % 4
    moved = aba(nn.Linear(20, 4), x, y, strength=0.1, criterion=nn.CrossEntropyLoss(), generator=seeded()) - x
    counts = [torch.isclose(moved.abs(), torch.tensor(size)).sum(1).tolist() for size in (0.05, 0.0, 0.2)]
    assert counts == [[2] * 6, [16] * 6, [2] * 6]
    assert not torch.equal(weights(make(own)), weights(None))


class Half(Change):
    """Halves what is chosen."""

    def __call__(self, x, attribution, step):
        return -0.5 * x * (step != 0)


def test_a_change():
    x = torch.randn(4, 10, generator=seeded())
    aba = ABA(lambda model, x, y, **_: x, selection=Cutoff(), adjustments=AdjustmentSet([(0, 1)]), change=Half())
    result = aba(None, x, None, strength=1.0, criterion=None, generator=seeded())
    torch.testing.assert_close(result, torch.where(x < 0, x, x / 2))
    assert not torch.equal(weights(fast_aba(change=Half())), weights(None))


# --- a preset


def gentle(**parameters):
    return mend_aba(**{"share": 0.5, **parameters})


def test_a_preset_is_used_by_name():
    register_preset("gentle_aba", gentle)
    register_preset("gentle_aba", gentle)  # again the same
    assert preset("gentle_aba", randomize=False).share == 0.5
    assert torch.equal(weights("gentle_aba"), weights(mend_aba(share=0.5)))
    assert not torch.equal(weights("gentle_aba"), weights("mend_aba"))
    with pytest.raises(ValueError, match=r"There is no augmenter named 'gentl_aba'\. Did you mean 'gentle_aba'\?"):
        preset("gentl_aba")


@pytest.mark.parametrize(
    ("name", "factory", "kind", "message"),
    [
        ("mend_aba", gentle, ValueError, "The preset 'mend_aba' exists already"),
        ("", gentle, ValueError, "A preset's name must be a string, got ''"),
        (3, gentle, ValueError, "A preset's name must be a string, got 3"),
        ("gentle", "mend_aba", TypeError, "A preset's factory must be callable, got 'mend_aba'"),
        ("gentle", mend_aba(), TypeError, "A preset's factory must return an augmenter, got the augmenter itself"),
    ],
)
def test_what_is_no_preset_is_refused(name, factory, kind, message):
    with pytest.raises(kind, match=message):
        register_preset(name, factory)
    assert "gentle" not in PRESETS


@pytest.mark.parametrize("made", [3, "mend_aba", None, ABA])
def test_a_factory_that_returns_no_augmenter(made):
    register_preset("broken", lambda: made)
    for use in (preset, partial(preset_that_explains, target=Loss())):
        with pytest.raises(ValueError, match=r"The factory of the preset 'broken' returned .*must return an augmenter"):
            use("broken")


def test_a_factory_may_return_a_function():
    register_preset("ones", lambda: torch.ones_like)
    assert preset("ones") is preset_that_explains("ones", Loss()) is torch.ones_like
