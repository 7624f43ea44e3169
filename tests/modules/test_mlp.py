import pytest
import torch
from torch import nn

from skaba.modules import MLP


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("n_layers", [1, 3])
def test_has_as_many_hidden_layers_as_given(n_layers, batch_norm):
    model = MLP(5, n_classes=3, hidden=7, n_layers=n_layers, batch_norm=batch_norm)
    count = {kind: sum(isinstance(m, kind) for m in model.modules()) for kind in (nn.Linear, nn.ReLU, nn.BatchNorm1d)}
    assert count == {nn.Linear: n_layers + 1, nn.ReLU: n_layers, nn.BatchNorm1d: n_layers * batch_norm}
    assert model(torch.randn(4, 5)).shape == (4, 3)


def test_learns_what_a_linear_model_cannot():
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = torch.tensor([0, 1, 1, 0])
    model = MLP(2, n_classes=2, hidden=16)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(100):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert model(x).argmax(dim=1).equal(y)


@pytest.mark.parametrize("shape", [(2, 4), (5,), (2, 5, 1)], ids=str)
def test_other_shapes_are_an_error(shape):
    with pytest.raises(ValueError, match=r"rows of shape \(n, 5\), got"):
        MLP(5)(torch.zeros(shape))
