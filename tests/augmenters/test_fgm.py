"""FGM against the gradient of the loss by hand."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from skaba.augmenters import FGM
from skaba.network import FromLayer
from tests.tiny_nets import TextNet, mlp, seeded, words


def moved(augmenter, model, x, y, strength=0.5):
    return augmenter(model, x, y, strength=strength, criterion=torch.nn.CrossEntropyLoss(), generator=seeded())


def test_the_step_is_along_the_gradient_with_the_strength_as_length():
    model, x, y = mlp(), torch.randn(5, 6, requires_grad=True), torch.tensor([0, 1, 2, 3, 0])
    (gradient,) = torch.autograd.grad(cross_entropy(model(x), y, reduction="sum"), x)
    step = moved(FGM(), model, x, y) - x.detach()
    torch.testing.assert_close(step, 0.5 * gradient / gradient.norm(dim=1, keepdim=True))


def test_a_tiny_gradient_gives_a_step_of_full_length_and_no_gradient_none():
    model = torch.nn.Linear(3, 2, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1e-30, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    x, y = torch.zeros(1, 3), torch.tensor([1])
    torch.testing.assert_close(moved(FGM(), model, x, y), torch.tensor([[0.5, 0.0, 0.0]]))
    model.weight.data.zero_()
    assert torch.equal(moved(FGM(), model, x, y), x)


def test_padding_neither_moves_nor_counts():
    ids = words()
    view = FromLayer(TextNet(), "embedding", ids)
    x = view.features()
    step = moved(FGM(), view, x, torch.arange(len(ids)) % 3) - x
    assert not step[ids == 0].any()
    torch.testing.assert_close(step.flatten(1).norm(dim=1), torch.full((len(ids),), 0.5))


def test_clip_keeps_the_range():
    x = torch.rand(4, 6)
    result = moved(FGM(clip=(0, 1)), mlp(), x, torch.zeros(4, dtype=torch.long), strength=5.0)
    assert result.min() >= 0
    assert result.max() <= 1


def test_the_loss_is_needed():
    with pytest.raises((TypeError, ValueError), match="criterion"):
        FGM()(mlp(), torch.rand(2, 6), torch.tensor([0, 1]), strength=1.0, criterion=None, generator=seeded())
