"""Occlusion scores against estimators that look at one place, and against samples covered by hand."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.linear_model import LogisticRegression
from skorch.exceptions import NotInitializedError

from skaba.evaluation.robustness import occlusion_scores
from skaba.evaluation.robustness._occlusion import default_size


class Looks(BaseEstimator):
    """Says 1 where one feature is above 0.5, and remembers what it was asked about."""

    def __init__(self, place: tuple[int, ...] = (0,)) -> None:
        self.place = place

    def score(self, X: Any, y: Any) -> float:
        self.seen_ = [*getattr(self, "seen_", []), X]
        return float(np.mean((X[(slice(None), *self.place)] > 0.5) == y))


def samples(*shape: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """40 samples, of which the second half is 1 everywhere, the first half 0."""
    y = np.arange(40) >= 20
    return np.ones((40, *shape)) * y.reshape(-1, *[1] * len(shape)), y


def test_the_score_falls_where_the_square_covers_what_is_looked_at() -> None:
    X, y = samples(2, 6, 8)
    scores = occlusion_scores(Looks((1, 5, 2)), X, y, size=2, fill=0)
    expected = np.ones((3, 4))
    expected[2, 1] = 0.5
    np.testing.assert_array_equal(scores, expected)


@pytest.mark.parametrize(
    ("shape", "place"), [((7,), (3,)), ((2, 7), (1, 3))], ids=["columns of a table", "times of a series"]
)
def test_segments_of_the_last_axis(shape: Any, place: Any) -> None:
    """They start at 0, 3, and 4, so that the end is covered too; feature 3 is in the second alone."""
    X, y = samples(*shape)
    np.testing.assert_array_equal(occlusion_scores(Looks(place), X, y, size=3, fill=0), [1, 0.5, 1])


def test_a_square_of_its_own_size_and_stride_along_each_axis() -> None:
    X, y = samples(1, 4, 9)
    scores = occlusion_scores(Looks((0, 1, 4)), X, y, size=(2, 3), stride=(1, 2), fill=0)
    # Rows start at 0, 1, 2, columns at 0, 2, 4, 6: row 1 is in the first two, column 4 in the second and third.
    np.testing.assert_array_equal(scores == 0.5, np.outer([1, 1, 0], [0, 1, 1, 0]).astype(bool))


def test_equals_samples_covered_by_hand() -> None:
    rng = np.random.default_rng(0)
    X, y = rng.random((30, 2, 5, 5)), np.arange(30) % 2
    watched = Looks((0, 0, 0))
    kept = X.copy()
    occlusion_scores(watched, X, y, size=3)
    np.testing.assert_array_equal(X, kept)
    assert len(watched.seen_) == 4
    corners = [(0, 0), (0, 2), (2, 0), (2, 2)]
    for (row, column), seen in zip(corners, watched.seen_, strict=True):
        for i, j in np.ndindex(5, 5):
            covered = row <= i < row + 3 and column <= j < column + 3
            expected = np.broadcast_to(X[:, :, i, j].mean(axis=0), (30, 2)) if covered else X[:, :, i, j]
            np.testing.assert_allclose(seen[:, :, i, j], expected)


def test_what_fills_the_square() -> None:
    X, y = samples(2, 4)
    lead = np.array([[0.2], [0.9]])
    watched = Looks((0, 0))
    occlusion_scores(watched, X, y, size=4, fill=lead)
    np.testing.assert_array_equal(watched.seen_[0], np.broadcast_to(lead, X.shape))


def test_a_square_that_covers_everything_leaves_chance(table: Any) -> None:
    X, y = table
    clf = LogisticRegression().fit(X, y)
    assert occlusion_scores(clf, X, y, size=4).tolist() == [pytest.approx(1 / 3)]


def test_words_of_texts(texts: Any, text_classifier: Any) -> None:
    """Covered words are padding."""
    ids, y = texts
    net = text_classifier().fit(ids, y)
    scores = occlusion_scores(net, ids, y, size=2, stride=2, fill=0)
    shortened = ids.copy()
    shortened[:, 2:4] = 0
    assert scores.shape == (4,)
    assert scores[1] == net.score(shortened, y)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1, 28, 28), (7, 7)),
        ((3, 32, 30), (8, 8)),
        ((12, 1000), (63,)),
        ((30,), (2,)),
        ((4,), (1,)),
        ((1, 1, 1), (1, 1)),
    ],
)
def test_by_default_a_square_has_about_16_places(shape: Any, size: Any) -> None:
    assert default_size(shape) == size


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size=0"),
        ({"size": 2.0}, "size=2.0"),
        ({"size": (2, 2)}, "one for each of the axes"),
        ({"size": 5}, "larger than the samples"),
        ({"size": 2, "stride": 0}, "stride=0"),
        ({"size": 2, "fill": "zero"}, "must be 'mean'"),
        ({"size": 2, "fill": np.nan}, "finite"),
        ({"size": 2, "fill": None}, "fill=None"),
        ({"size": 2, "fill": np.zeros(3)}, "do not broadcast"),
    ],
)
def test_what_is_refused(table: Any, arguments: dict[str, Any], message: str) -> None:
    clf = LogisticRegression().fit(*table)
    with pytest.raises(ValueError, match=message):
        occlusion_scores(clf, *table, **arguments)


@pytest.mark.parametrize(
    ("fill", "message"),
    [("mean", "id of padding"), (0.5, "fill=0.5 is not such"), (-1, "fill=-1 is not such")],
)
def test_word_ids_are_not_filled_with_what_is_none(texts: Any, text_classifier: Any, fill: Any, message: str) -> None:
    net = text_classifier(max_epochs=1).fit(*texts)
    with pytest.raises(ValueError, match=message):
        occlusion_scores(net, texts[0].astype(np.uint8), texts[1], size=1, fill=fill)


def test_what_is_no_fitted_estimator_or_no_array_is_refused(table: Any, classifier: Any) -> None:
    with pytest.raises(NotInitializedError):
        occlusion_scores(classifier(), *table, size=1)
    with pytest.raises(TypeError, match="X is a dict"):
        occlusion_scores(LogisticRegression().fit(*table), {"X": table[0]}, table[1], size=1)
