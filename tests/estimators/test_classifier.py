"""ABAClassifier: labels, probabilities, inspection, and life in scikit-learn and skorch."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import uniform
from sklearn.base import clone, is_classifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback, Checkpoint, EarlyStopping, EpochScoring
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import TensorDataset

from skaba import ABAClassifier
from skaba.attribution import Gradient, InputXGradient, Loss, PredictedClass, TrueClass
from skaba.augmenters import ABA, AdjustmentSet, challenger, fast_aba, mend_aba
from tests.estimators.conftest import SmallNet, same, weights

NAMES = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"])


# ---------------------------------------------------------------- labels and predictions


@pytest.mark.parametrize("labels", [np.arange(10), np.arange(10) * 3 - 7, NAMES, NAMES.astype(object)])
def test_labels_of_any_kind_give_the_same_network(make_net: Any, digits: Any, labels: np.ndarray) -> None:
    X, y = digits
    order = np.sort(labels)
    clf = make_net(max_epochs=15).fit(X, order[y])
    assert list(clf.classes_) == list(order)
    assert clf.predict(X).dtype == order.dtype
    assert clf.score(X, order[y]) == accuracy_score(y, clf.predict_proba(X).argmax(1)) > 0.8


def test_probabilities_sum_to_one_and_follow_the_logits(make_net: Any, digits: Any) -> None:
    clf = make_net().fit(*digits)
    with torch.no_grad():
        logits = clf.module_.eval()(torch.as_tensor(digits[0])).numpy()
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(clf.predict_proba(digits[0]), expected, atol=1e-6)
    np.testing.assert_allclose(clf.predict_proba(digits[0]).sum(axis=1), 1, atol=1e-6)


def test_learns(make_net: Any, digits: Any) -> None:
    X, y = digits
    assert make_net(max_epochs=15).fit(X[:150], y[:150]).score(X[150:], y[150:]) > 0.8


def test_float64_is_read_in_the_modules_precision(make_net: Any, digits: Any) -> None:
    X, y = digits
    assert same(weights(make_net().fit(X.astype(np.float64), y)), weights(make_net().fit(X, y)))


def test_tags(make_net: Any) -> None:
    tags = make_net().__sklearn_tags__()
    assert is_classifier(make_net())
    assert tags.input_tags.three_d_array
    assert tags.target_tags.required
    assert tags.classifier_tags.multi_class
    assert not tags.classifier_tags.multi_label
    assert not tags.non_deterministic
    assert make_net(random_state=None).__sklearn_tags__().non_deterministic


# ------------------------------------------------------------------------- inspection


def test_augment_is_what_the_augmenter_gives(make_net: Any, digits: Any) -> None:
    X, y = digits
    clf = make_net(augmenter="fgsm", strength=0.25, lr=1e-3).fit(X, y)
    moved = clf.augment(X, y) - X
    gradient = clf.attribute(X, y, target=Loss())
    np.testing.assert_allclose(moved, np.where(gradient >= 0, 0.25, -0.25), atol=1e-6)


def test_augment_with_string_labels_and_tensors(make_net: Any, digits: Any) -> None:
    X, y = digits
    clf = make_net(augmenter="fgsm").fit(X, NAMES[y])
    from_arrays = clf.augment(X, NAMES[y])
    assert np.array_equal(from_arrays, clf.augment(torch.as_tensor(X), NAMES[y]))
    assert np.array_equal(from_arrays, clf.augment(X, NAMES[y]))


@pytest.mark.parametrize("off", [{"strength": 0}, {"augmenter": None}])
def test_augment_without_augmentation_gives_the_samples(make_net: Any, digits: Any, off: Any) -> None:
    assert np.array_equal(make_net(**off).fit(*digits).augment(*digits), digits[0])


def test_attribute_defaults(make_net: Any, digits: Any) -> None:
    X, y = digits
    clf = make_net().fit(X, y)
    assert np.array_equal(clf.attribute(X), clf.attribute(X, target=PredictedClass()))
    assert np.array_equal(clf.attribute(X, y), clf.attribute(X, y, target=TrueClass()))
    assert np.array_equal(clf.attribute(X, clf.predict(X)), clf.attribute(X))
    by_input = clf.attribute(X, attribution=InputXGradient())
    np.testing.assert_allclose(by_input, X * clf.attribute(X), atol=1e-6)
    clf.set_params(augmenter=mend_aba(attribution=InputXGradient()))
    assert np.array_equal(clf.attribute(X), by_input)


def test_order_is_kept_over_batches(make_net: Any, digits: Any) -> None:
    X, y = digits
    clf = make_net(batch_size=32, iterator_train__shuffle=True).fit(X, y)
    np.testing.assert_allclose(clf.attribute(X)[70:75], clf.attribute(X[70:75]), atol=1e-6)


# -------------------------------------------------------- parameters, clone, persistence


def test_clone_keeps_every_parameter(make_net: Any, digits: Any) -> None:
    clf = make_net(augmenter=fast_aba(k=3), augmenter__target__k=2, strength=0.3, layer="features.0")
    copied = clone(clf)
    assert copied.augmenter is not clf.augmenter
    assert copied.get_params()["augmenter__target__k"] == 2
    assert (copied.strength, copied.layer) == (0.3, "features.0")
    assert same(weights(copied.fit(*digits)), weights(clf.fit(*digits)))


def test_pickle_predicts_alike_and_trains_on_alike(make_net: Any, digits: Any) -> None:
    clf = make_net().fit(*digits)
    copied = pickle.loads(pickle.dumps(clf))  # noqa: S301
    assert np.array_equal(copied.predict_proba(digits[0]), clf.predict_proba(digits[0]))
    assert same(weights(copied.partial_fit(*digits)), weights(clf.partial_fit(*digits)))


def test_save_and_load_params(make_net: Any, digits: Any, tmp_path: Path) -> None:
    clf = make_net().fit(*digits)
    clf.save_params(f_params=tmp_path / "net.pt", f_optimizer=tmp_path / "optimizer.pt")
    fresh = make_net(random_state=5).initialize()
    fresh.load_params(f_params=tmp_path / "net.pt", f_optimizer=tmp_path / "optimizer.pt")
    assert np.array_equal(fresh.predict_proba(digits[0]), clf.predict_proba(digits[0]))


def test_set_params_on_a_fitted_net_keeps_the_weights(make_net: Any, digits: Any) -> None:
    clf = make_net().fit(*digits)
    before = weights(clf)
    clf.set_params(augmenter="fast_aba", strength=0.7)
    assert clf.augmenter_.adjustments == AdjustmentSet([0, 0, 3, 4, 5, 6, 16, 17])
    clf.set_params(augmenter__target__k=2, augmenter__randomize=False)
    assert (clf.augmenter_.target.k, clf.augmenter_.randomize) == (2, False)
    assert clf.get_params()["augmenter__target__k"] == 2
    assert same(weights(clf), before)


def test_a_typo_on_a_fitted_net_changes_nothing(make_net: Any, digits: Any) -> None:
    clf = make_net().fit(*digits)
    augmenter, parameters = clf.augmenter_, clf.get_params(deep=False)
    with pytest.raises(ValueError, match="Invalid parameter 'tagret'"):
        clf.set_params(augmenter__tagret__k=2)
    with pytest.raises(ValueError, match="Did you mean 'mend_aba'"):
        clf.set_params(augmenter="mend-aba")
    assert clf.augmenter_ is augmenter
    assert clf.get_params(deep=False) == parameters


@pytest.mark.parametrize("fitted", [False, True])
def test_a_new_augmenter_drops_the_old_ones_parameters(make_net: Any, digits: Any, fitted: bool) -> None:
    clf = make_net(augmenter="mend_aba", augmenter__target__k=2)
    clf = clf.fit(*digits) if fitted else clf
    clf.set_params(augmenter="fgsm")
    assert "augmenter__target__k" not in clf.get_params()
    clf.fit(*digits)


def test_the_users_augmenter_is_never_changed(make_net: Any, digits: Any) -> None:
    mine = mend_aba(k=4)
    make_net(augmenter=mine, augmenter__target__k=2).fit(*digits)
    assert mine.target.k == 4


def test_a_plain_function_is_an_augmenter(make_net: Any, digits: Any) -> None:
    def shrink(model: Any, x: torch.Tensor, y: Any, *, strength: float, **_: Any) -> torch.Tensor:
        return (1 - strength) * x

    clf = make_net(augmenter=shrink, strength=0.5).fit(*digits)
    np.testing.assert_allclose(clf.augment(*digits), 0.5 * digits[0])


# ------------------------------------------------------------------------------ searches


def test_grid_search_over_strength_augmenter_and_nested_parameters(make_net: Any, digits: Any) -> None:
    grid = {"strength": [0.05, 0.5], "augmenter": ["mend_aba", "fast_aba"], "augmenter__target__k": [1, 4]}
    search = GridSearchCV(make_net(max_epochs=1), grid, cv=2, error_score="raise").fit(*digits)
    best = search.best_estimator_
    assert len(search.cv_results_["params"]) == 8
    assert best.strength == search.best_params_["strength"]
    assert best.augmenter_.target.k == search.best_params_["augmenter__target__k"]


@pytest.mark.parametrize(
    "changed",
    [{"strength": 0.5}, {"augmenter": "fast_aba"}, {"augmenter__target__k": 1}, {"layer": "features.2"}],
)
def test_every_searched_parameter_changes_the_training(make_net: Any, digits: Any, changed: Any) -> None:
    reference = make_net(strength=0.1).fit(*digits)
    other = clone(make_net(strength=0.1)).set_params(**changed).fit(*digits)
    assert not same(weights(reference), weights(other))


def test_nested_parameters_of_an_instance_are_searched(make_net: Any, digits: Any) -> None:
    search = GridSearchCV(
        make_net(augmenter=ABA(), max_epochs=1), {"augmenter__target__k": [2, 3]}, cv=2, error_score="raise"
    ).fit(*digits)
    assert search.best_estimator_.augmenter_.target.k == search.best_params_["augmenter__target__k"]


def test_randomized_search(make_net: Any, digits: Any) -> None:
    search = RandomizedSearchCV(
        make_net(max_epochs=1),
        {"strength": uniform(0, 1)},
        n_iter=3,
        cv=2,
        random_state=0,
        error_score="raise",
    ).fit(*digits)
    assert search.best_estimator_.strength == search.best_params_["strength"]


def test_pipeline_and_cross_val_score(make_net: Any, digits: Any) -> None:
    pipeline = make_pipeline(FunctionTransformer(lambda X: X * 2), make_net(max_epochs=12))
    scores = cross_val_score(pipeline, *digits, cv=2, error_score="raise")
    assert scores.min() > 0.5
    assert pipeline.set_params(abaclassifier__strength=0.4)[-1].strength == 0.4


# ------------------------------------------------------------------- skorch's own features


def test_default_log_scores_the_validation_accuracy_of_string_labels(make_net: Any, digits: Any) -> None:
    X, y = digits
    clf = make_net(train_split=ValidSplit(4, stratified=True), max_epochs=12).fit(X, NAMES[y])
    assert clf.history[-1, "valid_acc"] > 0.6


def test_users_epoch_scoring_on_train_with_string_labels(make_net: Any, digits: Any) -> None:
    X, y = digits
    scoring = [EpochScoring("f1_macro", on_train=True, name="f1", lower_is_better=False)]
    clf = make_net(callbacks=scoring, max_epochs=12, strength=0.05).fit(X, NAMES[y])
    assert clf.history[-1, "f1"] > 0.6
    assert clf.predict(X[:1])[0] in NAMES


def test_early_stopping_and_checkpoint(make_net: Any, digits: Any, tmp_path: Path) -> None:
    callbacks = [EarlyStopping(patience=2), Checkpoint(dirname=tmp_path, f_pickle="net.pkl", load_best=True)]
    clf = make_net(callbacks=callbacks, max_epochs=30, lr=1.0, train_split=ValidSplit(4, stratified=True))
    clf.fit(digits[0], NAMES[digits[1]])
    assert len(clf.history) < 30
    stored = pickle.loads((tmp_path / "net.pkl").read_bytes())  # noqa: S301
    assert stored.predict(digits[0][:1])[0] in NAMES


def test_lbfgs_augments_once_a_step(make_net: Any, digits: Any) -> None:
    calls = []

    def counting(model: Any, x: torch.Tensor, y: Any, **_: Any) -> torch.Tensor:
        calls.append(len(x))
        return x + 0.01

    clf = make_net(augmenter=counting, optimizer=torch.optim.LBFGS, optimizer__max_iter=5, max_epochs=1, batch_size=-1)
    clf.fit(*digits)
    assert calls == [200]


@pytest.mark.parametrize("kind", [Dataset, TensorDataset])
def test_a_dataset_as_input(make_net: Any, digits: Any, kind: type) -> None:
    X, y = digits
    data = Dataset(X, y) if kind is Dataset else TensorDataset(torch.as_tensor(X), torch.as_tensor(y))
    clf = make_net(max_epochs=12).fit(data)
    assert list(clf.classes_) == list(range(10))
    assert clf.score(X, y) > 0.7
    assert clf.augment(data).shape == X.shape
    assert same(weights(clf), weights(make_net(max_epochs=12).fit(X, y)))


def test_a_dataset_with_labels_beside_it_for_the_split(make_net: Any, digits: Any) -> None:
    clf = make_net(train_split=ValidSplit(4, stratified=True)).fit(Dataset(*digits), digits[1])
    assert (clf.history[-1, "train_batch_count"], clf.history[-1, "valid_batch_count"]) == (5, 2)


def test_lists_and_data_frames(make_net: Any) -> None:
    X, y = torch.randn(40, 4).numpy(), np.arange(40) % 2
    settings: dict[str, Any] = {"module": nn.Linear(4, 2), "augmenter__target__k": 2}
    arrays = make_net(**settings).fit(X, y)
    for other in (X.tolist(), pd.DataFrame(X)):
        settings["module"] = nn.Linear(4, 2)
        settings["module"].load_state_dict({"weight": torch.zeros(2, 4), "bias": torch.zeros(2)})
        assert make_net(**settings).fit(other, y).predict(other).shape == (40,)
    assert arrays.predict(X.tolist()).tolist() == arrays.predict(X).tolist()


def test_metadata_reaches_only_who_takes_it(make_net: Any, digits: Any) -> None:
    """``groups`` goes to the split, ``scale`` to forward; a plain forward is not broken."""

    class Scaled(SmallNet):
        def forward(self, x: torch.Tensor, scale: float = 1.0) -> torch.Tensor:
            seen.append(scale)
            return scale * super().forward(x)

    seen: list[float] = []
    X, y = digits
    groups = np.arange(200) % 4
    make_net(train_split=ValidSplit(4)).fit(X, y, groups=groups)
    make_net(module=Scaled, train_split=ValidSplit(4)).fit(X, y, groups=groups, scale=2.0)
    assert set(seen) == {2.0}
    with pytest.raises(TypeError, match="temperature, which neither"):
        make_net().fit(X, y, temperature=2.0)


def test_several_inputs_with_a_layer(make_net: Any, digits: Any) -> None:
    class Two(SmallNet):
        def forward(self, image: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
            return super().forward(image + shift[:, None, None, None])

    X, y = digits
    inputs = {"image": X, "shift": np.zeros(200, dtype=np.float32)}
    clf = make_net(module=Two, layer="features.2").fit(inputs, y)
    assert clf.augment(inputs, y).shape == (200, 4, 8, 8)
    with pytest.raises(ValueError, match="several inputs: name the layer"):
        make_net(module=Two).fit(inputs, y)


def test_compiled_module_is_attributed_on_the_original(make_net: Any, digits: Any) -> None:
    compiled = make_net(compile=True, compile__backend="eager").fit(*digits)
    assert same(weights(compiled), weights(make_net().fit(*digits)))


def test_warm_start_goes_on(make_net: Any, digits: Any) -> None:
    clf = make_net(warm_start=True, max_epochs=1).fit(*digits).fit(*digits)
    assert len(clf.history) == 2


def test_a_failed_fit_leaves_the_fitted_net(make_net: Any, digits: Any) -> None:
    X, y = digits
    clf = make_net().fit(X, NAMES[y])
    predictions, history = clf.predict(X), len(clf.history)
    clf.set_params(augmenter=lambda model, x, y, **_: x[:1])
    with pytest.raises(ValueError, match="it must keep the shape"):
        clf.fit(X[:, :, :4], y)
    assert np.array_equal(clf.predict(X), predictions)
    assert len(clf.history) == history


def test_a_failed_first_fit_leaves_a_new_net(make_net: Any, digits: Any) -> None:
    clf = make_net(augmenter=lambda model, x, y, **_: x[:1])
    with pytest.raises(ValueError, match="it must keep the shape"):
        clf.fit(*digits)
    assert not clf.initialized_


def test_prints_and_logs(make_net: Any, digits: Any, capsys: Any) -> None:
    make_net(verbose=1, train_split=ValidSplit(4, stratified=True)).fit(*digits)
    assert "valid_acc" in capsys.readouterr().out


def test_partial_fit_with_all_classes_announced(make_net: Any, digits: Any) -> None:
    X, y = digits
    few = y < 5
    clf = make_net().partial_fit(X[few], y[few], classes=np.arange(10))
    clf.partial_fit(X, y)
    assert list(clf.classes_) == list(range(10))
    assert isinstance(clf, ABAClassifier)


# ------------------------------------------------- labels that a data set brings along


@pytest.mark.parametrize("labels", [NAMES, np.arange(1, 11)])
def test_a_datasets_own_labels_are_encoded(make_net: Any, digits: Any, labels: np.ndarray) -> None:
    X, y = digits
    names = np.sort(labels)[y]
    reference = make_net().fit(X, names)
    for arguments in ((Dataset(X, names),), (Dataset(X, names), names)):
        assert same(weights(make_net().fit(*arguments)), weights(reference))


def test_a_predefined_validation_set_is_encoded(make_net: Any, digits: Any) -> None:
    """Classes that validation lacks must not shift the others."""
    X, y = digits
    names = y + 1
    few = y < 6
    split = predefined_split(Dataset(X[few], names[few]))
    clf = make_net(train_split=split, max_epochs=12).fit(X, names)
    assert clf.history[-1, "valid_acc"] == pytest.approx(clf.score(X[few], names[few]))
    assert clf.history[-1, "valid_acc"] > 0.7


def test_a_callback_that_scores_on_its_own_data(make_net: Any, digits: Any) -> None:
    X, y = digits
    scores = []

    class Watch(Callback):
        def on_epoch_end(self, net: Any, **_: Any) -> None:
            scores.append(net.score(X, NAMES[y]))

    clf = make_net(callbacks=[Watch()], max_epochs=12, train_split=ValidSplit(4, stratified=True)).fit(X, NAMES[y])
    assert scores[-1] == clf.score(X, NAMES[y]) > 0.7


def test_unsorted_classes_keep_their_order(make_net: Any, digits: Any) -> None:
    X, y = digits
    clf = make_net(classes=NAMES, max_epochs=12).fit(X, NAMES[y])
    assert list(clf.classes_) == list(NAMES)
    assert clf.score(X, NAMES[y]) > 0.7


def test_loaded_weights_predict_without_a_fit(make_net: Any, digits: Any, tmp_path: Path) -> None:
    clf = make_net().fit(*digits)
    clf.save_params(f_params=tmp_path / "net.pt")
    fresh = make_net().initialize()
    fresh.load_params(f_params=tmp_path / "net.pt")
    assert np.array_equal(fresh.predict(digits[0]), clf.predict(digits[0]))


# ------------------------------------------------------------- presets and the classes


@pytest.mark.parametrize("augmenter", ["challenger", "mend_aba", "fast_aba", challenger(), mend_aba(), fast_aba()])
def test_a_preset_suits_two_classes_by_name_or_made(make_net: Any, digits: Any, augmenter: Any) -> None:
    X, y = digits
    two = y < 2
    clf = make_net(augmenter=augmenter, module__n_classes=2).fit(X[two], y[two])
    own = clone(clf).set_params(augmenter__target__k=2).fit(X[two], y[two])
    assert np.array_equal(clf.predict_proba(X), own.predict_proba(X))
    with pytest.raises(ValueError, match="k=4"):
        clf.set_params(augmenter__target__k=4).fit(X[two], y[two])


@pytest.mark.parametrize("augmenter", ["mend_aba", mend_aba()], ids=["name", "made"])
def test_k_is_right_whenever_the_classes_become_known(make_net: Any, digits: Any, augmenter: Any) -> None:
    X, y = digits[0][digits[1] < 2], digits[1][digits[1] < 2]

    class Hidden(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(X)

        def __getitem__(self, number: int) -> tuple[np.ndarray, int]:
            return X[number], int(y[number])

    def new(**parameters: Any) -> Any:
        return make_net(augmenter=augmenter, module__n_classes=2, max_epochs=1, train_split=None, **parameters)

    new().initialize().partial_fit(X, y)
    new().initialize().partial_fit(X, y, classes=[0, 1])
    new().partial_fit(X, y)
    new(warm_start=True).initialize().fit(X, y)
    new().fit(Hidden(), None)


def test_a_nested_parameter_outlives_another_preset(make_net: Any, digits: Any) -> None:
    search = GridSearchCV(
        make_net(augmenter="mend_aba", augmenter__target__k=6, max_epochs=1),
        {"augmenter": ["mend_aba", "challenger"]},
        cv=2,
        error_score="raise",
    ).fit(*digits)
    assert search.best_estimator_.augmenter_.target.k == 6


def test_augment_without_labels(make_net: Any, digits: Any) -> None:
    clf = make_net().fit(*digits)
    assert clf.augment(digits[0]).shape == digits[0].shape
    with pytest.raises(ValueError, match=r"Loss\(\) needs y"):
        clf.set_params(augmenter="fgsm").augment(digits[0])


def test_a_module_that_works_in_place_on_its_input(make_net: Any, digits: Any) -> None:
    class Centred(SmallNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x.sub_(0.5))

    X, y = digits
    clf = make_net(module=Centred).fit(X, y)
    x = torch.as_tensor(X[:8].copy())
    Gradient()(clf.module_, x, target=PredictedClass())
    assert torch.equal(x, torch.as_tensor(X[:8]))


def test_a_search_may_mix_methods_that_have_no_class_to_draw(make_net: Any, digits: Any) -> None:
    clf = make_net(augmenter="mend_aba", augmenter__target__k=2, max_epochs=1)
    with pytest.warns(UserWarning, match="augmenter__target__k is dropped"):
        GridSearchCV(clf, {"augmenter": ["challenger", "fgsm", None]}, cv=2, error_score="raise").fit(*digits)


@pytest.mark.parametrize("augmenter", [None, "mend_aba", "free_aba"])
def test_a_dataset_that_hides_its_targets(make_net: Any, digits: Any, augmenter: str | None) -> None:
    """Its targets have to be indices; the classes are those of the logits."""

    class Hiding(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return 64

        def __getitem__(self, number: int) -> Any:
            return digits[0][number], digits[1][number]

    clf = make_net(augmenter=augmenter).fit(Hiding())
    assert same(weights(clf), weights(make_net(augmenter=augmenter).fit(digits[0][:64], digits[1][:64])))
    assert clf.predict(digits[0][:3]).shape == (3,)
