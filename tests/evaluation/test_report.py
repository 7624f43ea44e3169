"""The report's rows are what the functions behind them return, as far as they apply."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC
from torch import nn

from skaba import ABAMultiLabelClassifier, ABARegressor
from skaba.augmenters import GaussianNoise, fgsm
from skaba.evaluation import Report, report
from skaba.evaluation.calibration import brier_score, expected_calibration_error
from skaba.evaluation.robustness import (
    PGD,
    GaussianCorruption,
    ImpulseCorruption,
    ShotCorruption,
    occlusion_scores,
    score_under_attack,
    score_under_corruption,
)
from tests.evaluation.conftest import SETTINGS, table_net

CLEAN = [("accuracy", ""), ("expected calibration error", ""), ("Brier score", "")]
NOISES = ["Gaussian noise", "shot noise", "impulse noise"]


def value(found: Report, measure: str, under: str = "", level: str = "") -> float:
    (row,) = [row for row in found.rows if (row["measure"], row["under"], row["level"]) == (measure, under, level)]
    return float(row["value"])


def kinds(found: Report) -> list[tuple[str, str]]:
    """What was measured, each once, in order."""
    return list(dict.fromkeys((row["measure"], row["under"]) for row in found.rows))


def test_of_a_classifier_all_by_default(table: Any, classifier: Any) -> None:
    X, y = table
    names = np.array(["c", "a", "b"])[y]
    net = classifier(strength=0.3).fit(X, names)
    found = report(net, X, names, random_state=5)
    under = ["FGSM", "PGD", *NOISES, "occlusion"]
    assert kinds(found) == [*CLEAN, *(("accuracy", name) for name in under)]
    assert len(found.rows) == 3 + 2 + 3 * 6 + 2
    assert value(found, "accuracy") == net.score(X, names)
    columns, p = np.searchsorted(net.classes_, names), net.predict_proba(X)
    assert value(found, "expected calibration error") == expected_calibration_error(columns, p)
    assert value(found, "Brier score") == brier_score(columns, p)
    for name, attack in (("FGSM", fgsm()), ("PGD", PGD())):
        assert value(found, "accuracy", name, "strength 0.3") == score_under_attack(net, X, names, attack, 0.3)
    bounds = X.min(axis=0), X.max(axis=0)
    for name, noise in zip(NOISES, (GaussianCorruption, ShotCorruption, ImpulseCorruption), strict=True):
        scores = [
            score_under_corruption(net, X, names, noise(bounds), severity, random_state=5) for severity in range(1, 6)
        ]
        assert [value(found, "accuracy", name, f"severity {at}") for at in range(1, 6)] == scores
        assert value(found, "accuracy", name, "mean of severities 1 to 5") == np.mean(scores)
    places = occlusion_scores(net, X, names, size=1)
    assert value(found, "accuracy", "occlusion", "mean of 4 places") == places.mean()
    assert value(found, "accuracy", "occlusion", "lowest of 4 places") == places.min()
    assert found.notes == ["Noise stays between the lowest and the highest value of each column of X."]


def test_prints_as_markdown(table: Any, classifier: Any) -> None:
    found = report(classifier().fit(*table), *table, attacks={"a|b": (fgsm(), 0.25)})
    lines = str(found).split("\n")
    assert lines[:2] == ["| measure | under | level | value |", "|---|---|---|---|"]
    assert lines[2] == f"| accuracy | | | {value(found, 'accuracy'):.3f} |"
    assert lines[5] == rf"| accuracy | a\|b | strength 0.25 | {value(found, 'accuracy', 'a|b', 'strength 0.25'):.3f} |"
    assert lines[len(found.rows) + 2 :] == ["", *found.notes]
    assert found.table() == str(found)


def test_what_is_chosen_is_what_is_measured(table: Any, classifier: Any) -> None:
    X, y = table
    net = classifier().fit(X, y)
    noise = GaussianCorruption(bounds=None, scale=X.std())
    found = report(net, X, y, attacks={"noise": (GaussianNoise(), 0.5)}, corruptions={"soft": noise}, occlusion_size=2)
    assert kinds(found) == [*CLEAN, ("accuracy", "noise"), ("accuracy", "soft"), ("accuracy", "occlusion")]
    assert value(found, "accuracy", "soft", "severity 3") == score_under_corruption(net, X, y, noise, 3)
    assert value(found, "accuracy", "occlusion", "mean of 2 places") == occlusion_scores(net, X, y, size=2).mean()
    assert found.notes == []
    wide = report(net, X, y, attacks={}, bounds=(-10, 10))
    expected = score_under_corruption(net, X, y, ShotCorruption((-10, 10)), 2)
    assert value(wide, "accuracy", "shot noise", "severity 2") == expected
    assert wide.notes == []


def test_noise_in_images_and_series_keeps_to_one_range(table: Any, classifier: Any) -> None:
    X, y = table
    series = X.reshape(60, 1, 4)
    net = classifier(module=_flat).fit(series, y)
    found = report(net, series, y, attacks={})
    assert found.notes == [
        f"Noise stays between the lowest and the highest value of X, {X.min():.4g} and {X.max():.4g}."
    ]
    noise = ImpulseCorruption((float(X.min()), float(X.max())))
    assert value(found, "accuracy", "impulse noise", "severity 4") == score_under_corruption(net, series, y, noise, 4)


def _flat() -> Any:
    return nn.Sequential(nn.Flatten(), table_net())


def test_of_several_labels_calibration_is_averaged_over_them(table: Any) -> None:
    X, y = table
    labels = np.column_stack([y > 0, y == 1]).astype(np.float32)
    net = ABAMultiLabelClassifier(table_net, module__n_outputs=2, random_state=0, **SETTINGS).fit(X, labels)
    found = report(net, X, labels)
    assert kinds(found)[:4] == [("macro AUC", ""), *CLEAN[1:], ("macro AUC", "FGSM")]
    pairs = [(labels[:, i].astype(int), np.column_stack([1 - p, p])) for i, p in enumerate(net.predict_proba(X).T)]
    expected = np.mean([expected_calibration_error(*pair) for pair in pairs])
    assert value(found, "expected calibration error") == pytest.approx(expected)
    assert value(found, "Brier score") == pytest.approx(np.mean([brier_score(*pair) for pair in pairs]))


def test_of_a_regressor_there_is_no_calibration(table: Any) -> None:
    X, y = table[0], table[1].astype(np.float32)
    net = ABARegressor(table_net, module__n_outputs=1, random_state=0, **SETTINGS).fit(X, y)
    assert kinds(report(net, X, y)) == [("R²", under) for under in ("", "FGSM", "PGD", *NOISES, "occlusion")]
    assert report(LinearRegression().fit(X, y), X, y).rows[0]["measure"] == "R²"


def test_of_texts_what_applies_at_the_embedding(texts: Any, text_classifier: Any) -> None:
    net = text_classifier(strength=0.2).fit(*texts)
    found = report(net, *texts)
    assert kinds(found) == [*CLEAN, ("accuracy", "FGSM"), ("accuracy", "PGD")]
    assert [note.split(":")[0] for note in found.notes] == ["No noise", "No occlusion"]
    noisy = report(net, *texts, attacks={"Gaussian noise": (GaussianNoise(), 0.5)})
    assert kinds(noisy)[-1] == ("accuracy", "Gaussian noise")


def test_other_estimators_are_not_attacked(table: Any) -> None:
    forest = RandomForestClassifier(n_estimators=5, random_state=0).fit(*table)
    found = report(forest, *table)
    assert kinds(found) == [*CLEAN, *(("accuracy", name) for name in (*NOISES, "occlusion"))]
    assert found.notes[0].startswith("No attacks")
    assert report(LinearSVC().fit(*table), *table).notes[0] == "No calibration: the estimator has no predict_proba."


def test_of_a_search_its_best_estimator(table: Any, classifier: Any) -> None:
    pipeline = make_pipeline(StandardScaler(), classifier(max_epochs=1))
    search = GridSearchCV(pipeline, {"abaclassifier__strength": [0.1]}, cv=2, scoring="neg_log_loss").fit(*table)
    found, expected = report(search, *table), report(search.best_estimator_, *table)
    assert found.rows == expected.rows
    assert value(found, "accuracy") == search.best_estimator_.score(*table)


def test_pgd_is_at_least_as_strong_as_fgsm_and_the_estimator_is_left_as_it_was(table: Any, classifier: Any) -> None:
    net = classifier(strength=1.0).fit(*table)
    attributes = dict(vars(net))
    found = report(net, *table)
    clean, weak, strong = (value(found, "accuracy", *at) for at in ((), ("FGSM", "strength 1"), ("PGD", "strength 1")))
    assert strong <= weak < clean
    assert vars(net) == attributes


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"attacks": {"FGSM": fgsm()}}, ValueError, "must be .attack, strength."),
        ({"attacks": "fgsm"}, TypeError, "must map names"),
        ({"corruptions": ShotCorruption()}, TypeError, "must map names"),
        ({"corruptions": {"shot": ShotCorruption}}, ValueError, "must be an instance"),
        (
            {"corruptions": {"shot": ShotCorruption()}, "bounds": (0, 1)},
            ValueError,
            "to the given corruptions",
        ),
        ({"bounds": (1, 0)}, ValueError, "low < high"),
        ({"bounds": (0, 0.1)}, ValueError, "outside bounds"),
        ({"bounds": (-np.inf, np.inf)}, ValueError, "must be finite"),
        ({"occlusion_size": 5}, ValueError, "larger than the samples"),
        ({"random_state": None}, ValueError, "'random_state' parameter of report .* Got None"),
    ],
)
def test_what_is_refused_before_any_work(table: Any, arguments: Any, error: Any, message: str) -> None:
    class Unasked(LinearRegression):  # type: ignore[misc]
        def predict(self, X: Any) -> Any:
            raise AssertionError("there was work before the check")

    with pytest.raises(error, match=message):
        report(Unasked().fit(*table), *table, **arguments)


def test_what_cannot_be_attacked_or_changed_is_refused_where_it_is_asked_for(
    table: Any, texts: Any, classifier: Any, text_classifier: Any
) -> None:
    with pytest.raises(TypeError, match="not a fitted skaba estimator"):
        report(LinearRegression().fit(*table), *table, attacks={"FGSM": (fgsm(), 0.1)})
    with pytest.raises(ValueError, match="strength=0"):
        report(classifier(strength=0).fit(*table), *table)
    net = text_classifier(max_epochs=1).fit(*texts)
    for arguments in ({"bounds": (0, 1)}, {"corruptions": {"shot": ShotCorruption()}}, {"occlusion_size": 2}):
        with pytest.raises(ValueError, match="int64 values"):
            report(net, *texts, **arguments)


class WordCounts(nn.Module):
    """Reads word ids at its input; of two inputs, their sum."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.EmbeddingBag(12, 3)

    def forward(self, X: Any = None, a: Any = None, b: Any = None) -> Any:
        return self.embedding(X) if a is None else a[:, :3] + b[:, :3] * self.embedding.weight[0]


