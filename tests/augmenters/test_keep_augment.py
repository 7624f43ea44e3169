"""KeepAugment: which region is kept, and what is done elsewhere."""

from collections import Counter

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from skaba.attribution import Gradient, Loss, TrueClass
from skaba.augmenters import FPA, GaussianNoise, KeepAugment, fast_aba, free_aba
from skaba.network import FromLayer
from tests.tiny_nets import TextNet, conv_net, images, linear, seeded, words


class Known:
    """An attribution that is known beforehand, and keeps its batches."""

    def __init__(self, map_=None):
        self.map_ = map_
        self.seen = []

    def __call__(self, model, x, y, *, target, criterion, generator):
        self.seen.append(x.clone())
        return x.detach() if self.map_ is None else self.map_


def augmented(keep, x, y=None, model=None, seed=0, strength=1, criterion=None):
    return keep(model, x, y, strength=strength, criterion=criterion, generator=seeded(seed))


def regions(importance, size):
    """The scores of all regions of a sample, in plain loops."""
    ends = [length - side + 1 for length, side in zip(importance.shape, size, strict=True)]
    return {
        start: float(importance[tuple(slice(a, a + b) for a, b in zip(start, size, strict=True))].sum())
        for start in np.ndindex(*ends)
    }


def kept_start(changed, x):
    """Where the region starts in which two samples agree, or with cut, differ."""
    same = (changed == x).all(0)
    return tuple(int(axis.min()) for axis in np.nonzero(same.numpy()))


@pytest.mark.parametrize("shape", [(40, 3, 8, 6), (40, 2, 11)])
@pytest.mark.parametrize("variant", ["paste", "cut"])
def test_regions_are_those_that_plain_loops_allow(variant, shape):
    map_ = torch.randn(shape, generator=seeded(5))
    x = torch.rand(shape, generator=seeded(6)) + 1
    keep = KeepAugment(torch.zeros_like, variant, size=0.4, quantile=0.7, attribution=Known(map_))
    result = augmented(keep, x)
    size = [max(1, round(0.4 * length)) for length in shape[2:]]
    for i in range(len(x)):
        scores = regions(map_[i].abs().amax(0), size)
        boundary = np.quantile(list(scores.values()), 0.7, method="higher")
        changed = result[i] == 0
        region = ~changed if variant == "paste" else changed
        start = tuple(int(axis.min()) for axis in np.nonzero(region[0].numpy()))
        inside = torch.zeros(shape[2:], dtype=torch.bool)
        inside[tuple(slice(a, a + b) for a, b in zip(start, size, strict=True))] = True
        assert torch.equal(region, inside.expand_as(region))
        assert torch.equal(result[i][~changed], x[i][~changed])
        assert scores[start] >= boundary - 1e-4 if variant == "paste" else scores[start] <= boundary + 1e-4


@pytest.mark.parametrize("variant", ["paste", "cut"])
def test_regions_that_are_allowed_are_drawn_alike(variant):
    # Ten regions of one place, with scores 1 to 10; the quantile is the score 7.
    map_ = torch.tensor([3.0, 9, 1, 7, 10, 2, 8, 5, 4, 6]).expand(2000, 1, 10)
    keep = KeepAugment(torch.zeros_like, variant, size=0.1, quantile=0.6, attribution=Known(map_))
    region = (augmented(keep, torch.ones(2000, 1, 10)) == 0) ^ (variant == "paste")
    counts = Counter(map_[region].int().tolist())
    assert set(counts) == (set(range(7, 11)) if variant == "paste" else set(range(1, 8)))
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_a_map_without_differences_allows_every_region():
    keep = KeepAugment(torch.zeros_like, size=0.25, attribution=Known(torch.zeros(500, 1, 4)))
    starts = (augmented(keep, torch.ones(500, 1, 4)) != 0).float().argmax(2)
    assert set(starts.flatten().tolist()) == {0, 1, 2, 3}


