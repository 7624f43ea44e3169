"""Mixup and CutMix: closed forms, shares of targets, layers, and the three estimators."""

import pickle

import numpy as np
import pytest
import torch
from scipy.stats import kstest
from sklearn.base import clone
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from skaba.attribution import Loss
from skaba.augmenters import Batch, Compose, CutMix, KeepAugment, Mixup, mend_aba
from skaba.modules import ConvNet
from skaba.network import FromLayer
from skaba.training import Augmentation
from tests.tiny_nets import TextNet, conv_net, images, mlp, seeded, words

BOTH = pytest.mark.parametrize("mixing", [Mixup(), CutMix()], ids=repr)


def mixed(mixing, x, y, model=None, strength=1.0, seed=0):
    return mixing(model, x, y, strength=strength, criterion=None, generator=seeded(seed))


def numbered(shape):
    """Samples whose features are all their own number, and these numbers as targets."""
    numbers = torch.arange(float(shape[0]), dtype=torch.float64)
    return numbers.reshape(-1, *[1] * (len(shape) - 1)).expand(shape).contiguous(), numbers


# --- closed forms


@pytest.mark.parametrize("shape", [(7, 5), (7, 2, 9), (7, 2, 6, 5)])
def test_mixup_is_the_weighted_mean_of_two_samples(shape):
    x, y = torch.randn(shape, dtype=torch.float64, generator=seeded(1)), torch.eye(7, dtype=torch.float64)
    changed, weights = mixed(Mixup(), x, y)
    # The targets name the partners and their shares, so the features follow.
    torch.testing.assert_close(changed, torch.einsum("ij,j...->i...", weights, x))
    torch.testing.assert_close(weights.sum(1), torch.ones(7, dtype=torch.float64))
    torch.testing.assert_close(weights.sum(0), torch.ones(7, dtype=torch.float64))  # partners are a permutation
    assert len({round(float(share), 9) for share in weights.diagonal()} - {1.0}) == 1  # one share for the batch


@pytest.mark.parametrize("shape", [(6, 3, 40), (6, 3, 12, 9)])
@pytest.mark.parametrize("seed", range(5))
def test_cutmix_pastes_one_box_and_counts_it(shape, seed):
    x, y = numbered(shape)
    changed, targets = mixed(CutMix(), x, y, seed=seed)
    torch.testing.assert_close(changed.flatten(1).mean(1), targets)  # its share is what was pasted
    pasted = (changed != x)[:, 0]
    moved = pasted.flatten(1).any(1)
    assert torch.equal(changed != x, pasted.unsqueeze(1).expand(shape))  # in all channels
    if moved.any():
        box = pasted[moved][0]
        assert torch.equal(pasted[moved], box.expand_as(pasted[moved]))  # one place for the batch
        rows = [box.movedim(axis, 0).flatten(1).any(1).nonzero() for axis in range(box.dim())] if box.dim() > 1 else []
        sides = [int(each.max() - each.min()) + 1 for each in rows or [box.nonzero()]]
        assert box.sum() == np.prod(sides)


def test_cutmix_boxes_have_the_drawn_area_and_the_samples_aspect():
    """Uncut boxes of a large image: sides in the image's proportion."""
    x, y = numbered((2, 1, 200, 400))
    seen = 0
    for seed in range(90):
        changed, _ = mixed(CutMix(), x, y, seed=seed)
        box = (changed != x)[0, 0]
        if not box.any():
            continue
        (top, left), (bottom, right) = box.nonzero().amin(0).tolist(), box.nonzero().amax(0).tolist()
        if top > 0 and bottom < 199 and left > 0 and right < 399:
            seen += 1
            assert abs((right - left + 1) - 2 * (bottom - top + 1)) <= 1
    assert seen > 3


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_the_share_is_drawn_from_the_beta_distribution(alpha):
    y, generator, shares = torch.eye(2, dtype=torch.float64), seeded(), []
    for _ in range(1500):
        result = Mixup()(None, torch.zeros(2, 1), y, strength=alpha, criterion=None, generator=generator)
        shares.append(result[1][0, 0].item() if isinstance(result, tuple) else 1.0)
    drawn = [share for share in shares if share != 1]  # a sample that is its own partner stays
    assert 600 < len(drawn) < 900
    assert kstest(drawn, "beta", args=(alpha, alpha)).pvalue > 1e-3
    assert abs(np.mean(drawn) - 0.5) < 0.06


