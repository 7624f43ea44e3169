import numpy as np
import pytest

from skaba.evaluation import Comparison
from skaba.plotting import ComparisonDisplay

SCORES = {"worse": [0.5, 0.6, 0.4], "plain": [0.6, 0.7, 0.8], "better": [0.9, 0.8, 0.9]}
INTERVALS = {"better": (0.05, 0.3), "worse": (-0.4, -0.1)}
DIFFERENCES = {"worse": [-0.1, -0.1, -0.4], "better": [0.3, 0.1, 0.1]}


def display(**parameters):
    return ComparisonDisplay(SCORES, **{"reference": "plain", "intervals": INTERVALS, **parameters})


def test_one_row_per_method_in_the_order_given():
    ax = display().plot().ax_
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["worse", "better"]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]


def test_dots_are_the_paired_differences_and_the_mark_is_their_mean():
    shown = display().plot()
    dots, marks = shown.ax_.lines[0:4:2], shown.ax_.lines[1:4:2]
    for row, (name, differences) in enumerate(DIFFERENCES.items()):
        np.testing.assert_allclose(shown.differences_[name], differences)
        np.testing.assert_allclose(dots[row].get_xdata(), differences)
        assert np.abs(dots[row].get_ydata() - row).max() < 0.5
        np.testing.assert_allclose(marks[row].get_xdata(), np.mean(differences))
        np.testing.assert_allclose(marks[row].get_ydata(), row)


def test_bars_are_the_given_intervals():
    segments = [lines.get_segments()[0] for lines in display().plot().ax_.collections]
    for row, (name, segment) in enumerate(zip(DIFFERENCES, segments, strict=True)):
        np.testing.assert_allclose(segment, [(INTERVALS[name][0], row), (INTERVALS[name][1], row)])


def test_the_line_at_0_has_the_name_of_the_reference_and_scores_are_at_the_right():
    ax = display(score_name="hits").plot().ax_
    np.testing.assert_array_equal(ax.lines[-1].get_xdata(), [0, 0])
    right, top = ax.child_axes
    assert [tick.get_text() for tick in right.get_yticklabels()] == ["0.500", "0.867"]
    assert right.get_ylabel() == "mean hits"
    np.testing.assert_array_equal(top.get_xticks(), [0])
    assert top.get_xticklabels()[0].get_text() == "plain (0.700)"
    assert "difference to plain in hits" in ax.get_xlabel()
    assert "3 pairs" in ax.get_xlabel()


def test_percentages_have_two_decimals():
    ax = ComparisonDisplay({"a": [81.234], "b": [80.0]}, reference="b", intervals={"a": (1, 1.5)}).plot().ax_
    assert ax.child_axes[0].get_yticklabels()[0].get_text() == "81.23"


def test_given_axes_and_an_interval_of_the_reference():
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    shown = display(intervals={**INTERVALS, "plain": (0, 0)}).plot(ax)
    assert shown.ax_ is ax
    assert shown.figure_ is ax.figure
    assert list(shown.differences_) == ["worse", "better"]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"reference": "none"}, "'none' has no scores; known: worse, plain, better"),
        ({"intervals": {"worse": (0, 1)}}, r"missing: \['better'\]"),
        ({"intervals": {**INTERVALS, "other": (0, 1)}}, r"unknown: \['other'\]"),
        ({"intervals": {**INTERVALS, "better": (0.3, 0.1)}}, "'better' must be a finite low and high end"),
        ({"intervals": {**INTERVALS, "better": (0.3, np.inf)}}, "'better' must be a finite"),
        ({"intervals": {**INTERVALS, "better": (0.1,)}}, "'better' must be"),
    ],
)
def test_errors_of_reference_and_intervals(parameters, message):
    with pytest.raises(ValueError, match=message):
        display(**parameters)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({}, "scores is empty"),
        ({"plain": [0.5]}, "nothing to compare"),
        ({"plain": [0.5], "a": [0.5, 0.6]}, r"must be paired.*'plain': 1, 'a': 2"),
        ({"plain": [0.5], "a": [np.nan]}, "method 'a' must be finite"),
    ],
)
def test_errors_of_scores(scores, message):
    with pytest.raises(ValueError, match=message):
        ComparisonDisplay(scores, reference="plain", intervals={})


def test_results_are_drawn_with_one_dot_per_seed():
    scores = {name: np.repeat(values, 2) + [-0.01, 0.01] * 3 for name, values in SCORES.items()}
    results = Comparison(scores, reference="plain", n_folds=2, score_name="hits")
    shown = ComparisonDisplay.from_results(results)
    assert list(shown.differences_) == ["worse", "better"]
    for name, differences in results.differences().items():
        np.testing.assert_allclose(shown.differences_[name], differences)
    assert shown.intervals == results.intervals()
    assert "3 pairs" in shown.ax_.get_xlabel()
    assert shown.score_name == "hits"


def test_results_without_methods_whose_fits_failed():
    scores = {name: np.array(values) for name, values in SCORES.items()}
    scores["worse"][0] = np.nan
    results = Comparison(scores, reference="plain", n_folds=1, failures={"worse": "1 of 3 fits failed"})
    assert list(ComparisonDisplay.from_results(results).differences_) == ["better"]


def test_results_that_have_no_differences():
    failed = {name: np.full(3, np.nan) for name in SCORES}
    results = Comparison(failed, reference="plain", n_folds=1, failures={"plain": "3 of 3 fits failed"})
    with pytest.raises(ValueError, match="no differences to plot: plain: 3 of 3 fits failed"):
        ComparisonDisplay.from_results(results)
    with pytest.raises(ValueError, match="no differences to plot: give another method too"):
        ComparisonDisplay.from_results(Comparison({"plain": np.ones(3)}, reference="plain", n_folds=1))
