"""Every kind of bad input gets one clear error: what was given, what is allowed, what to do."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from skorch.dataset import Dataset, ValidSplit
from torch import Tensor, nn

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from skaba.attribution import Gradient, Loss, SmoothGrad
from skaba.augmenters import ABA, AdjustmentSet, Cutoff, GaussianNoise, mend_aba
from tests.estimators.conftest import SmallNet


def _with(X: np.ndarray, value: float) -> np.ndarray:
    X = X.copy()
    X[3, 0, 2, 2] = value
    return X


class Returns(nn.Module):
    """Does to the logits what it is told."""

    def __init__(self, change: Any) -> None:
        super().__init__()
        self.net = SmallNet()
        self.change = change

    def forward(self, x: Tensor) -> Any:
        return self.change(self.net(x))


class Unused(SmallNet):
    """Has a layer that the forward pass never reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Linear(3, 3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda X: _with(X, np.nan), ValueError, "NaN or infinity: 1 of 12800 values, the first in sample 3"),
        (lambda X: _with(X, np.inf), ValueError, "NaN or infinity"),
        (lambda X: _with(X.astype(float), 1e300), ValueError, r"1e\+300 in sample 3, a float64 value that overflows"),
        (lambda X: np.ma.masked_greater(X, 0.9), ValueError, "X is a masked array"),
        (
            lambda X: pd.DataFrame(X.reshape(200, -1)).convert_dtypes().mask(lambda f: f > 0.9),
            ValueError,
            "contains NaN",
        ),
        (lambda X: pd.Series(X[:, 0, 0, 0]), ValueError, r"X.to_frame\(\)"),
        (lambda X: [[1.0], [1.0, 2.0]], ValueError, "samples of different lengths"),
        (lambda X: [], ValueError, "0 sample"),
        (lambda X: torch.as_tensor(_with(X, -np.inf)), ValueError, "NaN or infinity"),
        (lambda X: (X * 255).astype(np.uint8), ValueError, "uint8 values.*Scale images"),
        (lambda X: (torch.as_tensor(X) * 255).long(), ValueError, "int64 values.*Scale images"),
        (lambda X: X[:, 0, 0, 0], ValueError, "no batch axis"),
        (lambda X: X[0, 0], ValueError, "has 8 samples.*but y has 200.*X\\[None\\]"),
        (lambda X: X[:0], ValueError, "0 sample"),
        (lambda X: X[:, :, :0], ValueError, "0 feature"),
        (lambda X: X.astype(complex), ValueError, "Complex data not supported"),
        (lambda X: X.astype(str), ValueError, "a network needs numbers"),
        (lambda X: np.array([["a", object()]] * 200, dtype=object), ValueError, "objects that are not numbers"),
        (lambda X: np.array(["some text"] * 200), ValueError, "a network needs numbers.*WordSequences"),
        (lambda X: sparse.csr_matrix(X.reshape(200, -1)), TypeError, "sparse matrix.*toarray"),
    ],
)
def test_bad_samples(make_net: Any, digits: Any, change: Any, error: type, message: str) -> None:
    clf = make_net()
    with pytest.raises(error, match=message):
        clf.fit(change(digits[0]), digits[1])
    assert not clf.initialized_


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda y: y[:-1], "has 200 samples.*but y has 199"),
        (lambda y: None, "requires y to be passed, but the target y is None"),
        (lambda y: y + 0.5, "Unknown label type: continuous"),
        (lambda y: np.where(y == 0, np.nan, y.astype(float)), "y contains NaN or infinity"),
        (lambda y: np.column_stack([y, y]), "one label per sample.*ABAMultiLabelClassifier"),
        (lambda y: 3, "one target per sample, got the scalar"),
        (lambda y: y * 1j, "Complex data not supported"),
        (lambda y: np.array([None, *y[1:]], dtype=object), "y contains None or NaN"),
        (sparse.csr_matrix, "y is a sparse matrix"),
        (lambda y: np.eye(10)[y], r"These are one-hot rows: pass y.argmax\(1\)"),
        (np.zeros_like, r"y holds one class, \[0\].*pass classes="),
        (lambda y: np.where(y == 0, "zero", y.astype(object)), "labels of several types"),
        (lambda y: np.ma.masked_equal(y, 3), r"y is a masked array.*y.filled\(value\), or drop"),
        (lambda y: pd.Series(y.astype(str), dtype="string").mask(y == 3), "y contains None or NaN"),
        (lambda y: y.astype("M8[D]"), r"datetime64\[D\] values. Turn dates into labels"),
        (lambda y: np.where(y == 0, np.inf, y), "y contains NaN or infinity"),
        (lambda y: [*y, 0], "has 200 samples.*but y has 201"),
    ],
)
def test_bad_targets(make_net: Any, digits: Any, change: Any, message: str) -> None:
    clf = make_net()
    with pytest.raises(ValueError, match=message):
        clf.fit(digits[0], change(digits[1]))
    assert not clf.initialized_


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"strength": -0.1}, "'strength' parameter of ABAClassifier must be.*Got -0.1"),
        ({"strength": float("nan")}, "strength"),
        ({"strength": float("inf")}, "strength"),
        ({"strength": "strong"}, "'strength' parameter"),
        ({"augmenter": "mend-aba"}, "no augmenter named 'mend-aba'. Did you mean 'mend_aba'"),
        ({"augmenter": 3}, "augmenter=3 must be an augmenter, such as mend_aba"),
        ({"augmenter": GaussianNoise(), "augmenter__target__k": 3}, "Invalid parameter 'target'"),
        ({"augmenter": None, "augmenter__target__k": 3}, "augmenter__target__k cannot be set"),
        ({"augmenter__target__k": 0}, "'k' parameter of RandomTopClass"),
        ({"augmenter__randomize": "yes"}, "'randomize' parameter of ABA"),
        ({"layer": 3}, "'layer' parameter"),
        ({"augmenter": mend_aba}, r"call it, mend_aba\(\)"),
        ({"augmenter": ABA}, r"call it, ABA\(\)"),
        ({"layer": "feature.2", "strength": 0}, "no layer named 'feature.2'"),
        ({"random_state": -1}, "'random_state' parameter"),
        ({"augmenter": ABA(adjustments=AdjustmentSet([(1, -1)]))}, "is for 2 categories, but the selection makes 3"),
        ({"augmenter": ABA(selection=Cutoff(), adjustments=AdjustmentSet([(1, 0, 1)]))}, "is for 3 categories"),
        ({"criterion": nn.NLLLoss}, "it takes probabilities, but the module must return logits"),
        ({"layer": "features.0", "compile": True}, "cannot be combined"),
    ],
)
def test_bad_parameters_before_any_work(make_net: Any, digits: Any, parameters: Any, message: str) -> None:
    clf = make_net(**parameters)
    with pytest.raises(ValueError, match=message):
        clf.fit(*digits)
    assert not clf.initialized_


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"augmenter__target__k": 11}, "k=11.*10 logits.*augmenter__target__k=10"),
        ({"layer": "feature.2"}, "no layer named 'feature.2'. Did you mean 'features.2'"),
        ({"layer": "spare", "module": Unused}, "never reaches layer='spare'"),
        ({"module__n_classes": 8}, "8 logits per sample, but y has 10 classes"),
        ({"module": Returns(lambda z: z.softmax(1))}, "returns probabilities.*logits are needed"),
        ({"module": Returns(lambda z: z[:, :, None]), "augmenter": None}, "needs logits of shape"),
        ({"module": Returns(lambda z: z[:, :, None])}, "logits of shape"),
        ({"module": Returns(lambda z: z[:, 0])}, "logits of shape"),
        ({"module": Returns(lambda z: z[:1]), "augmenter": None}, "one row per sample.*X\\[None\\]"),
        ({"augmenter": lambda model, x, y, **_: None}, "<lambda>.* returned None for a batch of shape"),
    ],
)
def test_what_only_the_module_can_tell(make_net: Any, digits: Any, parameters: Any, message: str) -> None:
    clf = make_net(**parameters)
    with pytest.raises(ValueError, match=message):
        clf.fit(*digits)
    assert not clf.initialized_


