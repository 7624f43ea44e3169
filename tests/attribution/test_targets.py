"""Targets: which scalar of a sample a map explains."""

import functools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import nn

from skaba._validation import validate_parameters
from skaba.attribution import FixedClass, Gradient, Loss, PredictedClass, RandomTopClass, TrueClass
from tests.tiny_nets import mlp, seeded

LOGITS = torch.tensor([[0.0, 5.0, 1.0, 2.0], [3.0, 0.0, -1.0, 4.0]])


def which(score, logits):
    """The class that a score reads: the only one with a gradient."""
    leaf = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(score(leaf).sum(), leaf)
    assert (gradient.sum(1) == 1).all()
    return gradient.argmax(1)


# --- FixedClass


@pytest.mark.parametrize("y", [None, torch.tensor([0, 1]), torch.rand(2, 4)], ids=["none", "labels", "multi-label"])
def test_a_fixed_class_is_the_same_for_every_sample_whatever_the_labels(y):
    score = FixedClass(2)(LOGITS, y)
    assert torch.equal(which(score, LOGITS), torch.tensor([2, 2]))
    assert torch.equal(score(torch.cat([LOGITS, 2 * LOGITS])), torch.tensor([1.0, -1.0, 2.0, -2.0]))


def test_the_map_of_a_fixed_class_is_its_row_of_a_linear_model():
    model, x = nn.Linear(3, 4), torch.randn(5, 3)
    for index in range(4):
        map_ = Gradient()(model, x, target=FixedClass(index))
        assert torch.equal(map_, model.weight[index].expand(5, 3))


@pytest.mark.parametrize(
    ("index", "words"), [(4, "returns 4 per sample"), (-1, "index"), (1.0, "index"), ("MI", "index")]
)
def test_a_fixed_class_that_the_model_does_not_have_is_refused(index, words):
    with pytest.raises(ValueError, match=words):
        FixedClass(index)(LOGITS, None)


# --- RandomTopClass


@settings(deadline=None, max_examples=30)
@given(n=st.integers(1, 20), n_classes=st.integers(1, 9), seed=st.integers(0, 99))
def test_k_of_1_is_the_predicted_class(n, n_classes, seed):
    logits = torch.randn(n, n_classes, generator=seeded(seed))
    score = RandomTopClass(k=1)(logits, None, generator=seeded())
    assert torch.equal(score(logits), PredictedClass()(logits, None)(logits))
    assert torch.equal(score(logits), logits.amax(1))


@pytest.mark.parametrize("k", [1, 2, 4, 6])
def test_only_the_top_k_are_drawn_and_about_uniformly(k):
    n = 3000
    logits = torch.randn(n, 6, generator=seeded(1))
    classes = which(RandomTopClass(k)(logits, None, generator=seeded(2)), logits)
    better = (logits > logits.gather(1, classes[:, None])).sum(1)
    counts = torch.bincount(better, minlength=6)
    assert counts[k:].sum() == 0
    assert counts[:k].sum() == n
    assert k == 1 or chisquare(counts[:k].numpy()).pvalue > 1e-3


def test_every_call_draws_anew():
    generator = seeded()
    logits = torch.randn(200, 5)
    first, second = (which(RandomTopClass(4)(logits, None, generator=generator), logits) for _ in range(2))
    assert (first != second).any()
    assert torch.equal(first, which(RandomTopClass(4)(logits, None, generator=seeded()), logits))


@pytest.mark.parametrize(
    ("target", "y"),
    [(RandomTopClass(3), None), (TrueClass(), torch.tensor([2, 0])), (PredictedClass(), None)],
    ids=["random", "true", "predicted"],
)
@pytest.mark.parametrize("variants", [1, 2, 5])
def test_class_scores_of_variants_of_a_batch(target, y, variants):
    # The class is chosen once, on the clean batch, and read from every variant.
    score = target(LOGITS, y, generator=seeded())
    classes = which(score, LOGITS)
    rows = torch.randn(variants * 2, 4)
    wanted = [rows[row, classes[row % 2]].item() for row in range(variants * 2)]
    assert score(rows).tolist() == wanted


def test_more_classes_than_the_model_has_are_refused():
    with pytest.raises(
        ValueError, match=r"RandomTopClass\(k=5\) draws among more .* 4 logits .* augmenter__target__k=4"
    ):
        RandomTopClass(k=5)(LOGITS, None, generator=seeded())


def test_random_top_class_needs_a_generator():
    with pytest.raises(ValueError, match="RandomTopClass draws at random: pass generator="):
        RandomTopClass(k=2)(LOGITS, None)


@pytest.mark.parametrize("k", [0, -1, 1.5, "all"])
def test_bad_k_is_named(k):
    with pytest.raises(ValueError, match="'k' parameter of RandomTopClass must be an int in the range"):
        validate_parameters(RandomTopClass(k))


