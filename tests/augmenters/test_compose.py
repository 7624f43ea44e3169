"""Compose: one augmenter after another."""

import pytest
import torch
from sklearn.base import clone
from torch import nn

from skaba._validation import validate_parameters
from skaba.augmenters import (
    FPA,
    Batch,
    Compose,
    GaussianNoise,
    Percentiles,
    RandomErasing,
    fast_aba,
    free_aba,
    mend_aba,
)
from skaba.network import FromLayer
from tests.tiny_nets import TextNet, conv_net, images, seeded, words


def augmented(augmenter, x, y=None, model=None, strength=1.0, generator=None):
    arguments = {"criterion": nn.CrossEntropyLoss(), "generator": generator or seeded()}
    return augmenter(model, x, y, strength=strength, **arguments)


@pytest.mark.parametrize("strengths", [None, [None, 0.1, 2], [0.5, 0, None]])
def test_is_the_same_as_calling_one_after_another(strengths):
    net, x, y = conv_net(), images(), torch.tensor([0, 1, 2])
    parts = [RandomErasing(probability=1), mend_aba(k=2), GaussianNoise()]
    got = augmented(Compose(parts, strengths), x, y, net, strength=0.5)
    generator, wanted = seeded(), x
    # An ABA takes the strength of the whole; erasing and noise have their own.
    for part, usual, own in zip(parts, [1.0, 0.5, 0.1], strengths or [None] * 3, strict=True):
        if own != 0:
            wanted = augmented(part, wanted, y, net, strength=usual if own is None else own, generator=generator)
    assert torch.equal(got, wanted)
    assert not torch.equal(got, x)


class Counting:
    """A function of a batch that counts the samples it changes, and an augmenter that notes its strength."""

    def __init__(self):
        self.n_samples = 0

    def __call__(self, x):
        self.n_samples += len(x)
        return x + 1


@pytest.mark.parametrize("strength", [0.01, 0.05, 0.1, 1, 2])
def test_a_function_is_applied_to_every_sample_whatever_the_strength(strength):
    function, net, x = Counting(), conv_net(), images(40)
    only = augmented(Compose([function, mend_aba(k=2)], [None, 0]), x, model=net, strength=strength)
    assert torch.equal(only, x + 1)
    both = augmented(Compose([function, mend_aba(k=2)]), x, model=net, strength=strength)
    assert function.n_samples == 80
    moved = (both - (x + 1)).flatten(1)
    assert (moved.abs().amax(dim=1) > 0).all()
    twice = augmented(Compose([function, mend_aba(k=2)]), x, model=net, strength=2 * strength) - (x + 1)
    torch.testing.assert_close(twice.flatten(1), 2 * moved, rtol=1e-2, atol=1e-5)


def test_kornia_is_applied_to_every_image_at_a_small_strength():
    kornia = pytest.importorskip("kornia.augmentation")
    x = torch.rand(60, 3, 8, 8, generator=seeded())
    flipped = kornia.RandomHorizontalFlip(p=1.0)
    result = augmented(Compose([flipped, mend_aba(k=2)], [None, 0]), x, strength=0.05)
    assert torch.equal(result, x.flip(3))
    some = augmented(Compose([flipped], [0.3]), x, strength=0.05)
    turned = (some == x.flip(3)).flatten(1).all(1)
    assert 0.1 < turned.float().mean() < 0.5
    assert torch.equal(some[~turned], x[~turned])


def test_a_number_is_the_probability_of_a_function():
    x = torch.zeros(2000, 2)
    changed = augmented(Compose([lambda batch: batch + 1], [0.2]), x, strength=0.7)
    assert torch.equal(changed[:, 0], changed[:, 1])
    assert 0.17 < changed[:, 0].mean() < 0.23


def test_what_the_strength_scales():
    seen = []

    def own(model, x, y, *, strength, criterion, generator):
        seen.append(strength)
        return x

    def stated(model, x, y, *, strength, criterion, generator):
        seen.append(strength)
        return x

    stated.default_strength = 7.0
    augmented(Compose([own, stated, Compose([own, stated]), Compose([stated])]), images(), strength=0.2)
    assert seen == [0.2, 7.0, 0.2, 7.0, 7.0]


def test_the_default_strength_is_that_of_the_part_that_is_scaled():
    kept = [Compose([torch.sin, FPA(), mend_aba()]), Compose([torch.sin, FPA()]), Compose([mend_aba(), FPA()], [2, 3])]
    assert [compose.default_strength for compose in kept] == [0.1, 1.0, 1.0]
    assert Compose([Compose([FPA(), fast_aba()])]).default_strength == 0.1
    assert Compose([FPA(), mend_aba()]).strength_unit == mend_aba().strength_unit
    assert [Compose(parts).largest_strength for parts in ([FPA(), mend_aba()], [FPA()], [])] == [float("inf")] * 3


def test_an_aba_attributes_what_came_before_it():
    class Witness:
        def __call__(self, model, x, y, **arguments):
            self.seen = x
            return x

    witness, x = Witness(), images()
    augmented(Compose([lambda batch: batch + 1, mend_aba(attribution=witness)]), x, model=conv_net())
    assert torch.equal(witness.seen, x + 1)


