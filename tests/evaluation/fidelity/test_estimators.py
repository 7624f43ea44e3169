"""Who can be asked, and what is masked of what they see."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.exceptions import NotInitializedError
from torch import nn

from skaba import ABAMultiLabelClassifier, ABARegressor
from skaba.attribution import InputXGradient, PredictedClass, RandomMap
from skaba.evaluation.fidelity import deletion_score, feature_impact_index, insertion_score, perturbation_curves
from skaba.network import FromLayer
from skaba.testing import trace_of
from tests.evaluation.conftest import SETTINGS, table_net
from tests.evaluation.fidelity.oracle import samples


def same(one: Any, other: Any, **tolerance: float) -> None:
    np.testing.assert_allclose(one.mif, other.mif, **(tolerance or {"rtol": 1e-5, "atol": 1e-6}))
    np.testing.assert_allclose(one.lif, other.lif, **(tolerance or {"rtol": 1e-5, "atol": 1e-6}))


def test_a_skaba_estimator_is_asked_as_its_module_is(table: Any, classifier: Any) -> None:
    X, y = table
    net = classifier().fit(X, y)
    maps = net.attribute(X, attribution=InputXGradient(), target=PredictedClass())
    reference = perturbation_curves(net.module_, X, maps)
    same(perturbation_curves(net, X, maps), reference)
    same(perturbation_curves(net, X, InputXGradient()), reference)
    search = GridSearchCV(net, {"lr": [0.1]}, cv=2).fit(X, y)
    same(perturbation_curves(search, X, maps), perturbation_curves(search.best_estimator_, X, maps))


def test_of_a_pipeline_what_the_net_sees_is_masked(table: Any, classifier: Any) -> None:
    X, y = table
    scaler = StandardScaler().fit(X)
    net = classifier().fit(scaler.transform(X), y)
    pipeline = make_pipeline(scaler, net)
    maps = samples(*X.shape, seed=1)
    same(perturbation_curves(pipeline, X, maps), perturbation_curves(net, scaler.transform(X), maps))


def test_at_a_layer_its_output_is_masked(table: Any, classifier: Any) -> None:
    X, y = table
    net = classifier(layer="1").fit(X, y)
    first, rest = net.module_[:2].eval(), net.module_[2:].eval()
    hidden = first(torch.as_tensor(X)).detach()
    maps = samples(len(X), 8, seed=1)
    same(perturbation_curves(net, X, maps, batch_size=7), perturbation_curves(rest, hidden, maps))
    same(perturbation_curves(net, X, InputXGradient()), perturbation_curves(rest, hidden, InputXGradient()))


@pytest.mark.parametrize("with_dimensions", [True, False])
def test_of_a_text_shares_are_those_of_its_words_and_padding_stays(
    texts: Any, text_classifier: Any, with_dimensions: bool
) -> None:
    ids, y = texts
    net = text_classifier().fit(ids, y)
    maps = samples(*ids.shape, 5, seed=1) if with_dimensions else samples(*ids.shape, seed=1)
    curves = perturbation_curves(net, ids, maps, step=25, fill=0.7)
    rest = FromLayer(net.module_.eval(), "embedding", torch.as_tensor(ids))
    hidden = rest.features()
    values = maps.sum(axis=2) if with_dimensions else maps
    targets = net.module_(torch.as_tensor(ids)).argmax(dim=1).numpy()
    for i, target in enumerate(targets):
        words = np.flatnonzero(ids[i])
        order = sorted(words, key=lambda word: -values[i, word])
        for column, share in enumerate((0, 25, 50, 75, 100)):
            changed = hidden.clone()
            changed[i, order[: int(share / 100 * len(words) + 0.5)]] = 0.7
            with torch.no_grad():
                expected = rest(changed)[i, target].item()
            assert curves.mif[i, column] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_the_mean_of_texts_is_that_of_their_words(texts: Any, text_classifier: Any) -> None:
    ids, y = texts
    net = text_classifier().fit(ids, y)
    curves = perturbation_curves(net, ids, RandomMap(), step=50, fill="mean")
    rest = FromLayer(net.module_.eval(), "embedding", torch.as_tensor(ids))
    hidden, words = rest.features(), torch.as_tensor(ids > 0)
    mean = torch.stack([vectors[word].mean(dim=0) for vectors, word in zip(hidden, words, strict=True)]).mean(dim=0)
    with torch.no_grad():
        expected = rest(torch.where(words.unsqueeze(2), mean, hidden)).numpy()
    np.testing.assert_allclose(curves.lif[:, -1], expected[np.arange(30), curves.targets], rtol=1e-4, atol=1e-5)


def test_means_of_a_text_and_of_its_windows_are_those_of_its_words(texts: Any, text_classifier: Any) -> None:
    net = text_classifier().fit(*texts)
    ids = np.array([[3, 4, 5, 0, 0, 0, 0], [6, 7, 8, 9, 1, 0, 0]])
    rest = FromLayer(net.module_.eval(), "embedding", torch.as_tensor(ids))
    for fill, windows in (("sample_mean", [[3], [5]]), ("region_mean", [[2, 1], [2, 2, 1]])):
        hidden = rest.features()
        for vectors, sizes in zip(hidden, windows, strict=True):
            start = 0
            for size in sizes:
                vectors[start : start + size] = vectors[start : start + size].mean(dim=0)
                start += size
        with torch.no_grad():
            expected = rest(hidden).numpy()
        curves = perturbation_curves(net, ids, RandomMap(), step=50, fill=fill, window=2)
        np.testing.assert_allclose(curves.lif[:, -1], expected[np.arange(2), curves.targets], rtol=1e-4, atol=1e-5)


def test_windows_of_words_leave_padding_alone_too(texts: Any, text_classifier: Any) -> None:
    """Windows of a text of three words: words 0 and 1, word 2; the third holds padding alone and does not count."""
    net = text_classifier().fit(*texts)
    ids = np.array([[3, 4, 5, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0]])
    curves = perturbation_curves(net, ids, np.array([[1.0, 2, 4, 9, 9, 9, 9]] * 2), window=2, step=50, fill=0.7)
    rest = FromLayer(net.module_.eval(), "embedding", torch.as_tensor(ids))
    hidden = rest.features()
    with torch.no_grad():
        target = rest(hidden)[0].argmax()
        expected = [rest(hidden)[0, target].item()]
        for words in ([2], [0, 1]):
            hidden[0, words] = 0.7
            expected.append(rest(hidden)[0, target].item())
    np.testing.assert_allclose(curves.mif[0], expected, rtol=1e-5)
    assert np.ptp(curves.mif[1]) == np.ptp(curves.lif[1]) == 0


def test_several_labels_and_real_targets(table: Any) -> None:
    X, y = table
    several = ABAMultiLabelClassifier(table_net, module__n_outputs=2, random_state=0, **SETTINGS)
    several.fit(X, np.column_stack([y > 0, y == 1]))
    real = ABARegressor(table_net, module__n_outputs=1, random_state=0, **SETTINGS).fit(X, y.astype(np.float32))
    maps = samples(*X.shape, seed=1)
    for estimator in (several, make_pipeline(several), real):
        curves = perturbation_curves(estimator, X, maps)
        np.testing.assert_allclose(curves.mif[:, 0], estimator.predict_proba(X).max(axis=1), rtol=1e-5, atol=1e-6)
    same(perturbation_curves(real, X, maps), perturbation_curves(real.module_, X, maps))
    same(
        perturbation_curves(several, X, maps),
        perturbation_curves(nn.Sequential(several.module_, nn.Sigmoid()), X, maps),
    )
    with pytest.raises(TypeError, match="ABARegressor has no probabilities"):
        deletion_score(real, X, maps)


def test_scikit_learn_answers_with_decisions_and_without_them_with_probabilities(table: Any) -> None:
    X, y = table
    maps = samples(*X.shape, seed=1)
    three = LogisticRegression().fit(X, y)
    same(perturbation_curves(three, X, maps), perturbation_curves(three.decision_function, X, maps))
    two = LogisticRegression().fit(X, y > 0)
    curves = perturbation_curves(two, X, maps)
    np.testing.assert_allclose(curves.mif[:, 0], np.abs(two.decision_function(X)))
    np.testing.assert_array_equal(curves.targets, two.predict(X))
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    np.testing.assert_allclose(perturbation_curves(forest, X, maps).lif[:, 0], forest.predict_proba(X).max(axis=1))


def test_whole_numbers_become_floats_where_a_net_is_not_trained_on_them() -> None:
    X = np.arange(12).reshape(3, 4)
    curves = perturbation_curves(lambda rows: rows.sum(axis=1, keepdims=True), X, X, step=50, fill=0.5)
    np.testing.assert_array_equal(curves.mif[0], [6, 2, 2])


def test_the_estimator_is_left_as_it_was(table: Any, classifier: Any) -> None:
    net = classifier(augmenter="mend_aba", augmenter__target__k=2).fit(*table)
    net.module_.train()
    attributes, trace = dict(vars(net)), trace_of(net.module_)
    for method in (InputXGradient(), RandomMap()):
        perturbation_curves(net, table[0], method, fill="random")
    assert vars(net) == attributes
    assert trace_of(net.module_) == trace


def test_who_cannot_be_asked(table: Any, classifier: Any) -> None:
    X, y = table
    for other in (LinearRegression().fit(X, y), None, "clf"):
        with pytest.raises(TypeError, match="has no scores"):
            perturbation_curves(other, X, X)
    for score in (perturbation_curves, deletion_score):
        with pytest.raises(TypeError, match="LogisticRegression is a class"):
            score(LogisticRegression, X, X)
    with pytest.raises(NotInitializedError):
        perturbation_curves(classifier(), X, X)
    with pytest.raises(ValueError, match=r"shape \(60,\) for 60 samples"):
        perturbation_curves(lambda rows: rows[:, 0], X, X)


def test_a_net_at_its_input_needs_floats(table: Any, classifier: Any) -> None:
    net = classifier().fit(*table)
    with pytest.raises(ValueError, match="needs floats"):
        perturbation_curves(net, table[0].astype(int), RandomMap())


def test_one_score_has_no_softmax() -> None:
    X = samples(3, 4).astype(np.float32)
    for estimator in (torch.nn.Linear(4, 1), lambda rows: rows[:, :1]):
        with pytest.raises(ValueError, match="one score per sample, whose softmax is always 1"):
            deletion_score(estimator, X, X)


def test_half_precision_that_numpy_has_not_is_read() -> None:
    net = torch.nn.Linear(4, 3)
    X = torch.as_tensor(samples(5, 4), dtype=torch.bfloat16)
    short = torch.nn.Linear(4, 3).bfloat16()
    short.load_state_dict(net.state_dict())
    for method in (InputXGradient(), X):
        for fill in ("zero", "random"):
            curves = perturbation_curves(short, X, method, fill=fill)
            with torch.no_grad():
                expected = short(X).float().max(dim=1).values.numpy()
            np.testing.assert_array_equal(curves.mif[:, 0], expected)
    same(
        perturbation_curves(lambda rows: rows[:, :2], X, X), perturbation_curves(lambda rows: rows[:, :2], X.float(), X)
    )


class Returning(torch.nn.Module):
    def __init__(self, change: Any) -> None:
        super().__init__()
        self.change = change

    def forward(self, X: Any) -> Any:
        return self.change(X)


@pytest.mark.parametrize("change", [lambda x: x[:1], lambda x: x[:, None], lambda x: x[:, :0]])
def test_scores_of_another_shape_are_refused_of_whoever_returns_them(change: Any) -> None:
    X = samples(3, 4)
    for estimator in (change, Returning(change)):
        for score in (perturbation_curves, deletion_score):
            with pytest.raises(ValueError, match=r"returned scores of shape .* for 3 samples"):
                score(estimator, X, X)


def test_a_module_may_return_one_score_per_sample_without_an_axis_of_its_own() -> None:
    # A function may not: what it returns could as well be labels.
    X, maps = np.abs(samples(5, 4)), samples(5, 4)
    flat, column = (
        perturbation_curves(Returning(change), X, maps) for change in (lambda x: x[:, 0], lambda x: x[:, :1])
    )
    same(flat, column)
    with pytest.raises(ValueError, match=r"returned scores of shape \(5,\) for 5 samples"):
        perturbation_curves(lambda x: x[:, 0], X, maps)


def test_whole_scores_become_floats_and_labels_are_refused() -> None:
    X = samples(3, 4)
    for whole in (lambda rows: (rows > 0).astype(int), Returning(lambda rows: (rows > 0).long())):
        assert 0 <= deletion_score(whole, X, X) <= 1
    with pytest.raises(ValueError, match="returned <U1 values; scores must be numbers"):
        perturbation_curves(lambda rows: np.full((len(rows), 2), "a"), X, X)


def test_samples_with_a_gradient_are_read() -> None:
    X = torch.as_tensor(samples(3, 4)).requires_grad_()
    same(perturbation_curves(lambda rows: rows, X, X), perturbation_curves(lambda rows: rows, X.detach(), X.detach()))


def test_values_that_are_no_probabilities_are_refused(table: Any, classifier: Any) -> None:
    X, y = table

    class Logits(LogisticRegression):
        def predict_proba(self, X: Any) -> Any:
            return 2 * self.decision_function(X)

    own = Logits().fit(X, y)
    net = classifier(predict_nonlinearity=None).fit(X, y)
    for estimator in (own, net):
        for score in (deletion_score, insertion_score, feature_impact_index):
            with pytest.raises(ValueError, match="which are no probabilities"):
                score(estimator, X, X)
