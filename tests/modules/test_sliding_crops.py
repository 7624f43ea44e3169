import pytest
import torch

from skaba.modules import FCN, SlidingCrops


@pytest.fixture
def x():
    return 3 * torch.randn(4, 2, 50)


@pytest.mark.parametrize("multi_label", [False, True])
def test_probabilities_are_the_mean_over_crops(x, multi_label):
    model = SlidingCrops(FCN, length=20, stride=10, multi_label=multi_label, n_classes=3, channels=2).eval()
    probabilities = torch.sigmoid if multi_label else lambda logits: logits.softmax(1)
    crops = [probabilities(model.network(x[:, :, start : start + 20])) for start in (0, 10, 20, 30)]
    torch.testing.assert_close(probabilities(model(x)), torch.stack(crops).mean(0))


def test_probabilities_of_0_and_1_have_finite_logits(x):
    model = SlidingCrops(FCN, length=20, stride=10, multi_label=True, n_classes=3, channels=2).eval()
    model.network.classifier.weight.data *= 1e4
    x.requires_grad_()
    logits = model(x)
    (gradient,) = torch.autograd.grad(logits.sum(), x)
    assert logits.isfinite().all()
    assert logits.abs().max() > 100
    assert gradient.isfinite().all()


def test_a_series_of_one_crop_goes_through_the_network(x):
    model = SlidingCrops(FCN, length=20, stride=10, n_classes=3, channels=2).eval()
    assert model(x[:, :, :20]).equal(model.network(x[:, :, :20]))
    assert model(x[:, :, :7]).equal(model.network(x[:, :, :7]))
