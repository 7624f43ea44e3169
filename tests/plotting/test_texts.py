import copy
from itertools import pairwise

import numpy as np
import pytest
from gensim.models import KeyedVectors
from matplotlib.colors import to_rgb
from torch import nn

from skaba import ABAClassifier
from skaba.attribution import PredictedClass
from skaba.augmenters import ABA, AdjustmentSet, GaussianNoise
from skaba.plotting import AugmentationDisplay
from skaba.preprocessing import WordSequences

WORDS = ["", "<unknown>", "the", "puck", "orbits", "a", "moon"]
IDS = np.array([[2, 3, 4, 5, 6, 0, 0], [5, 1, 2, 6, 0, 0, 0], [6, 6, 6, 2, 5, 4, 3]] * 4)


@pytest.fixture
def net(labels):
    """Return a function that fits a net on word ids."""

    def fitted(padding=0, **parameters):
        module = nn.Sequential(nn.Embedding(7, 4, padding_idx=padding), nn.Flatten(), nn.Linear(28, 3))
        augmenter = ABA(target=PredictedClass(), adjustments=AdjustmentSet([3, 4, 5, 6]))
        settings = {"augmenter": augmenter, "strength": 0.5, "layer": "0", "max_epochs": 1, "random_state": 0}
        return ABAClassifier(module, **{**settings, **parameters}, train_split=None, verbose=0).fit(IDS, labels)

    return fitted


def written(axes):
    return [text.get_text() for text in axes.texts]


def colours(axes):
    return np.array([to_rgb(patch.get_facecolor()) for patch in axes.patches])


def test_the_words_without_padding(net, labels):
    display = AugmentationDisplay.from_estimator(net(), IDS, labels, n_samples=2, words=WORDS)
    assert display.axes_.shape == (2, 2)
    for row, sentence in zip(display.axes_, ["the puck orbits a moon", "a <unknown> the moon"], strict=True):
        assert [written(axes) for axes in row] == [sentence.split()] * 2
    assert [axes.get_ylabel() for axes in display.axes_[0]] == ["attribution", "moved"]
    assert [axes.get_title(loc="left") for axes in display.axes_[:, 0]] == ["label 0", "label 1"]


def test_words_of_ids_from_word_sequences(net, labels):
    vectors = KeyedVectors(vector_size=4)
    vectors.add_vectors(WORDS[2:], np.eye(5, 4))
    words = WordSequences(vectors, length=7)
    X = words.fit_transform(["the puck orbits a comet"])
    display = AugmentationDisplay.from_estimator(net(), X, labels[:1], words=words)
    assert written(display.axes_[0, 0]) == ["the", "puck", "orbits", "a", "<unknown>"]


def test_colours_are_the_summed_map_and_the_norm_of_the_change(net, labels):
    import matplotlib as mpl

    clf = net()
    display = AugmentationDisplay.from_estimator(clf, IDS, labels, n_samples=3, words=WORDS)
    plain = copy.copy(clf).set_params(strength=0).augment(IDS[:3])
    np.testing.assert_array_equal(display.samples, plain)
    maps = clf.attribute(IDS[:3]).sum(axis=-1)
    moved = np.sqrt(((display.augmented - plain) ** 2).sum(axis=-1))
    assert moved.max() > 0
    limit = np.abs(maps).max()
    for index, (first, second) in enumerate(display.axes_):
        known = IDS[index] != 0
        shades = mpl.colormaps["RdBu_r"]((maps[index, known] + limit) / (2 * limit))
        np.testing.assert_allclose(colours(first), shades[:, :3], atol=0.02)
        shades = mpl.colormaps["Oranges"](moved[index, known] / moved.max())
        np.testing.assert_allclose(colours(second), shades[:, :3], atol=0.02)