def test_a_map_that_is_not_a_number_is_refused():
    keep = KeepAugment(torch.zeros_like, attribution=Known(torch.full((3, 1, 4), float("nan"))))
    with pytest.raises(ValueError, match=r"attribution=.* returned maps with NaN or infinity"):
        augmented(keep, torch.ones(3, 1, 4))


def test_by_default_the_gradient_of_the_label_says_what_matters():
    class Flat(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = linear(12, 5)

        def forward(self, x):
            return self.linear(x.flatten(1))

    net, x, y = Flat(), torch.rand(5, 1, 12, dtype=torch.float64) + 1, torch.arange(5)
    result = augmented(KeepAugment(torch.zeros_like, size=0.25, quantile=0.999), x, y, net)
    for i in range(5):
        scores = regions(net.linear.weight[i].detach().abs().numpy(), [3])
        assert kept_start(result[i], x[i]) == max(scores, key=scores.get)


def test_the_augmentation_is_done_everywhere_else():
    x = images(6)
    keep = KeepAugment(lambda batch: batch + 1, attribution=Known())
    result = augmented(keep, x)
    kept = (result == x).all(1, keepdim=True)
    assert kept.flatten(1).sum(1).tolist() == [9] * 6  # half of both axes of 6 places
    torch.testing.assert_close(result, torch.where(kept, x, x + 1))


def test_an_augmenter_gets_the_strength_and_the_model():
    class Witness:
        def __call__(self, model, x, y, *, strength, criterion, generator):
            self.seen = model, y, strength, criterion
            return x

    witness, net, y, criterion = Witness(), conv_net(), torch.tensor([0, 1, 2]), torch.nn.CrossEntropyLoss()
    augmented(KeepAugment(witness, target=Loss()), images(), y, net, strength=0.3, criterion=criterion)
    assert witness.seen == (net, y, 0.3, criterion)


@pytest.mark.parametrize("strength", [0.05, 0.1, 1, 3])
def test_a_function_is_applied_to_all_samples_at_any_strength(strength):
    x = torch.ones(200, 1, 4)
    keep = KeepAugment(torch.zeros_like, attribution=Known())
    assert ((augmented(keep, x, strength=strength) != x).flatten(1).any(1)).all()


@pytest.mark.parametrize("augmentation", [torch.zeros_like, GaussianNoise()], ids=["function", "augmenter"])
def test_the_probability_says_how_many_samples_are_augmented_and_asked_about(augmentation):
    x, witness = torch.randn(1000, 1, 4), Known()
    result = augmented(KeepAugment(augmentation, attribution=witness, probability=0.3), x)
    changed = (result != x).flatten(1).any(1)
    assert 0.25 < changed.float().mean() < 0.35
    assert torch.equal(witness.seen[0], x[changed])
    never = KeepAugment(augmentation, attribution=Known(), probability=0)
    assert torch.equal(augmented(never, x), x)


def test_its_strength_is_that_of_what_is_inside():
    assert [KeepAugment(inside).default_strength for inside in (fast_aba(), FPA(), torch.zeros_like)] == [0.1, 1, 1]
    assert KeepAugment(FPA()).strength_unit == FPA.strength_unit
    assert [KeepAugment(inside).largest_strength for inside in (fast_aba(), FPA())] == [float("inf"), 1.0]


def test_strength_0_asks_nobody():
    witness, x = Known(), images()
    assert torch.equal(augmented(KeepAugment(torch.zeros_like, attribution=witness), x, strength=0), x)
    assert witness.seen == []


@pytest.mark.parametrize("size", [(8, 6), (12,)])
def test_maps_of_a_lower_resolution_are_asked_of_the_averaged_input(size):
    witness = Known()
    x = torch.randn(4, 2, *size, generator=seeded())
    augmented(KeepAugment(torch.zeros_like, resolution=0.5, attribution=witness), x)
    (seen,) = witness.seen
    halves = x
    for axis in range(2, x.dim()):
        halves = halves.unflatten(axis, (-1, 2)).mean(axis + 1)
    torch.testing.assert_close(seen, halves)


def test_a_lower_resolution_keeps_about_the_same_region():
    map_ = torch.zeros(1, 1, 8, 8)
    map_[:, :, 4:, 4:] = 1
    keep = KeepAugment(torch.zeros_like, quantile=0.99, resolution=0.5, attribution=Known())
    assert kept_start(augmented(keep, map_ + 1)[0], map_[0] + 1) == (4, 4)


def test_at_an_embedding_a_stretch_of_words_is_kept():
    net = TextNet()
    net.embedding.padding_idx = None
    model = FromLayer(net, "embedding", words())
    x = model.features() + 1
    result = augmented(KeepAugment(torch.zeros_like), x, torch.tensor([0, 1, 2, 0]), model)
    kept = (result == x).all(2)
    assert kept.sum(1).tolist() == [4] * 4  # half of 7 words, rounded
    assert (result[~kept] == 0).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"variant": "copy"}, "'variant' parameter of KeepAugment"),
        ({"size": 1}, "'size' parameter of KeepAugment"),
        ({"quantile": 0}, "'quantile' parameter of KeepAugment"),
        ({"resolution": 0}, "'resolution' parameter of KeepAugment"),
        ({"probability": 1.5}, "'probability' parameter of KeepAugment"),
        (
            {"attribution": Gradient},
            r"attribution=Gradient is a class: make an instance of it, attribution=Gradient\(\)",
        ),
        ({"target": TrueClass}, r"target=TrueClass is a class"),
        ({"augmentation": GaussianNoise}, r"augmentation=GaussianNoise makes an augmenter: call it, GaussianNoise\(\)"),
        ({"augmentation": fast_aba}, r"augmentation=fast_aba makes an augmenter: call it"),
        ({"augmentation": "fpa"}, r"augmentation='fpa' is a name"),
        ({"augmentation": 3}, "augmentation=3 must be an augmenter"),
        ({"augmentation": free_aba()}, r"(?s)augmentation=FreeABA\(.* uses the gradient of the training step itself"),
        ({"augmentation": FPA(p2=2)}, "'p2' parameter of FPA"),
    ],
)
def test_parameters_that_are_not_allowed_are_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        augmented(KeepAugment(**{"augmentation": torch.zeros_like, **parameters}), images())


