"""A method class that a third party writes works by instance wherever skaba's own methods do."""

import pickle
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from torch import nn

from skaba import ABAClassifier
from skaba.attribution import AttributionMethod, Gradient, MicroBatches, SmoothGrad, TimesInput, TrueClass
from skaba.augmenters import ABA, RandomMapABA
from skaba.evaluation.fidelity import fidelity
from skaba.evaluation.ground_truth import XORBenchmark
from skaba.network import FromLayer, input_gradient
from skaba.plotting import AttributionDisplay
from skaba.testing import check_attribution_method
from tests.tiny_nets import TextNet, mlp, seeded, words

X = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


class Root(AttributionMethod):
    """The signed root of the gradient, times a factor."""

    is_differentiable = True
    _parameter_constraints: ClassVar = {"factor": [float]}

    def __init__(self, factor=1.0):
        self.factor = factor

    def _attribute(self, model, x, target, generator):
        gradient = input_gradient(model, x, lambda logits: target(logits)(logits), x.requires_grad)
        return self.factor * gradient / (gradient.abs() + 1e-3).sqrt()


def root(gradient, factor=1.0):
    return factor * gradient / np.sqrt(abs(gradient) + 1e-3)


def network():
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))


def classifier(augmenter=None, **parameters):
    common = {"max_epochs": 2, "batch_size": 20, "random_state": 0, "verbose": 0, **parameters}
    return ABAClassifier(network, augmenter=augmenter, **common)


def test_it_passes_the_check():
    assert check_attribution_method(Root()) == ["table", "image", "text"]


@pytest.mark.parametrize("layer", [None, "0"])
def test_an_estimator_takes_it(layer):
    clf = classifier(layer=layer).fit(X, Y)
    gradient = clf.attribute(X, Y, attribution=Gradient(), target=TrueClass())
    got = clf.attribute(X, Y, attribution=Root(factor=3.0), target=TrueClass())
    np.testing.assert_allclose(got, root(gradient, 3.0), rtol=1e-4)


@pytest.mark.parametrize("layer", [None, "0"])
@pytest.mark.parametrize("augmenter", [ABA(Root(), TrueClass()), RandomMapABA(Root(), TrueClass())], ids=repr)
def test_augmenters_take_it_in_training(augmenter, layer):
    clf = classifier(augmenter, strength=0.2, layer=layer).fit(X, Y)
    plain = classifier(layer=layer).fit(X, Y)
    assert not torch.equal(clf.module_[0].weight, plain.module_[0].weight)
    again = clone(clf).fit(X, Y)
    assert torch.equal(clf.module_[0].weight, again.module_[0].weight)
    copy = pickle.loads(pickle.dumps(clf))  # noqa: S301
    assert np.array_equal(copy.attribute(X, Y), clf.attribute(X, Y))


def test_its_parameters_can_be_searched():
    clf = classifier(ABA(Root(), TrueClass()), strength=0.2)
    search = GridSearchCV(clf, {"augmenter__attribution__factor": [1.0, 2.0]}, cv=2).fit(X, Y)
    assert search.best_params_["augmenter__attribution__factor"] in (1.0, 2.0)
    with pytest.raises(ValueError, match="'factor' parameter of Root must be an instance of 'float'"):
        clone(clf).set_params(augmenter__attribution__factor="one").fit(X, Y)


@pytest.mark.parametrize(
    "outer", [SmoothGrad(Root(), samples=2, noise=0.0), MicroBatches(Root(), batch_size=2)], ids=repr
)
def test_other_methods_take_it(outer):
    net, x, y = mlp(), torch.randn(3, 6), torch.tensor([1, 0, 2])
    asked = {"target": TrueClass(), "generator": seeded()}
    wanted = Root()(net, x, y, target=TrueClass())
    torch.testing.assert_close(outer(net, x, y, **asked), wanted)
    torch.testing.assert_close(MicroBatches(TimesInput(Root()))(net, x, y, **asked), x * wanted)
    assert outer(net, x, y, create_graph=True, **asked).requires_grad


def test_it_explains_texts_at_their_embedding():
    view, y = FromLayer(TextNet().eval(), "embedding", words()), torch.tensor([0, 1, 2, 0])
    map_ = Root()(view, view.features(), y, target=TrueClass())
    gradient = Gradient().at_layer(view, y, target=TrueClass())
    np.testing.assert_allclose(map_, root(gradient.numpy()), rtol=1e-4, atol=1e-6)


def test_it_can_be_judged_and_drawn():
    clf = classifier().fit(X, Y)
    assert 0 <= fidelity(clf, X, Root()).area <= 100
    display = AttributionDisplay.from_estimator(clf, X, Y, attribution=Root(), target=TrueClass(), n_samples=2)
    np.testing.assert_array_equal(
        display.attributions, clf.attribute(X[:2], Y[:2], attribution=Root(), target=TrueClass())
    )
    benchmark = XORBenchmark(n_seeds=1, n_samples=2000, min_accuracy=0.5, grid_size=20, random_state=0).fit()
    assert "root" in benchmark.compare({"root": Root(), "gradient": Gradient()}).table()
