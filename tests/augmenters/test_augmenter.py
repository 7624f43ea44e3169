"""Augmenter, the base of all: what a subclass of somebody else's gets from it."""

import math
from numbers import Real

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import Interval
from torch import nn

from skaba import ABAClassifier
from skaba.augmenters import Augmenter, Batch, Compose, Plan
from skaba.network import FromLayer
from skaba.training import Augmentation
from tests.tiny_nets import TextNet, mlp, seeded, words


class Fade(Augmenter):
    """Takes a random share of the brightness away: all that somebody else writes."""

    default_strength = 0.5
    strength_unit = "the share of the brightness that is lost"
    largest_strength = 1.0
    _parameter_constraints = {"sharpness": [Interval(Real, 0, None, closed="neither")], "clip": [tuple, None]}  # noqa: RUF012

    def __init__(self, sharpness=1.0, clip=None):
        self.sharpness = sharpness
        self.clip = clip

    def _plan(self, batch, strength):
        def fade(x):
            return x * (1 - strength * torch.rand((), generator=batch.generator) ** self.sharpness).to(x)

        return fade


def called(augmenter, x, y=None, strength=0.5, seed=0, model=None):
    return augmenter(model, x, y, strength=strength, criterion=None, generator=seeded(seed))


def share_lost(seed=0):
    return torch.rand((), generator=seeded(seed))


# --- a call


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_call_is_what_the_subclass_returns_in_the_batchs_dtype(dtype):
    x = torch.randn(3, 4).to(dtype).requires_grad_()
    result = called(Fade(), x)
    assert torch.equal(result, x.detach() * (1 - 0.5 * share_lost()).to(dtype))
    assert (result.dtype, result.device, result.requires_grad) == (dtype, x.device, False)


def test_another_dtype_is_brought_back():
    class Double(Fade):
        def _plan(self, batch, strength):
            return lambda x: x.double() + 1

    assert called(Double(), torch.zeros(2, 3)).dtype == torch.float32


def test_strength_0_none_and_an_empty_batch_are_x_itself():
    class Never(Fade):
        def _plan(self, batch, strength):
            return None if strength < 0.9 else 1 / 0

    for x, strength in ((torch.randn(2, 3), 0), (torch.randn(2, 3), 0.5), (torch.randn(0, 3), 1.0)):
        assert called(Never(), x, strength=strength).data_ptr() == x.data_ptr()


def test_it_runs_in_inference_mode_too():
    with torch.inference_mode():
        assert torch.equal(called(Fade(), torch.ones(2, 3)), torch.ones(2, 3) * (1 - 0.5 * share_lost()))


def test_clip_is_kept_by_the_base():
    x = torch.tensor([[0.5, 1.0, 3.0]])
    within = called(Fade(clip=(0.8, 2.0)), x, strength=1.0, seed=1)
    torch.testing.assert_close(within, torch.tensor([[0.5, 0.8, 0.8]]))
    with pytest.raises(ValueError, match=r"clip=\(2, 1\) must be \(low, high\)"):
        called(Fade(clip=(2, 1)), x)


def test_padding_is_kept_by_the_base():
    ids = words()
    view = FromLayer(TextNet(), "embedding", ids)
    x = view.features() + 1
    result = called(Fade(), x, model=view)
    assert torch.equal(result[ids == 0], x[ids == 0])
    assert not torch.isclose(result[ids != 0], x[ids != 0]).any()


@pytest.mark.parametrize("bad", [1.01, 2, 1e9])
def test_a_strength_above_the_largest_is_refused(bad):
    with pytest.raises(
        ValueError, match=r"too large for Fade, whose strength is the share of the brightness.*at most 1"
    ):
        called(Fade(), torch.ones(2, 3), strength=bad)
    assert Augmenter.largest_strength == math.inf


@pytest.mark.parametrize("good", [1, 1.0, True, np.float32(0.5), np.int64(1)])
def test_any_real_number_is_a_strength(good):
    called(Fade(), torch.ones(2, 3), strength=good)


def test_parameters_are_checked_at_each_call_and_not_by_the_subclass():
    fade = Fade()
    called(fade, torch.ones(2, 3))
    with pytest.raises(ValueError, match="'sharpness' parameter of Fade"):
        called(fade.set_params(sharpness=-1.0), torch.ones(2, 3))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda x: x[:, :1], r"Fade\(\) returned a tensor of shape \(2, 1\) .*must keep the shape"),
        (lambda x: x.numpy(), r"Fade\(\) returned a numpy.ndarray"),
        (lambda x: x / 0, r"Fade\(\) returned NaN or infinity, in 2 of 2 samples"),
        (lambda x: x.mul_(2), r"Fade\(\) wrote into the features that it was given: return a new tensor"),
    ],
)
def test_what_the_subclass_returns_is_checked(returned, message):
    class Wrong(Fade):
        def _plan(self, batch, strength):
            return returned

        def __repr__(self):
            return "Fade()"

    with pytest.raises(ValueError, match=message):
        called(Wrong(), torch.ones(2, 3))


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (torch.zeros(3), None, r"Fade takes a batch, \(n, \.\.\.\).* x\.unsqueeze\(0\)"),
        (torch.zeros(3, 2), torch.zeros(2), "one target per sample: the batch has 3 samples, y has shape"),
        (torch.zeros(3, 2), ["a", "b", "c"], "y must hold numbers"),
    ],
)
def test_a_batch_that_is_none_is_refused(x, y, message):
    with pytest.raises(ValueError, match=message):
        called(Fade(), x, y)


# --- a plan


