"""Weights that are saved bring the labels with them."""

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import get_scorer
from skorch.callbacks import Checkpoint

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from skaba.augmenters import fgsm
from skaba.evaluation import report
from skaba.evaluation.robustness import score_under_attack

X = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
POSITIVE = (X[:, 0] > 0).astype(int)
LABELS = {
    "strings": np.array(["low", "high"])[POSITIVE],
    "objects": np.array(["low", "high"], dtype=object)[POSITIVE],
    "from 1": POSITIVE + 1,
    "floats": POSITIVE + 1.0,
    "booleans": POSITIVE > 0,
}


def new(estimator: Any = ABAClassifier, **parameters: Any) -> Any:
    settings: dict[str, Any] = {"module__in_features": 5, "module__out_features": 2, "max_epochs": 2, "verbose": 0}
    return estimator(torch.nn.Linear, **{"random_state": 0, **settings, **parameters})


def saved(net: Any, **options: Any) -> io.BytesIO:
    file = io.BytesIO()
    net.save_params(f_params=file, **options)
    file.seek(0)
    return file


def loaded(file: Any, estimator: Any = ABAClassifier, *, use_safetensors: bool = False, **parameters: Any) -> Any:
    net = new(estimator, **parameters).initialize()
    net.load_params(f_params=file, use_safetensors=use_safetensors)
    return net


@pytest.mark.parametrize("labels", LABELS)
def test_a_loaded_classifier_predicts_the_labels_and_knows_them_in_every_verb(labels: str) -> None:
    y = LABELS[labels]
    net = new().fit(X, y)
    again = loaded(saved(net))
    assert again.classes_.dtype == net.classes_.dtype
    assert again.predict(X).tolist() == net.predict(X).tolist()
    assert np.array_equal(loaded(saved(net)).attribute(X, y), net.attribute(X, y))
    for scorer in ("accuracy", "roc_auc", "f1_macro"):
        assert get_scorer(scorer)(loaded(saved(net)), X, y) == get_scorer(scorer)(net, X, y)
    assert score_under_attack(loaded(saved(net)), X, y, fgsm(), 0.1) == score_under_attack(net, X, y, fgsm(), 0.1)
    assert report(loaded(saved(net)), X, y)


def test_training_goes_on_with_the_labels_of_the_file() -> None:
    y = LABELS["strings"]
    net = loaded(saved(new().fit(X, y)))
    net.partial_fit(X[:8], np.full(8, "low"))
    assert net.classes_.tolist() == ["high", "low"]
    with pytest.raises(ValueError, match="not seen in fit"):
        net.partial_fit(X, np.full(60, "medium"))


def test_shapes_and_names_come_with_the_weights_too() -> None:
    frame = pd.DataFrame(X, columns=list("abcde"))
    net = loaded(saved(new().fit(frame, POSITIVE)))
    with pytest.raises(ValueError, match="same order as they were in fit"):
        net.predict(frame[list("edcba")])
    with pytest.raises(ValueError, match="X\\[None\\]"):
        net.predict(frame.iloc[0])


def test_the_other_tasks_keep_the_shape_of_their_targets() -> None:
    several = new(ABAMultiLabelClassifier).fit(X, np.column_stack([POSITIVE, 1 - POSITIVE]))
    assert loaded(saved(several), ABAMultiLabelClassifier).n_labels_ == 2
    flat = new(ABARegressor, module__out_features=1).fit(X, X[:, 0])
    assert loaded(saved(flat), ABARegressor, module__out_features=1).predict(X).shape == (60,)


def test_the_file_is_a_plain_state_dict_that_needs_no_unpickling() -> None:
    net = new().fit(X, LABELS["strings"])
    state = torch.load(saved(net), weights_only=True)
    module = torch.nn.Linear(5, 2)
    module.load_state_dict(state)
    assert torch.equal(module.weight, net.module_.weight)


def test_weights_of_a_plain_module_stand_for_class_indices() -> None:
    file = io.BytesIO()
    torch.save(torch.nn.Linear(5, 2).state_dict(), file)
    file.seek(0)
    net = loaded(file)
    with pytest.raises(AttributeError, match=r"Pass classes=\[\.\.\.\]"):
        get_scorer("roc_auc")(net, X, POSITIVE)
    with pytest.raises(ValueError, match=r"labels are not known.*classes=\[\.\.\.\]"):
        net.attribute(X, LABELS["strings"])
    assert net.attribute(X, POSITIVE).shape == X.shape
    assert set(net.predict(X)) <= {0, 1}
    assert net.classes_.tolist() == [0, 1]


def test_classes_that_contradict_the_file_are_refused() -> None:
    file = saved(new().fit(X, LABELS["strings"]))
    with pytest.raises(ValueError, match=r"trained with the labels \['high', 'low'\]"):
        loaded(file, classes=["low", "high"])
    file.seek(0)
    assert loaded(file, classes=["high", "low"]).classes_.tolist() == ["high", "low"]


def test_safetensors_hold_no_labels_and_say_so() -> None:
    pytest.importorskip("safetensors")
    net = new().fit(X, LABELS["strings"])
    with pytest.warns(UserWarning, match=r"pass classes=\['high', 'low'\]"):
        file = saved(net, use_safetensors=True)
    again = loaded(file, use_safetensors=True, classes=["high", "low"])
    assert again.predict(X).tolist() == net.predict(X).tolist()


def test_checkpoints_bring_the_labels_back(tmp_path: Any) -> None:
    checkpoint = Checkpoint(monitor=None, dirname=tmp_path)
    net = new(callbacks=[checkpoint]).fit(X, LABELS["strings"])
    again = new().initialize()
    again.load_params(checkpoint=checkpoint)
    assert again.predict(X).tolist() == net.predict(X).tolist()


def test_weights_of_another_task_are_refused_and_change_nothing() -> None:
    file = saved(new(ABAMultiLabelClassifier).fit(X, np.column_stack([POSITIVE, 1 - POSITIVE])))
    net = new().fit(X, LABELS["strings"])
    before = net.predict_proba(X)
    with pytest.raises(ValueError, match="weights of a multi-label classifier, but ABAClassifier is a classifier"):
        net.load_params(f_params=file)
    assert np.array_equal(net.predict_proba(X), before)
    assert net.classes_.tolist() == ["high", "low"]
