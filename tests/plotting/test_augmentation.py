import copy

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.dataset import Dataset
from torch import nn

from skaba import ABAClassifier
from skaba.attribution import PredictedClass
from skaba.augmenters import ABA, AdjustmentSet, Cutoff, GaussianNoise, Percentiles, challenger
from skaba.plotting import AttributionDisplay, AugmentationDisplay


def titles(display):
    return [axes.get_title() for axes in display.axes_[0]]


def shown(display, column):
    return np.stack([axes.images[0].get_array() for axes in display.axes_[:, column]])


def one_by_one(net, X, y, method, seed=0, **arguments):
    """Return what the net returns for each sample alone, with a seed per sample."""
    results = []
    for index in range(len(X)):
        draw = copy.copy(net)
        draw.random_state = seed + index
        results.append(getattr(draw, method)(X[[index]], y[[index]], **arguments))
    return np.concatenate(results)


def test_panels_titles_and_labels(fit, images, labels):
    display = AugmentationDisplay.from_estimator(fit(images), images, labels, n_samples=3)
    assert display.axes_.shape == (3, 5)
    assert titles(display) == ["sample", "attribution", "categories", "augmented", "difference"]
    assert [axes.get_ylabel() for axes in display.axes_[:, 0]] == ["label 0", "label 1", "label 2"]
    assert display.figure_ is display.axes_[0, 0].figure
    assert len(display.figure_.axes) == 3 * 5 + 5  # one colour bar per column


def test_a_short_batch_is_shown_whole(fit, images, labels):
    assert AugmentationDisplay.from_estimator(fit(images), images[:2], labels[:2]).axes_.shape == (2, 5)


def test_pictures_are_those_of_augment(fit, images, labels):
    net = fit(images)
    display = AugmentationDisplay.from_estimator(net, images, labels, n_samples=4, random_state=7)
    augmented = one_by_one(net, images[:4], labels[:4], "augment", seed=7)
    np.testing.assert_array_equal(display.augmented, augmented)
    np.testing.assert_array_equal(shown(display, 0), images[:4, 0])
    np.testing.assert_array_equal(shown(display, 3), augmented[:, 0])
    np.testing.assert_allclose(shown(display, 4), (augmented - images[:4])[:, 0])


@pytest.mark.parametrize("selection", [Percentiles(0.1, 0.9), Cutoff()])
def test_maps_and_categories_are_those_of_attribute(fit, images, labels, selection):
    augmenter = ABA(target=PredictedClass(), selection=selection, adjustments=AdjustmentSet([3, 4]))
    net = fit(images, augmenter=augmenter)
    display = AugmentationDisplay.from_estimator(net, images, labels, n_samples=4)
    maps = net.attribute(images[:4])
    categories = selection.categories(torch.from_numpy(maps)).numpy()
    np.testing.assert_allclose(shown(display, 1), maps[:, 0], atol=1e-6)
    np.testing.assert_array_equal(shown(display, 2), categories[:, 0])


def test_the_map_is_the_one_that_decided_the_change(fit, images, labels):
    """Even if the explained class is drawn at random: all features of a category move by the same adjustment."""
    display = AugmentationDisplay.from_estimator(fit(images), images, labels, n_samples=12)
    difference = (display.augmented - display.samples).round(5)
    for changes, categories in zip(difference, display.categories, strict=True):
        moved = [np.unique(changes[categories == category]) for category in range(3)]
        assert all(len(values) == 1 for values in moved)
        assert sum(values[0] != 0 for values in moved) == 1


def test_an_unchanged_sample_is_marked_and_has_a_map(fit, images, labels):
    net = fit(images, augmenter=ABA(target=PredictedClass(), adjustments=AdjustmentSet([0])))
    display = AugmentationDisplay.from_estimator(net, images, labels, n_samples=2)
    np.testing.assert_array_equal(display.augmented, images[:2])
    np.testing.assert_allclose(display.attributions, net.attribute(images[:2]), atol=1e-6)
    assert [axes.texts[0].get_text() for axes in display.axes_[:, 4]] == ["unchanged"] * 2


def test_colour_limits(fit, images, labels):
    display = AugmentationDisplay.from_estimator(fit(images), images, labels)
    limits = [[axes.images[0].get_clim() for axes in column] for column in display.axes_.T]
    assert all(len(set(column)) == 1 for column in limits)
    values = np.stack([display.samples, display.augmented])
    assert limits[0] == limits[3] == [pytest.approx((values.min(), values.max()))] * 5
    for column in (1, 4):
        low, high = limits[column][0]
        assert low == -high == -np.abs(shown(display, column)).max()
    assert limits[2][0] == (-0.5, 2.5)


