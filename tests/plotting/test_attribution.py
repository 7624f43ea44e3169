"""AttributionDisplay draws what ``attribute`` returns, for each kind of samples."""

import numpy as np
import pandas as pd
import pytest
import torch
from gensim.models import KeyedVectors
from matplotlib.colors import to_rgb
from rich.console import Console
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from skaba.attribution import FixedClass, InputXGradient
from skaba.augmenters import GaussianNoise
from skaba.plotting import AttributionDisplay, AugmentationDisplay
from skaba.preprocessing import WordSequences

SETTINGS = {"augmenter": GaussianNoise(), "max_epochs": 1, "random_state": 0, "train_split": None, "verbose": 0}
TEXTS = ["The Puck orbits a moon", "A COMET hits the moon", "Puck, puck!"] * 4


def titles(display):
    return [axes.get_title(loc="left") for axes in display.axes_]


@pytest.fixture
def series():
    return np.random.default_rng(0).normal(5, 1, (12, 2, 30)).astype(np.float32)


@pytest.fixture
def table():
    return pd.DataFrame(np.random.default_rng(0).normal(5, 3, (12, 4)), columns=["age", "sex", "height", "weight"])


@pytest.fixture
def words():
    vectors = KeyedVectors(vector_size=4)
    vectors.add_vectors(["the", "puck", "orbits", "a", "moon", "hits", ","], np.eye(7, 4))
    return WordSequences(vectors, length=7)


@pytest.fixture
def texts(words, labels):
    """A fitted pipeline from texts to classes."""
    module = nn.Sequential(nn.Embedding(9, 4, padding_idx=0), nn.Flatten(), nn.Linear(28, 3))
    return make_pipeline(words, ABAClassifier(module, layer="0", **SETTINGS)).fit(TEXTS, labels)


def linear_of(X, y, estimator=ABAClassifier, **parameters):
    """Return a linear net: the map of an output is a row of its weight."""
    n_outputs = y.shape[1] if y.ndim == 2 else 3
    parameters = {**SETTINGS, "module__in_features": X.shape[1], "module__out_features": n_outputs, **parameters}
    return estimator(nn.Linear, **parameters).fit(X, y)


# --- images


def test_images_are_drawn_in_light_grey_below_their_maps(fit, images):
    net = fit(images)
    display = AttributionDisplay.from_estimator(net, images, n_samples=7)
    maps = net.attribute(images[:7])
    assert display.axes_.shape == (7,)
    limit = np.abs(maps).max()
    for index, axes in enumerate(display.axes_):
        below, above = axes.images
        np.testing.assert_allclose(above.get_array(), maps[index, 0])
        assert above.get_clim() == (pytest.approx(-limit), pytest.approx(limit))
        np.testing.assert_allclose(above.get_alpha(), np.sqrt(np.abs(maps[index, 0]) / limit))
        assert np.corrcoef(below.get_array().ravel(), images[index, 0].ravel())[0, 1] == pytest.approx(1)
        assert 0.7 <= below.get_array().min() < below.get_array().max() <= 1
    assert display.figure_ is display.axes_[0].figure
    bar = display.figure_.axes[-1]
    assert bar.get_xlabel() == "attribution: Gradient"


def test_maps_of_colour_images_are_summed_over_the_channels(fit, labels):
    X = np.random.default_rng(1).random((12, 3, 4, 4)).astype(np.float32)
    net = fit(X)
    display = AttributionDisplay.from_estimator(net, X, n_samples=2)
    drawn = np.stack([axes.images[1].get_array() for axes in display.axes_])
    np.testing.assert_allclose(drawn, net.attribute(X[:2]).sum(axis=1), atol=1e-6)


def test_a_map_of_zeros_is_white(images):
    display = AttributionDisplay(images[:2], np.zeros_like(images[:2])).plot()
    assert all(not axes.images[1].get_alpha().any() for axes in display.axes_)
    assert "+" not in str(display.to_text())


# --- what is explained