@BOTH
def test_partners_are_all_alike(mixing):
    counts, generator = torch.zeros(4, 4), seeded()
    for _ in range(800):
        _, weights = mixing(
            None, torch.zeros(4, 1, 50), torch.eye(4), strength=1.0, criterion=None, generator=generator
        )
        counts += (weights * (1 - torch.eye(4))) > 0
    partners = counts[~torch.eye(4, dtype=torch.bool)] / 800
    torch.testing.assert_close(partners, torch.full((12,), partners.mean().item()), rtol=0, atol=0.07)


# --- targets


@BOTH
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_classes_become_shares(mixing, dtype):
    net, x, y = conv_net(), images(9), torch.arange(9).to(dtype) % 5
    _, shares = mixed(mixing, x, y, net)
    assert (shares.shape, shares.dtype) == ((9, 5), torch.float32)
    torch.testing.assert_close(shares.sum(1), torch.ones(9))
    assert (shares >= 0).all()
    assert ((shares > 0).sum(1) <= 2).all()
    wanted = mixed(mixing, x, functional.one_hot(y.long(), 5).float(), net)[1]
    assert torch.equal(shares, wanted)  # soft labels are mixed alike


@BOTH
@pytest.mark.parametrize(
    "y",
    [torch.randn(9), torch.randn(9, 1), torch.rand(9, 5), torch.randint(2, (9, 5)), torch.rand(9, 5) < 0.5],
    ids=["real", "column", "soft", "labels", "bool labels"],
)
def test_other_targets_become_means(mixing, y):
    x, weights = images(9), torch.eye(9)
    wanted = mixed(mixing, x, weights, conv_net())[1] @ y.float().reshape(9, -1)
    targets = mixed(mixing, x, y, conv_net())[1]
    assert targets.shape == y.shape
    assert targets.dtype == torch.float32
    torch.testing.assert_close(targets.reshape(9, -1), wanted)


def test_shares_have_the_precision_of_the_network_at_a_layer():
    net = TextNet().double()
    plan = Mixup().plan(Batch(FromLayer(net, "embedding", words()), None, torch.arange(4) % 3, None, seeded()), 1.0)
    assert plan.y.dtype == torch.float64


@BOTH
def test_the_loss_of_shares_is_the_mean_of_the_losses(mixing):
    """lam * loss(a) + (1 - lam) * loss(b), as published, for the three usual losses."""
    net, x, y = conv_net().eval(), images(9), torch.arange(9) % 5
    changed, weights = mixed(mixing, x, torch.eye(9), net)
    logits = net(changed)
    each = torch.stack([functional.cross_entropy(logits, y[i].expand(9), reduction="none") for i in range(9)], dim=1)
    shares = mixed(mixing, x, y, net)[1]
    torch.testing.assert_close(functional.cross_entropy(logits, shares), (weights * each).sum(1).mean())
    labels = torch.randint(2, (9, 5), generator=seeded()).float()
    bce = functional.binary_cross_entropy_with_logits
    each = torch.stack([bce(logits, labels[i].expand(9, 5), reduction="none") for i in range(9)])
    soft = mixed(mixing, x, labels, net)[1]
    wanted = torch.einsum("ij,jik->ik", weights, each).mean()
    torch.testing.assert_close(bce(logits, soft), wanted)
    values = torch.randn(9, generator=seeded())
    torch.testing.assert_close(mixed(mixing, x, values, net)[1], weights @ values)


@BOTH
@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "mixes the targets too: pass y"),
        (torch.arange(9), r"y holds labels from 0 to 8; a label must be the index of its class, 0 to 4"),
        (torch.arange(9) % 5 - 1, "y holds labels from -1 to 3"),
        (torch.zeros(9, 7, dtype=torch.int64), r"class indices, \(n,\), or one number for each of the 5 outputs"),
        (torch.zeros(3), "one target per sample"),
    ],
)
def test_targets_that_cannot_be_mixed_are_refused(mixing, y, message):
    with pytest.raises(ValueError, match=message):
        mixed(mixing, images(9), y, conv_net())


