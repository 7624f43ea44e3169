"""split_pipeline, attribute and augment: the net inside what a user has, and X as that net takes it."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn

from skaba import ABAClassifier
from skaba.augmenters import GaussianNoise
from skaba.datasets import make_messages
from skaba.estimators import attribute, augment, split_pipeline
from skaba.modules import TextCNN
from skaba.preprocessing import WordSequences

X = np.random.default_rng(0).normal(3, 2, size=(60, 5)).astype(np.float32)
y = np.arange(60) % 3


def net(**parameters):
    settings = {"augmenter": GaussianNoise(), "max_epochs": 1, "random_state": 0, "train_split": None, "verbose": 0}
    return ABAClassifier(nn.Linear, module__in_features=5, module__out_features=3, **settings, **parameters)


def test_an_estimator_is_its_own_net():
    clf = net().fit(X, y)
    found, seen = split_pipeline(clf, X)
    assert found is clf
    assert seen is X


def test_the_steps_before_the_net_transform():
    doubled = FunctionTransformer(lambda X: 2 * X)
    inner = make_pipeline(StandardScaler(), net())
    pipeline = make_pipeline(doubled, inner).fit(X, y)
    found, seen = split_pipeline(pipeline, X[:7])
    assert found is inner[-1]
    np.testing.assert_allclose(seen, inner[0].transform(2 * X[:7]))
    np.testing.assert_array_equal(found.predict(seen), pipeline.predict(X[:7]))


def test_a_pipeline_of_the_net_alone():
    pipeline = Pipeline([("net", net())]).fit(X, y)
    assert split_pipeline(pipeline, X)[1] is X


def test_of_a_search_the_best_estimator():
    pipeline = Pipeline([("scale", StandardScaler()), ("net", net())])
    search = GridSearchCV(pipeline, {"net__strength": [0.1, 0.2]}, cv=2).fit(X, y)
    found, seen = split_pipeline(search, X)
    assert found is search.best_estimator_[-1]
    np.testing.assert_array_equal(found.predict(seen), search.predict(X))


def test_frames_and_tensors():
    clf = net().fit(X, y)
    np.testing.assert_array_equal(split_pipeline(clf, pd.DataFrame(X))[1], X)
    assert isinstance(split_pipeline(clf, torch.as_tensor(X))[1], torch.Tensor)


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (DummyClassifier(), "Got a DummyClassifier, which"),
        (make_pipeline(StandardScaler(), DummyClassifier()), "Got a Pipeline that ends in a DummyClassifier"),
        (ABAClassifier, "Got the class ABAClassifier"),
        (None, "Got a NoneType"),
        ("resnet18", "Got a str"),
        (nn.Linear(5, 3), "Got a Linear"),
    ],
)
def test_what_is_not_an_estimator_of_ours(estimator, words):
    with pytest.raises(TypeError, match=words + ".*Pass a fitted ABAClassifier"):
        split_pipeline(estimator, X)


@pytest.mark.parametrize(
    "estimator",
    [
        net(),
        make_pipeline(StandardScaler(), net()),
        GridSearchCV(net(), {"strength": [0.1]}),
        GridSearchCV(net(), {"strength": [0.1]}, refit=False, cv=2).fit(X, y),
    ],
)
def test_not_fitted(estimator):
    with pytest.raises(NotFittedError):
        split_pipeline(estimator, X)


def test_one_sample_without_its_axis():
    with pytest.raises(ValueError, match="no batch axis"):
        split_pipeline(net().fit(X, y), X[0])


@pytest.mark.parametrize("wrap", [lambda pipeline: pipeline, lambda pipeline: GridSearchCV(pipeline, {}, cv=2)])
def test_maps_and_changes_are_those_of_the_net_on_what_it_takes(wrap):
    pipeline = wrap(make_pipeline(StandardScaler(), net())).fit(X, y)
    clf, seen = split_pipeline(pipeline, X)
    np.testing.assert_array_equal(attribute(pipeline, X), clf.attribute(seen))
    how = {"target": 2, "attribution": "InputXGradient"}
    np.testing.assert_array_equal(attribute(pipeline, X, y, **how), clf.attribute(seen, y, **how))
    np.testing.assert_array_equal(augment(pipeline, X, y), clf.augment(seen, y))
    np.testing.assert_array_equal(attribute(clf, seen, y), clf.attribute(seen, y))


def test_maps_and_changes_of_texts_are_those_of_their_embedding():
    texts, classes, vectors = make_messages(30, random_state=0)
    words = WordSequences(vectors, length=25)
    clf = ABAClassifier(
        TextCNN,
        module__vectors=words.embedding_matrix(),
        module__n_classes=3,
        layer="embedding",
        max_epochs=1,
        random_state=0,
        verbose=0,
    )
    pipeline = make_pipeline(words, clf).fit(texts, classes)
    ids = pipeline[0].transform(texts[:4])
    np.testing.assert_array_equal(attribute(pipeline, texts[:4]), pipeline[-1].attribute(ids))
    np.testing.assert_array_equal(augment(pipeline, texts[:4], classes[:4]), pipeline[-1].augment(ids, classes[:4]))


@pytest.mark.parametrize("look", [attribute, augment])
def test_what_has_no_maps_and_changes(look):
    with pytest.raises(TypeError, match="Got a Pipeline that ends in a DummyClassifier"):
        look(make_pipeline(StandardScaler(), DummyClassifier()).fit(X, y), X, y)
    with pytest.raises(NotFittedError):
        look(make_pipeline(StandardScaler(), net()), X, y)
