"""The work of ``skaba worth``."""

from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import Pipeline

from skaba import ABAClassifier, ABAMultiLabelClassifier
from skaba.estimators import find_net
from skaba.evaluation import Comparison, Worth
from skaba.experiment import Network, worth_of_file, write_worth
from skaba.experiment._arrays import OwnArrays
from skaba.modules import FCN, MLP, ConvNet


def arrays(shape: tuple[int, ...], n_labels: int = 0) -> OwnArrays:
    X = np.random.default_rng(0).normal(size=(12, *shape)).astype(np.float32)
    y: Any = np.arange(12) % 3 if n_labels == 0 else np.eye(12, n_labels, dtype=np.float32)
    return OwnArrays(X, y, [str(label) for label in range(n_labels or 3)], "")


@pytest.mark.parametrize(
    ("shape", "module", "parameters"),
    [
        ((3, 8, 8), ConvNet, {"channels": 3, "n_classes": 3}),
        ((2, 20), FCN, {"channels": 2, "n_classes": 3}),
        ((5,), MLP, {"n_features": 5, "n_classes": 3}),
    ],
)
def test_the_default_network_suits_the_samples(shape: Any, module: Any, parameters: Any) -> None:
    data = arrays(shape)
    estimator = Network(epochs=1, lr=0.01, batch_size=4).estimator(data)
    net = find_net(estimator)
    assert type(net) is ABAClassifier
    assert net.module is module
    assert net.get_params_for("module") == parameters
    assert (net.max_epochs, net.lr, net.batch_size) == (1, 0.01, 4)
    assert isinstance(estimator, Pipeline) == (module is MLP)  # tables are scaled
    assert estimator.fit(data.X, data.y).predict_proba(data.X).shape == (12, 3)


def test_several_labels_per_sample() -> None:
    data = arrays((5,), n_labels=4)
    net = find_net(Network().estimator(data))
    assert type(net) is ABAMultiLabelClassifier
    assert net.module__n_classes == 4


@pytest.mark.parametrize(
    ("shape", "layer", "message"), [((7,), "embedding", "that are word ids"), ((1, 2, 3, 4), None, "")]
)
def test_samples_without_a_default_network(shape: Any, layer: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"no default network for samples of shape .*{message}.*--module my_nets:Net"):
        Network(layer=layer).estimator(arrays(shape))


def test_a_network_of_the_user_gets_the_number_of_classes_if_it_takes_it(tmp_path: Any, monkeypatch: Any) -> None:
    (tmp_path / "nets_for_worth.py").write_text(
        "from torch import nn\n"
        "def sized(n_classes):\n    return nn.Linear(5, n_classes)\n"
        "def fixed():\n    return nn.Linear(5, 3)\n"
    )
    monkeypatch.chdir(tmp_path)
    for name, parameters in (("sized", {"n_classes": 3}), ("fixed", {})):
        net = Network(f"nets_for_worth:{name}").estimator(arrays((5,)))
        assert net.get_params_for("module") == parameters
    with pytest.raises(ValueError, match="cannot be imported"):
        Network("nets_for_worth:missing").estimator(arrays((5,)))


def test_a_file_without_targets_is_refused(tmp_path: Any) -> None:
    np.savez(tmp_path / "x.npz", X=np.zeros((3, 2)))
    with pytest.raises(ValueError, match="it holds X, but not y"):
        worth_of_file(tmp_path / "x.npz", Network())


def test_the_table_and_the_picture_are_written(tmp_path: Any) -> None:
    scores = {"plain": np.array([0.5, 0.6]), "ABA": np.array([0.7, 0.6])}
    found = Worth(Comparison(scores, "plain", 1), {"plain": "plain", "ABA": "ABA"}, "Do this.")
    write_worth(found, tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder" / "worth.md").read_text() == found.table() + "\n"
    assert (tmp_path / "new" / "folder" / "worth.png").read_bytes().startswith(b"\x89PNG")