def test_target_and_method_by_name(fit, images):
    net = fit(images)
    display = AttributionDisplay.from_estimator(net, images, target=2, attribution="InputXGradient", n_samples=2)
    expected = net.attribute(images[:2], target=FixedClass(2), attribution=InputXGradient())
    np.testing.assert_array_equal(display.attributions, expected)
    assert titles(display) == ["target 2"] * 2
    assert display.name == "attribution: InputXGradient"
    assert titles(AttributionDisplay.from_estimator(net, images, target=FixedClass(2), n_samples=1)) == [
        "target FixedClass(index=2)"
    ]
    with pytest.raises(ValueError, match="Did you mean 'InputXGradient'"):
        AttributionDisplay.from_estimator(net, images, attribution="InputGradient")
    with pytest.raises(ValueError, match="named 3"):
        AttributionDisplay.from_estimator(net, images, target=3)


def test_titles_say_what_is_explained_by_default(fit, images, labels):
    names = np.array(["ann", "bob", "cyd"])[labels]
    X = images.reshape(12, 16)
    net = linear_of(X, names)
    assert titles(AttributionDisplay.from_estimator(net, X, n_samples=3)) == [
        f"predicted {name}" for name in net.predict(X[:3])
    ]
    assert titles(AttributionDisplay.from_estimator(net, X, names, n_samples=3)) == [
        "class ann",
        "class bob",
        "class cyd",
    ]


def test_titles_without_a_single_class(images):
    X = images.reshape(12, 16)
    Y = pd.DataFrame((X[:, :2] > 0.5).astype(int), columns=["MI", "CD"])
    net = linear_of(X, Y, ABAMultiLabelClassifier)
    highest = np.array(["MI", "CD"])[net.predict_proba(X).argmax(axis=1)]
    assert titles(AttributionDisplay.from_estimator(net, X, n_samples=2)) == [
        f"highest: {name}" for name in highest[:2]
    ]
    assert titles(AttributionDisplay.from_estimator(net, X, Y, n_samples=2)) == ["loss"] * 2
    display = AttributionDisplay.from_estimator(net, X, target="CD", n_samples=2)
    assert titles(display) == ["target CD"] * 2
    np.testing.assert_array_equal(display.attributions[0], net.module_.weight.detach().numpy()[1])
    regressor = linear_of(X, X[:, :1], ABARegressor)
    prediction = regressor.predict(X)[0, 0]
    assert titles(AttributionDisplay.from_estimator(regressor, X, n_samples=1)) == [f"predicted {prediction:.3g}"]


@pytest.mark.parametrize("display", [AttributionDisplay, AugmentationDisplay])
def test_targets_of_a_frame_keep_their_names(images, display):
    Y = pd.DataFrame(np.arange(24).reshape(12, 2) % 2, columns=["MI", "CD"])
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    net = ABAMultiLabelClassifier(module, **SETTINGS).fit(images, Y)
    assert len(display.from_estimator(net, images, Y, n_samples=2).axes_) == 2
    with pytest.raises(ValueError, match="y has the columns CD, MI, but fit saw MI, CD"):
        display.from_estimator(net, images, Y[["CD", "MI"]])


# --- series


def test_series_on_strips_of_their_maps(fit, series):
    net = fit(series)
    display = AttributionDisplay.from_estimator(net, series, n_samples=2, channel_names=["I", "V1"])
    maps = net.attribute(series[:2])
    for index, axes in enumerate(display.axes_):
        np.testing.assert_allclose(axes.images[0].get_array(), maps[index])
        low, high = axes.images[0].get_clim()
        assert low == -high < 0
        assert [tick.get_text() for tick in axes.get_yticklabels()] == ["I", "V1"]
        assert axes.get_xlabel() == "time step"