def test_tables_and_augmentations_that_change_the_shape_are_refused():
    with pytest.raises(ValueError, match="KeepAugment needs images or series"):
        augmented(KeepAugment(torch.zeros_like), torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"returned a tensor of shape \(3, 2, 6\) on cpu for a batch"):
        augmented(KeepAugment(lambda x: x.mean(3), attribution=Known()), images())


def test_a_map_may_be_one_for_all_channels():
    def by_channel(model, x, y, **_):
        return x.abs().amax(dim=1, keepdim=True).expand_as(x)

    def for_all(*args, **arguments):
        return by_channel(*args, **arguments)[:, :1]

    first, second = (
        augmented(KeepAugment(torch.zeros_like, attribution=method), images()) for method in (by_channel, for_all)
    )
    assert torch.equal(first, second)


def test_maps_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"returned a tensor of shape \(3,\) on cpu for samples"):
        augmented(KeepAugment(torch.zeros_like, attribution=lambda model, x, y, **_: x.mean((1, 2, 3))), images())


def test_an_own_attribution_may_write_into_what_it_is_given():
    def in_place(model, x, y, *, target, criterion, generator):
        return x.mul_(100)

    x = torch.rand(4, 1, 8, generator=seeded())
    before = x.clone()
    arguments = {"strength": 1.0, "criterion": None, "generator": seeded()}
    changed = KeepAugment(lambda batch: batch, attribution=in_place)(None, x, None, **arguments)
    assert torch.equal(x, before)
    assert torch.equal(changed, before)
