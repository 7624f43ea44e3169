"""The score under attack, against closed forms and attacks made by hand."""

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from skaba.augmenters import GaussianNoise, fgsm
from skaba.evaluation.robustness import PGD, score_under_attack
from skaba.modules import FCN, ConvNet
from skaba.testing import trace_of
from tests.evaluation.conftest import SETTINGS, table_net
from tests.tiny_nets import seeded


def unchanged(model: Any, x: Any, y: Any, **_: Any) -> Any:
    return x


def everyone(table: Any, texts: Any, classifier: Any, text_classifier: Any) -> list[tuple[Any, Any, Any]]:
    """A fitted estimator of every kind, its samples and its targets."""
    X, y = table
    names = np.array(["a", "b", "c"])[y]
    labels = np.column_stack([y > 0, y == 1])
    several = ABAMultiLabelClassifier(table_net, module__n_outputs=2, random_state=0, **SETTINGS)
    real = ABARegressor(table_net, module__n_outputs=1, random_state=0, **SETTINGS)
    return [
        (classifier().fit(X, names), X, names),
        (classifier(layer="1").fit(X, y), X, y),
        (make_pipeline(StandardScaler(), make_pipeline(classifier())).fit(X, y), X, y),
        (several.fit(X, labels), X, labels),
        (real.fit(X, y.astype(np.float32)), X, y.astype(np.float32)),
        (text_classifier().fit(*texts), *texts),
    ]


def test_strength_zero_and_an_attack_that_changes_nothing_give_the_plain_score(
    table: Any, texts: Any, classifier: Any, text_classifier: Any
) -> None:
    for estimator, X, y in everyone(table, texts, classifier, text_classifier):
        assert score_under_attack(estimator, X, y, fgsm(), 0) == estimator.score(X, y)
        assert score_under_attack(estimator, X, y, unchanged, 0.1) == pytest.approx(estimator.score(X, y), abs=1e-6)


def test_pgd_lowers_every_score_at_least_as_far_as_fgsm(
    table: Any, texts: Any, classifier: Any, text_classifier: Any
) -> None:
    for estimator, X, y in everyone(table, texts, classifier, text_classifier):
        for strength in (0.1, 0.4, 1.0):
            attacked = score_under_attack(estimator, X, y, PGD(n_steps=3), strength)
            assert attacked <= score_under_attack(estimator, X, y, fgsm(), strength)
        assert attacked < estimator.score(X, y)


@pytest.mark.parametrize(
    ("module", "parameters", "shape"),
    [
        (ConvNet, {"n_classes": 3}, (1, 8, 8)),
        (FCN, {"n_classes": 3, "channels": 2}, (2, 40)),
    ],
)
def test_pgd_is_at_least_as_strong_as_fgsm_on_images_and_series(module: Any, parameters: Any, shape: Any) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(24, *shape)).astype(np.float32), np.arange(24) % 3
    given = {f"module__{name}": value for name, value in parameters.items()}
    net = ABAClassifier(module, **given, **SETTINGS, augmenter=None, random_state=0).fit(X, y)
    for strength in (0.01, 0.1, 1.0):
        pgd, weaker = (score_under_attack(net, X, y, attack, strength) for attack in (PGD(n_steps=4), fgsm()))
        assert pgd <= weaker


def test_training_with_fgsm_protects_at_the_trained_strength() -> None:
    """One feature is right in 90 % and out of the attack's reach; 20 weak ones together are right more often, and
    the attack turns every one of them (Tsipras et al. 2019, "Robustness May Be at Odds with Accuracy")."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=600)
    sign = 2 * y[:, None] - 1.0
    strong = 2 * sign * np.where(rng.random((600, 1)) < 0.9, 1, -1)
    X = np.hstack([strong, 0.5 * sign + rng.normal(size=(600, 20))]).astype(np.float32)
    given: dict[str, Any] = {"module__in_features": 21, "module__out_features": 2, "random_state": 0}
    settings = {**SETTINGS, "max_epochs": 10, "batch_size": 20}
    plain, robust = (
        ABAClassifier(nn.Linear, augmenter=augmenter, strength=0.8, **given, **settings).fit(X[:400], y[:400])
        for augmenter in (None, fgsm())
    )
    X, y = X[400:], y[400:]
    assert plain.score(X, y) > 0.95 > robust.score(X, y) > 0.85
    for attack in (fgsm(), PGD()):
        assert score_under_attack(robust, X, y, attack, 0.8) > score_under_attack(plain, X, y, attack, 0.8) + 0.5


def test_fgsm_is_that_of_augmented_samples(table: Any, classifier: Any) -> None:
    X, y = table
    scaler = StandardScaler().fit(X)
    scaled = scaler.transform(X)
    net = classifier(augmenter=fgsm(), strength=0.4).fit(scaled, y)
    expected = net.score(net.augment(scaled, y), y)
    assert score_under_attack(make_pipeline(scaler, net), X, y, fgsm(), 0.4) == expected < net.score(scaled, y)


def test_at_a_layer_it_is_the_attack_on_what_follows(table: Any, classifier: Any) -> None:
    X, y = table
    net = classifier(layer="1", augmenter=None).fit(X, y)
    first, rest = net.module_[:2].eval(), net.module_[2:].eval()
    hidden = first(torch.as_tensor(X)).detach()
    asked = {"strength": 0.3, "criterion": nn.CrossEntropyLoss(), "generator": seeded()}
    expected = (rest(fgsm()(rest, hidden, torch.as_tensor(y), **asked)).argmax(1).numpy() == y).mean()
    assert score_under_attack(net, X, y, fgsm(), 0.3) == pytest.approx(expected)


def test_a_linear_regression_in_closed_form(table: Any) -> None:
    """FGSM moves every residual away from 0 by the radius times the weights' L1 norm."""
    X, y = table[0], table[1].astype(np.float32)
    net = ABARegressor(nn.Linear, module__in_features=4, module__out_features=1, random_state=0, **SETTINGS).fit(X, y)
    residual = net.predict(X) - y
    away = 0.2 * net.module_.weight.abs().sum().item() * np.sign(residual)
    assert score_under_attack(net, X, y, "fgsm", 0.2) == pytest.approx(r2_score(y, y + residual + away), rel=1e-4)


