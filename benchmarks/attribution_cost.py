"""The cost of an attribution map, divided by that of the plain gradient.

    python benchmarks/attribution_cost.py [--batch 16] [--repetitions 15] [--json FILE]

Measures every method of ``skaba.attribution`` with its default parameters on three networks, in one thread: images
(ConvNet, 1 x 28 x 28), text (TextCNN at its embedding, 50 words x 100) and ECG (FCN, 12 x 250). Methods that replace
one feature after the other get 8 segments along each axis. A method and the gradient take turns, so that a machine
whose speed drifts slows both; each ratio is of two neighbouring measurements. Slow methods are repeated less often,
but at least three times. A second table compares integrated gradients and SmoothGrad with captum's, which get the same
number of passes.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import captum.attr
import numpy as np
import torch
from torch import Tensor, nn

from skaba.attribution import METHODS, Gradient, IntegratedGradients, PredictedClass, SmoothGrad
from skaba.modules import FCN, ConvNet, TextCNN
from skaba.network import FromLayer

PARAMETERS: dict[str, Any] = {
    "KernelShap": {"segments": 8},
    "Lime": {"segments": 8},
    "FeatureAblation": {"segments": 8},
    "Occlusion": {"window": 4, "stride": 4},
}
LONGEST = 4.0
"""Seconds after which a method is not repeated again, once it has run three times."""


class Case(NamedTuple):
    """A network in evaluation mode, where it is explained, and a batch."""

    name: str
    model: nn.Module
    x: Tensor


def cases(batch_size: int) -> Iterator[Case]:
    """Yield the three networks, in evaluation mode."""
    torch.manual_seed(0)
    yield Case("image", ConvNet(n_classes=10).eval(), torch.rand(batch_size, 1, 28, 28))
    text = TextCNN(n_classes=20, vectors=np.random.default_rng(0).normal(size=(1000, 100))).eval()
    rest = FromLayer(text, "embedding", torch.randint(1, 1000, (batch_size, 50)))
    yield Case("text", rest, rest.features())
    yield Case("ecg", FCN(n_classes=5).eval(), torch.randn(batch_size, 12, 250))


def asker(method: Any, case: Case) -> Callable[[], Any]:
    """Return a function that computes a map of the case's batch."""
    generator = torch.Generator().manual_seed(0)
    return lambda: method(case.model, case.x, target=PredictedClass(), generator=generator)


def ratios(first: Callable[[], Any], second: Callable[[], Any], repetitions: int) -> np.ndarray:
    """Time two functions in turns and return the ratios."""
    first(), second()
    values: list[float] = []
    start = time.perf_counter()
    while len(values) < 3 or (len(values) < repetitions and time.perf_counter() - start < LONGEST):
        values.append(seconds(first) / seconds(second))
    return np.array(values)


def seconds(function: Callable[[], Any]) -> float:
    """Time one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def against_gradient(case: Case, repetitions: int) -> dict[str, np.ndarray]:
    """Return each method's ratios to the gradient, for those that the network can use."""
    gradient = asker(Gradient(), case)
    found = {}
    for name, method in METHODS.items():
        try:
            found[name] = ratios(asker(method(**PARAMETERS.get(name, {})), case), gradient, repetitions)
        except ValueError as error:  # a method that does not fit the network says so
            print(f"{case.name}: {name} does not fit: {error}")
    return found


def against_captum(case: Case, repetitions: int) -> dict[str, np.ndarray]:
    """Return the ratios of our integrated gradients and SmoothGrad to captum's."""
    integrated = captum.attr.IntegratedGradients(case.model)
    noisy = captum.attr.NoiseTunnel(captum.attr.Saliency(case.model))

    @torch.no_grad()
    def predicted() -> Tensor:  # both explain the class that the model predicts
        return case.model(case.x).argmax(1)

    theirs = {
        "IntegratedGradients": lambda: integrated.attribute(case.x, target=predicted(), n_steps=20),
        "SmoothGrad": lambda: noisy.attribute(case.x, target=predicted(), abs=False, nt_samples=10, stdevs=0.15),
    }
    ours = {"IntegratedGradients": IntegratedGradients(steps=20), "SmoothGrad": SmoothGrad(samples=10)}
    return {name: ratios(asker(ours[name], case), theirs[name], repetitions) for name in ours}


def show(title: str, tables: dict[str, dict[str, np.ndarray]]) -> None:
    """Print medians and quartiles, one row per method and one column per network."""
    print(f"\n{title}\n{'':20}" + "".join(f"{name:>25}" for name in tables))
    for method in dict.fromkeys(name for table in tables.values() for name in table):
        cells = [_cell(table.get(method)) for table in tables.values()]
        print(f"{method:20}" + "".join(f"{cell:>25}" for cell in cells))


def _cell(values: np.ndarray | None) -> str:
    if values is None:
        return "-"
    low, median, high = np.percentile(values, [25, 50, 75])
    return f"{median:.2f} ({low:.2f}-{high:.2f})"


def main() -> None:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cost, captums = {}, {}
    for case in cases(arguments.batch):
        cost[case.name] = against_gradient(case, arguments.repetitions)
        # At a layer, captum needs other classes, so text is left out.
        if not isinstance(case.model, FromLayer):
            captums[case.name] = against_captum(case, arguments.repetitions)
    show(f"time of a map over the gradient's, batch {arguments.batch}, 1 thread: median (quartiles)", cost)
    show("time over captum's", captums)
    if arguments.json:
        tables = {"over_gradient": cost, "over_captum": captums}
        arguments.json.write_text(json.dumps(tables, default=np.ndarray.tolist))


if __name__ == "__main__":
    main()