def test_a_module_that_returns_no_tensor(make_net: Any, digits: Any) -> None:
    with pytest.raises(TypeError, match="returned a dict; it must return a tensor of logits"):
        make_net(module=Returns(lambda z: {"logits": z})).fit(*digits)


def test_log_probabilities_are_logits(make_net: Any, digits: Any) -> None:
    make_net(module=Returns(lambda z: z.log_softmax(1))).fit(*digits)


def test_label_unseen_in_fit(make_net: Any, digits: Any) -> None:
    X, y = digits
    clf = make_net(module__n_classes=5).fit(X[y < 5], y[y < 5])
    for look in (clf.attribute, clf.augment):
        with pytest.raises(ValueError, match=r"labels that were not seen in fit: \[.*7.*\]. Known"):
            look(X[y == 7], y[y == 7])
    with pytest.raises(ValueError, match="not seen in fit"):
        clf.partial_fit(X, y)
    named = make_net().fit(X, np.array(list("abcdefghij"), dtype=object)[y])
    with pytest.raises(ValueError, match="labels of another type"):
        named.attribute(X, y)


def test_a_single_logit(make_net: Any, digits: Any) -> None:
    with pytest.raises(ValueError, match="returns a single logit per sample"):
        make_net(module__n_classes=1).fit(digits[0], digits[1] % 2)


