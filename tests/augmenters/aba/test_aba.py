"""ABA: draw, attribute, select, move."""

import pickle

import pytest
import torch
from sklearn.base import clone
from torch import nn

from skaba._validation import validate_parameters
from skaba.attribution import (
    Gradient,
    InputXGradient,
    IntegratedGradients,
    Loss,
    RandomMap,
    RandomTopClass,
    SmoothGrad,
    TrueClass,
)
from skaba.augmenters import (
    ABA,
    AdjustmentSet,
    Batch,
    Constant,
    Cutoff,
    FreeABA,
    Percentiles,
    fast_aba,
    mend_aba,
    preset,
)
from skaba.network import FromLayer
from tests.tiny_nets import TextNet, conv_net, images, linear, seeded, words


class Witness:
    """An attribution that records which rows it saw."""

    def __init__(self):
        self.seen = []

    def __call__(self, model, x, y, *, target, criterion, generator):
        self.seen.append((x.clone(), y))
        return x.detach() - x.flatten(1).mean(1).reshape(-1, *[1] * (x.dim() - 1))


def numbered(n=40, d=10):
    """A batch whose rows are known by their first feature."""
    x = torch.randn(n, d)
    x[:, 0] = torch.arange(n)
    return x, torch.arange(n)


def augmented(aba, x, y=None, model=None, strength=0.1, seed=0, criterion=None):
    return aba(model, x, y, strength=strength, criterion=criterion, generator=seeded(seed))


# --- which samples get a map


@pytest.mark.parametrize("probabilities", [None, [0.7, 0.3]])
def test_a_sample_that_stays_is_not_attributed_and_comes_back_as_it_is(probabilities):
    witness, (x, y) = Witness(), numbered()
    adjustments = AdjustmentSet([0, 19], probabilities)
    result = augmented(ABA(witness, adjustments=adjustments), x, y)
    ((rows, labels),) = witness.seen
    mapped = rows[:, 0].long()
    assert 0 < len(mapped) < len(x)
    assert torch.equal(rows, x[mapped])
    assert torch.equal(labels, y[mapped])
    moved = (result != x).any(1)
    assert moved.nonzero().squeeze(1).tolist() == mapped.tolist()
    assert torch.equal(result[~moved], x[~moved])


def test_labels_may_be_missing():
    witness, (x, _) = Witness(), numbered()
    augmented(ABA(witness, adjustments=AdjustmentSet([0, 19])), x)
    assert witness.seen[0][1] is None


def test_all_samples_are_asked_about_where_all_move():
    witness, (x, y) = Witness(), numbered()
    augmented(ABA(witness, adjustments=AdjustmentSet([19])), x, y)
    ((rows, labels),) = witness.seen
    assert torch.equal(rows, x)
    assert labels is y


@pytest.mark.parametrize(
    ("adjustments", "selection", "strength"),
    [
        ([0], Percentiles(0.1, 0.9), 0.5),
        ([1, 2], Cutoff(), 0.5),  # their low and high parts are 0
        ([3, 4], Percentiles(0.1, 0.9), 0.0),
    ],
    ids=["zero adjustment", "zero of two categories", "zero strength"],
)
def test_nobody_is_asked_where_nothing_moves(adjustments, selection, strength):
    witness, (x, y) = Witness(), numbered()
    aba = ABA(witness, selection=selection, adjustments=AdjustmentSet(adjustments))
    result = augmented(aba, x, y, strength=strength)
    assert witness.seen == []
    assert torch.equal(result, x)


def test_an_empty_batch_stays_empty():
    witness = Witness()
    assert augmented(ABA(witness), torch.zeros(0, 3, 4)).shape == (0, 3, 4)
    assert witness.seen == []


def test_the_model_sees_the_asked_rows_only():
    sizes, net = [], nn.Linear(10, 5)

    def model(x):
        sizes.append(len(x))
        return net(x)

    x = numbered()[0]
    result = augmented(preset("challenger"), x, model=model)
    assert sizes == [int((result != x).any(1).sum())]


# --- how they move


