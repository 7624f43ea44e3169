"""Wrong settings are one clear error, before any work."""

from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import Checkpoint, EarlyStopping, EpochScoring
from torch import nn

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from skaba.augmenters import FPA, Compose, RandomErasing, mend_aba

X = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)


def net(module: Any = nn.Linear, **parameters: Any) -> ABAClassifier:
    arguments = {"module__in_features": 5, "module__out_features": 2} if module is nn.Linear else {}
    return ABAClassifier(module, **{"max_epochs": 1, "augmenter": "fgsm", "verbose": 0, **arguments, **parameters})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"optimizer": "Adam"}, r"optimizer='Adam' is a name: pass torch\.optim\.Adam"),
        ({"criterion": "CrossEntropyLoss"}, r"pass torch\.nn\.CrossEntropyLoss"),
        ({"module": "resnet18"}, "module='resnet18' is a name: pass the class itself"),
        ({"module": None}, "module=None must be a class"),
        ({"module": lambda: None}, r"returned None; it must return an nn\.Module"),
        ({"optimizer": torch.optim.SGD([nn.Parameter(torch.ones(1))])}, "pass the class, optimizer=SGD"),
        ({"lr": "0.1"}, "'lr' parameter .* Got '0.1'"),
        ({"lr": float("nan")}, "'lr' parameter"),
        ({"max_epochs": 2.5}, "'max_epochs' parameter .* Got 2.5"),
        ({"batch_size": 0}, "'batch_size' parameter .* Got 0"),
        ({"callbacks": EarlyStopping()}, "'callbacks' parameter .* 'list'"),
        ({"strenght": 0.1}, "no parameter named 'strenght'. Did you mean 'strength'"),
        ({"optimiser": torch.optim.SGD}, "Did you mean 'optimizer'"),
        ({"device": "gpu"}, "device='gpu' is not a device"),
        ({"device": "xpu"}, "device='xpu', but PyTorch finds no such device here"),
        ({"criterion": nn.NLLLoss}, "it takes probabilities"),
        ({"criterion": nn.BCEWithLogitsLoss}, "a sample has one label"),
        ({"criterion": nn.MSELoss()}, "labels are not quantities"),
        ({"module": nn.Linear(5, 2).requires_grad_(False)}, "all 2 parameters of the module are frozen"),
    ],
)
def test_is_refused(parameters: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        net(**parameters).fit(X, y)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="device='cuda', but PyTorch finds no such device here"):
        net(device="cuda").fit(X, y)


@pytest.mark.parametrize("callback", [EarlyStopping, EarlyStopping(), Checkpoint(), ("stop", EarlyStopping())])
def test_a_callback_that_waits_for_validation_scores_needs_a_split(callback: Any) -> None:
    with pytest.raises(ValueError, match=r"monitors 'valid_loss.*Set train_split=0\.2, or monitor='train_loss'"):
        net(callbacks=[callback]).fit(X, y)
    assert net(callbacks=[EarlyStopping("train_loss")]).fit(X, y)
    assert net(callbacks=[EarlyStopping()], train_split=0.2).fit(X, y)
    assert net(callbacks=[EarlyStopping()], callbacks__EarlyStopping__monitor="train_loss").fit(X, y)


@pytest.mark.parametrize(
    ("estimator", "criterion", "message"),
    [
        (ABARegressor, nn.CrossEntropyLoss, "it takes classes"),
        (ABAMultiLabelClassifier, nn.CrossEntropyLoss, "classes that exclude each other"),
        (ABAMultiLabelClassifier, nn.BCELoss, "take the sigmoid out"),
    ],
)
def test_losses_of_other_tasks_are_refused(estimator: Any, criterion: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estimator(nn.Linear(5, 2), criterion=criterion, verbose=0).fit(X, np.column_stack([y, 1 - y]))


def test_several_labels_need_logits() -> None:
    module = nn.Sequential(nn.Linear(5, 2), nn.Sigmoid())
    with pytest.raises(ValueError, match=r"ends in Sigmoid\(\), but logits are needed"):
        ABAMultiLabelClassifier(module, verbose=0).fit(X, np.column_stack([y, 1 - y]))


def test_a_change_of_module_asks_for_a_new_fit() -> None:
    fitted = net().fit(X, y).set_params(module__out_features=7)
    with pytest.raises(
        ValueError, match="returns 7 logits per sample, but the net was fitted on 2 classes: fit it again"
    ):
        fitted.predict(X)


def test_a_refused_setting_leaves_a_fitted_net_as_it_was() -> None:
    fitted = net().fit(X, y)
    before = fitted.predict(X)
    with pytest.raises(ValueError, match="monitors"):
        fitted.set_params(callbacks=[EarlyStopping()]).fit(X, y)
    assert np.array_equal(fitted.predict(X), before)


def test_a_subclass_with_modules_of_its_own_has_their_parameters() -> None:
    class Two(ABAClassifier):
        def initialize_module(self) -> Any:
            super().initialize_module()
            self.second_ = self.second(**self.get_params_for("second"))
            return self

    two = Two(nn.Linear, module__in_features=5, module__out_features=2, second=nn.Linear, second__in_features=3,
              second__out_features=1, max_epochs=1, augmenter=None, verbose=0)  # fmt: skip
    assert two.fit(X, y).second_.in_features == 3


def test_what_augments_is_printed() -> None:
    text = repr(net(strength=0.3, layer="features.0"))
    assert text.startswith("ABAClassifier[uninitialized](")
    assert "augmenter='fgsm'" in text
    assert "strength=0.3" in text
    assert "layer='features.0'" in text
    fitted = net(callbacks=[EpochScoring("accuracy", on_train=True)]).fit(X, y)
    assert "ABAClassifier[initialized](" in repr(fitted)
    assert "out_features=2" in repr(fitted)
    assert "fgsm" in fitted._repr_html_()


@pytest.mark.parametrize(
    ("augmenter", "strength"),
    [("mend_aba", 0.1), (FPA(), 1.0), (Compose([FPA(), mend_aba(k=2)]), 0.1), (RandomErasing(), 1.0)],
)
def test_without_a_strength_the_augmenters_own_is_in_force(augmenter: Any, strength: float) -> None:
    images, labels = np.random.default_rng(0).normal(size=(8, 1, 6, 6)).astype(np.float32), np.arange(8) % 2
    module: Any = nn.Sequential(nn.Flatten(), nn.Linear(36, 2))
    settings: dict[str, Any] = {"augmenter": augmenter, "max_epochs": 1, "random_state": 0, "verbose": 0}
    given = ABAClassifier(module, strength=strength, **settings).fit(images, labels)
    own = ABAClassifier(module, **settings).fit(images, labels)
    assert own.strength is None
    assert own.strength_ == given.strength_ == strength
    assert np.array_equal(own.augment(images, labels), given.augment(images, labels))
    assert not np.array_equal(own.augment(images, labels), images)
    assert np.array_equal(own.predict_proba(images), given.predict_proba(images))