def test_categories_are_named(fit, images, labels):
    display = AugmentationDisplay.from_estimator(fit(images), images, labels)
    names = [tick.get_text() for axes in display.figure_.axes for tick in axes.get_xticklabels()]
    assert {"low", "middle", "high"} <= set(names)


def test_an_augmenter_without_maps_shows_none(fit, images, labels):
    display = AugmentationDisplay.from_estimator(fit(images, augmenter=GaussianNoise()), images, labels)
    assert titles(display) == ["sample", "augmented", "difference"]
    assert display.attributions is display.categories is None


def test_no_augmenter(fit, images, labels):
    display = AugmentationDisplay.from_estimator(fit(images, augmenter=None), images, labels)
    np.testing.assert_array_equal(display.augmented, display.samples)
    assert titles(display) == ["sample", "augmented", "difference"]


def test_colour_images(fit, images, labels):
    X = np.random.default_rng(1).random((12, 3, 4, 4)).astype(np.float32)
    display = AugmentationDisplay.from_estimator(fit(X), X, labels, n_samples=2)
    assert shown(display, 0).shape == (2, 4, 4, 3)
    assert 0 <= shown(display, 3).min() <= shown(display, 3).max() <= 1
    np.testing.assert_allclose(shown(display, 1), display.attributions.sum(axis=1))
    np.testing.assert_allclose(shown(display, 4), (display.augmented - X[:2]).mean(axis=1), atol=1e-7)
    assert len(display.figure_.axes) == 2 * 5 + 2  # colour images have no bar


def test_a_given_figure_is_used(fit, images, labels):
    import matplotlib.pyplot as plt

    panel = plt.figure().subfigures(1, 2)[1]
    display = AugmentationDisplay.from_estimator(fit(images), images, labels, figure=panel)
    assert display.figure_ is panel
    assert display.axes_[0, 0].figure is panel


def test_only_labels_are_written(images):
    targets = np.random.default_rng(0).random((12, 2)).astype(np.float32)
    display = AugmentationDisplay(samples=images[:2], augmented=images[:2], labels=None).plot()
    assert display.axes_[0, 0].get_ylabel() == ""
    from skaba import ABARegressor

    net = ABARegressor(nn.Sequential(nn.Flatten(), nn.Linear(16, 2)), max_epochs=1, verbose=0, train_split=None)
    display = AugmentationDisplay.from_estimator(net.fit(images, targets), images, targets)
    assert display.labels is None


def test_the_estimator_is_not_changed(fit, images, labels):
    net = fit(images)
    augmenter, before = net.augmenter_, net.augment(images, labels)
    attribution = augmenter.attribution
    AugmentationDisplay.from_estimator(net, images, labels)
    assert net.augmenter_ is augmenter
    assert augmenter.attribution is attribution
    assert net.random_state == 0
    np.testing.assert_array_equal(net.augment(images, labels), before)


@pytest.mark.parametrize("shape", [(12, 16), (12, 2, 4, 4), (12, 1, 1, 4, 4)])
def test_neither_images_nor_series(fit, labels, shape):
    X = np.zeros(shape, dtype=np.float32)
    net = fit(X)
    with pytest.raises(ValueError, match=r"\(n, 1, h, w\) or \(n, 3, h, w\)"):
        AugmentationDisplay.from_estimator(net, X, labels)
    with pytest.raises(ValueError, match=r"\(n, channels, length\)"):
        AugmentationDisplay(samples=X, augmented=X)


def test_parameters_that_do_not_fit_the_samples(images):
    for name in ("augmented", "attributions", "categories"):
        with pytest.raises(ValueError, match=rf"{name} has shape \(12, 1, 4, 3\), but samples \(12, 1, 4, 4\)"):
            AugmentationDisplay(**{"samples": images, "augmented": images, name: images[..., :3]})
    with pytest.raises(ValueError, match=r"\[12, 2\]"):
        AugmentationDisplay(samples=images, augmented=images, labels=[0, 1])
    with pytest.raises(ValueError, match="are for series"):
        AugmentationDisplay(samples=images, augmented=images, channel_names=["grey"])


def test_wrong_calls(fit, images, labels):
    net = fit(images)
    with pytest.raises(ValueError, match="X has 12 samples, counted by its first axis, but y is of length 3"):
        AugmentationDisplay.from_estimator(net, images, labels[:3])
    with pytest.raises(ValueError, match="words= is for texts"):
        AugmentationDisplay.from_estimator(net, images, labels, words=["a"])
    with pytest.raises(TypeError, match=r"a Pipeline that ends in a DummyClassifier.*Pass a fitted ABAClassifier"):
        AugmentationDisplay.from_estimator(Pipeline([("net", DummyClassifier())]), images, labels)