def test_tables_are_not_cut():
    with pytest.raises(ValueError, match="CutMix needs images or series"):
        mixed(CutMix(), torch.zeros(4, 3), torch.zeros(4))


@BOTH
def test_masks_are_refused(mixing):
    batch = Batch(None, torch.zeros(2, 1, 4), torch.zeros(2), None, seeded(), mask=torch.ones(2, 1, 4).bool())
    with pytest.raises(ValueError, match="each mask belongs to one sample"):
        mixing.plan(batch, 1.0)


# --- draws


@BOTH
def test_the_probability_says_how_many_batches_are_mixed(mixing):
    x, y, generator = torch.randn(8, 1, 50), torch.eye(8), seeded()
    made = clone(mixing).set_params(probability=0.3)
    results = [made(None, x, y, strength=5.0, criterion=None, generator=generator) for _ in range(500)]
    assert 0.22 < sum(isinstance(result, tuple) for result in results) / 500 < 0.38
    for bad in (-0.1, 1.5, None):
        with pytest.raises(ValueError, match="'probability' parameter of"):
            mixed(clone(mixing).set_params(probability=bad), x, y)


@BOTH
def test_the_generator_decides(mixing):
    x, y = images(9), torch.eye(9)
    first, again, other = (mixed(mixing, x, y, seed=seed) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[1], other[1])


@BOTH
def test_strength_0_is_x_itself(mixing):
    x = images(9)
    assert torch.equal(mixed(mixing, x, None, strength=0), x)  # without targets too


@BOTH
@pytest.mark.parametrize("strength", [1e-9, 1e-3, 50.0, 1e6])
def test_extreme_strengths_are_drawn_from_too(mixing, strength):
    shares = mixed(mixing, images(40), torch.eye(40), strength=strength)[1]
    assert ((shares >= 0) & (shares <= 1)).all()
    if strength > 1 and isinstance(mixing, Mixup):
        assert 0.3 < shares.diagonal().min() < 0.7


@BOTH
def test_the_default_strength_and_its_unit_are_stated(mixing):
    assert mixing.default_strength == (0.2 if isinstance(mixing, Mixup) else 1.0)
    assert "Beta(alpha, alpha)" in mixing.strength_unit
    assert repr(pickle.loads(pickle.dumps(mixing))) == repr(mixing)  # noqa: S301


# --- at a layer


@pytest.mark.parametrize("mixing", [Mixup(), Compose([Mixup()], [1.0])], ids=["alone", "in Compose"])
@pytest.mark.parametrize("layer", ["1", "3"])
def test_manifold_mixup_sends_gradients_through_both_samples(layer, mixing):
    net, x, y = mlp(), torch.randn(8, 6, generator=seeded()), torch.arange(8) % 4

    def gradients(forward):
        net.zero_grad()
        forward()
        return [parameter.grad.clone() for parameter in net.parameters()]

    augmentation = Augmentation(net, mixing, 1.0, layer=layer, random_state=0)
    shares = []

    def ours():
        with augmentation(x, y) as (inputs, targets):
            shares.append(targets)
            functional.cross_entropy(net(inputs), targets).backward()

    weights = mixed(Mixup(), x, torch.eye(8))[1]  # of the same draws

    def by_hand():
        hidden = weights @ net[: int(layer) + 1](x)
        functional.cross_entropy(net[int(layer) + 1 :](hidden), weights @ functional.one_hot(y, 4).float()).backward()

    for got, wanted in zip(gradients(ours), gradients(by_hand), strict=True):
        torch.testing.assert_close(got, wanted)
    torch.testing.assert_close(shares[0], weights @ functional.one_hot(y, 4).float())


def test_several_passes_of_one_step_mix_alike():
    net, x, y = mlp(), torch.randn(8, 6), torch.arange(8) % 4
    augmentation = Augmentation(net, Mixup(), 1.0, layer="1", random_state=0)
    with augmentation(x, y) as (inputs, targets):
        first, second = net(inputs), net(inputs)
    assert torch.equal(first, second)
    assert not torch.equal(first, net(x))
    assert targets.shape == (8, 4)


def texts():
    """Of 9 words, of 4, and none of the words shared."""
    ids = torch.randint(1, 11, (40, 9), generator=seeded())
    ids[torch.arange(40) % 2 == 0, 4:] = 0
    return ids