def test_words_do_not_overlap_and_stay_inside(net, labels):
    X = np.random.default_rng(0).integers(1, 7, (2, 60))
    embedded = np.zeros((2, 60, 4))
    display = AugmentationDisplay(samples=embedded, augmented=embedded, words=np.array(WORDS)[X]).plot()
    display.figure_.draw_without_rendering()
    for axes in display.axes_[:, 0]:
        boxes = [patch.get_bbox() for patch in axes.patches]
        assert len({box.y0 for box in boxes}) > 1
        for first, second in pairwise(boxes):
            assert first.x1 < second.x0 or second.y1 < first.y0
        assert max(box.x1 for box in boxes) <= axes.get_xlim()[1]
        for text, patch in zip(axes.texts, axes.patches, strict=True):
            assert text.get_window_extent().width <= 1.1 * patch.get_window_extent().width


def test_long_texts_are_cut_with_a_note():
    words = np.full((1, 1000), "word")
    embedded = np.zeros((1, 1000, 2))
    display = AugmentationDisplay(samples=embedded, augmented=embedded, words=words).plot()
    *shown, last = written(display.axes_[0, 0])
    assert last == f"and {1000 - len(shown)} more words"
    assert 0 < len(shown) < 1000


def test_an_embedding_without_padding_writes_all_but_empty_words(net, labels):
    clf = net(padding=None)
    display = AugmentationDisplay.from_estimator(clf, IDS, labels, n_samples=1, words=["<pad>", *WORDS[1:]])
    assert written(display.axes_[0, 0])[-2:] == ["<pad>", "<pad>"]
    display = AugmentationDisplay.from_estimator(clf, IDS, labels, n_samples=1, words=WORDS)
    assert len(written(display.axes_[0, 0])) == 5


def test_unchanged_and_empty_texts_are_marked(net, labels):
    clf = net(augmenter=ABA(target=PredictedClass(), adjustments=AdjustmentSet([0])))
    X = np.stack([IDS[0], np.zeros(7, dtype=int)])
    display = AugmentationDisplay.from_estimator(clf, X, labels[:2], words=WORDS)
    assert display.axes_[0, 1].get_ylabel() == "unchanged"
    assert [axes.get_ylabel() for axes in display.axes_[1]] == ["no words", "no words"]


def test_an_augmenter_without_maps_has_one_row(net, labels):
    display = AugmentationDisplay.from_estimator(net(augmenter=GaussianNoise()), IDS, labels, words=WORDS)
    assert [axes.get_ylabel() for axes in display.axes_[0]] == ["moved"]


def test_a_given_subfigure_is_used(net, labels):
    import matplotlib.pyplot as plt

    panel = plt.figure(layout="constrained").subfigures(1, 2)[1]
    display = AugmentationDisplay.from_estimator(net(), IDS, labels, n_samples=2, words=WORDS, figure=panel)
    assert display.figure_ is display.axes_[0, 0].figure is panel


def test_errors(net, labels):
    clf = net()
    with pytest.raises(ValueError, match="Texts need words="):
        AugmentationDisplay.from_estimator(clf, IDS, labels)
    with pytest.raises(ValueError, match="ids from 0 to 6, but words only those from 0 to 4"):
        AugmentationDisplay.from_estimator(clf, IDS, labels, words=WORDS[:5])
    with pytest.raises(ValueError, match="holds float64"):
        AugmentationDisplay.from_estimator(clf, IDS * 1.0, labels, words=WORDS)
    embedded = np.zeros((2, 7, 4))
    with pytest.raises(ValueError, match=r"words has shape \(2, 3\)"):
        AugmentationDisplay(samples=embedded, augmented=embedded, words=np.full((2, 3), "a"))


def test_padding_does_not_decide_the_colours():
    words = np.array([["puck", "orbits", ""]])
    embedded, maps = np.zeros((1, 3, 2)), np.array([[[1.0, 0], [-1, 0], [9, 9]]])
    display = AugmentationDisplay(samples=embedded, augmented=embedded, attributions=maps, words=words).plot()
    red, blue = colours(display.axes_[0, 0])
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert max(red.min(), blue.min()) < 0.2, "the colours at the ends"
