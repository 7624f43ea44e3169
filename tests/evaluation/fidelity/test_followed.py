"""What methods that need a loss are asked about, by task."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import logsigmoid

from skaba import ABAClassifier, ABAMultiLabelClassifier, ABARegressor
from skaba.attribution import IBA, Gradient
from skaba.evaluation.fidelity import perturbation_curves
from skaba.evaluation.fidelity._masking import Followed

LOGITS = torch.tensor([[1.0, -2.0], [0.5, 3.0]])
COLUMNS = torch.tensor([1, 0])
NET = {"augmenter": None, "max_epochs": 1, "train_split": None, "random_state": 0, "verbose": 0}


def test_each_task_has_a_target_of_its_own():
    variants = torch.cat([LOGITS, LOGITS + 1])
    followed = torch.tensor([-2.0, 0.5, -1.0, 1.5])
    expected = {
        "classes": followed,
        "labels": logsigmoid(followed),
        "values": torch.tensor([0.0, 0.0, -1.0, -1.0]),
    }
    for task, values in expected.items():
        assert torch.equal(Followed(COLUMNS, task)(LOGITS, None)(variants), values), task


@pytest.mark.parametrize(
    ("kind", "y", "task"),
    [
        (ABAClassifier, np.arange(12) % 2, "classes"),
        (ABAMultiLabelClassifier, np.array([[0, 1], [1, 0], [1, 1]] * 4), "labels"),
        (ABARegressor, np.linspace(-1, 1, 24, dtype=np.float32).reshape(12, 2), "values"),
    ],
)
def test_the_bottleneck_is_asked_about_the_loss_of_the_task_and_other_methods_about_the_score(kind, y, task):
    """IBA makes a softmax cross-entropy of a class's score, which labels and values have not."""
    X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    net = kind(nn.Linear, module__in_features=3, module__out_features=2, **NET).fit(X, y)
    columns = torch.as_tensor(net.forward(X).argmax(dim=1))
    x = torch.as_tensor(X)
    for method, own in ((IBA(), task), (Gradient(), "classes")):
        generator = torch.Generator().manual_seed(int(np.random.SeedSequence(0).spawn(3)[2].generate_state(1)[0]))
        maps = method(net.module_, x, target=Followed(columns, own), generator=generator).detach().numpy()
        asked = perturbation_curves(net, X, method, step=50)
        np.testing.assert_array_equal(asked.mif, perturbation_curves(net, X, maps, step=50).mif)
