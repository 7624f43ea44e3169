"""What a training step with augmentation costs, in units of skorch's plain step.

    python benchmarks/step_cost.py [--batch 64] [--repetitions 31] [--json FILE]

Runs the demo's ConvNet on digits in one thread. Plain and augmented steps take turns, so that a
machine whose speed drifts slows both; each ratio is of two neighbouring measurements, and the table
gives the median and the quartiles. Beside them stands the floor by operation count: a backward
pass counts as two forward passes, of which an input gradient needs only one, and a sample
whose adjustment is all zero is never attributed.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from skorch import NeuralNetClassifier

from skaba import ABAClassifier
from skaba.augmenters import PRESETS
from skaba.modules import ConvNet

# (3 + 2 * share of attributed samples) / 3
FLOORS = {"challenger": 1.33, "fast_aba": 1.50, "mend_aba": 1.67, "fgsm": 1.67}
STEPS = 8
WARM_UP = 60


def measure(batch_size: int, repetitions: int) -> dict[str, np.ndarray]:
    """Return the ratio to a plain step, one a repetition, of every preset."""
    torch.set_num_threads(1)
    X, y = load_digits(return_X_y=True)
    batch = torch.as_tensor(X[:batch_size].reshape(-1, 1, 8, 8) / 16).float(), torch.as_tensor(y[:batch_size])
    plain = stepper(NeuralNetClassifier(ConvNet, criterion=torch.nn.CrossEntropyLoss, lr=0), batch)
    nets = {name: stepper(ABAClassifier(ConvNet, augmenter=name, lr=0), batch) for name in FLOORS}
    nets["strength=0"] = stepper(ABAClassifier(ConvNet, strength=0, lr=0), batch)
    ratios: dict[str, list[float]] = {name: [] for name in nets}
    for _ in range(repetitions):
        for name, step in nets.items():
            ratios[name].append(seconds(step) / seconds(plain))
    return {name: np.array(values) for name, values in ratios.items()}


def stepper(net: Any, batch: tuple[torch.Tensor, torch.Tensor]) -> Callable[[], Any]:
    """Return a function that takes a training step on one batch, warmed up."""
    torch.manual_seed(0)
    net.initialize()
    if isinstance(net, ABAClassifier):
        net.classes_inferred_ = np.arange(10)
        net.output_checked_ = False

    def step() -> None:
        net.train_step(batch)

    # Each number of attributed samples is a shape of its own, which the convolution library
    # prepares at its first use and keeps.
    for _ in range(WARM_UP):
        step()
    return step


def seconds(step: Callable[[], Any]) -> float:
    """Time a few steps; one before them, not counted, fetches the net back into the caches as in training."""
    step()
    start = time.perf_counter()
    for _ in range(STEPS):
        step()
    return time.perf_counter() - start


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repetitions", type=int, default=31)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    ratios = measure(arguments.batch, arguments.repetitions)
    print(f"step over plain skorch, ConvNet on digits, batch {arguments.batch}, 1 thread")
    print(f"{'':12} {'median':>7} {'quartiles':>13} {'floor':>6}")
    for name, values in ratios.items():
        low, median, high = np.percentile(values, [25, 50, 75])
        print(f"{name:12} {median:7.2f} {f'{low:.2f}-{high:.2f}':>13} {FLOORS.get(name, 1.0):6.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({name: values.tolist() for name, values in ratios.items()}))


if __name__ == "__main__":
    assert set(FLOORS) <= set(PRESETS)  # noqa: S101
    main()