@BOTH
def test_padding_stays_padding(mixing):
    ids, net = texts(), TextNet()
    view = FromLayer(net, "embedding", ids)
    x = view.features()
    batch = Batch(FromLayer(net, "embedding", ids), None, torch.eye(40), None, seeded(1))
    plan = mixing.plan(batch, 1.0)
    batch.features()
    changed = plan.move(x.clone())
    assert torch.equal(changed[ids == 0], x[ids == 0])
    assert not torch.equal(changed, x)


def test_of_texts_the_words_that_remain_are_counted():
    ids = texts()
    net = nn.Sequential(nn.Embedding(11, 1, padding_idx=0), nn.Flatten())
    view = FromLayer(net, "0", ids)
    view.features()
    numbers = torch.arange(1.0, 41).reshape(40, 1, 1) * torch.ones(40, 9, 1)
    for seed in range(5):
        changed, shares = mixed(CutMix(), numbers, torch.eye(40), view, seed=seed)
        remains = ((changed == numbers)[..., 0] & (ids != 0)).sum(1) / (ids != 0).sum(1)
        torch.testing.assert_close(shares.diagonal(), remains)
        torch.testing.assert_close(shares.sum(1), torch.ones(40))
        # No vector of padding was pasted: what is pasted comes from a partner that has a word there.
        rows, places = (changed != numbers)[..., 0].nonzero(as_tuple=True)
        partners = changed[rows, places, 0].long() - 1
        assert (ids[partners, places] != 0).all()


# --- among other augmenters


def test_a_later_augmenter_gets_the_mixed_targets():
    x, y, net = images(6), torch.arange(6) % 5, conv_net()
    both = Compose([Mixup(), mend_aba(target=Loss())], strengths=[1.0, 0.1])
    changed, shares = both(net, x, y, strength=0.1, criterion=nn.CrossEntropyLoss(), generator=seeded())
    assert shares.shape == (6, 5)
    assert not torch.equal(changed, x)
    with pytest.raises(ValueError, match=r"RandomTopClass picks one class per sample, but y has .*Use Loss\(\)"):
        mixed(Compose([Mixup(), mend_aba()]), x, y, net)
    assert mixed(Compose([mend_aba(), Mixup()]), x, y, net)[1].shape == (6, 5)


@BOTH
def test_it_is_refused_inside_keep_augment(mixing):
    with pytest.raises(ValueError, match="KeepAugment cannot keep a part of samples whose targets change"):
        mixed(KeepAugment(mixing), images(6), torch.arange(6) % 5, conv_net())


# --- in estimators

X, Y = load_digits(return_X_y=True)
X, Y = (X[:96].reshape(-1, 1, 8, 8) / 16).astype(np.float32), Y[:96]
SETTINGS = {"max_epochs": 2, "batch_size": 32, "lr": 0.1, "train_split": None, "random_state": 0, "verbose": 0}


class Convolution(nn.Module):
    def __init__(self, n_outputs=10):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
        self.output = nn.Sequential(nn.Flatten(), nn.Linear(256, n_outputs))

    def forward(self, x):
        return self.output(self.features(x))


def classifier(**parameters):
    return ABAClassifier(Convolution, **{**SETTINGS, **parameters})


def weights_of(net):
    return torch.cat([parameter.detach().flatten() for parameter in net.module_.parameters()])


@BOTH
@pytest.mark.parametrize("layer", [None, "features"])
@pytest.mark.parametrize("labels", [Y, np.array([f"digit {label}" for label in Y])], ids=["ints", "strings"])
def test_a_classifier_trains_and_random_state_decides(mixing, layer, labels):
    first, again, other = (
        classifier(augmenter=mixing, layer=layer, random_state=seed).fit(X, labels) for seed in (0, 0, 1)
    )
    assert torch.equal(weights_of(first), weights_of(again))
    assert not torch.equal(weights_of(first), weights_of(other))
    plain = classifier(augmenter=None).fit(X, labels)
    assert not torch.equal(weights_of(first), weights_of(plain))
    assert set(first.predict(X)) <= set(labels)
    assert first.augment(X, labels).shape == (X.shape if layer is None else (96, 4, 8, 8))


