import pytest
import torch
from torch import nn

from skaba.modules import VGG11, VGG16


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize(("network", "shape"), [(VGG11, (1, 28, 28)), (VGG16, (3, 32, 32))])
def test_defaults_fit_the_data_sets_of_the_papers(network, shape, batch_norm):
    model = network(batch_norm=batch_norm, hidden=16)
    assert model(torch.rand(2, *shape)).shape == (2, 10)
    assert any(isinstance(m, nn.BatchNorm2d) for m in model.modules()) == batch_norm


@pytest.mark.parametrize("network", [VGG11, VGG16])
@pytest.mark.parametrize("size", [16, 28, 31, 32, 48, 64])
def test_image_size_sets_the_size_of_the_classifier(network, size):
    model = network(n_classes=3, channels=2, image_size=size, hidden=8)
    side = (size // 16 + 1) // 2
    assert model.features(torch.rand(1, 2, size, size)).shape == (1, 512, side, side)
    assert model(torch.rand(1, 2, size, size)).shape == (1, 3)


@pytest.mark.parametrize(("network", "n_convolutions"), [(VGG11, 8), (VGG16, 13)])
def test_number_of_layers_is_that_in_the_name(network, n_convolutions):
    model = network(hidden=8)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    rectifiers = [m for m in model.modules() if isinstance(m, nn.ReLU)]
    assert len(convolutions) == n_convolutions
    assert sum(isinstance(m, nn.Linear) for m in model.modules()) == 3
    assert len(rectifiers) == n_convolutions + 2
    assert not any(m.inplace for m in rectifiers)


def test_last_pool_averages_in_vgg11_and_takes_the_maximum_in_vgg16():
    x = torch.rand(1, 512, 2, 2)
    torch.testing.assert_close(VGG11(image_size=32, hidden=8).features[-1](x), x.mean((2, 3), keepdim=True))
    torch.testing.assert_close(VGG16(image_size=32, hidden=8).features[-1](x), x.amax((2, 3), keepdim=True))


def test_has_as_many_parameters_as_in_the_paper():
    # Table 2 of the paper: 133 million parameters for configuration A on ImageNet.
    with torch.device("meta"):
        model = VGG11(n_classes=1000, channels=3, image_size=224, hidden=4096)
    assert sum(p.numel() for p in model.parameters()) == 132_863_336


@pytest.mark.parametrize("network", [VGG11, VGG16])
def test_signal_and_gradient_survive_the_depth(network):
    model = network(hidden=64).eval()
    channels, size = model.features[0].in_channels, model.image_size
    x = torch.randn(4, channels, size, size, requires_grad=True)
    logits = model(x)
    assert 0.05 < logits.std() < 20
    (gradient,) = torch.autograd.grad(logits.square().sum(), x)
    assert (gradient != 0).float().mean() > 0.9


@pytest.mark.parametrize("network", [VGG11, VGG16])
def test_too_small_images_are_an_error(network):
    with pytest.raises(ValueError, match=r"image_size must be at least 16, got 15.*Enlarge"):
        network(image_size=15)


@pytest.mark.parametrize("network", [VGG11, VGG16])
@pytest.mark.parametrize("shape", [(2, 1, 20, 20), (1, 28, 28)])
def test_images_of_another_size_are_an_error(network, shape):
    with pytest.raises(ValueError, match=r"\(n, channels, 28, 28\), got"):
        network(channels=1, image_size=28, hidden=8)(torch.rand(shape))