def test_every_sample_gets_its_own_draw():
    # Adjustments 5 and 6 move the lowest tenth, up or down.
    x = torch.stack([torch.randperm(10, generator=seeded(i)).float() for i in range(30)])
    aba = ABA(Witness(), adjustments=AdjustmentSet([5, 6]), randomize=False)
    moved = augmented(aba, x, strength=0.25) - x
    assert (moved != 0).sum(1).tolist() == [1] * 30
    assert torch.equal(moved.abs().argmax(1), x.argmin(1))
    assert set(moved[moved != 0].tolist()) == {0.25, -0.25}


def test_a_factor_of_1_without_randomization():
    x = numbered()[0]
    aba = ABA(Witness(), adjustments=AdjustmentSet([19]), randomize=False)
    assert torch.equal(augmented(aba, x, strength=0.5), x + 0.5)


def test_strength_scales_the_same_draw():
    net, x = linear(), torch.randn(8, 20, dtype=torch.float64)
    one, three = (augmented(mend_aba(k=1), x, model=net, strength=s) - x for s in (0.1, 0.3))
    torch.testing.assert_close(three, 3 * one, rtol=1e-5, atol=1e-12)


def test_a_negative_strength_is_refused():
    with pytest.raises(ValueError, match=r"strength=-0\.2 must be at least 0"):
        augmented(mend_aba(k=2), torch.zeros(8, 20, dtype=torch.float64), model=linear(), strength=-0.2)


def test_fractional_adjustments_give_a_strength_a_category():
    x = torch.arange(10.0)[None]
    aba = ABA(Witness(), adjustments=AdjustmentSet([(-0.5, 0, 2)]), randomize=False)
    assert (augmented(aba, x, strength=1.0) - x).tolist() == [[-0.5, *[0] * 8, 2]]


@pytest.mark.parametrize("percentiles", [(), (0.5,), (0.2, 0.4, 0.6, 0.8)])
def test_other_numbers_of_categories(percentiles):
    x = torch.arange(10.0)[None]
    vector = tuple(range(1, len(percentiles) + 2))
    aba = ABA(
        Witness(),
        selection=Percentiles(*percentiles),
        adjustments=AdjustmentSet([vector]),
        randomize=False,
    )
    wanted = [float(v) for v in vector for _ in range(10 // len(vector))]
    assert (augmented(aba, x, strength=1.0) - x).tolist() == [wanted]


def test_a_map_of_zeros_moves_nothing():
    x = torch.randn(4, 10)
    x[1], x[3] = 0, 0
    for selection, adjustments in ((Percentiles(0.1, 0.9), [3, 4, 5, 6]), (Cutoff(), [16, 17])):
        aba = ABA(InputXGradient(), TrueClass(), selection, AdjustmentSet(adjustments))
        result = augmented(aba, x, torch.zeros(4, dtype=torch.int64), nn.Linear(10, 2))
        assert (result != x).any(1).tolist() == [True, False, True, False]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("selection", [Percentiles(0.1, 0.9), Cutoff()], ids=repr)
@pytest.mark.parametrize("n_features", [10, 3000])
def test_a_map_that_is_not_finite_is_refused(bad, selection, n_features):
    def attribution(model, x, y, **arguments):
        map_ = x.clone()
        map_[1, 3] = bad
        return map_

    with pytest.raises(ValueError, match=r"<function .*> returned a map with NaN or infinity for 1 of 4 samples"):
        augmented(ABA(attribution, selection=selection, adjustments=AdjustmentSet([3])), torch.randn(4, n_features))


def test_a_finite_map_may_have_a_sum_that_is_not():
    x = torch.randn(2, 10).abs()
    x[:, 0] *= -1
    aba = ABA(lambda model, x, y, **_: 3e38 * x.sign(), adjustments=AdjustmentSet([3]))
    assert not torch.equal(augmented(aba, x), x)


@pytest.mark.parametrize(
    "returned",
    [lambda x: x[:, :3], lambda x: x[0], lambda x: x.numpy(), lambda x: None, lambda x: x.tolist()],
    ids=["shape", "axis", "array", "None", "list"],
)
def test_a_map_must_be_a_tensor_of_the_batchs_shape(returned):
    aba = ABA(lambda model, x, y, **_: returned(x), adjustments=AdjustmentSet([3]))
    with pytest.raises(ValueError, match=r"<function .* returned .* for a batch of shape \(4, 10\)"):
        augmented(aba, torch.randn(4, 10))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda x: x[:, :3], r"returned a tensor of shape \(4, 3\).* for samples of shape \(4, 10\)"),
        (lambda x: x.numpy(), "returned a numpy.ndarray"),
        (lambda x: None, "returned None"),
        (lambda x: x / 0, "returned NaN or infinity"),
    ],
)
def test_so_must_an_own_change(returned, message):
    aba = ABA(Witness(), adjustments=AdjustmentSet([3]), change=lambda x, attribution, step: returned(x))
    with pytest.raises(ValueError, match=f"change=<function .* {message}"):
        augmented(aba, torch.randn(4, 10))


