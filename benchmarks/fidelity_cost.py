"""The cost of a perturbation curve, compared with Quantus' pixel flipping.

    pip install ".[peers]"
    python benchmarks/fidelity_cost.py [--images 100] [--repetitions 9] [--json FILE]
    python benchmarks/fidelity_cost.py --quick

100 images of 3 x 32 x 32 and a map of each; 32 steps of 32 pixels, most important first; the logit of the predicted
class. One thread. The two take turns, and the one that goes first changes; each ratio is of two neighbouring
measurements.

"as documented": Quantus is told to flip 32 of the 1024 pixels per step. It counts the values of the three channels one
by one, so its curve has 96 points, and ours has 32. "same passes": both mask single values, 64 per step, in 48 steps,
so that the same number of rows of the same images goes through the same network. (32 steps would need 96 values each,
but Quantus only takes numbers that divide the 1024 pixels.) "one by one": as documented, but one image after the other
(batch_size=1). In the other contests Quantus gets all images as one batch, which suits it best.

The networks: "tiny" has two convolutions of stride 2 and 2,000 parameters, "small" is skaba's ConvNet with 8 channels
in its first stage. The more a pass costs, the closer the ratio is to the ratio of the numbers of passes. "floor" is
the time of our forward passes alone, as a share of our time.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from turns import Function, in_turns

from skaba.evaluation.fidelity import Masking, deletion_score
from skaba.modules import ConvNet


class Data(NamedTuple):
    """Images, a map of each, and the classes that are followed."""

    X: np.ndarray
    maps: np.ndarray
    targets: np.ndarray


def tiny() -> nn.Module:
    """Return a network that costs as little as a convolutional one can."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.AvgPool2d(4),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def small() -> nn.Module:
    """Return skaba's ConvNet, a quarter as wide as by default."""
    return ConvNet(channels=3, width=8)


def data(n_images: int, net: nn.Module) -> Data:
    """Return random images with random maps; what they show has no influence on the time."""
    rng = np.random.default_rng(0)
    X, maps = (rng.normal(size=(n_images, 3, 32, 32)).astype(np.float32) for _ in range(2))
    with torch.no_grad():
        targets = net(torch.as_tensor(X)).argmax(dim=1).numpy()
    return Data(X, maps, targets)


def ours(net: nn.Module, about: Data, unit: str, step: float) -> Function:
    """Return a function that computes our MIF curves; Quantus computes no LIF curves with them."""
    return lambda: deletion_score(net, about.X, about.maps, step=step, targets=about.targets, unit=unit)


def pixel_flipping(net: nn.Module, about: Data, features: int, batch_size: int | None = None) -> Function:
    """Return a function that computes Quantus' curves."""
    import quantus  # noqa: PLC0415

    settings: dict[str, Any] = {"perturb_baseline": "black", "abs": False, "normalise": False}
    metric = quantus.PixelFlipping(features_in_step=features, disable_warnings=True, **settings)
    call: dict[str, Any] = {"softmax": False, "channel_first": True, "batch_size": batch_size or len(about.X)}
    return lambda: metric(net, about.X, about.targets, a_batch=about.maps, device="cpu", **call)


def floor(net: nn.Module, about: Data) -> Function:
    """Return a function that only runs the network, on as many rows as a curve of 32 steps has."""
    rows = torch.as_tensor(about.X).repeat(33, 1, 1, 1).split(Masking().batch_size)

    def run_network() -> None:
        with torch.no_grad():
            for chunk in rows:
                net(chunk)

    return run_network


def contests(net: nn.Module, about: Data) -> dict[str, tuple[Function, Function, str]]:
    """Return pairs of contestants, and what their ratio should be."""
    curves, values = ours(net, about, "position", 100 / 32), ours(net, about, "feature", 100 / 48)
    return {
        "as documented: Quantus / ours": (pixel_flipping(net, about, 32), curves, ">= 10"),
        "same passes: Quantus / ours": (pixel_flipping(net, about, 64), values, ""),
        "one by one: Quantus / ours": (pixel_flipping(net, about, 32, batch_size=1), curves, ">= 10"),
        "floor / ours": (floor(net, about), curves, ""),
    }


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="few images, once: to see that it runs")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    warnings.filterwarnings("ignore", module="quantus")
    n_images, repetitions = (8, 1) if arguments.quick else (arguments.images, arguments.repetitions)
    print(f"1 thread, {n_images} images, {repetitions} ratios\n{'':42} {'median':>8} {'range':>15} {'goal':>8}")
    ratios = {}
    for make in (tiny, small):
        net = make().eval()
        for title, (first, second, goal) in contests(net, data(n_images, net)).items():
            found = in_turns(first, second, repetitions)
            name = f"{make.__name__}, {title}"
            ratios[name] = found.tolist()
            print(f"{name:42} {np.median(found):8.2f} {f'{found.min():.2f}-{found.max():.2f}':>15} {goal:>8}")
    if arguments.json:
        arguments.json.write_text(json.dumps(ratios))


if __name__ == "__main__":
    main()
