import math

import pytest
import torch
from torch import nn

from skaba.modules._initialize import he_normal


@pytest.mark.parametrize(("layer", "fan_in"), [(nn.Linear(300, 400), 300), (nn.Conv2d(50, 100, 3), 450)])
def test_draws_from_the_distribution_of_he(layer, fan_in):
    he_normal(layer)
    assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / fan_in), rel=0.02)
    assert not layer.bias.any()


def test_layers_without_bias_and_other_layers():
    he_normal(nn.Linear(2, 2, bias=False))
    norm = nn.BatchNorm1d(2)
    he_normal(norm)
    assert norm.weight.equal(torch.ones(2))
