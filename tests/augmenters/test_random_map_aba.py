"""RandomMapABA: the changes of a method, at places that a random map picks."""

import pytest
import torch
from sklearn.base import clone

from skaba.attribution import RandomMap
from skaba.augmenters import ABA, Cutoff, Percentiles, Proportional, RandomMapABA, fast_aba, free_aba, mend_aba
from tests.tiny_nets import linear, seeded


def augmented(aba, x, seed=0):
    return aba(None, x, None, strength=0.5, criterion=None, generator=seeded(seed))


@pytest.mark.parametrize("method", [mend_aba(), fast_aba(), mend_aba(change=Proportional(), share=0.5)])
def test_is_the_method_with_its_map_replaced(method):
    x = torch.randn(8, 30, generator=seeded())
    wanted = augmented(clone(method).set_params(attribution=RandomMap()), x)
    assert torch.equal(augmented(RandomMapABA.of(method), x), wanted)
    assert not torch.equal(wanted, x)


def test_moves_as_many_features_as_the_method_by_as_much():
    net, x = linear(40, 5), torch.randn(60, 40, dtype=torch.float64)
    method = mend_aba(k=1)
    by_method = method(net, x, None, strength=0.5, criterion=None, generator=seeded()) - x
    by_control = augmented(RandomMapABA.of(method), x) - x  # adjustments and factors are drawn first, so they agree
    torch.testing.assert_close(by_method.sort(dim=1).values, by_control.sort(dim=1).values)
    assert not torch.allclose(by_method, by_control)


def test_default_is_the_control_of_mend_aba():
    x = torch.randn(8, 30)
    assert torch.equal(augmented(RandomMapABA(), x), augmented(RandomMapABA.of(mend_aba()), x))


def test_takes_over_what_matters_to_it_and_only_that():
    control = RandomMapABA.of(free_aba(every=3, randomize=False))
    assert (control.every, control.randomize, control.selection) == (3, False, Cutoff(0.0))
    assert control.reuse is None
    assert "attribution" not in control.get_params()
    assert isinstance(clone(control), RandomMapABA)


def test_the_method_is_copied():
    method = mend_aba(change=Proportional())
    control = RandomMapABA.of(method).set_params(selection=Percentiles(0.5))
    assert control.change is not method.change
    assert method.selection == Percentiles(0.1, 0.9)


def test_only_an_aba_has_a_control_of_this_kind():
    with pytest.raises(TypeError, match="takes an ABA, such as mend_aba"):
        RandomMapABA.of("mend_aba")
    assert isinstance(RandomMapABA(), ABA)