@pytest.mark.parametrize("display", [AugmentationDisplay, AttributionDisplay])
@pytest.mark.parametrize(
    ("X", "words"),
    [
        (np.zeros((1, 4, 4), np.float32), r"a single sample needs X\[None\]"),  # an image without its axis
        (np.zeros((3, 1, 1, 4, 4), np.float32), r"samples of shape \(1, 4, 4\)"),
        (np.zeros((0, 1, 4, 4), np.float32), r"0 sample\(s\)"),
        (np.full((3, 1, 4, 4), np.nan, np.float32), "NaN"),
        (np.float32(3.0), "no batch axis"),
        ("pictures", "a network needs numbers"),
        ([], "no batch axis|0 sample"),
    ],
)
def test_samples_that_the_net_does_not_take(fit, images, display, X, words):
    net = fit(images)
    with pytest.raises((ValueError, TypeError), match=words):
        display.from_estimator(net, X)


@pytest.mark.parametrize("display", [AugmentationDisplay, AttributionDisplay])
def test_inputs_that_no_display_takes(fit, images, labels, display):
    net = fit(images)
    for X in (Dataset(images, labels), {"x": images}, iter(images), None):
        with pytest.raises(TypeError, match="takes X as an array"):
            display.from_estimator(net, X, labels)
    with pytest.raises(ValueError, match="y is the scalar"):
        display.from_estimator(net, images, 3)
    for n_samples in (0, 51):
        with pytest.raises(ValueError, match=f"n_samples={n_samples} cannot be shown"):
            display.from_estimator(net, images, labels, n_samples=n_samples)
    with pytest.raises(ValueError, match="n_samples=60 cannot be shown"):
        AugmentationDisplay(samples=np.zeros((60, 1, 4, 4)), augmented=np.zeros((60, 1, 4, 4)))


def test_values_without_a_colour(images):
    broken = images.copy()
    broken[0, 0, 0, 0] = np.nan
    for name in ("samples", "augmented", "attributions", "categories"):
        with pytest.raises(ValueError, match=f"{name} holds NaN or infinity in 1 of 192 places"):
            AugmentationDisplay(**{"samples": images, "augmented": images, name: broken})
    with pytest.raises(ValueError, match="samples must hold numbers"):
        AugmentationDisplay(samples=images.astype(str), augmented=images)


def test_tensors_and_lists_are_shown(images):
    display = AugmentationDisplay(samples=torch.as_tensor(images[:2]), augmented=images[:2].tolist()).plot()
    np.testing.assert_array_equal(shown(display, 0), images[:2, 0])


def test_y_is_needed_only_if_the_augmenter_needs_it(fit, images, labels):
    net = fit(images)
    drawn = AugmentationDisplay.from_estimator(net, images)
    assert drawn.labels is None
    with_labels = AugmentationDisplay.from_estimator(net, images, labels)
    np.testing.assert_array_equal(drawn.augmented, with_labels.augmented)  # mend_aba does not read them
    with pytest.raises(ValueError, match=r"Loss\(\) needs y: pass it"):
        AugmentationDisplay.from_estimator(fit(images, augmenter="fgsm"), images)


def test_a_pipeline_transforms(fit, images, labels):
    twice = FunctionTransformer(lambda X: 2 * X)
    net = fit(2 * images)
    pipeline = make_pipeline(twice, net)
    display = AugmentationDisplay.from_estimator(pipeline, images, labels, n_samples=3)
    alone = AugmentationDisplay.from_estimator(net, 2 * images, labels, n_samples=3)
    np.testing.assert_array_equal(display.samples, alone.samples)
    np.testing.assert_array_equal(display.augmented, alone.augmented)
    np.testing.assert_array_equal(display.attributions, alone.attributions)


def test_a_hidden_layer_cannot_be_shown(fit, images, labels):
    with pytest.raises(ValueError, match="layer='1', a Linear"):
        AugmentationDisplay.from_estimator(fit(images, layer="1"), images, labels)


def test_maps_of_low_resolution_are_stretched_as_the_augmenter_does(images, labels):
    """Half of the draws do not change the sample; its map then has the full resolution."""
    module = nn.Sequential(nn.Conv2d(1, 3, 1), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    augmenter = challenger(k=2, resolution=0.5)
    net = ABAClassifier(module, augmenter=augmenter, strength=0.5, max_epochs=1, train_split=None, verbose=0)
    display = AugmentationDisplay.from_estimator(net.fit(images, labels), images, labels, n_samples=12)
    assert display.attributions.shape == images.shape
    for changes, categories in zip((display.augmented - images).round(5), display.categories, strict=True):
        assert all(len(np.unique(changes[categories == category])) <= 1 for category in range(3))


def test_not_fitted(images, labels):
    net = ABAClassifier(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)))
    with pytest.raises(NotFittedError):
        AugmentationDisplay.from_estimator(net, images, labels)
