"""How the cost of augmentation grows with features, samples and classes.

    python benchmarks/scaling.py [--repetitions 15] [--json FILE]
    python benchmarks/scaling.py --quick

Every size takes turns with the smallest of its series, in one thread; each ratio is of two neighbouring measurements.
The table has the time per unit (feature, sample or class) relative to the smallest size: 1 or less means that the cost
grows no faster than the size. The slope is that of log time against log size over the larger half of the sizes, one
per repetition; 1 is linear.

"selection" is everything that an augmenter does besides computing the map: draw, percentiles (MendABA) or cut-off
(FastABA), and adjustment; the map is given. "step" is the whole training step of an estimator with MendABA, on a
small convolutional network that takes images of any size. Its last column is the ratio to plain skorch's step of
the same size, again in turns; it would rise if a part grew faster than training itself. Most of a step does not
depend on the number of classes, so there the slope has to stay below 1.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import Tensor, nn
from turns import Function, in_turns

from skaba import ABAClassifier
from skaba.augmenters import preset
from skaba.modules import ConvNet

SAMPLES = 8
SIDE = 28
SELECTIONS = ("mend_aba", "fast_aba")


class Series(NamedTuple):
    """What is measured, its sizes, and what it is compared with."""

    title: str
    make: Callable[..., Function]
    size: str
    sizes: Sequence[int]
    plain: Callable[..., Function] | None = None


def selection(name: str, *, n_samples: int = SAMPLES, n_features: int = 1000) -> Function:
    """Return a preset's call on a batch whose map is given."""
    draw = torch.Generator().manual_seed(0)
    x, map_ = torch.rand(2, n_samples, n_features, generator=draw)
    # Maps are computed only for the samples that are changed, which may be fewer than the batch.
    augmenter = preset(name, attribution=lambda model, x, y, **arguments: map_[: len(x)], target=no_target)
    return lambda: augmenter(no_target, x, None, strength=0.1, criterion=None, generator=draw)


def no_target(*arguments: Any) -> Any:
    """Stand in for the network and the target, which a given map does not need."""


def step(kind: type, *, n_samples: int = SAMPLES, n_features: int = SIDE**2, n_classes: int = 10) -> Function:
    """Return a net's training step on square images."""
    torch.manual_seed(0)
    side = round(n_features**0.5)
    batch: tuple[Tensor, Tensor] = torch.rand(n_samples, 1, side, side), torch.randint(n_classes, (n_samples,))
    settings = {"criterion": nn.CrossEntropyLoss, "optimizer": torch.optim.SGD, "lr": 0}
    net = kind(ConvNet(n_classes, width=8), **settings).initialize()
    if isinstance(net, ABAClassifier):  # what fit would have learned
        net.classes_inferred_ = np.arange(n_classes)
        net.output_checked_ = False
    return lambda: net.train_step(batch)


def series(quick: bool) -> list[Series]:
    """Return all that is measured."""
    features = (1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
    sides = (14, 20, 28, 40, 56, 80, 112)
    samples = (8, 16, 32, 64, 128, 256)
    classes = (10, 30, 100, 300, 1000, 3000, 10_000)
    few = slice(3 if quick else None)
    plain, ours = partial(step, NeuralNetClassifier), partial(step, ABAClassifier)
    return [
        *(Series(f"selection, {name}", partial(selection, name), "n_features", features[few]) for name in SELECTIONS),
        *(Series(f"selection, {name}", partial(selection, name), "n_samples", samples[few]) for name in SELECTIONS),
        Series("step, mend_aba", ours, "n_features", [side**2 for side in sides[few]], plain),
        Series("step, mend_aba", ours, "n_samples", samples[few], plain),
        Series("step, mend_aba", ours, "n_classes", classes[few], plain),
    ]


def measure(own: Series, repetitions: int) -> dict[str, Any]:
    """Return the time of every size over that of the smallest, and over plain skorch's."""
    sizes = np.array(own.sizes)
    functions = [own.make(**{own.size: size}) for size in own.sizes]
    relative = np.array([in_turns(function, functions[0], repetitions) for function in functions])
    found = {"title": own.title, "size": own.size, "sizes": sizes, "over_smallest": relative}
    if own.plain is not None:
        plains = [own.plain(**{own.size: size}) for size in own.sizes]
        pairs = zip(functions, plains, strict=True)
        found["over_plain"] = np.array([in_turns(*pair, repetitions) for pair in pairs])
    return {**found, "slope": slopes(sizes, relative)}


def slopes(sizes: np.ndarray, relative: np.ndarray) -> np.ndarray:
    """Return the slope of log time against log size over the larger half of the sizes, one per repetition."""
    large = len(sizes) // 2
    return np.polyfit(np.log(sizes[large:]), np.log(relative[large:]), 1)[0]


def show(found: dict[str, Any]) -> None:
    """Print a series."""
    print(f"\n{found['title']}, by {found['size']}: time per unit over the smallest's")
    for row, size in enumerate(found["sizes"]):
        per_unit = found["over_smallest"][row] * found["sizes"][0] / size
        over_plain = f"   over plain {_cell(found['over_plain'][row])}" if "over_plain" in found else ""
        print(f"{size:>10,} {_cell(per_unit)}{over_plain}")
    print(f"{'slope':>10} {_cell(found['slope'])}")


def _cell(values: np.ndarray) -> str:
    return f"{np.median(values):7.3f} ({values.min():.3f}-{values.max():.3f})"


def main() -> None:
    """Measure, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="few and small sizes, once: to see that it runs")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    repetitions = 1 if arguments.quick else arguments.repetitions
    print(f"1 thread: median (range) of {repetitions} ratios")
    tables = []
    for own in series(arguments.quick):
        tables.append(measure(own, repetitions))
        show(tables[-1])
    if arguments.json:
        arguments.json.write_text(json.dumps(tables, default=np.ndarray.tolist))


if __name__ == "__main__":
    main()