# --- the batch that comes back


@pytest.mark.parametrize("name", ["challenger", "mend_aba", "fast_aba", "fgsm"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_batch_keeps_its_dtype_and_shape_and_x_is_left_alone(name, dtype):
    net, x = conv_net().to(dtype), images(9).to(dtype).requires_grad_()
    y = torch.arange(9) % 5
    copy, version = x.detach().clone(), x._version
    result = augmented(preset(name), x, y, net, criterion=nn.CrossEntropyLoss())
    assert (result.dtype, result.shape, result.device) == (dtype, x.shape, x.device)
    assert not result.requires_grad
    assert torch.equal(x, copy)
    assert x._version == version
    assert x.grad is None
    assert not torch.equal(result, copy)


def test_nothing_that_comes_back_is_written_to_x():
    x = torch.randn(6, 10)
    copy = x.clone()
    for adjustments in ([19], [0, 19]):
        augmented(ABA(Witness(), adjustments=AdjustmentSet(adjustments)), x).fill_(7)
        assert torch.equal(x, copy)


def test_any_memory_layout():
    net, x = conv_net(), images(4)
    wanted = augmented(mend_aba(), x, model=net)
    for layout in (x.to(memory_format=torch.channels_last), x.transpose(2, 3).contiguous().transpose(2, 3)):
        assert not layout.is_contiguous()
        torch.testing.assert_close(augmented(mend_aba(), layout, model=net), wanted)


@pytest.mark.parametrize("name", ["challenger", "mend_aba", "fast_aba", "fgsm"])
@pytest.mark.parametrize("attribution", [Gradient(), SmoothGrad(samples=2), RandomMap()], ids=repr)
def test_is_determined_by_the_generator(name, attribution):
    net, x, y = conv_net(), images(9), torch.arange(9) % 5
    aba = preset(name, attribution=attribution)
    criterion = nn.CrossEntropyLoss()
    first = augmented(aba, x, y, net, seed=1, criterion=criterion)
    torch.manual_seed(99)
    assert torch.equal(augmented(aba, x, y, net, seed=1, criterion=criterion), first)
    if name != "fgsm" or not isinstance(attribution, Gradient):  # FGSM draws nothing
        assert not torch.equal(augmented(aba, x, y, net, seed=2, criterion=criterion), first)


def test_a_generator_moves_on():
    net, x, generator = conv_net(), images(9), seeded()
    first, second = (mend_aba()(net, x, None, strength=0.1, criterion=None, generator=generator) for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("attribution", [Gradient(), InputXGradient(), IntegratedGradients(steps=2)], ids=repr)
def test_a_permuted_batch_is_permuted(attribution):
    # With one adjustment and no random factor nothing is drawn a sample.
    net, x, y = conv_net(), images(5), torch.tensor([0, 1, 2, 3, 4])
    aba = ABA(attribution, TrueClass(), adjustments=AdjustmentSet([17]), randomize=False)
    order = torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(augmented(aba, x[order], y[order], net), augmented(aba, x, y, net)[order])


# --- at a layer


def test_at_an_embedding_some_samples_are_asked_about():
    net, ids = TextNet().eval(), words(30)
    rest = FromLayer(net, "embedding", ids)
    hidden = rest.features()
    aba = ABA(target=TrueClass(), selection=Cutoff(), adjustments=AdjustmentSet([0, 17]), randomize=False)
    y = torch.arange(30) % 3
    result = augmented(aba, hidden, y, rest, strength=0.5)
    moved = (result != hidden).flatten(1).any(1)
    assert 0 < moved.sum() < 30
    assert torch.equal(result[ids == 0], hidden[ids == 0])  # padding is never changed
    # The oracle: a plain backward pass from the labels' scores, with the test's own hook.
    seen = []
    handle = net.embedding.register_forward_hook(lambda *a: seen.append(a[2]))
    total = net(ids).gather(1, y[:, None]).sum()
    handle.remove()
    (gradient,) = torch.autograd.grad(total, seen[0])
    wanted = hidden + 0.5 * torch.where(gradient < 0, -1.0, 1.0) * (ids != 0).unsqueeze(2)
    torch.testing.assert_close(result[moved], wanted[moved])


def test_at_a_layer_the_other_inputs_are_those_of_the_asked_rows():
    # The map at the left layer is the sample's own right input, so a mix-up of rows moves features the wrong way.
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.left = nn.Linear(4, 4)

        def forward(self, left, right):
            return (self.left(left) * right).sum(1, keepdim=True)

    net, left, right = Product(), torch.randn(40, 4), torch.randn(40, 4)
    rest = FromLayer(net, "left", {"left": left, "right": right})
    hidden = rest.features()
    aba = ABA(target=RandomTopClass(1), selection=Cutoff(), adjustments=AdjustmentSet([0, 17]), randomize=False)
    result = augmented(aba, hidden, model=rest, strength=0.5)
    moved = (result != hidden).any(1)
    assert 0 < moved.sum() < 40
    torch.testing.assert_close(result[moved], (hidden + 0.5 * right.sign())[moved])


class MeanOfWords(nn.Module):
    """Knows words alone, however many places of padding follow them."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(4)
        self.embedding = nn.Embedding(11, 5, padding_idx=0)
        self.output = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3))
        self.double()

    def forward(self, ids):
        words = (ids != 0).unsqueeze(2)
        return self.output((self.embedding(ids) * words).sum(1) / words.sum(1))


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("attribution", [Gradient(), InputXGradient()], ids=repr)
def test_without_padding_in_the_percentiles_the_padded_length_changes_nothing(attribution, before):
    """The same texts at a length of 50 and of 200, padded after the words or before them. All maps have ties."""
    net, short = MeanOfWords().eval(), torch.randint(1, 11, (12, 50), generator=seeded())
    short[torch.arange(50) >= 5 + 4 * torch.arange(12).unsqueeze(1)] = 0
    if before:
        short = short.flip(1)
    widths = (150, 0) if before else (0, 150)
    both = {50: short, 200: nn.functional.pad(short, widths)}

    def changes(padding):
        found = []
        for ids in both.values():
            aba = mend_aba(attribution=attribution, selection=Percentiles(0.1, 0.9, padding=padding))
            rest = FromLayer(net, "embedding", ids)
            x = rest.features()
            moved = augmented(aba, x, model=rest, strength=0.5) - x
            plan = aba.plan(Batch(FromLayer(net, "embedding", ids), None, None, None, seeded()), 0.5)
            torch.testing.assert_close(moved, plan.move(x.clone()) - x)
            assert not moved[ids == 0].any()
            found.append(moved[ids != 0])
        return found

    first, second = changes("exclude")
    torch.testing.assert_close(first, second)
    assert first.any()
    first, second = changes("include")
    assert not torch.allclose(first, second)


# --- parts of one's own


def test_any_callables_are_attribution_and_target():
    def attribution(model, x, y, *, target, criterion, generator):
        assert target is second_logit
        assert isinstance(generator, torch.Generator)
        return Gradient()(model, x, y, target=target, criterion=criterion, generator=generator)

    def second_logit(logits, y, *, criterion, generator):
        return lambda logits: logits[:, 1]

    net, x = linear(), torch.randn(3, 20, dtype=torch.float64)
    aba = ABA(attribution, second_logit, Cutoff(), AdjustmentSet([17]), randomize=False)
    validate_parameters(aba)
    wanted = x + 0.1 * net.weight[1].sign().detach()
    torch.testing.assert_close(augmented(aba, x, model=net), wanted)


def test_an_attribution_need_not_detach_its_map():
    net = linear()
    aba = ABA(lambda model, x, y, **_: model.weight[:3] * x, adjustments=AdjustmentSet([17]))
    result = augmented(aba, torch.randn(3, 20, dtype=torch.float64), model=net)
    assert not result.requires_grad


# --- an estimator's manners


def test_defaults():
    aba = ABA()
    assert repr(aba.attribution) == "Gradient()"
    assert (repr(aba.target), aba.target.k) == ("RandomTopClass()", None)
    assert aba.selection == Percentiles(0.1, 0.9)
    assert aba.adjustments == AdjustmentSet([1, 2, 3, 4, 5, 6])
    assert isinstance(aba.change, Constant)
    assert aba.randomize is True


ABAS = [ABA(), mend_aba(k=2), fast_aba(target=Loss()), preset("fgsm", tension=True)]


@pytest.mark.parametrize("aba", ABAS, ids=["default", "mend_aba", "fast_aba_ce", "fgsm"])
def test_clones_pickles_and_prints(aba):
    net, x, y = conv_net(), images(9), torch.arange(9) % 5
    wanted = augmented(aba, x, y, net, criterion=nn.CrossEntropyLoss())
    for copy in (clone(aba), pickle.loads(pickle.dumps(aba)), eval(repr(aba))):  # noqa: S301, S307
        assert copy is not aba
        assert repr(copy) == repr(aba)
        assert torch.equal(augmented(copy, x, y, net, criterion=nn.CrossEntropyLoss()), wanted)


def test_parameters_can_be_searched_however_deep():
    aba = mend_aba(attribution=SmoothGrad(IntegratedGradients()))
    keys = set(aba.get_params(deep=True))
    assert {"target__k", "attribution__samples", "attribution__method__steps", "randomize"} <= keys
    aba.set_params(target__k=2, attribution__method__steps=7, adjustments=AdjustmentSet([3]), randomize=False)
    assert (aba.target.k, aba.attribution.method.steps, aba.randomize) == (2, 7, False)
    assert clone(aba).target.k == 2
    with pytest.raises(ValueError, match="Invalid parameter 'kk' for estimator RandomTopClass"):
        aba.set_params(target__kk=2)


def test_a_clone_is_independent():
    aba = mend_aba(k=4)
    clone(aba).set_params(target__k=2)
    assert aba.target.k == 4


# --- errors


@pytest.mark.parametrize(
    ("adjustments", "selection", "message"),
    [
        ([(1, 0, 1)], Cutoff(), "is for 3 categories, but the selection makes 2"),
        ([(1, -1)], Percentiles(0.1, 0.9), "is for 2 categories, but the selection makes 3"),
        ([3], Percentiles(0.2, 0.4, 0.6, 0.8), "is for 3 categories, but the selection makes 5"),
        ([3], Percentiles(), "is for 3 categories, but the selection makes 1"),
    ],
)
def test_adjustments_must_match_the_selection(adjustments, selection, message):
    aba = ABA(Witness(), selection=selection, adjustments=AdjustmentSet(adjustments))
    with pytest.raises(ValueError, match=message):
        validate_parameters(aba)
    with pytest.raises(ValueError, match=message):
        augmented(aba, torch.zeros(2, 10))
    assert aba.attribution.seen == []


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("attribution", "gradient"),
        ("target", "loss"),
        ("selection", (0.1, 0.9)),
        ("adjustments", [3, 4]),
        ("change", "constant"),
        ("randomize", "yes"),
    ],
)
def test_bad_parameters_are_named(parameter, value):
    with pytest.raises(ValueError, match=f"'{parameter}' parameter of ABA must be .* Got .* instead"):
        validate_parameters(ABA(**{parameter: value}))


def test_more_classes_than_the_model_has_are_refused():
    x = torch.randn(3, 20, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"it returns 2 logits per sample\. Set k to at most 2"):
        augmented(mend_aba(k=3), x, model=linear(20, 2))


def test_multi_label_needs_the_loss():
    net, x = linear(20, 3), torch.randn(4, 20, dtype=torch.float64)
    y = torch.ones(4, 3, dtype=torch.float64)
    with pytest.raises(ValueError, match=r"a multi-label or regression target\. Use Loss\(\) as target"):
        augmented(mend_aba(k=2), x, y, net)
    result = augmented(mend_aba(target=Loss()), x, y, net, criterion=nn.BCEWithLogitsLoss())
    assert not torch.equal(result, x)


def test_the_loss_needs_labels():
    with pytest.raises(ValueError, match=r"Loss\(\) needs y"):
        augmented(preset("fgsm"), torch.zeros(3, 20, dtype=torch.float64), model=linear(20, 3))


def test_word_ids_are_refused():
    with pytest.raises(TypeError, match=r"floating-point samples, got torch\.int64.*layer='embedding'"):
        augmented(mend_aba(), words(), model=TextNet())


def test_the_targets_class_is_drawn_by_the_same_generator():
    # 30 equal logits: the row of the identity that moves tells the class.
    net = nn.Linear(30, 30, bias=False)
    with torch.no_grad():
        net.weight.copy_(torch.eye(30))
    aba = ABA(target=RandomTopClass(30), selection=Cutoff(0.5), adjustments=AdjustmentSet([(0, 1)]), randomize=False)
    x = torch.zeros(200, 30)
    moved = augmented(aba, x, model=net, strength=1.0)
    assert moved.sum(1).tolist() == [1.0] * 200
    assert len(moved.argmax(1).unique()) > 20


@pytest.mark.parametrize(
    ("aba", "message"),
    [
        (mend_aba(clip=(1, 0)), r"clip=\(1, 0\) must be \(low, high\)"),
        (mend_aba(clip=(None, 1)), r"clip=\(None, 1\) must be \(low, high\)"),
        (ABA(clip=1), "'clip' parameter of ABA"),
        (ABA(share=5), "'share' parameter of ABA"),
        (ABA(share=-1), "'share' parameter of ABA"),
        (ABA(resolution=2), "'resolution' parameter of ABA"),
        (FreeABA(renew=0), "'renew' parameter of FreeABA"),
        (FreeABA(selection=Cutoff(1)), r"Cutoff\(1\.0\) would depend on the batch size"),
        (ABA(randomize="no"), "'randomize' parameter of ABA"),
        (ABA(selection="x"), "'selection' parameter of ABA"),
        (fast_aba(k=0), "'k' parameter of RandomTopClass"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("at_layer", [False, True])
def test_called_by_hand_bad_parameters_are_named_too(aba, message, at_layer):
    net, x = linear(), torch.zeros(2, 20, dtype=torch.float64)
    rest = FromLayer(nn.Sequential(nn.Identity(), net), "0", x)
    batch = Batch(rest, None, None, None, seeded()) if at_layer else Batch(net, x, None, None, seeded())
    with pytest.raises(ValueError, match=message):
        aba.plan(batch, 0.0)


def test_a_parameter_that_changes_is_checked_again():
    aba, x = mend_aba(k=2), torch.zeros(2, 20, dtype=torch.float64)
    augmented(aba, x, model=linear())
    before = repr(aba), pickle.dumps(aba), aba.get_params(), set(vars(aba))
    for name, bad, good in [("share", 5, 1.0), ("target__k", 0, 2), ("attribution__mode", "evil", "eval")]:
        with pytest.raises(ValueError, match=f"'{name.split('__')[-1]}' parameter"):
            augmented(aba.set_params(**{name: bad}), x, model=linear())
        augmented(aba.set_params(**{name: good}), x, model=linear())
    assert before == (repr(aba), pickle.dumps(aba), aba.get_params(), set(vars(aba)))
