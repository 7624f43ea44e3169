"""The same curves as Quantus' pixel flipping, where it can draw them.

Quantus counts the values of all channels one by one, and its number of values a step has to divide the pixels.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from skaba.evaluation.fidelity import perturbation_curves
from tests.evaluation.fidelity.oracle import samples

quantus = pytest.importorskip("quantus")


def pixel_flipping(net: nn.Module, X: np.ndarray, targets: np.ndarray, maps: np.ndarray, features: int) -> np.ndarray:
    """Return Quantus' curves of logits, without the unmasked sample."""
    metric = quantus.PixelFlipping(
        features_in_step=features, perturb_baseline=0.25, abs=False, normalise=False, disable_warnings=True
    )
    curves = metric(net, X, targets, a_batch=maps, softmax=False, channel_first=True, device="cpu")
    return np.array(curves)


@pytest.mark.parametrize(("channels", "features"), [(1, 4), (3, 8)])
def test_pixel_flipping(channels: int, features: int) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(channels, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 6 * 6, 3)).eval()
    X, maps = (samples(10, channels, 8, 8, seed=seed).astype(np.float32) for seed in (0, 1))
    how: dict[str, Any] = {"fill": 0.25, "unit": "feature", "step": 100 * features / X[0].size}
    curves = perturbation_curves(net, X, maps, **how)
    most = pixel_flipping(net, X, curves.targets, maps, features)
    least = pixel_flipping(net, X, curves.targets, -maps, features)
    np.testing.assert_allclose(curves.mif[:, 1:], most, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(curves.lif[:, 1:], least, rtol=1e-4, atol=1e-5)
