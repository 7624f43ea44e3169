"""Functions of a batch alone, kornia's among them, draw as the generator says and leave global states alone."""

import random

import numpy as np
import pytest
import torch
from torch import nn

from skaba.attribution import Gradient, Loss, MicroBatches, RandomTopClass
from skaba.augmenters import (
    ABA,
    FPA,
    AdjustmentSet,
    Batch,
    Compose,
    GaussianNoise,
    KeepAugment,
    Percentiles,
    Proportional,
    RandomErasing,
    RandomMapABA,
    as_augmenter,
    fast_aba,
    free_aba,
    mend_aba,
    require_augmenter,
)
from skaba.augmenters._adapters import FromBatchFunction, is_augmenter
from skaba.network import FromLayer
from skaba.training import Augmentation
from tests.tiny_nets import mlp, seeded


def called(function, x, seed=0, strength=1, probability=1.0):
    augmenter = FromBatchFunction(function, probability) if probability < 1 else as_augmenter(function)
    return augmenter(None, x, None, strength=strength, criterion=None, generator=seeded(seed))


def noisy(x):
    """Draws from every global random state."""
    return x + torch.rand_like(x) + random.random() + np.random.rand()  # noqa: S311


def states():
    return torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state()[1].tolist())


def test_the_generator_decides_what_a_function_draws():
    x = torch.zeros(2, 3)
    first = called(noisy, x, seed=1)
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)
    assert torch.equal(called(noisy, x, seed=1), first)
    assert not torch.equal(called(noisy, x, seed=2), first)


def test_a_generator_that_goes_on_draws_anew():
    generator = seeded()
    twice = [
        as_augmenter(noisy)(None, torch.zeros(2, 1), None, strength=1, criterion=None, generator=generator)
        for _ in range(2)
    ]
    assert not torch.equal(*twice)


def test_global_random_states_stay_also_after_an_error():
    def fails(x):
        raise RuntimeError(f"boom {noisy(x).shape}")

    before = states()
    called(noisy, torch.zeros(2, 3))
    with pytest.raises(RuntimeError, match="boom"):
        called(fails, torch.zeros(2, 3))
    assert states() == before


def test_a_function_may_work_in_place():
    x = torch.ones(2, 3)
    assert torch.equal(called(lambda batch: batch.mul_(2), x), 2 * torch.ones(2, 3))
    assert torch.equal(x, torch.ones(2, 3))


def test_the_result_has_the_batchs_dtype_and_no_gradient():
    x = torch.ones(2, 3, requires_grad=True)
    result = called(lambda batch: batch.double() * 2, x)
    assert (result.dtype, result.requires_grad) == (torch.float32, False)


def test_a_function_has_no_strength_and_0_calls_nobody():
    x = torch.zeros(20, 2)
    for strength in (0.01, 0.1, 1, 5):
        assert torch.equal(called(lambda batch: batch + 1, x, strength=strength), x + 1)
    assert torch.equal(called(lambda batch: 1 / 0, x, strength=0), x)


def test_the_probability_is_the_share_of_samples():
    x = torch.zeros(2000, 2)
    changed = called(lambda batch: batch + 1, x, strength=0.3, probability=0.2) != 0
    assert torch.equal(changed[:, 0], changed[:, 1])
    assert 0.17 < changed[:, 0].float().mean() < 0.23


class Own(nn.Module):
    """A user's augmenter that is a module."""

    def forward(self, model, x, y, **arguments):
        return x + arguments["strength"]


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (FPA(), True),
        (fast_aba(), True),
        (Compose([]), True),
        (Own(), True),
        (lambda model, x, y, **arguments: x, True),
        (torch.zeros_like, False),
        (torch.sin, False),
        (nn.Sequential(nn.Identity()), False),
        (lambda x: x, False),
        (lambda *args, **kwargs: args[0], False),
        (lambda x, p=0.5: x, False),
    ],
)
def test_augmenters_are_told_from_functions(function, wanted):
    assert is_augmenter(function) is wanted


def test_an_augmenter_is_handed_everything():
    x = torch.zeros(2, 3)
    wanted = GaussianNoise()(None, x, None, strength=0.5, criterion=None, generator=seeded(3))
    assert torch.equal(called(GaussianNoise(), x, seed=3, strength=0.5), wanted)
    assert torch.equal(called(Own(), x, strength=0.5), x + 0.5)