def test_other_samples_than_in_fit(make_net: Any, digits: Any) -> None:
    clf = make_net().fit(*digits)
    with pytest.raises(ValueError, match=r"fitted on samples of shape \(1, 8, 8\)"):
        clf.predict(digits[0][0])
    tabular = make_net(module=nn.Linear(4, 2), augmenter=mend_aba(k=2))
    tabular.fit(np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 2)
    with pytest.raises(ValueError, match="3 features, but ABAClassifier is expecting 4"):
        tabular.predict(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="NaN or infinity"):
        tabular.predict_proba(np.full((2, 4), np.nan))


def test_another_kind_of_numbers_than_in_fit(make_net: Any, digits: Any) -> None:
    X, y = digits
    clf = make_net().fit(X, y)
    for look in (clf.predict, clf.attribute, clf.augment):
        with pytest.raises(ValueError, match=r"uint8 values, but the net was fitted on floats. Pass X.astype"):
            look((255 * X).astype(np.uint8))
    words = make_net(module=lambda: nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 2)), layer="0")
    words.fit(np.arange(30).reshape(10, 3) % 9, np.arange(10) % 2)
    with pytest.raises(ValueError, match="float64 values, but the net was fitted on integers"):
        words.predict(np.ones((2, 3)))


def test_a_list_of_samples_to_predict(make_net: Any, digits: Any) -> None:
    clf = make_net().fit(*digits)
    with pytest.raises(ValueError, match=r"X is a list of 5 arrays, read as several inputs.*np.stack\(X\)"):
        clf.predict(list(digits[0])[:5])


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (lambda: nn.Sequential(nn.Conv2d(1, 3, 3), nn.Flatten(), nn.Linear(108, 10)), (1, 8, 8)),
        (
            lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten(0), nn.Unflatten(0, (-1, 3))),
            (2, 9),
        ),
        (lambda: nn.Sequential(nn.Linear(4, 2), nn.Flatten(0), nn.Unflatten(0, (-1, 6))), (3, 4)),
        (lambda: nn.Sequential(nn.Linear(4, 10)), (4,)),
    ],
)
def test_one_sample_without_its_axis(make_net: Any, tmp_path: Any, module: Any, shape: tuple[int, ...]) -> None:
    """Fitted or loaded: a net without a fit does not know the shape of a sample."""
    X = np.random.default_rng(0).normal(size=(20, *shape)).astype(np.float32)
    n_classes = len(module()(torch.as_tensor(X[:1]))[0])
    fitted = make_net(module=module, augmenter=None).fit(X, np.arange(20) % n_classes)
    fitted.save_params(f_params=tmp_path / "net.pt")
    loaded = make_net(module=module, augmenter=None).initialize()
    loaded.load_params(f_params=tmp_path / "net.pt")
    for net in (fitted, loaded):
        with pytest.raises(ValueError, match=r"X\[None\]"):
            net.predict_proba(X[0])
        assert net.predict_proba(X[0][None]).shape == (1, n_classes)


