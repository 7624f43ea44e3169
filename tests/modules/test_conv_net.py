import pytest
import torch
from torch import nn

from skaba.modules import ConvNet


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("channels", "size"), [(1, 8), (1, 28), (3, 32), (3, 13)])
def test_maps_images_of_any_size_to_logits(channels, size, batch_norm):
    model = ConvNet(n_classes=7, channels=channels, batch_norm=batch_norm)
    assert model(torch.rand(3, channels, size, size)).shape == (3, 7)


def test_has_as_many_parameters_as_documented():
    assert sum(p.numel() for p in ConvNet().parameters()) == pytest.approx(67_000, rel=0.01)


def test_features_3_is_the_first_stage():
    model = ConvNet(width=4)
    assert isinstance(model.get_submodule("features.3"), nn.ReLU)
    assert model.features[:4](torch.rand(2, 1, 8, 8)).shape == (2, 4, 8, 8)


def test_rectifiers_are_separate_modules_and_not_in_place():
    rectifiers = [m for m in ConvNet().modules() if isinstance(m, nn.ReLU)]
    assert len(rectifiers) == 4
    assert not any(m.inplace for m in rectifiers)


def test_gradient_reaches_every_pixel():
    x = torch.rand(2, 1, 8, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(ConvNet()(x).sum(), x)
    assert (gradient != 0).all()


def test_learns_to_tell_two_images_apart():
    model = ConvNet(n_classes=2, width=8)
    x, y = torch.rand(2, 1, 8, 8), torch.tensor([0, 1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(30):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    assert model(x).argmax(dim=1).equal(y)


@pytest.mark.parametrize("shape", [(2, 8, 8), (2, 3, 8, 8), (2, 64)], ids=str)
def test_other_shapes_are_an_error_that_names_the_expected_shape(shape):
    with pytest.raises(ValueError, match=r"Expected .* of shape \(n, .*got \(2, "):
        ConvNet()(torch.zeros(shape))