@pytest.mark.parametrize("display", [AttributionDisplay, AugmentationDisplay])
def test_time_axis_in_seconds(fit, series, display):
    drawn = display.from_estimator(fit(series), series, n_samples=1, sampling_rate=100)
    axes = drawn.axes_.ravel()[0]
    assert axes.get_xlabel() == "time (s)"
    np.testing.assert_allclose(axes.images[0].get_extent(), [-0.005, 0.295, -1.5, 0.5])
    np.testing.assert_allclose(axes.lines[0].get_xdata(), np.arange(30) / 100)
    for rate in (0, -1, np.inf, np.nan, "100", [100], True):
        with pytest.raises(ValueError, match=r"sampling_rate=.* must be a positive number of steps per second"):
            display.from_estimator(fit(series), series, sampling_rate=rate)


# --- texts


@pytest.mark.parametrize("display", [AttributionDisplay, AugmentationDisplay])
def test_words_are_shown_as_written(texts, display):
    drawn = display.from_estimator(texts, TEXTS, n_samples=3)
    panels = drawn.axes_ if display is AttributionDisplay else drawn.axes_[:, 0]
    written = [[text.get_text() for text in axes.texts] for axes in panels]
    assert written == [TEXTS[0].split(), TEXTS[1].split(), ["Puck", ",", "puck", "!"]]


def test_words_have_the_colours_of_their_maps(texts, words):
    import matplotlib as mpl

    net = texts[-1]
    ids = words.transform(TEXTS)
    display = AttributionDisplay.from_estimator(net, ids, words=words, n_samples=3)
    assert [text.get_text() for text in display.axes_[1].texts] == ["a", "<unknown>", "hits", "the", "moon"]
    maps = net.attribute(ids[:3]).sum(axis=-1)
    limit = np.abs(maps[ids[:3] != 0]).max()
    for index, axes in enumerate(display.axes_):
        shades = mpl.colormaps["RdBu_r"]((maps[index, ids[index] != 0] + limit) / (2 * limit))
        drawn = np.array([to_rgb(patch.get_facecolor()) for patch in axes.patches])
        np.testing.assert_allclose(drawn, shades[:, :3], atol=0.02)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("I DON'T know", ["I", "DO", "N'T", "know"]),
        ("I don\u2019t Know", ["I", "do", "n't", "Know"]),  # the tokeniser replaces the apostrophe
        ("Wait..... What", ["Wait", "...", "What"]),
        ("\u0130stanbul Moon", None),  # a letter that is longer in lower case
        ("", []),
    ],
)
def test_capitals_are_recovered(texts, words, text, written):
    words.length = 7
    display = AttributionDisplay.from_estimator(texts, [text])
    found = [shown.get_text() for shown in display.axes_[0].texts]
    assert found == (words.tokenize(text) if written is None else written)


def test_texts_need_words(texts, words):
    with pytest.raises(ValueError, match=r"Texts need words=.*A Pipeline of WordSequences"):
        AttributionDisplay.from_estimator(texts[-1], words.transform(TEXTS))
    with pytest.raises(TypeError, match=r"Put a single text into a list"):
        AttributionDisplay.from_estimator(texts, TEXTS[0])


def test_a_search_over_a_pipeline_of_texts(texts, labels):
    search = GridSearchCV(texts, {"abaclassifier__strength": [0.1]}, cv=2).fit(TEXTS, labels)
    display = AttributionDisplay.from_estimator(search, TEXTS, n_samples=1)
    assert [text.get_text() for text in display.axes_[0].texts] == TEXTS[0].split()


# --- tables


def test_one_bar_per_feature_of_a_table(table, labels):
    pipeline = make_pipeline(StandardScaler(), linear_of(table.to_numpy(), labels)).fit(table, labels)
    display = AttributionDisplay.from_estimator(pipeline, table, target=1, n_samples=2)
    weight = pipeline[-1].module_.weight.detach().numpy()[1]
    order = np.argsort(-np.abs(weight))
    scaled = pipeline[0].transform(table)
    for index, axes in enumerate(display.axes_):
        np.testing.assert_allclose([bar.get_width() for bar in axes.patches], weight[order])
        names = [tick.get_text() for tick in axes.get_yticklabels()]
        assert names == [f"{table.columns[place]} = {scaled[index, place]:.3g}" for place in order]
        reds = [to_rgb(bar.get_facecolor())[0] > to_rgb(bar.get_facecolor())[2] for bar in axes.patches]
        assert reds == (weight[order] > 0).tolist()
        low, high = axes.get_xlim()
        assert low == -high
    assert display.axes_[-1].get_xlabel() == "attribution: Gradient"