@pytest.mark.parametrize("result", [None, torch.zeros(3, 2), "image"])
def test_what_is_no_batch_of_the_shape_is_refused(result):
    with pytest.raises(ValueError, match="it must keep the shape"):
        called(lambda x: result, torch.zeros(2, 3))


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused_and_named(bad):
    def broken(x):
        x[1, 0] = bad
        return x

    with pytest.raises(ValueError, match=r"broken.* returned NaN or infinity, in 1 of 3 samples"):
        called(broken, torch.zeros(3, 2))
    with pytest.raises(ValueError, match="returned NaN or infinity, in 3 of 3"):
        called(lambda model, x, y, **arguments: x * bad, torch.zeros(3, 2) + (1 if bad > 0 else 0))
    assert called(torch.sqrt, torch.tensor([[float("nan"), 4.0]]))[0, 1] == 2  # the batch was not finite before


# --- what can augment, and what cannot


@pytest.mark.parametrize(
    ("component", "message"),
    [
        (
            Gradient(),
            r"Gradient\(\) is not an augmenter: it computes maps\. Make one with it, ABA\(attribution=",
        ),
        (lambda model, x, y, *, target, criterion, generator: x, r"computes maps.* ABA\(attribution="),
        (RandomTopClass(), r"chooses what maps explain\. Make one with it, ABA\(target=RandomTopClass\(\)\)"),
        (Loss(), r"ABA\(target=Loss\(\)\)"),
        (Percentiles(0.1, 0.9), r"sorts features into categories\..* ABA\(selection=Percentiles\(0\.1, 0\.9\)\)"),
        (AdjustmentSet([3]), r"determines how categories move\..* ABA\(adjustments=AdjustmentSet\(\[3\]\)\)"),
        (Proportional(), r"ABA\(change=Proportional\(\)\)"),
        (
            Gradient,
            r"augmenter=Gradient is not an augmenter: it computes maps\..* ABA\(attribution=Gradient\(\)\)",
        ),
        (MicroBatches, r"it computes maps\. Make one with it, ABA\(attribution=MicroBatches\(\)\)"),
        (RandomTopClass, r"chooses what maps explain\..* ABA\(target=RandomTopClass\(\)\)"),
        (Percentiles, r"sorts features into categories\..* ABA\(selection=Percentiles\(\)\)"),
        (Proportional, r"ABA\(change=Proportional\(\)\)"),
        (mend_aba, r"mend_aba makes an augmenter: call it, mend_aba\(\)"),
        (nn.Identity, r"Identity makes an augmenter: call it, Identity\(\)"),
        (FPA, r"FPA makes an augmenter: call it, FPA\(\)"),
        (3, "=3 must be an augmenter, such as mend_aba"),
        (lambda x, y: x, "must be an augmenter, .* or callable as augmenter"),
        (lambda: None, "a function that takes a batch"),
    ],
)
def test_what_cannot_augment_is_named(component, message):
    with pytest.raises(ValueError, match=message):
        require_augmenter("augmenter", component)


@pytest.mark.parametrize(
    "component",
    [mend_aba(), FPA(), torch.sin, lambda x: x, nn.Identity(), Own()],
    ids=lambda component: type(component).__name__,
)
def test_what_can(component):
    require_augmenter("augmenter", component)


# --- strengths


@pytest.mark.parametrize(
    ("augmenter", "wanted"),
    [
        (mend_aba(), 0.1),
        (free_aba(), 0.1),
        (RandomMapABA(), 0.1),
        (GaussianNoise(), 0.1),
        (FPA(), 1.0),
        (RandomErasing(), 1.0),
        (lambda x: x, 1.0),
        (Own(), 1.0),
    ],
)
def test_every_augmenter_states_its_usual_strength_and_its_unit(augmenter, wanted):
    assert as_augmenter(augmenter).default_strength == wanted
    if not callable(getattr(augmenter, "forward", None)) and hasattr(augmenter, "get_params"):
        assert isinstance(augmenter.strength_unit, str)
        assert "strength" not in augmenter.get_params()


EVERY = pytest.mark.parametrize(
    "augmenter",
    [mend_aba(), FPA(), RandomErasing(), GaussianNoise(), KeepAugment(torch.sin), Compose([torch.sin])],
    ids=lambda augmenter: type(augmenter).__name__,
)


@EVERY
@pytest.mark.parametrize(
    ("changed", "kind", "message"),
    [
        (
            {"x": np.zeros((2, 1, 4), dtype="float32")},
            TypeError,
            r"torch.Tensor, got a numpy.ndarray",
        ),
        ({"x": [[[0.0]]]}, TypeError, "torch.Tensor, got a list"),
        ({"x": None}, TypeError, "torch.Tensor, got None"),
        ({"strength": [0.1, 0.2]}, TypeError, r"strength=\[0.1, 0.2\] must be a number, one for the whole batch"),
        ({"strength": "0.1"}, TypeError, "strength='0.1' must be a number"),
        ({"strength": torch.tensor([0.1])}, TypeError, "must be a number"),
        ({"strength": float("nan")}, ValueError, "strength=nan must be finite"),
        ({"generator": None}, TypeError, "pass generator=torch.Generator"),
        ({"generator": 0}, TypeError, "pass generator=torch.Generator"),
    ],
)
def test_an_own_loop_gets_one_clear_error(augmenter, changed, kind, message):
    arguments = {"x": torch.zeros(2, 1, 4), "strength": 0.1, "generator": seeded(), **changed}
    with pytest.raises(kind, match=message):
        augmenter(None, arguments.pop("x"), None, criterion=None, **arguments)


