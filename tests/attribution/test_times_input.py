"""Another method's map times the input."""

import torch

from skaba.attribution import Gradient, InputXGradient, RandomTopClass, SmoothGrad, TimesInput, TrueClass
from tests.tiny_nets import mlp, seeded


def test_times_input_multiplies_the_mean_and_smoothing_the_product_does_not():
    net, x, y = mlp().double(), torch.randn(3, 6, generator=seeded(8)).double(), torch.tensor([1, 0, 2])
    noisy = {"samples": 7, "noise": 0.3}
    asked = {"target": TrueClass()}
    mean = SmoothGrad(**noisy)(net, x, y, generator=seeded(), **asked)
    primed = TimesInput(SmoothGrad(**noisy))(net, x, y, generator=seeded(), **asked)
    assert torch.equal(primed, x * mean)
    product = SmoothGrad(InputXGradient(), **noisy)(net, x, y, generator=seeded(), **asked)
    assert (primed - product).norm() > 0.05 * product.norm()


def test_the_gradient_times_the_input_is_input_x_gradient():
    net, x, y = mlp().double(), torch.randn(3, 6, generator=seeded(8)).double(), torch.tensor([1, 0, 2])
    map_ = TimesInput(Gradient())(net, x, y, target=TrueClass())
    assert torch.equal(map_, InputXGradient()(net, x, y, target=TrueClass()))


def test_the_target_is_fixed_once_by_whoever_multiplies():
    # A random class is drawn once, so that the map is the one that the method makes with the same generator.
    net, x = mlp().double(), torch.randn(3, 6, generator=seeded(8)).double()
    primed, plain = (
        method(net, x, target=RandomTopClass(4), generator=seeded(5)) for method in (TimesInput(Gradient()), Gradient())
    )
    assert torch.equal(primed, x * plain)