def test_the_strongest_of_many_features_are_drawn(labels):
    X = np.random.default_rng(0).normal(size=(12, 50)).astype(np.float32)
    display = AttributionDisplay.from_estimator(linear_of(X, labels), X, n_samples=1)
    assert len(display.axes_[0].patches) == 20
    assert display.axes_[0].get_xlabel().startswith("and 30 features with less")
    assert "and 30 features with less" in str(display.to_text())


def test_feature_names_come_from_data_frames_or_are_given(table, labels):
    net = linear_of(table.to_numpy(), labels)
    assert AttributionDisplay.from_estimator(net, table, n_samples=1).feature_names == list(table.columns)
    assert AttributionDisplay.from_estimator(net, table.to_numpy(), n_samples=1).feature_names is None
    given = AttributionDisplay.from_estimator(net, table, n_samples=1, feature_names=["a", "b", "c", "d"])
    assert {name.get_text()[0] for name in given.axes_[0].get_yticklabels()} == set("abcd")
    with pytest.raises(ValueError, match="Got 2 feature_names for 4 features"):
        AttributionDisplay.from_estimator(net, table, feature_names=["a", "b"])


# --- in a terminal


def test_a_table_as_bars(table):
    display = AttributionDisplay(table[:1], [[0.5, -1.0, 0.0, 0.25]], feature_names=table.columns, titles=["target 1"])
    title, *rows = str(display.to_text()).split("\n")
    assert title == "target 1"
    assert [row.split(" = ")[0].strip() for row in rows] == ["sex", "age", "weight", "height"]
    assert [row.count("█") for row in rows] == [24, 12, 6, 0]
    assert "-1" in rows[0]
    assert "+0.5" in rows[1]


def test_a_text_can_be_read_with_and_without_colours():
    display = AttributionDisplay([["Puck", "in", "orbit", ""]], [[-0.5, 0.0, 1.0, 7.0]])  # padding is left out
    text = display.to_text()
    assert str(text) == "Puck in orbit\nstrongest: orbit +1, Puck -0.5"
    colours = {text.plain[span.start : span.end]: span.style for span in text.spans}
    red, white, blue = (colours[word].split("#")[1] for word in ("orbit", "in", "Puck"))
    as_rgb = [tuple(bytes.fromhex(colour)) for colour in (red, white, blue)]
    assert as_rgb[0][0] > as_rgb[0][2]
    assert min(as_rgb[1]) > 240
    assert as_rgb[2][2] > as_rgb[2][0]


def test_images_and_series_as_cells():
    values = np.zeros((1, 1, 64, 64))
    values[0, 0, :32], values[0, 0, 32:, :32] = 1.0, -0.5
    rows = str(AttributionDisplay(values, values).to_text()).split("\n")
    assert len(rows) == 32  # means over 2 by 2 pixels
    assert rows[0] == "++" * 32
    assert rows[-1].rstrip() == ("- " * 16).rstrip()
    series = np.repeat([[[1.0, 0.0, -1.0]]], 100, axis=2)
    rows = str(AttributionDisplay(series, series, channel_names=["II"]).to_text()).split("\n")
    assert rows[0].startswith("II ++++")
    assert rows[0].endswith("----")


def test_print_text_goes_to_a_console(capsys):
    display = AttributionDisplay([["puck"]], [[1.0]])
    display.print_text()
    assert capsys.readouterr().out.startswith("puck")
    console = Console(force_terminal=True, color_system="truecolor", record=True, width=60)
    display.print_text(console)
    assert "\x1b[" in console.export_text(styles=True)


