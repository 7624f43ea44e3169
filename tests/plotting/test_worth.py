import numpy as np
import pytest
from matplotlib.colors import to_hex

from skaba.evaluation import Comparison, Worth
from skaba.plotting import WorthDisplay
from skaba.plotting._worth import STYLES

GROUPS = {"plain": "plain", "SVM": "outsiders", "ABA": "ABA", "mixup": "free rivals", "random map": "ABA"}
SCORES = {
    "plain": [0.5, 0.6, 0.4],
    "SVM": [0.5, 0.59, 0.42],
    "ABA": [0.7, 0.79, 0.61],
    "mixup": [0.52, 0.58, 0.41],
    "random map": [0.5, 0.6, 0.4],
}


def found(score_name="accuracy", advice="Do this.", **scores):
    every = {name: np.array(values) for name, values in {**SCORES, **scores}.items()}
    failures = {name: "it broke" for name, values in every.items() if np.isnan(values).any()}
    comparison = Comparison(every, "plain", 1, score_name=score_name, failures=failures, test_ratio=1 / 3)
    return Worth(comparison, GROUPS, advice)


def test_rows_are_grouped_and_named():
    shown = WorthDisplay.from_results(found())
    assert shown.methods_ == ["mixup", "ABA", "random map", "SVM"]
    assert [tick.get_text() for tick in shown.ax_.get_yticklabels()] == shown.methods_
    assert shown.ax_.get_ylim()[0] > shown.ax_.get_ylim()[1]
    assert [text.get_text() for text in shown.ax_.get_legend().get_texts()] == ["free rivals", "ABA", "outsiders"]


def test_marks_are_mean_gains_in_points_and_filled_where_the_interval_excludes_0():
    results = found()
    shown = WorthDisplay.from_results(results)
    marks = shown.ax_.lines[2:9:2]
    for row, (mark, name) in enumerate(zip(marks, shown.methods_, strict=True)):
        gain = 100 * (np.mean(SCORES[name]) - np.mean(SCORES["plain"]))
        np.testing.assert_allclose((mark.get_xdata()[0], mark.get_ydata()[0]), (gain, row))
        colour, marker = STYLES[GROUPS[name]]
        assert (to_hex(mark.get_color()).upper(), mark.get_marker()) == (colour, marker)
        assert (mark.get_markerfacecolor() != "white") == (name == "ABA")
    for bar, name in zip(shown.ax_.lines[1:8:2], shown.methods_, strict=True):
        np.testing.assert_allclose(bar.get_xdata(), 100 * np.array(results.comparison.intervals()[name]))


def test_the_advice_is_the_title_and_scores_are_at_the_right():
    shown = WorthDisplay.from_results(found(advice="Do this. " * 30))
    title = shown.ax_.get_title(loc="left")
    assert " ".join(title.split()) == ("Do this. " * 30).strip()
    assert max(map(len, title.splitlines())) <= 78
    right = shown.ax_.child_axes[0]
    assert [tick.get_text() for tick in right.get_yticklabels()] == ["50.3", "70.0", "50.0", "50.3"]
    assert "plain 50.0" in shown.ax_.get_xlabel()
    assert "3 random splits" in shown.ax_.get_xlabel()


def test_an_outsider_far_below_is_written_at_the_edge():
    shown = WorthDisplay.from_results(found(SVM=[0.1, 0.2, 0.0]))
    edge = shown.ax_.get_xlim()[0]
    assert edge > -20
    assert [text.get_text().strip() for text in shown.ax_.texts] == ["< -40"]
    far_above = WorthDisplay.from_results(found(SVM=[0.9, 0.95, 0.8]))
    assert far_above.ax_.get_xlim()[1] > 40
    assert not far_above.ax_.texts


def test_other_scores_are_drawn_as_they_are():
    shown = WorthDisplay.from_results(found(score_name="R²"))
    np.testing.assert_allclose(shown.ax_.lines[4].get_xdata(), [0.2])
    assert "points" not in shown.ax_.get_xlabel()


def test_failed_methods_are_left_out_and_without_others_there_is_no_picture():
    assert WorthDisplay.from_results(found(ABA=[np.nan, 0.7, 0.7])).methods_ == ["mixup", "random map", "SVM"]
    with pytest.raises(ValueError, match=r"no method to compare with plain training\. plain: it broke"):
        WorthDisplay(found(plain=[np.nan, 0.5, 0.5]))


def test_given_axes():
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    assert WorthDisplay.from_results(found(), ax=ax).ax_ is ax
