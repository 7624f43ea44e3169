"""A rule as the strength of an estimator."""

from __future__ import annotations

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from torch import nn

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from skaba.augmenters import Compose, Mixup, RandomErasing, mend_aba
from skaba.evaluation import controls
from skaba.training import Augmentation, FlipRate

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

generator = np.random.default_rng(0)
y = np.arange(60) % 2
X = (generator.normal(size=(60, 4)) + 2 * y[:, None]).astype(np.float32)


def network():
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def net(**parameters):
    defaults = {"augmenter": "fast_aba", "strength": FlipRate(every=1, fitted=0.8), "max_epochs": 20, "lr": 0.01}
    return ABAClassifier(network, **{**defaults, "batch_size": 20, "random_state": 0, "verbose": 0, **parameters})


def test_the_path_is_in_the_history():
    fitted = net().fit(X, y)
    path = fitted.history[:, ("strength", "flip_rate", "train_fit")]
    assert len(path) == 20
    assert path[-1] == (fitted.strength_.strength_, fitted.strength_.flip_rate_, fitted.strength_.fit_)
    assert path[-1][0] != path[0][0]


def test_auto_is_the_default_rule():
    assert net(strength="auto").initialize().strength_.get_params() == FlipRate().get_params()


def test_a_fit_is_the_plain_loop_with_the_same_rule():
    fitted = net(iterator_train__shuffle=False, batch_size=60).fit(X, y)
    model = ABAClassifier(network, random_state=0, verbose=0).initialize().module_
    augmentation = Augmentation(
        model, "fast_aba", FlipRate(every=1, fitted=0.8), criterion=nn.CrossEntropyLoss(), random_state=0
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(20):
        with augmentation(torch.as_tensor(X), torch.as_tensor(y)) as (x_seen, y_seen):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x_seen), y_seen).backward()
        optimizer.step()
    assert augmentation.strength_.state_dict() == fitted.strength_.state_dict()


def test_the_state_follows_pickles_saved_weights_and_further_training(tmp_path):
    fitted = net().fit(X, y)
    state = fitted.strength_.state_dict()
    assert pickle.loads(pickle.dumps(fitted)).strength_.state_dict() == state  # noqa: S301
    fitted.save_params(f_params=tmp_path / "weights.pt")
    loaded = clone(fitted).initialize()
    loaded.load_params(f_params=tmp_path / "weights.pt")
    assert loaded.strength_.state_dict() == state
    assert fitted.partial_fit(X, y).strength_.n_batches_ == 2 * state["n_batches_"]
    assert fitted.fit(X, y).strength_.state_dict() == state


def test_looking_at_augmented_samples_does_not_change_the_rule():
    fitted = net().fit(X, y)
    state = fitted.strength_.state_dict()
    fitted.augment(X, y)
    assert fitted.strength_.state_dict() == state


def test_its_parameters_are_searched():
    search = GridSearchCV(net(max_epochs=2), {"strength__target": [0.1, 0.2]}, cv=2).fit(X, y)
    assert search.best_estimator_.strength_.target == search.best_params_["strength__target"]
    GridSearchCV(net(max_epochs=2), {"strength": [0.1, "auto", FlipRate(0.2)]}, cv=2).fit(X, y)
    with pytest.raises(ValueError, match=r"strength__target cannot be set: strength=0.1"):
        net(strength=0.1, strength__target=0.2).fit(X, y)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"augmenter": Mixup()}, "changes the targets"),
        ({"augmenter": Compose([Mixup(), mend_aba()])}, "changes the targets"),
        ({"augmenter": RandomErasing(), "strength": FlipRate(high=2.0)}, r"FlipRate\(high=1\)"),
        ({"strength": "aut"}, "auto"),
        ({"strength": FlipRate(1.5)}, "target"),
        ({"strength": FlipRate}, r"pass FlipRate\(\)"),
    ],
)
def test_what_cannot_work_is_refused_before_any_work(parameters, match):
    with pytest.raises(ValueError, match=match):
        net(**parameters).fit(X, y)


def test_regressions_and_labels_have_a_path_too():
    target = (X[:, :1] - 1).astype(np.float32)
    settings = {"strength": FlipRate(every=1, fitted=0.5), "random_state": 0, "verbose": 0, "lr": 0.01}
    regressor = ABARegressor(nn.Linear(4, 1), max_epochs=60, **settings).fit(X, target)
    labels = ABAMultiLabelClassifier(nn.Linear(4, 3), max_epochs=60, **settings)
    labels.fit(X, (X[:, :3] > 1).astype(np.float32))
    for fitted in (regressor, labels):
        assert fitted.history[-1, "strength"] != fitted.strength_.start


def test_controls_follow_the_same_rule():
    fitted = net().fit(X, y)
    for name in ("random map", "Gaussian noise"):
        assert controls(fitted, X, y)[name].strength.get_params() == fitted.strength.get_params()


def test_a_net_that_does_not_learn_says_so():
    with pytest.warns(ConvergenceWarning, match="does not overfit"):
        net(strength="auto", lr=0.0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        net(strength=FlipRate(every=1, fitted=0.8, high=10.0)).fit(X, y)


def test_trials_of_one_epoch_give_no_advice():
    fitted = net(strength=FlipRate(every=4, fitted=0.8, high=10.0)).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        longer = controls(fitted, X, y, cost="counted")["longer plain training"]
    assert longer.max_epochs > fitted.max_epochs
