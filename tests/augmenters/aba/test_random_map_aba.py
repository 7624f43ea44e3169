"""RandomMapABA: the changes of a method in every count, at places that chance picks."""

import pytest
import torch
from sklearn.base import clone
from torch import nn

from skaba.attribution import LRP, Gradient, InputXGradient, Loss, TrueClass
from skaba.augmenters import (
    ABA,
    FPA,
    AdjustmentSet,
    Compose,
    GaussianNoise,
    Percentiles,
    Proportional,
    RandomMapABA,
    RandomMapFreeABA,
    fast_aba,
    free_aba,
    mend_aba,
)
from skaba.network import FromLayer
from tests.augmenters.aba.visits import recalled, remembered
from tests.tiny_nets import TextNet, conv_net, images, seeded

CRITERION = nn.CrossEntropyLoss()


def changes(aba, model, x, y, seed=0):
    """What a method adds to a batch, and what its control does, by the same draws of adjustments and targets."""
    arguments = {"strength": 0.5, "criterion": CRITERION}
    return [each(model, x, y, generator=seeded(seed), **arguments) - x for each in (aba, aba.random_map())]


def assert_permuted(by_method, by_control):
    by_method, by_control = (change.flatten(1).sort(dim=1).values for change in (by_method, by_control))
    torch.testing.assert_close(by_method, by_control, rtol=1e-6, atol=1e-12)
    assert by_method.any()


def sparse_images(n=12):
    """Dark images with a few bright pixels: maps that multiply by the input are 0 almost everywhere."""
    x = images(n).double()
    return x * (torch.rand(x.shape, generator=seeded()) < 0.15)


@pytest.mark.parametrize("attribution", [Gradient(), InputXGradient(), LRP()], ids=repr)
@pytest.mark.parametrize("preset", [mend_aba, fast_aba], ids=["mend_aba", "fast_aba"])
def test_changes_of_images_are_the_methods_own_at_other_places(attribution, preset):
    net, y = conv_net().double(), torch.arange(12) % 5
    by_method, by_control = changes(preset(attribution=attribution), net, x := sparse_images(), y)
    assert x.eq(0).float().mean() > 0.8
    assert_permuted(by_method, by_control)
    assert not torch.equal(by_method, by_control)


def test_shares_of_categories_and_the_size_of_the_change_are_the_methods_own():
    net, x, y = conv_net().double(), sparse_images(), torch.arange(12) % 5
    aba = ABA(InputXGradient(), TrueClass(), adjustments=AdjustmentSet([(-1, 0.25, 2)]), randomize=False)
    by_method, by_control = ((change / 0.5).flatten(1).round(decimals=6) for change in changes(aba, net, x, y))
    for change in (by_method, by_control):
        # ceil(.1 * 71) = 8 of 72 features are low, and as many high, though most of each map is 0.
        assert [(change == value).sum(1).unique().tolist() for value in (-1, 0.25, 2)] == [[8], [56], [8]]
    torch.testing.assert_close(by_method.square().mean(), by_control.square().mean(), rtol=1e-12, atol=0)


@pytest.mark.parametrize("padding", ["include", "exclude"])
@pytest.mark.parametrize("attribution", [Gradient(), InputXGradient()], ids=repr)
def test_padding_takes_no_part_in_the_permutation(padding, attribution):
    """12 texts of 1 to 6 words among 40: as many features of words move as by the method, and no padding does."""
    ids = torch.randint(1, 11, (12, 40), generator=seeded())
    ids[torch.arange(40) >= 1 + torch.arange(12).unsqueeze(1) % 6] = 0
    net = TextNet().double().eval()
    rest = FromLayer(net, "embedding", ids)
    x, y = rest.features(), torch.arange(12) % 3
    aba = mend_aba(attribution=attribution, target=Loss(), selection=Percentiles(0.1, 0.9, padding=padding))
    by_method, by_control = changes(aba, rest, x, y)
    assert_permuted(by_method, by_control)
    assert not torch.equal(by_method, by_control)
    assert not by_control[ids == 0].any()


def test_sizes_of_the_map_go_where_its_categories_go():
    net, x, y = conv_net().double(), images(6).double(), torch.arange(6) % 5
    by_method, by_control = changes(mend_aba(change=Proportional()), net, x, y)
    torch.testing.assert_close(*(each.flatten(1).sort(dim=1).values for each in (by_method, by_control)))
    assert not torch.equal(by_method, by_control)


def test_every_place_is_as_likely():
    n, x = 4000, torch.arange(10.0).expand(4000, 10)
    aba = ABA(lambda model, x, y, **_: x, adjustments=AdjustmentSet([3]), randomize=False)
    moved = aba.random_map()(None, x, None, strength=1.0, criterion=None, generator=seeded()) - x
    assert moved.sum(1).unique().tolist() == [1.0]
    torch.testing.assert_close(moved.mean(0), torch.full((10,), 0.1), rtol=0, atol=4.5 * (0.1 * 0.9 / n) ** 0.5)


# --- FreeABA


def test_what_is_recalled_is_permuted_anew_at_every_visit():
    gradient, index = torch.randn(30, 8, 5, generator=seeded()), torch.arange(30)
    padding = torch.arange(8) >= torch.arange(30).unsqueeze(1) % 9
    method = free_aba(adjustments=AdjustmentSet([3, 16]))
    control, x = method.random_map(), torch.zeros(30, 8, 5)
    moved = [
        recalled(aba, remembered(aba, gradient, padding=padding), index, x, 0.5, seeded(seed), padding)
        for aba, seed in ((method, 0), (control, 0), (control, 1))
    ]
    assert_permuted(moved[0], moved[1])
    assert not torch.equal(moved[0], moved[1])
    assert not torch.equal(moved[1].sign(), moved[2].sign())
    assert not moved[1][padding].any()


def test_called_as_a_function_the_control_of_free_aba_permutes_maps_of_its_own():
    net, x, y = conv_net().double(), images(9).double(), torch.arange(9) % 5
    by_method, by_control = changes(free_aba(), net, x, y)
    assert_permuted(by_method, by_control)
    assert not torch.equal(by_method, by_control)


# --- a control is its method in all else


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        (mend_aba(k=3, randomize=False, share=0.5, resolution=0.5, clip=(0, 1)), RandomMapABA),
        (free_aba(randomize=False, renew=0.5, selection=Percentiles(0.2), clip=(0, 1)), RandomMapFreeABA),
    ],
    ids=repr,
)
def test_takes_over_all_parameters(method, kind):
    control = method.random_map()
    assert type(control) is type(clone(control)) is kind
    assert repr(control.get_params()) == repr(method.get_params())


def test_default_is_the_control_of_mend_aba():
    net, x, y = conv_net(), images(6), torch.arange(6)
    first, second = (
        control(net, x, y, strength=0.5, criterion=None, generator=seeded())
        for control in (RandomMapABA(), mend_aba().random_map())
    )
    assert torch.equal(first, second)


def test_the_method_is_copied():
    method = mend_aba(change=Proportional())
    control = method.random_map().set_params(selection=Percentiles(0.5))
    assert control.change is not method.change
    assert method.selection == Percentiles(0.1, 0.9)


@pytest.mark.parametrize("other", [GaussianNoise(), FPA(), Compose([mend_aba()])])
def test_only_an_aba_has_a_control_of_this_kind(other):
    assert not hasattr(other, "random_map")
