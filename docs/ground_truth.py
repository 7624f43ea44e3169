"""Print the tables of docs/ground_truth.md: attribution methods on ten networks that learned XOR.

    python docs/ground_truth.py

The first table is for the default networks. The networks of the second are trained for about ten times as many steps,
like those of an earlier prototype. It takes about three minutes on one core.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skaba import ABARegressor
from skaba.attribution import IBA, Gradient, InputXGradient, IntegratedGradients, Occlusion, RandomMap
from skaba.evaluation.ground_truth import Absolute, XORBenchmark, ideal_map


def ideal(model: Any, x: Tensor, y: Tensor, **_: Any) -> Tensor:
    """Return the ideal map for any network."""
    return ideal_map(x)


def opposite(model: Any, x: Tensor, y: Tensor, **_: Any) -> Tensor:
    """Return one minus the ideal map."""
    return 1 - ideal_map(x)


def negative(model: Any, x: Tensor, y: Tensor, **_: Any) -> Tensor:
    """Return the negative of the ideal map."""
    return -ideal_map(x)


def swapped(model: Any, x: Tensor, y: Tensor, **_: Any) -> Tensor:
    """Return the ideal map with its two inputs swapped."""
    return ideal_map(x).flip(1)


def own_noise(model: Any, x: Tensor, y: Tensor, *, generator: torch.Generator, **_: Any) -> Tensor:
    """Return maps of noise that each depend on their own input only; one is the other, turned by 90 degrees."""
    steps = x.unique()
    values, place = torch.rand(len(steps), generator=generator), torch.searchsorted(steps, x)
    return torch.stack([values[place[:, 0]], values.flip(0)[place[:, 1]]], dim=1)


def equal_noise(model: Any, x: Tensor, y: Tensor, *, generator: torch.Generator, **_: Any) -> Tensor:
    """Return the same noise for both inputs, which two of the measures rate best."""
    return torch.rand(len(x), 1, generator=generator).expand_as(x)


def network() -> torch.nn.Sequential:
    """Return the source's network."""
    return torch.nn.Sequential(torch.nn.Linear(2, 10), torch.nn.ReLU(), torch.nn.Linear(10, 1), torch.nn.Sigmoid())


def as_the_prototype() -> ABARegressor:
    """Return an estimator trained with ten times as many steps as the default one, of gradient descent."""
    return ABARegressor(
        network,
        augmenter=None,
        optimizer=torch.optim.SGD,
        lr=0.1,
        optimizer__momentum=0.9,
        batch_size=64,
        max_epochs=60,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
    )


METHODS = {
    "saliency": Absolute(Gradient()),
    "gradient": Gradient(),
    "input x gradient": InputXGradient(),
    "integrated gradients, baseline 0.5": IntegratedGradients(baseline=0.5),
    "integrated gradients, baseline 0": IntegratedGradients(baseline=0.0),
    "occlusion, baseline 0.5": Occlusion(baseline=0.5),
    "the same, absolute": Absolute(Occlusion(baseline=0.5)),
    "IBA": IBA(beta=1e-9),
    "the ideal map": ideal,
    "one minus the ideal map": opposite,
    "minus the ideal map": negative,
    "the ideal map, inputs swapped": swapped,
    "noise of the map's own input": own_noise,
    "equal noise": equal_noise,
    "noise": RandomMap(),
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for title, estimator in {"default": None, "as the prototype": as_the_prototype()}.items():
        benchmark = XORBenchmark(estimator, n_seeds=10, random_state=0).fit()
        accuracies, tries = benchmark.accuracies_, benchmark.tries_.sum()
        print(f"\n{title}: accuracy {accuracies.min():.3f} to {accuracies.max():.3f}, {tries} trainings\n")  # noqa: T201
        print(benchmark.compare(METHODS).table())  # noqa: T201