# --- where it is drawn


def test_given_axes(fit, images):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3)
    net = fit(images)
    one = AttributionDisplay.from_estimator(net, images, n_samples=1, ax=axes[0])
    assert one.axes_.tolist() == [axes[0]]
    assert one.figure_ is figure
    two = AttributionDisplay.from_estimator(net, images, n_samples=2, ax=axes[1:])
    assert two.axes_.tolist() == list(axes[1:])
    with pytest.raises(ValueError, match="ax holds 1 Axes, but there are 5 samples"):
        AttributionDisplay.from_estimator(net, images, ax=axes[0])


def test_words_fit_into_given_axes(texts):
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(2, 3))
    display = AttributionDisplay.from_estimator(texts, TEXTS, n_samples=1, ax=ax)
    assert max(patch.get_bbox().x1 for patch in display.axes_[0].patches) <= ax.get_xlim()[1]


# --- what is refused


def test_the_estimator_is_not_changed(fit, images):
    net = fit(images)
    before = [parameter.detach().clone() for parameter in net.module_.parameters()]
    state = torch.get_rng_state()
    AttributionDisplay.from_estimator(net, images)
    assert all(torch.equal(a, b) for a, b in zip(before, net.module_.parameters(), strict=True))
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("samples", "attributions", "options", "words"),
    [
        (np.zeros((2, 4, 3, 3)), np.zeros((2, 4, 3, 3)), {}, "AttributionDisplay shows images"),
        (np.zeros((2, 1, 1, 3, 3)), np.zeros((2, 1, 1, 3, 3)), {}, "AttributionDisplay shows images"),
        (np.zeros((0, 5)), np.zeros((0, 5)), {}, "at least one sample"),
        (np.zeros(5), np.zeros(5), {}, "AttributionDisplay shows images"),
        (np.zeros((2, 5)), np.zeros((2, 4)), {}, r"attributions has shape \(2, 4\), but samples \(2, 5\)"),
        (np.zeros((2, 5)), np.full((2, 5), np.nan), {}, "attributions holds NaN"),
        (np.full((2, 5), np.inf), np.zeros((2, 5)), {}, "samples holds NaN or infinity"),
        (np.zeros((51, 5)), np.zeros((51, 5)), {}, "n_samples=51 cannot be shown"),
        (np.zeros((2, 5)), np.zeros((2, 5)), {"titles": ["a"]}, "inconsistent numbers of samples"),
        (np.zeros((2, 5)), np.zeros((2, 5)), {"sampling_rate": 1.0}, "sampling_rate= is for series"),
        (np.zeros((2, 5)), np.zeros((2, 5)), {"channel_names": ["I"]}, "channel_names= is for series"),
        (np.zeros((2, 1, 5)), np.zeros((2, 1, 5)), {"feature_names": ["I"]}, "feature_names= is for rows of a table"),
        (np.zeros((2, 1, 5)), np.zeros((2, 1, 5)), {"channel_names": ["I", "V"]}, "Got 2 channel_names"),
        ([["a", "b"]], [[1.0]], {}, "attributions has shape"),
    ],
)
def test_parameters_that_do_not_fit(samples, attributions, options, words):
    with pytest.raises(ValueError, match=words):
        AttributionDisplay(samples, attributions, **options)


def test_not_fitted(images):
    net = ABAClassifier(nn.Sequential(nn.Flatten(), nn.Linear(16, 3)))
    with pytest.raises(NotFittedError):
        AttributionDisplay.from_estimator(net, images)
    with pytest.raises(TypeError, match="Got a Linear, which is not a fitted skaba estimator"):
        AttributionDisplay.from_estimator(nn.Linear(2, 2), images)


def test_a_hidden_layer_cannot_be_shown(fit, images):
    with pytest.raises(ValueError, match="layer='1', a Linear, which cannot be shown"):
        AttributionDisplay.from_estimator(fit(images, layer="1"), images)