def test_a_plan_says_how_features_change_and_what_is_trained_on():
    x, y, generator = torch.randn(3, 4), torch.arange(3), seeded()
    plan = Fade().plan(Batch(None, x, y, None, generator), 0.5)
    assert isinstance(plan, Plan)
    assert plan.y is y
    first = plan.move(x)
    generator.manual_seed(99)
    assert torch.equal(plan.move(x), first)  # again in the same step, whatever was drawn in between
    assert torch.equal(generator.get_state(), seeded(99).get_state())  # and nothing is drawn twice
    assert Fade().plan(Batch(None, x, y, None, generator), 0) == Plan(None, y)


def test_targets_that_change_come_back_beside_the_batch():
    class Relabels(Fade):
        def _plan(self, batch, strength):
            return super()._plan(batch, strength), batch.y.float() + strength

    x, y = torch.randn(3, 4), torch.arange(3)
    changed, targets = called(Relabels(), x, y)
    assert torch.equal(changed, called(Fade(), x))
    assert targets.tolist() == [0.5, 1.5, 2.5]
    assert torch.equal(called(Relabels(), x, y, strength=0), x)
    both, later = called(Compose([Relabels(), Relabels()]), x, y)
    assert later.tolist() == [1.0, 2.0, 3.0]
    assert both.shape == x.shape


class TimeFirst(nn.Module):
    """A recurrent network whose hidden layer has the samples in the second axis."""

    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(4, 5)
        self.output = nn.Linear(5, 3)

    def forward(self, x):
        return self.output(self.hidden(x.transpose(0, 1)).mean(0))


def test_a_layer_that_does_not_hold_one_sample_after_the_other_is_refused():
    net, x = TimeFirst(), torch.randn(3, 7, 4)
    with (
        pytest.raises(ValueError, match=r"layer='hidden' returns a tensor of shape \(7, 3, 5\) for 3 samples"),
        Augmentation(net, Fade(), layer="hidden", random_state=0)(x, torch.arange(3)) as (inputs, _),
    ):
        net(inputs)


# --- in training


@pytest.mark.parametrize("layer", [None, "1"])
def test_an_optimiser_that_runs_the_network_several_times_sees_one_augmentation(layer):
    net, x, y = mlp(), torch.randn(8, 6), torch.arange(8) % 4
    outputs = []

    def closure():
        optimizer.zero_grad()
        with torch.no_grad():
            outputs.append(net[:2](inputs) if layer is None else None)
        loss = nn.functional.cross_entropy(net(inputs), targets)
        loss.backward()
        losses.append(loss.item())
        return loss

    optimizer, losses = torch.optim.LBFGS(net.parameters(), max_iter=1, lr=1e-9), []
    with Augmentation(net, Fade(), layer=layer, random_state=0)(x, y) as (inputs, targets):
        closure()
        closure()
        optimizer.step(closure)
    assert len(losses) >= 3
    assert losses == pytest.approx([losses[0]] * len(losses), rel=1e-6)
    assert losses[0] != pytest.approx(nn.functional.cross_entropy(net(x), y).item(), rel=1e-4)


def test_at_a_layer_gradients_flow_through_what_the_subclass_writes():
    net, x, y = mlp(), torch.randn(8, 6), torch.arange(8) % 4
    gradients = []
    for augmenter in (Fade(), None):
        net.zero_grad()
        with Augmentation(net, augmenter, layer="0", random_state=0)(x, y) as (inputs, _):
            net[0](inputs).sum().backward()
        gradients.append(net[0].weight.grad.clone())
    # Hooks are the whole network's, so the layer called alone is augmented too.
    kept = 1 - 0.5 * share_lost()
    torch.testing.assert_close(gradients[0], kept * gradients[1])


X = np.random.default_rng(0).random((24, 6), dtype=np.float32)
Y = np.arange(24) % 4


def classifier(**parameters):
    settings = {"max_epochs": 2, "batch_size": 8, "train_split": None, "random_state": 0, "verbose": 0}
    return ABAClassifier(mlp(), **{**settings, **parameters})


def weights(net):
    return torch.cat([parameter.detach().flatten() for parameter in net.module_.parameters()])


@pytest.mark.parametrize("layer", [None, "2"])
def test_an_estimator_takes_it_as_one_of_its_own(layer):
    clf = classifier(augmenter=Fade(), layer=layer).fit(X, Y)
    assert clf.strength_ == 0.5
    assert torch.equal(weights(clf), weights(clone(clf).fit(X, Y)))
    assert not torch.equal(weights(clf), weights(classifier(augmenter=None).fit(X, Y)))
    assert torch.equal(
        weights(classifier(augmenter=Fade(), layer=layer, strength=0).fit(X, Y)),
        weights(classifier(augmenter=None).fit(X, Y)),
    )
    grid = {"augmenter__sharpness": [0.5, 2.0], "strength": [0.1, 1.0]}
    search = GridSearchCV(classifier(augmenter=Fade(), layer=layer), grid, cv=2).fit(X, Y)
    assert search.best_estimator_.augmenter_.sharpness == search.best_params_["augmenter__sharpness"]
    with pytest.raises(ValueError, match="'sharpness' parameter of Fade"):
        classifier(augmenter=Fade(sharpness=-1.0), layer=layer).fit(X, Y)


def test_a_subclass_must_write_its_plan():
    with pytest.raises(TypeError, match="abstract"):
        Augmenter()


@pytest.mark.parametrize("made", [torch.zeros(2, 3), 3, (torch.zeros(2, 3), torch.zeros(2))])
def test_a_plan_that_is_no_function(made):
    class Wrong(Augmenter):
        def _plan(self, batch, strength: float):
            return made

    with pytest.raises(TypeError, match=r"_plan returned a .* must return a function of the features"):
        Wrong()(None, torch.zeros(2, 3), None, strength=1, criterion=None, generator=torch.Generator())
