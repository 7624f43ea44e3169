import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skaba.augmenters import AdjustmentSet, GaussianNoise, fast_aba, mend_aba
from skaba.plotting import StrengthDisplay


class Scored(ClassifierMixin, BaseEstimator):
    """A classifier whose score depends on its parameters only, so that a search needs no training."""

    def __init__(self, strength=0.1, augmenter="mend_aba", lr=0.0):
        self.strength = strength
        self.augmenter = augmenter
        self.lr = lr

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def score(self, X, y):
        return self.strength / 10 + self.lr + X[0, 0] / 100


def search(grid, estimator=None, **parameters):
    X, y = np.arange(6.0).reshape(6, 1), np.array([0, 1] * 3)
    return GridSearchCV(estimator or Scored(), grid, cv=3, refit=False, **parameters).fit(X, y)


def test_one_line_per_augmenter_with_mean_and_deviation():
    found = search({"strength": [1.0, 0.1], "augmenter": ["mend_aba", "fast_aba"]})
    display = StrengthDisplay.from_search(found)
    assert [line.get_label() for line in display.lines_] == ["mend_aba", "fast_aba"]
    for curve, line in zip(display.curves, display.lines_, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [0.1, 1.0])
        np.testing.assert_allclose(line.get_ydata(), sorted(found.cv_results_["mean_test_score"][:2]))
        np.testing.assert_allclose(curve.deviations[::-1], found.cv_results_["std_test_score"][:2])
    for curve, bars in zip(display.curves, display.ax_.containers, strict=True):
        heights = [np.ptp(segment[:, 1]) for segment in bars.lines[2][0].get_segments()]
        np.testing.assert_allclose(heights, 2 * curve.deviations)
        low, high = display.ax_.get_ylim()
        assert low < (curve.means - curve.deviations).min() < (curve.means + curve.deviations).max() < high
        left, right = display.ax_.get_xlim()
        assert left < curve.strengths.min() < curve.strengths.max() < right


def test_axes_and_legend():
    display = StrengthDisplay.from_search(search({"strength": [0.1, 0.2, 1.0]}))
    assert display.ax_.get_xscale() == "log"
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["0.1", "0.2", "1"]
    assert "strength" in display.ax_.get_xlabel()
    assert display.ax_.get_ylabel() == "score"
    assert "3 folds" in display.ax_.get_legend().get_title().get_text()
    assert display.figure_ is display.ax_.figure


@pytest.mark.parametrize(
    ("strengths", "scale"), [([0.2, 0.3], "linear"), ([0.0, 0.1, 1.0], "symlog"), ([0.0], "linear")]
)
def test_scale(strengths, scale):
    assert StrengthDisplay.from_search(search({"strength": strengths})).ax_.get_xscale() == scale


def test_matplotlib_chooses_the_ticks_of_many_strengths():
    display = StrengthDisplay.from_search(search({"strength": list(np.geomspace(0.01, 1, 30))}))
    assert len(display.ax_.get_xticks()) < 15


def test_plain_training_is_a_horizontal_line():
    grids = [{"augmenter": [None], "strength": [0.0]}, {"augmenter": ["fast_aba"], "strength": [0.1, 1.0]}]
    display = StrengthDisplay.from_search(search(grids), labels={"fast_aba": "FastABA"})
    assert [line.get_label() for line in display.lines_] == ["no augmentation", "FastABA"]
    assert len(set(display.lines_[0].get_ydata())) == 1
    assert display.ax_.get_xscale() == "log"


def test_several_searches_are_pooled():
    found = search({"strength": [0.1, 1.0]})
    display = StrengthDisplay.from_search([found, found])
    assert display.curves[0].n_scores == 6
    np.testing.assert_allclose(display.curves[0].means, found.cv_results_["mean_test_score"])


def test_other_parameters_show_their_best():
    display = StrengthDisplay.from_search(search({"strength": [0.1, 1.0], "lr": [0.0, 0.5, 0.2]}))
    np.testing.assert_allclose(display.curves[0].means, [0.53, 0.62])


def test_pipelines_and_augmenter_objects():
    pipeline = Pipeline([("net", Scored(augmenter=mend_aba()))])
    display = StrengthDisplay.from_search(search({"net__strength": [0.1, 1.0]}, pipeline))
    assert display.lines_[0].get_label() == "mend_aba"


def test_two_augmenters_of_one_class_have_different_names():
    augmenters = [mend_aba(), mend_aba(k=6), GaussianNoise()]
    display = StrengthDisplay.from_search(
        search({"strength": [0.1, 1.0], "augmenter": augmenters}), labels={"mend_aba(target__k=6)": "more classes"}
    )
    assert [line.get_label() for line in display.lines_] == ["mend_aba", "more classes", "GaussianNoise"]


def test_long_names_are_broken_into_lines():
    augmenter = fast_aba(adjustments=AdjustmentSet(range(27)))
    display = StrengthDisplay.from_search(search({"strength": [0.1, 1.0], "augmenter": [augmenter]}))
    label = display.lines_[0].get_label()
    assert max(map(len, label.split("\n"))) <= 44
    assert " ".join(label.split()) == display.curves[0].label == f"fast_aba(adjustments={augmenter.adjustments})"


def test_score_names_and_given_axes():
    import matplotlib.pyplot as plt

    _, ax = plt.subplots()
    found = search({"strength": [0.1, 1.0]})
    found.scoring = "accuracy"
    display = StrengthDisplay.from_search(found, ax=ax)
    assert display.ax_ is ax
    assert ax.get_ylabel() == "accuracy"
    assert StrengthDisplay.from_search(found, score_name="hits").ax_.get_ylabel() == "hits"


def test_errors():
    with pytest.raises(ValueError, match=r"did not vary strength, only \['lr'\]"):
        StrengthDisplay.from_search(search({"lr": [0.1]}))
    with pytest.raises(NotFittedError):
        StrengthDisplay.from_search(GridSearchCV(Scored(), {"strength": [0.1]}))


@pytest.mark.parametrize("search_", [Scored(), Scored().fit([[0]], [0]), [], "grid", [None]])
def test_only_searches_are_allowed(search_):
    with pytest.raises(TypeError, match="pass a fitted GridSearchCV"):
        StrengthDisplay.from_search(search_)


def test_refit_decides_which_of_several_metrics_is_drawn():
    scoring = {"high": lambda net, X, y: net.strength, "low": lambda net, X, y: -net.strength}
    found = search({"strength": [0.1, 1.0]}, scoring=scoring)
    with pytest.raises(ValueError, match="several metrics"):
        StrengthDisplay.from_search(found)
    found.refit = "low"
    display = StrengthDisplay.from_search(found)
    np.testing.assert_allclose(display.curves[0].means, [-0.1, -1.0])
    assert display.ax_.get_ylabel() == "low"


def test_fits_that_failed_are_not_drawn_as_the_best():
    found = search({"strength": [0.1, 1.0], "lr": [0.0, 0.5]})
    found.cv_results_["split0_test_score"][0] = np.nan
    with pytest.raises(ValueError, match=r"1 of the search's 12 fits.*error_score='raise'"):
        StrengthDisplay.from_search(found)


def test_strengths_must_be_numbers():
    found = search({"strength": [0.1, 1.0]})
    found.cv_results_["params"][1]["strength"] = "auto"
    with pytest.raises(ValueError, match="varied strength over 'auto'"):
        StrengthDisplay.from_search(found)