def test_a_loaded_net_and_samples_that_its_module_cannot_read(make_net: Any, digits: Any) -> None:
    net = make_net().initialize()
    with pytest.raises(ValueError, match=r"cannot read X of shape \(200, 1, 8, 8\) \(uint8 values\).*X\[None\]"):
        net.predict((255 * digits[0]).astype(np.uint8))


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("kind", [ABAClassifier, ABAMultiLabelClassifier, ABARegressor])
def test_a_split_of_too_few_samples(kind: type, n: int) -> None:
    y = {ABAClassifier: np.arange(n), ABAMultiLabelClassifier: np.eye(n, 2), ABARegressor: np.arange(n)}[kind]
    split = ValidSplit(5, stratified=kind is ABAClassifier)
    net = (
        kind(nn.Linear(3, max(2, n)), train_split=split, classes=range(max(2, n)))
        if kind is ABAClassifier
        else kind(nn.Linear(3, 2 if kind is ABAMultiLabelClassifier else 1), train_split=split)
    )
    with pytest.raises(ValueError, match=rf"train_split=ValidSplit\(5.*cannot split {n} sample.*train_split=None"):
        net.fit(np.ones((n, 3), dtype=np.float32), y)
    assert not net.initialized_
    net.set_params(train_split=None, max_epochs=1, verbose=0).fit(np.ones((n, 3), dtype=np.float32), y)


def test_one_sample_cannot_be_split_by_a_share() -> None:
    net = ABAMultiLabelClassifier(nn.Linear(3, 2), train_split=ValidSplit(0.2))
    with pytest.raises(ValueError, match=r"train_split=ValidSplit\(0.2\) cannot split 1 sample"):
        net.fit(np.ones((1, 3), dtype=np.float32), [[0, 1]])


def test_what_explains_must_be_an_instance(make_net: Any, digits: Any) -> None:
    clf = make_net().fit(*digits)
    for arguments in ({"target": Loss}, {"attribution": Gradient}, {"attribution": 3}):
        with pytest.raises(ValueError, match="must be an instance or a function"):
            clf.attribute(digits[0], **arguments)
    with pytest.raises(ValueError, match="Did you mean 'Loss'"):
        clf.attribute(digits[0], target="loss")
    with pytest.raises(ValueError, match="'samples' parameter of SmoothGrad"):
        clf.attribute(digits[0], attribution=SmoothGrad(samples=0))


def test_a_list_of_arrays(make_net: Any, digits: Any) -> None:
    with pytest.raises(ValueError, match=r"np.stack\(X\)"):
        make_net().fit(list(digits[0])[:5], digits[1])


def test_nan_in_one_of_several_inputs(make_net: Any, digits: Any) -> None:
    bad = _with(digits[0], np.nan)
    with pytest.raises(ValueError, match=r"X\['image'\] contains NaN"):
        make_net(layer="features.0").fit({"image": bad}, digits[1])
    with pytest.raises(ValueError, match=r"X\[1\] contains NaN or infinity: 1 of 12800 values, the first in sample 3"):
        make_net(layer="features.0").fit((digits[0], bad), digits[1])


def test_a_part_without_gradient(make_net: Any, digits: Any) -> None:
    class Frozen(SmallNet):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.detach())

    with pytest.raises(ValueError, match="gradient does not reach the input"):
        make_net(module=Frozen).fit(*digits)


def test_not_fitted(make_net: Any, digits: Any) -> None:
    for look in (make_net().predict, make_net().augment, make_net().attribute):
        with pytest.raises(Exception, match="not initialized yet"):
            look(digits[0])


def test_dataset_without_labels_for_a_stratified_split(make_net: Any, digits: Any) -> None:
    clf = make_net(train_split=ValidSplit(5, stratified=True))
    with pytest.raises(ValueError, match="pass y beside the Dataset"):
        clf.fit(Dataset(*digits))
