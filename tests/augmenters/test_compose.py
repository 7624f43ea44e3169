"""Compose: one augmenter after another."""

import pytest
import torch
from sklearn.base import clone
from torch import nn

from skaba._validation import validate_parameters
from skaba.attribution import FromLayer
from skaba.augmenters import (
    FPA,
    Compose,
    GaussianNoise,
    Percentiles,
    RandomErasing,
    fast_aba,
    free_aba,
    mend_aba,
)
from tests.tiny_nets import TextNet, conv_net, images, seeded, words


def augmented(augmenter, x, y=None, model=None, strength=1.0, generator=None):
    asked = {"criterion": nn.CrossEntropyLoss(), "generator": generator or seeded()}
    return augmenter(model, x, y, strength=strength, **asked)


@pytest.mark.parametrize("factors", [None, [1, 0.1, 2], [0.5, 0, 1]])
def test_is_the_same_as_calling_one_after_another(factors):
    net, x, y = conv_net(), images(), torch.tensor([0, 1, 2])
    parts = [RandomErasing(probability=1), mend_aba(k=2), GaussianNoise()]
    got = augmented(Compose(parts, factors), x, y, net, strength=0.5)
    generator, wanted = seeded(), x
    for part, factor in zip(parts, factors or [1, 1, 1], strict=True):
        if factor:
            wanted = augmented(part, wanted, y, net, strength=0.5 * factor, generator=generator)
    assert torch.equal(got, wanted)
    assert not torch.equal(got, x)


def test_an_aba_attributes_what_came_before_it():
    class Witness:
        def __call__(self, model, x, y, **asked):
            self.seen = x
            return x

    witness, x = Witness(), images()
    augmented(Compose([lambda batch: batch + 1, mend_aba(attribution=witness)]), x, model=conv_net())
    assert torch.equal(witness.seen, x + 1)


def test_nobody_is_called_where_nothing_is_augmented():
    x = images()
    assert torch.equal(augmented(Compose([lambda batch: 1 / 0]), x, strength=0), x)
    assert torch.equal(augmented(Compose([lambda batch: 1 / 0], factors=[0]), x), x)
    assert torch.equal(augmented(Compose([]), x), x)


def test_at_an_embedding():
    model = FromLayer(TextNet(), "embedding", words())
    x = model.features()
    result = augmented(Compose([FPA(p1_max=1, probability=1), fast_aba(k=2)]), x, torch.tensor([0, 1, 2, 0]), model)
    assert result.shape == x.shape
    assert not torch.equal(result, x)


# --- parameters


def test_parameters_of_the_augmenters_are_named_by_their_place():
    compose = Compose([FPA(), Compose([mend_aba(), torch.zeros_like])])
    parameters = compose.get_params()
    assert parameters["0__p2"] == 0.1
    assert parameters["1__0__target__k"] is None
    compose.set_params(**{"0__p2": 0.3, "1__0__target__k": 2, "factors": [1, 2]})
    assert compose.augmenters[0].p2 == 0.3
    assert compose.augmenters[1].augmenters[0].target.k == 2
    assert compose.factors == [1, 2]


def test_an_augmenter_is_replaced_before_its_parameters_are_set():
    parts = [FPA(), mend_aba()]
    compose = Compose(parts).set_params(**{"0__min_area": 0.1, "0": RandomErasing(), "1__selection": Percentiles(0.5)})
    assert compose.augmenters[0].min_area == 0.1
    assert compose.augmenters[1].selection == Percentiles(0.5)
    assert isinstance(parts[0], FPA)  # the user's list stays
    compose.set_params(**{"0__every": 3, "augmenters": [mend_aba()]})
    assert [part.every for part in compose.augmenters] == [3]


@pytest.mark.parametrize("name", ["2", "2__p2", "0__nothing", "nothing"])
def test_parameters_that_do_not_exist_are_refused(name):
    with pytest.raises(ValueError, match="Invalid parameter"):
        Compose([FPA(), mend_aba()]).set_params(**{name: 1})


def test_a_clone_shares_nothing():
    compose = Compose([FPA(), mend_aba()], factors=[1, 0.1])
    copy = clone(compose).set_params(**{"0__p2": 0.5})
    assert compose.augmenters[0].p2 == 0.1
    assert copy.augmenters[1] is not compose.augmenters[1]


@pytest.mark.parametrize(
    ("compose", "message"),
    [
        (Compose([FPA(), free_aba()]), r"augmenters\[1\] has reuse='epoch'"),
        (Compose([FPA]), r"augmenters\[0\]=FPA makes an augmenter: call it, FPA\(\)"),
        (Compose([mend_aba]), r"augmenters\[0\]=mend_aba makes an augmenter"),
        (Compose(["mend_aba"]), r"""is a name: make the augmenter, for example preset\("mend_aba"\)"""),
        (Compose([3]), r"augmenters\[0\]=3 cannot be called"),
        (Compose([FPA(p2=7)]), "'p2' parameter of FPA"),
        (Compose([Compose([mend_aba(share=3)])]), "'share' parameter of ABA"),
        (Compose(FPA()), "'augmenters' parameter of Compose"),
        (Compose([FPA()], factors=[1, 2]), "factors has 2 entries for 1 augmenters"),
        (Compose([FPA()], factors=[-1]), "factors must be finite numbers of at least 0"),
        (Compose([FPA()], factors=["1"]), "factors must be finite numbers of at least 0"),
        (Compose([FPA()], factors=2), "'factors' parameter of Compose"),
    ],
)
def test_what_is_not_allowed_is_named(compose, message):
    with pytest.raises(ValueError, match=message):
        validate_parameters(compose)
    with pytest.raises(ValueError, match=message):
        augmented(compose, images())