@pytest.mark.parametrize("target", [RandomTopClass(2), TrueClass()], ids=repr)
@pytest.mark.parametrize(
    "y",
    [torch.zeros(2, 4), torch.zeros(2), torch.zeros(2, 4, dtype=torch.int64)],
    ids=["multi", "float", "2d"],
)
def test_multi_label_and_regression_have_no_class(target, y):
    with pytest.raises(ValueError, match=r"picks one class per sample, but y has shape .* Use Loss\(\) as target"):
        target(LOGITS, y, generator=seeded())


@pytest.mark.parametrize("target", [RandomTopClass(2), TrueClass(), PredictedClass()], ids=repr)
@pytest.mark.parametrize("shape", [(6,), (2, 3, 4)])
def test_logits_must_have_two_axes(target, shape):
    with pytest.raises(ValueError, match=r"logits of shape \(n, n_outputs\); it returned \("):
        target(torch.zeros(shape), torch.zeros(shape[0], dtype=torch.int64), generator=seeded())


# --- TrueClass, PredictedClass


def test_true_class_reads_the_label():
    assert TrueClass()(LOGITS, torch.tensor([2, 3]))(LOGITS).tolist() == [1.0, 4.0]


def test_true_class_needs_labels():
    with pytest.raises(ValueError, match=r"TrueClass needs the labels: pass y, or use PredictedClass\(\)"):
        TrueClass()(LOGITS, None)


@pytest.mark.parametrize("target", [TrueClass(), Loss()], ids=repr)
def test_too_few_labels_are_refused(target):
    with pytest.raises(ValueError, match="y"):
        target(LOGITS, torch.tensor([2]), criterion=nn.CrossEntropyLoss())(LOGITS)


def test_predicted_class_reads_the_highest():
    assert PredictedClass()(LOGITS, None)(LOGITS).tolist() == [5.0, 4.0]


def test_predicted_class_of_a_regression_is_the_prediction():
    prediction = torch.tensor([[1.5], [-2.0]])
    assert PredictedClass()(prediction, torch.zeros(2))(prediction).tolist() == [1.5, -2.0]


def test_predicted_class_takes_any_y():
    assert PredictedClass()(LOGITS, torch.zeros(2, 4))(LOGITS).tolist() == [5.0, 4.0]


# --- Loss

CLASSES = torch.tensor([0, 3, 2, 1, 3])
LABELS = torch.randint(0, 2, (5, 4), generator=seeded(5)).float()
VALUES = torch.randn(5, 4, generator=seeded(6))
CRITERIA = {
    "ce": (nn.CrossEntropyLoss, CLASSES),
    "ce smoothed": (functools.partial(nn.CrossEntropyLoss, label_smoothing=0.1), CLASSES),
    "ce soft labels": (nn.CrossEntropyLoss, LABELS.softmax(1)),
    "multi-label": (nn.BCEWithLogitsLoss, LABELS),
    "multi-label, pos_weight": (
        functools.partial(nn.BCEWithLogitsLoss, pos_weight=torch.tensor([1.0, 2.0, 3.0, 0.5])),
        LABELS,
    ),
    "mse, many outputs": (nn.MSELoss, VALUES),
    "smooth l1": (nn.SmoothL1Loss, VALUES),
}


def single_sample_gradients(net, x, y, criterion):
    """The oracle: plain backward passes, one sample at a time, through the criterion as it is."""
    rows = []
    for i in range(len(x)):
        leaf = x[i : i + 1].clone().requires_grad_()
        rows.append(torch.autograd.grad(criterion(net(leaf), y[i : i + 1]), leaf)[0])
    return torch.cat(rows)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", CRITERIA)
def test_loss_gradients_are_those_of_single_samples(name, reduction):
    make, y = CRITERIA[name]
    net, x, criterion = mlp(), torch.randn(5, 6, generator=seeded(1)), make(reduction=reduction)
    map_ = Gradient()(net, x, y, target=Loss(), criterion=criterion)
    torch.testing.assert_close(map_, single_sample_gradients(net, x, y, criterion))
    assert criterion.reduction == reduction


def test_weighted_cross_entropy_keeps_the_weights():
    # A mean over one sample would divide its own weight out; the loss a sample keeps it.
    weight = torch.tensor([1.0, 2.0, 0.5, 3.0])
    net, x = mlp(), torch.randn(5, 6, generator=seeded(1))
    for reduction in ("mean", "sum"):
        criterion = nn.CrossEntropyLoss(weight=weight, reduction=reduction)
        map_ = Gradient()(net, x, CLASSES, target=Loss(), criterion=criterion)
        plain = single_sample_gradients(net, x, CLASSES, nn.CrossEntropyLoss())
        torch.testing.assert_close(map_, weight[CLASSES][:, None] * plain)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("shapes", [((5,), (5, 1)), ((5, 1), (5, 1)), ((5, 1), (5,)), ((5,), (5,))], ids=str)