def test_nobody_is_called_where_nothing_is_augmented():
    x = images()
    assert torch.equal(augmented(Compose([lambda batch: 1 / 0]), x, strength=0), x)
    assert torch.equal(augmented(Compose([lambda batch: 1 / 0], [0]), x), x)
    assert torch.equal(augmented(Compose([]), x), x)


def test_at_an_embedding():
    model = FromLayer(TextNet(), "embedding", words())
    x = model.features()
    result = augmented(Compose([FPA(p1_max=1, probability=1), fast_aba(k=2)]), x, torch.tensor([0, 1, 2, 0]), model)
    assert result.shape == x.shape
    assert not torch.equal(result, x)


def test_at_a_layer_each_part_works_on_the_output_of_the_forward_pass():
    """In training mode dropout before the layer drops, which the features that are looked at ahead do not show."""
    net = nn.Sequential(nn.Linear(5, 6), nn.Dropout(0.5), nn.Linear(6, 3)).train()
    x, y = torch.randn(8, 5, generator=seeded()), torch.arange(8) % 3
    parts = [FPA(p1_max=1, probability=1), lambda batch: batch + 1, mend_aba(k=2)]
    batch = Batch(FromLayer(net, "1", x), None, y, nn.CrossEntropyLoss(), seeded())
    move = Compose(parts).plan(batch, 0.5).move
    output = (2 * net[1](net[0](x).detach())).requires_grad_()
    first, second = move(output * 1), move(output * 1)
    assert torch.equal(first, second)
    (gradient,) = torch.autograd.grad(first.sum(), output)
    kept = gradient == 1
    assert torch.equal(gradient == 0, ~kept)
    assert 0 < kept.float().mean() < 1
    # What was erased is the same whatever the output was; what was kept moves with it.
    other = move(output + 10)
    torch.testing.assert_close(other[~kept], first[~kept])
    torch.testing.assert_close(other[kept], first[kept] + 10)


# --- parameters


def test_parameters_of_the_augmenters_are_named_by_their_place():
    compose = Compose([FPA(), Compose([mend_aba(), torch.zeros_like])])
    parameters = compose.get_params()
    assert parameters["0__p2"] == 0.1
    assert parameters["1__0__target__k"] is None
    compose.set_params(**{"0__p2": 0.3, "1__0__target__k": 2, "strengths": [1, 2]})
    assert compose.augmenters[0].p2 == 0.3
    assert compose.augmenters[1].augmenters[0].target.k == 2
    assert compose.strengths == [1, 2]


def test_an_augmenter_is_replaced_before_its_parameters_are_set():
    parts = [FPA(), mend_aba()]
    compose = Compose(parts).set_params(**{"0__min_area": 0.1, "0": RandomErasing(), "1__selection": Percentiles(0.5)})
    assert compose.augmenters[0].min_area == 0.1
    assert compose.augmenters[1].selection == Percentiles(0.5)
    assert isinstance(parts[0], FPA)  # the user's list stays
    compose.set_params(**{"0__share": 0.5, "augmenters": [mend_aba()]})
    assert [part.share for part in compose.augmenters] == [0.5]


@pytest.mark.parametrize("name", ["2", "2__p2", "0__nothing", "nothing"])
def test_parameters_that_do_not_exist_are_refused(name):
    with pytest.raises(ValueError, match="Invalid parameter"):
        Compose([FPA(), mend_aba()]).set_params(**{name: 1})


def test_a_clone_shares_nothing():
    compose = Compose([FPA(), mend_aba()], strengths=[1, 0.1])
    copy = clone(compose).set_params(**{"0__p2": 0.5})
    assert compose.augmenters[0].p2 == 0.1
    assert copy.augmenters[1] is not compose.augmenters[1]


@pytest.mark.parametrize(
    ("compose", "message"),
    [
        (
            Compose([FPA(), free_aba()]),
            r"(?s)augmenters\[1\]=FreeABA\(.* uses the gradient of the training step itself",
        ),
        (Compose([FPA]), r"augmenters\[0\]=FPA makes an augmenter: call it, FPA\(\)"),
        (Compose([mend_aba]), r"augmenters\[0\]=mend_aba makes an augmenter"),
        (Compose(["mend_aba"]), r"""is a name: make the augmenter, for example preset\("mend_aba"\)"""),
        (Compose([3]), r"augmenters\[0\]=3 must be an augmenter"),
        (Compose([FPA(p2=7)]), "'p2' parameter of FPA"),
        (Compose([Compose([mend_aba(share=3)])]), "'share' parameter of ABA"),
        (Compose(FPA()), "'augmenters' parameter of Compose"),
        (Compose([FPA()], [1, 2]), "strengths has 2 entries for 1 augmenters"),
        (Compose([FPA()], [-1]), r"strengths\[0\]=-1 of FPA\(\) must be None or finite and at least 0"),
        (Compose([FPA()], ["1"]), r"strengths\[0\]='1' of FPA\(\)"),
        (Compose([torch.sin], [1.5]), r"strengths\[0\]=1.5 of .*sin.* must be None or a probability, from 0 to 1"),
        (Compose([FPA()], 2), "'strengths' parameter of Compose"),
    ],
)
def test_what_is_not_allowed_is_named(compose, message):
    with pytest.raises(ValueError, match=message):
        validate_parameters(compose)
    with pytest.raises(ValueError, match=message):
        augmented(compose, images())