def test_word_ids_without_a_layer_and_several_inputs_are_not_attacked(table: Any, texts: Any, classifier: Any) -> None:
    for X, y in (texts, ({"a": table[0], "b": table[0]}, table[1])):
        found = report(classifier(module=WordCounts, augmenter=None).fit(X, y), X, y)
        assert kinds(found) == CLEAN
        assert [note.split(":")[0] for note in found.notes] == ["No attacks", "No noise", "No occlusion"]


def test_where_nothing_varies_there_is_no_noise(table: Any) -> None:
    X, y = table
    forest = RandomForestClassifier(n_estimators=5, random_state=0).fit(X, y)
    for still in (X[:1], np.ones_like(X)):
        found = report(forest, still, y[: len(still)], occlusion_size=2)
        assert kinds(found) == [*CLEAN, ("accuracy", "occlusion")]
        assert found.notes[1].startswith("No noise: X does not vary")
    images = np.ones((4, 1, 2, 2), dtype=np.float32)
    flat = make_pipeline(FunctionTransformer(lambda values: values.reshape(len(values), -1)), forest)
    assert any(note.startswith("No noise: X does not vary") for note in report(flat, images, y[:4]).notes)


def test_lengths_are_checked_first(table: Any) -> None:
    X, y = table
    forest = RandomForestClassifier(n_estimators=5, random_state=0).fit(X, y)
    for samples in (X, list(X), X.tolist(), pd.DataFrame(X), sparse.csr_array(X)):
        with pytest.raises(ValueError, match=r"has 60 samples.*but y has 59"):
            report(forest, samples, y[:-1])
    assert value(report(forest, X.tolist(), y), "accuracy") == forest.score(X, y)


