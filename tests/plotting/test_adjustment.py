import numpy as np
import pytest

from skaba.augmenters import ADJUSTMENTS, AdjustmentSet
from skaba.plotting import AdjustmentDisplay

SCORES = {index: np.random.default_rng(index).normal(0.5 + 0.01 * index, 0.02, 5) for index in range(27)}


def series(display):
    """Return x, means and half the bars of the points, by the legend's labels."""
    found = {}
    for bars in display.ax_.containers:
        line, _, (segments,) = bars.lines
        halves = [np.ptp(segment[:, 1]) / 2 for segment in segments.get_segments()]
        found[bars.get_label()] = (line.get_xdata(), line.get_ydata(orig=False), halves)
    return found


def test_each_point_is_the_mean_of_its_adjustment_with_its_deviation():
    display = AdjustmentDisplay(SCORES).plot()
    for name, (_, means, halves) in series(display).items():
        group = AdjustmentSet.group(name.lower()).adjustments
        np.testing.assert_allclose(means, [SCORES[index].mean() for index in group])
        np.testing.assert_allclose(halves, [SCORES[index].std() for index in group])
        assert display.group_means_[name.lower()] == pytest.approx(np.mean(means))
    assert list(series(display)) == ["Delta", "Neutral", "Epsilon"]


def test_ticks_are_the_triples_of_the_adjustments():
    display = AdjustmentDisplay(SCORES).plot()
    assert sorted(display.indices_) == list(range(27))
    labels = [tick.get_text() for tick in display.ax_.get_xticklabels()]
    signs = {"+": 1, "0": 0, "\N{MINUS SIGN}": -1}
    triples = [tuple(signs[sign] for sign in label.strip("()").split(",")) for label in labels]
    assert triples == [ADJUSTMENTS[index] for index in display.indices_]
    x = np.concatenate([places for places, *_ in series(display).values()])
    np.testing.assert_array_equal(display.ax_.get_xticks(), x)
    assert np.diff(x).tolist().count(2) == 2  # between groups; all others are 1 apart
    assert set(np.diff(x)) == {1, 2}


def test_lines_are_the_means_of_groups_and_plain_training():
    display = AdjustmentDisplay(SCORES).plot()
    segments = [segment for lines in display.ax_.collections for segment in lines.get_segments()]
    heights = [start[1] for start, end in segments if start[1] == end[1]]
    np.testing.assert_allclose(heights, list(display.group_means_.values()))
    (plain,) = [line for line in display.ax_.lines if line.get_label() == "plain training"]
    assert plain.get_linestyle() == "--"
    np.testing.assert_allclose(plain.get_ydata(), SCORES[0].mean())


def test_published_means_are_drawn_next_to_their_adjustments():
    published = {0: 0.4, 3: 0.6, 26: 0.7}
    display = AdjustmentDisplay(SCORES, published=published).plot()
    (line,) = [line for line in display.ax_.lines if line.get_label() == "published"]
    own = dict(zip(display.indices_, display.ax_.get_xticks(), strict=True))
    aside = line.get_xdata() - np.array([own[index] for index in published])
    assert 0 < aside[0] < 0.5
    np.testing.assert_allclose(aside, aside[0])
    np.testing.assert_array_equal(line.get_ydata(), list(published.values()))


def test_some_adjustments_may_be_missing():
    display = AdjustmentDisplay({3: [0.5, 0.6], 6: [0.7]}, published={4: 0.3}).plot()
    assert display.indices_ == [4, 3, 6]
    assert display.group_means_ == {"epsilon": pytest.approx(0.625)}
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert set(labels) == {"Epsilon", "published"}
    assert "1 to 2 scores" in display.ax_.get_legend().get_title().get_text()


def test_given_axes_and_score_name():
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    display = AdjustmentDisplay(SCORES, score_name="hits").plot(ax)
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert ax.get_ylabel() == "hits"


@pytest.mark.parametrize(
    ("scores", "published", "message"),
    [
        ({}, None, "scores is empty"),
        ({27: [0.5]}, None, r"no adjustments \[27\]"),
        ({"3": [0.5]}, None, r"no adjustments \['3'\]"),
        ({3: [0.5]}, {-1: 0.5}, r"no adjustments \[-1\]"),
        ({3: []}, None, "adjustment 3 must be finite numbers, at least one"),
        ({3: [0.5, np.nan]}, None, "adjustment 3 must be finite"),
        ({3: 0.5}, None, "adjustment 3 must be"),
        ({3: ["high"]}, None, "adjustment 3 must be finite numbers"),
        ({3: [0.5]}, {3: np.nan}, "published scores must be finite"),
    ],
)
def test_errors(scores, published, message):
    with pytest.raises(ValueError, match=message):
        AdjustmentDisplay(scores, published=published)


def test_scores_must_be_a_mapping():
    with pytest.raises(TypeError, match="mapping of each adjustment to its scores; got a list"):
        AdjustmentDisplay([0.5, 0.6])
