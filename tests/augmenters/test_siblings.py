"""What every augmenter beside ABA promises: alone, and in an estimator."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV

from skaba import ABAClassifier
from skaba.augmenters import (
    FGM,
    FPA,
    Compose,
    CutMix,
    GaussianNoise,
    KeepAugment,
    Mixup,
    Proportional,
    RandomErasing,
    RandomMapABA,
    Scaling,
    TimeMask,
    TimeShift,
    WordDropout,
    fast_aba,
    fgsm,
    free_aba,
    mend_aba,
    preset,
)
from skaba.modules import ConvNet
from skaba.testing import check_augmenter
from tests.tiny_nets import TextNet, images, seeded, words

AUGMENTERS = {
    "FPA": FPA(p1_max=0.5, probability=1),
    "GaussianNoise": GaussianNoise(),
    "RandomErasing": RandomErasing(probability=1),
    "RandomMapABA": RandomMapABA(),
    "KeepAugment": KeepAugment(GaussianNoise()),
    "KeepAugment of a function": KeepAugment(torch.zeros_like, variant="cut", size=0.3),
    "Compose": Compose([FPA(p1_max=0.5, probability=1), fast_aba(k=2)]),
    "Compose with a function": Compose([torch.sin, GaussianNoise()], [0.5, None]),
}
EVERY = pytest.mark.parametrize("augmenter", AUGMENTERS.values(), ids=AUGMENTERS)


CHECKED = {
    **AUGMENTERS,
    "Mixup": Mixup(),
    "Scaling": Scaling(),
    "CutMix": CutMix(),
    "free_aba": free_aba(),
    "control of free_aba": free_aba().random_map(),
    "KeepAugment of FPA": KeepAugment(FPA(p1_max=0.5, probability=1)),
    "clipped": mend_aba(k=2, change=Proportional(), clip=(-1, 1)),
    **{name: preset(name, k=2) for name in ("challenger", "mend_aba", "fast_aba")},
}


@pytest.mark.parametrize("augmenter", CHECKED.values(), ids=CHECKED)
def test_does_what_every_augmenter_must_do(augmenter):
    checked = check_augmenter(augmenter)
    needs_neighbours = isinstance(augmenter, RandomErasing | KeepAugment | CutMix)
    assert checked == ["table", "image", "series", "text"][needs_neighbours:]


@pytest.mark.parametrize("augmenter", [TimeShift(), TimeMask(), WordDropout()], ids=repr)
def test_so_does_what_needs_an_axis_of_time(augmenter):
    assert check_augmenter(augmenter, strength=0.5) == ["series", "text"]


@pytest.mark.parametrize("augmenter", [fgsm(), FGM(), torch.sin], ids=["fgsm", "FGM", "sin"])
def test_so_do_functions_and_what_draws_nothing(augmenter):
    assert len(check_augmenter(augmenter, random=False)) == 4


# --- in an estimator

X = np.random.default_rng(0).random((24, 1, 8, 8), dtype=np.float32)
Y = np.arange(24) % 3


def classifier(**parameters):
    settings = {"module__n_classes": 3, "module__width": 4, "max_epochs": 1, "batch_size": 8, "train_split": None}
    return ABAClassifier(ConvNet, **{**settings, "strength": 1.0, "random_state": 0, "verbose": 0, **parameters})


@EVERY
def test_trains_an_estimator_reproducibly(augmenter):
    first, second = (classifier(augmenter=augmenter).fit(X, Y) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    plain = classifier(augmenter=None).fit(X, Y)
    assert not np.array_equal(first.predict_proba(X), plain.predict_proba(X))
    assert first.augment(X, Y).shape == X.shape
    assert not np.array_equal(first.augment(X, Y), X)


@EVERY
def test_trains_at_an_embedding_and_spares_padding(augmenter):
    ids = words(16).numpy()
    clf = ABAClassifier(
        TextNet, layer="embedding", augmenter=augmenter, strength=1.0, max_epochs=1, train_split=None, verbose=0
    ).fit(ids, np.arange(16) % 3)
    embedded = clf.module_.embedding.weight.detach().numpy()[ids]
    moved = clf.augment(ids, np.arange(16) % 3) - embedded
    assert (moved[ids == 0] == 0).all()
    assert (moved[ids != 0] != 0).any()


def test_parameters_are_searched():
    grid = {"augmenter__0__p1_max": [0.1, 0.4], "augmenter__1__share": [0.5, 1.0]}
    search = GridSearchCV(classifier(augmenter=Compose([FPA(), mend_aba(k=2)])), grid, cv=2).fit(X, Y)
    assert search.best_estimator_.augmenter_.augmenters[0].p1_max == search.best_params_["augmenter__0__p1_max"]


def test_bad_parameters_are_refused_before_training():
    with pytest.raises(ValueError, match="'p2' parameter of FPA"):
        classifier(augmenter=Compose([FPA(p2=3)])).fit(X, Y)
    with pytest.raises(ValueError, match="FPA makes an augmenter: call it"):
        classifier(augmenter=FPA).fit(X, Y)


def test_kornias_augmentations_train_an_estimator_reproducibly():
    kornia = pytest.importorskip("kornia.augmentation")
    rotated = kornia.RandomRotation(30.0, p=1.0)
    for augmenter in (Compose([rotated, FPA()]), KeepAugment(rotated, resolution=0.5)):
        first = classifier(augmenter=augmenter).fit(X, Y)
        torch.manual_seed(7)  # is not what decides
        second = classifier(augmenter=pickle.loads(pickle.dumps(augmenter))).fit(X, Y)  # noqa: S301
        np.testing.assert_array_equal(first.predict_proba(X), second.predict_proba(X))
        assert not np.array_equal(first.augment(X, Y), X)


@pytest.mark.parametrize("augmenter", [FPA(), RandomErasing()], ids=repr)
def test_a_share_of_the_way_to_the_fill_is_at_most_1(augmenter):
    with pytest.raises(ValueError, match=r"strength=1\.5 is too large .* share of the way to the fill: at most 1"):
        augmenter(None, images(), None, strength=1.5, criterion=None, generator=seeded())