def test_kornias_augmentations():
    augmentation = pytest.importorskip("kornia.augmentation")
    several = augmentation.AugmentationSequential(
        augmentation.RandomHorizontalFlip(p=0.5),
        augmentation.RandomAffine(30.0, p=1.0),
        augmentation.ColorJiggle(0.2, 0.2, p=1.0),
    )
    x = torch.rand(6, 3, 8, 8, generator=seeded())
    copy, before = x.clone(), states()
    for kornia in (several, augmentation.RandomRotation(20.0, p=1.0), augmentation.auto.RandAugment(n=2, m=10)):
        assert not is_augmenter(kornia)
        first = called(kornia, x, seed=1)
        assert first.shape == x.shape
        assert torch.equal(called(kornia, x, seed=1), first)
        assert not torch.equal(called(kornia, x, seed=2), first)
    assert torch.equal(x, copy)
    assert states() == before


# --- subclasses


class Louder(GaussianNoise):
    """An augmenter whose own call is what its author means."""

    def __call__(self, model, x, y, *, strength, criterion, generator):
        return super().__call__(model, x, y, strength=2 * strength, criterion=criterion, generator=generator)


class CappedABA(ABA):
    """MendABA that moves no feature by more than 0.1."""

    def __call__(self, model, x, y, **arguments):
        return x + (super().__call__(model, x, y, **arguments) - x).clamp(-0.1, 0.1)


def test_an_augmenter_is_taken_as_it_is():
    for augmenter in (GaussianNoise(), fast_aba(), Compose([])):
        assert as_augmenter(augmenter) is augmenter


def test_a_subclass_with_a_call_of_its_own_is_honoured():
    x = torch.zeros(4, 6)
    wanted = GaussianNoise()(None, x, None, strength=0.6, criterion=None, generator=seeded())
    assert torch.equal(called(Louder(), x, strength=0.3), wanted)
    made = as_augmenter(Louder())
    assert (made.default_strength, made.strength_unit) == (0.1, GaussianNoise.strength_unit)
    plan = made.plan(Batch(None, x, None, None, seeded()), 0.3)
    assert torch.equal(plan.move(x.clone()), wanted)


@pytest.mark.parametrize("layer", [None, "0"])
def test_so_is_a_subclass_of_aba_in_training(layer):
    net, x = mlp(), torch.randn(8, 6, generator=seeded())
    seen = []
    net[1].register_forward_pre_hook(lambda module, args: seen.append(args[0].detach()))
    with Augmentation(net, CappedABA(), 5.0, layer=layer, random_state=0)(x, torch.arange(8) % 4) as (inputs, _):
        net(inputs)
    moved = seen[-1] - net[0](x).detach() if layer else inputs - x
    assert 0.05 < moved.abs().max() <= 0.1 + 1e-6


def test_at_a_layer_a_functions_change_is_added_and_gradients_flow():
    net, x = mlp(), torch.randn(8, 6, generator=seeded())

    def doubled(model, x, y, *, strength, criterion, generator):
        return 2 * x

    batch = Batch(FromLayer(net, "0", x), None, None, None, seeded())
    hidden = net[0](x)
    for function in (doubled, lambda batch: 2 * batch):
        moved = as_augmenter(function).plan(batch, 1.0).move(hidden)
        torch.testing.assert_close(moved, 2 * hidden)
        (gradient,) = torch.autograd.grad(moved.sum(), hidden)
        assert torch.equal(gradient, torch.ones_like(hidden))  # of the output as it is, not of what was added


def test_a_function_may_return_new_targets():
    def flipped(model, x, y, *, strength, criterion, generator):
        return x.flip(0), y.flip(0)

    x, y = torch.randn(3, 2), torch.arange(3)
    made = as_augmenter(flipped)
    changed, targets = made(None, x, y, strength=1, criterion=None, generator=seeded())
    assert torch.equal(changed, x.flip(0))
    assert targets.tolist() == [2, 1, 0]


def test_an_array_is_no_augmenter() -> None:
    with pytest.raises(ValueError, match="must be an augmenter, such as"):
        require_augmenter("augmenter", np.zeros(3))
