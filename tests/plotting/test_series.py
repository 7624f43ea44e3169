import numpy as np
import pytest
from matplotlib.colors import to_rgba

from skaba.attribution import PredictedClass
from skaba.augmenters import ABA, AdjustmentSet, GaussianNoise
from skaba.plotting import AugmentationDisplay


@pytest.fixture
def series() -> np.ndarray:
    return np.random.default_rng(0).normal(5, 1, (12, 2, 30)).astype(np.float32)


def titles(display):
    return [axes.get_title() for axes in display.axes_[0]]


def lines(axes, colour):
    return np.stack([line.get_ydata() for line in axes.lines if to_rgba(line.get_color()) == to_rgba(colour)])


def strips(display, column):
    return np.stack([axes.images[0].get_array() for axes in display.axes_[:, column]])


def test_panels_titles_labels_and_axes(fit, series, labels):
    display = AugmentationDisplay.from_estimator(fit(series), series, labels, n_samples=3, channel_names=["I", "V1"])
    assert display.axes_.shape == (3, 3)
    assert titles(display) == ["attribution", "categories", "augmented (black) over sample (red)"]
    assert [axes.get_ylabel().split("\n")[0] for axes in display.axes_[:, 0]] == ["label 0", "label 1", "label 2"]
    assert [tick.get_text() for tick in display.axes_[0, 0].get_yticklabels()] == ["I", "V1"]
    assert [axes.get_xlabel() for axes in display.axes_[-1]] == ["time step"] * 3


def test_strips_are_the_map_its_categories_and_the_difference(fit, series, labels):
    augmenter = ABA(target=PredictedClass(), adjustments=AdjustmentSet([3, 4]))
    net = fit(series, augmenter=augmenter)
    display = AugmentationDisplay.from_estimator(net, series, labels, n_samples=4)
    maps = net.attribute(series[:4])
    np.testing.assert_allclose(strips(display, 0), maps, atol=1e-6)
    np.testing.assert_array_equal(strips(display, 1), display.categories)
    np.testing.assert_allclose(strips(display, 2), display.augmented - series[:4])
    for column in (0, 2):
        low, high = display.axes_[0, column].images[0].get_clim()
        assert low == -high < 0
    assert np.mean(np.abs(maps) > display.axes_[0, 0].images[0].get_clim()[1]) == pytest.approx(0.01, abs=0.01)


def test_lines_are_the_signals_at_their_heights_in_one_scale(fit, series, labels):
    display = AugmentationDisplay.from_estimator(fit(series), series, labels, n_samples=2)
    slopes = []
    for index, (first, _, last) in enumerate(display.axes_):
        sample, augmented = lines(last, "crimson"), lines(last, "black")
        np.testing.assert_array_equal(lines(first, "black"), sample)
        np.testing.assert_allclose(np.median(sample, axis=1), [0, -1], atol=1e-5)
        for drawn, signal in ((sample, series[index]), (augmented, display.augmented[index])):
            fits = [np.polyfit(x, y, 1, full=True) for x, y in zip(signal, drawn, strict=True)]
            assert max(residual[0] for _, residual, *_ in fits) < 1e-8
            slopes += [coefficients[0] for coefficients, *_ in fits]
    np.testing.assert_allclose(slopes, slopes[0], rtol=1e-4)
    assert slopes[0] > 0


def test_each_strip_is_behind_its_line(fit, series, labels):
    """Line c lies at height -c, and row c of the picture spans half a unit to both sides."""
    display = AugmentationDisplay.from_estimator(fit(series), series, labels, n_samples=1)
    for axes in display.axes_[0]:
        assert axes.images[0].get_extent() == [-0.5, 29.5, -1.5, 0.5]
        assert axes.images[0].origin == "upper"


def test_an_unchanged_sample_is_marked(fit, series, labels):
    net = fit(series, augmenter=ABA(target=PredictedClass(), adjustments=AdjustmentSet([0])))
    display = AugmentationDisplay.from_estimator(net, series, labels, n_samples=2)
    assert [axes.texts[0].get_text() for axes in display.axes_[:, 2]] == ["unchanged"] * 2


def test_an_augmenter_without_maps_has_one_panel(fit, series, labels):
    display = AugmentationDisplay.from_estimator(fit(series, augmenter=GaussianNoise()), series, labels)
    assert titles(display) == ["augmented (black) over sample (red)"]
    assert not display.axes_[0, 0].texts


def test_flat_series_are_drawn(series):
    flat = np.zeros_like(series[:2])
    display = AugmentationDisplay(samples=flat, augmented=flat, attributions=flat).plot()
    assert display.axes_.shape == (2, 2)
    np.testing.assert_array_equal(lines(display.axes_[0, 0], "black"), [[0.0] * 30, [-1.0] * 30])


def test_channel_names_fit_the_channels(series):
    with pytest.raises(ValueError, match="Got 1 channel_names for series of 2 channels"):
        AugmentationDisplay(samples=series, augmented=series, channel_names=["I"])