def test_batch_size_bounds_the_batches_and_does_not_change_the_score(table: Any, classifier: Any) -> None:
    net = classifier().fit(*table)
    sizes = []

    def watched(model: Any, x: Any, y: Any, **asked: Any) -> Any:
        sizes.append(len(x))
        return fgsm()(model, x, y, **asked)

    scores = [score_under_attack(net, *table, watched, 0.4, batch_size=size) for size in (None, 25)]
    assert scores[0] == scores[1]
    assert sizes == [8] * 7 + [4] + [25, 25, 10]


def test_padding_is_never_attacked(texts: Any, text_classifier: Any) -> None:
    """Of texts that are padding alone, nothing can be changed."""
    net = text_classifier().fit(*texts)
    empty, y = np.zeros_like(texts[0]), texts[1]
    assert score_under_attack(net, empty, y, GaussianNoise(), 100.0) == net.score(empty, y)


def test_the_estimators_random_state_decides(table: Any, classifier: Any) -> None:
    net = classifier().fit(*table)
    drawn = []

    def noise(model: Any, x: Any, y: Any, **asked: Any) -> Any:
        drawn.append(GaussianNoise()(model, x, y, **asked))
        return drawn[-1]

    score_under_attack(net, *table, noise, 0.5)
    torch.manual_seed(5)
    score_under_attack(net, *table, noise, 0.5)
    score_under_attack(net.set_params(random_state=1), *table, noise, 0.5)
    first, again, other = drawn[0], drawn[8], drawn[16]
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_estimator_is_left_as_it_was(table: Any, classifier: Any) -> None:
    net = classifier(augmenter="mend_aba", augmenter__target__k=2).fit(*table)
    attributes, trace = dict(vars(net)), trace_of(net.module_)
    score_under_attack(net, *table, PGD(n_steps=2), 0.5, batch_size=5)
    assert vars(net) == attributes
    assert trace_of(net.module_) == trace


def test_what_is_no_fitted_skaba_estimator_is_refused(table: Any, classifier: Any) -> None:
    for other in (RandomForestClassifier(), make_pipeline(StandardScaler())):
        with pytest.raises(TypeError, match="not a fitted skaba estimator"):
            score_under_attack(other, *table, fgsm(), 0.1)
    for unfitted in (classifier(), GridSearchCV(classifier(), {"strength": [0.1]}, cv=2)):
        with pytest.raises(NotFittedError):
            score_under_attack(unfitted, *table, fgsm(), 0.1)


def test_for_a_search_its_best_estimator_is_attacked(table: Any, classifier: Any) -> None:
    search = GridSearchCV(classifier(max_epochs=2), {"strength": [0.1]}, cv=2).fit(*table)
    under_attack = score_under_attack(search, *table, fgsm(), 0.5)
    assert under_attack == score_under_attack(search.best_estimator_, *table, fgsm(), 0.5)


@pytest.mark.parametrize(
    ("attack", "strength", "batch_size", "message"),
    [
        (None, 0.1, None, "must be an augmenter"),
        (PGD, 0.1, None, "must be an augmenter"),
        (fgsm, 0.1, None, "makes an augmenter, first"),
        ("fsgm", 0.1, None, "Did you mean 'fgsm'"),
        (PGD(n_steps=0), 0.1, None, "n_steps"),
        (fgsm(), -0.1, None, "'strength' parameter .* Got -0.1"),
        (fgsm(), np.inf, None, "'strength' parameter .* Got inf"),
        (fgsm(), np.nan, None, "'strength' parameter .* Got nan"),
        (fgsm(), "0.1", None, "'strength' parameter .* Got '0.1'"),
        (fgsm(), 0.1, 0, "'batch_size' parameter .* Got 0"),
    ],
)
def test_what_is_refused(
    table: Any, classifier: Any, attack: Any, strength: Any, batch_size: Any, message: str
) -> None:
    net = classifier(max_epochs=1).fit(*table)
    with pytest.raises(ValueError, match=message):
        score_under_attack(net, *table, attack, strength, batch_size=batch_size)


def test_samples_without_their_targets_are_refused(table: Any, classifier: Any) -> None:
    net = classifier(max_epochs=1).fit(*table)
    with pytest.raises(ValueError, match="60 samples"):
        score_under_attack(net, table[0], table[1][:5], fgsm(), 0.1)


def test_an_attack_that_returns_nan_has_no_score(table: Any, classifier: Any) -> None:
    """The class of the highest NaN is the first, so that there would be one."""
    net = classifier().fit(*table)
    with pytest.raises(ValueError, match="returned NaN or infinity, in 8 of 8 samples"):
        score_under_attack(net, *table, lambda model, x, y, **_: x / 0 * 0, 0.1)