@BOTH
@pytest.mark.parametrize("layer", [None, "features"])
def test_strength_0_is_plain_bit_for_bit(mixing, layer):
    plain = classifier(augmenter=None).fit(X, Y)
    assert torch.equal(weights_of(classifier(augmenter=mixing, strength=0, layer=layer).fit(X, Y)), weights_of(plain))


def loss_of_one_step(mixing, class_weight=None, **fit):
    net = classifier(augmenter=mixing, strength=1.0, batch_size=96, max_epochs=1, class_weight=class_weight)
    return net.fit(X, Y, **fit).history[-1, "batches", 0, "train_loss"]


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_weights_weigh_the_loss_of_each_class_in_a_mixture(smoothing):
    """By hand: the share of each class times its weight times the loss of that class, also with label smoothing."""
    weights, seen = torch.arange(1.0, 11.0), []
    unreduced = nn.CrossEntropyLoss(reduction="none", label_smoothing=smoothing)

    class Watching(ABAClassifier):
        def get_loss(self, y_pred, y_true, X=None, training=False):
            loss = super().get_loss(y_pred, y_true, X=X, training=training)
            if training:
                each = torch.stack([unreduced(y_pred, torch.full((len(y_pred),), k)) for k in range(10)], dim=1)
                seen.append((loss.detach(), (y_true * weights * each).sum(1).mean().detach()))
            return loss

    by_label = dict(enumerate(weights.tolist()))
    own = {"augmenter": Mixup(), "strength": 1.0, "class_weight": by_label, "criterion__label_smoothing": smoothing}
    Watching(Convolution, module__n_outputs=10, **own, **SETTINGS).fit(X, Y)
    assert seen
    for loss, by_hand in seen:
        torch.testing.assert_close(loss, by_hand)


@BOTH
def test_class_weights_and_sample_weights_weigh_the_samples(mixing):
    plain = loss_of_one_step(mixing)
    assert loss_of_one_step(mixing, sample_weight=np.ones(96)) == pytest.approx(plain, rel=1e-5)
    assert loss_of_one_step(mixing, class_weight=dict.fromkeys(range(10), 3.0)) == pytest.approx(3 * plain, rel=1e-5)
    parts = [loss_of_one_step(mixing, sample_weight=(np.arange(96) % 2 == part).astype(float)) for part in (0, 1)]
    assert np.mean(parts) == pytest.approx(plain, rel=1e-5)
    assert parts[0] != pytest.approx(plain, rel=1e-3)
    by_class = [
        loss_of_one_step(mixing, class_weight={each: float(each == k) for each in range(10)}) for k in range(10)
    ]
    assert sum(by_class) == pytest.approx(plain, rel=1e-5)


@BOTH
def test_several_labels_and_real_targets_train(mixing):
    labels = np.stack([Y % 2, Y > 4, Y == 3], axis=1).astype(np.int64)
    for net, y in (
        (ABAMultiLabelClassifier(Convolution, module__n_outputs=3, augmenter=mixing, **SETTINGS), labels),
        (ABARegressor(Convolution, module__n_outputs=1, augmenter=mixing, **SETTINGS), Y.astype(np.float32)),
        (ABARegressor(Convolution, module__n_outputs=2, augmenter=mixing, **SETTINGS), labels[:, :2].astype("float32")),
    ):
        plain = clone(net).set_params(augmenter=None).fit(X, y)
        fitted = net.fit(X, y)
        assert not torch.equal(weights_of(fitted), weights_of(plain))
        assert np.isfinite(fitted.predict(X)).all()
        assert fitted.predict(X).shape == plain.predict(X).shape


def test_words_at_an_embedding_train():
    ids = texts().numpy()
    for mixing in (Mixup(), CutMix()):
        net = ABAClassifier(TextNet, augmenter=mixing, layer="embedding", **SETTINGS).fit(ids, np.arange(40) % 3)
        assert np.isfinite(net.predict_proba(ids)).all()


def test_a_network_learns_with_mixup():
    X, y = load_digits(return_X_y=True)
    X = (X.reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    settings = {**SETTINGS, "module__n_classes": 10, "module__width": 8, "max_epochs": 12, "lr": 0.01}
    net = ABAClassifier(ConvNet, augmenter=Mixup(), optimizer=torch.optim.Adam, **settings).fit(X[:600], y[:600])
    assert net.score(X[600:1200], y[600:1200]) > 0.85