def test_a_regression_does_not_broadcast(shapes, reduction):
    y_shape, logits_shape = shapes
    y, prediction = torch.arange(5.0), torch.tensor([1.0, 1.0, 0.0, 2.0, 7.0])
    prediction, criterion = prediction.reshape(logits_shape), nn.MSELoss(reduction=reduction)
    score = Loss()(prediction, y.reshape(y_shape), criterion=criterion)
    assert score(prediction).tolist() == [1.0, 0.0, 4.0, 1.0, 9.0]


def test_the_mean_over_labels_is_the_samples_loss():
    score = Loss()(LOGITS, torch.ones(2, 4), criterion=nn.BCEWithLogitsLoss())
    wanted = [sum(F.softplus(-value).item() for value in row) / 4 for row in LOGITS]
    assert score(LOGITS).tolist() == pytest.approx(wanted)
    score = Loss()(LOGITS, torch.ones(2, 4), criterion=nn.BCEWithLogitsLoss(reduction="sum"))
    assert score(LOGITS).tolist() == pytest.approx([4 * value for value in wanted])


def mean_of_a_function(logits, y):
    return F.cross_entropy(logits, y)


def unreduced_function(logits, y):
    return F.cross_entropy(logits, y, reduction="none")


@pytest.mark.parametrize(
    "criterion",
    [mean_of_a_function, unreduced_function, nn.CrossEntropyLoss(reduction="none")],
    ids=["mean", "unreduced", "module without reduction"],
)
def test_a_criterion_without_a_reduction(criterion):
    net, x = mlp(), torch.randn(5, 6, generator=seeded(1))
    map_ = Gradient()(net, x, CLASSES, target=Loss(), criterion=criterion)
    torch.testing.assert_close(map_, single_sample_gradients(net, x, CLASSES, nn.CrossEntropyLoss()))


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss(), mean_of_a_function], ids=["module", "function"])
@pytest.mark.parametrize("variants", [2, 3])
def test_losses_of_variants_of_a_batch(criterion, variants):
    net, x = mlp(), torch.randn(variants * 5, 6, generator=seeded(1))
    score = Loss()(net(x[:5]).detach(), CLASSES, criterion=criterion)
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(score(net(leaf)).sum(), leaf)
    wanted = single_sample_gradients(net, x, CLASSES.repeat(variants), nn.CrossEntropyLoss())
    torch.testing.assert_close(gradient, wanted)


def test_multi_label_losses_of_variants():
    logits = torch.randn(6, 4)
    y = torch.tensor([[1.0, 0, 0, 1], [0, 0, 1, 1]])
    score = Loss()(logits[:2], y, criterion=nn.BCEWithLogitsLoss())
    wanted = [F.binary_cross_entropy_with_logits(logits[i], y[i % 2]).item() for i in range(6)]
    assert score(logits).tolist() == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("y", "criterion", "missing"),
    [(None, nn.MSELoss(), "y"), (torch.zeros(2), None, "criterion"), (None, None, "y")],
    ids=["y", "criterion", "both"],
)
def test_loss_says_what_it_lacks(y, criterion, missing):
    with pytest.raises(ValueError, match=rf"Loss\(\) needs {missing}: pass it, or use PredictedClass\(\)"):
        Loss()(LOGITS, y, criterion=criterion)


@pytest.mark.parametrize("y", [torch.zeros(2), torch.zeros(2, 3), torch.zeros(2, 1)], ids=["flat", "3", "1"])
def test_targets_narrower_than_the_output_are_refused(y):
    message = r"The module returned \(2, 4\), but y holds targets of shape \(2.*Make the module's output as wide as y"
    with pytest.raises(ValueError, match=message):
        Loss()(LOGITS, y, criterion=nn.MSELoss())


# --- criteria that are not called with logits and targets


@pytest.mark.parametrize(
    ("criterion", "y", "error", "message"),
    [
        (nn.GaussianNLLLoss(), torch.randn(3, 4), TypeError, "GaussianNLLLoss fails .*missing 1 required positional"),
        (nn.TripletMarginLoss(), torch.randn(3, 4), TypeError, "TripletMarginLoss fails"),
        (nn.CrossEntropyLoss(), torch.tensor([0, 1, 4]), ValueError, "CrossEntropyLoss fails .*out of bounds"),
        (nn.CrossEntropyLoss(), torch.tensor([0, 1, 1]).int(), ValueError, "CrossEntropyLoss fails .*torch.int32"),
        (nn.NLLLoss(), torch.randn(3, 4), ValueError, "NLLLoss fails"),
        (lambda logits: logits.sum(), torch.randn(3, 4), TypeError, "<lambda> fails .*positional argument"),
    ],
    ids=["gaussian", "triplet", "label", "int32", "nll", "function"],
)
def test_a_criterion_that_cannot_take_logits_and_y_is_named(criterion, y, error, message):
    with pytest.raises(error, match=rf"explains criterion\(logits, y\), but {message}.* another target"):
        Gradient()(nn.Linear(5, 4), torch.randn(3, 5), y, target=Loss(), criterion=criterion)