def test_the_frame_holds_the_rows(table: Any) -> None:
    found = report(LogisticRegression().fit(*table), *table)
    assert found.to_frame().to_dict("records") == found.rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": None}, "y=None: a report needs samples with their targets"),
        ({"X": None}, "X=None: a report needs samples with their targets"),
        ({"y": 3}, "one target per sample"),
        ({"y": np.full(60, np.nan)}, "NaN"),
        ({"y": np.full(60, 9)}, "not seen in fit"),
        ({"y": np.array(["0", "1", "2"] * 20)}, "not seen in fit|another type"),
        ({"y": np.eye(3)[np.arange(60) % 3]}, r"y has shape \(60, 3\).*y\.argmax\(1\)"),
    ],
)
def test_targets_that_are_none_are_refused_before_any_work(
    table: Any, classifier: Any, change: dict[str, Any], message: str
) -> None:
    given = {"X": table[0], "y": table[1], **change}
    with pytest.raises(ValueError, match=message):
        report(classifier(max_epochs=1).fit(*table), **given)


def test_targets_of_another_task_are_refused(table: Any) -> None:
    X = table[0]
    parameters: dict[str, Any] = {"max_epochs": 1, "verbose": 0, "module__n_outputs": 3}
    labels = ABAMultiLabelClassifier(table_net, **parameters).fit(X, (X[:, :3] > 0).astype(int))
    for y in (table[1] % 2, (X[:, :2] > 0).astype(int)):
        with pytest.raises(ValueError, match="fitted on 3 labels per sample"):
            report(labels, X, y)
    values = ABARegressor(table_net, **parameters).fit(X, X[:, :3])
    with pytest.raises(ValueError, match="the estimator is a regressor"):
        report(values, X, X[:, :3].astype(str))


def test_what_is_not_fitted_is_said(table: Any) -> None:
    model = LogisticRegression()
    for estimator in (model, make_pipeline(StandardScaler(), model), GridSearchCV(model, {})):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            report(estimator, *table)
