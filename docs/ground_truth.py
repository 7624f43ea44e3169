"""Print the tables of docs/ground_truth.md: attribution methods on ten networks that learned XOR.

    python docs/ground_truth.py

The first table is of the default networks, the second of networks that are trained ten times as long, as an earlier
prototype was. It takes about five minutes on one core.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from skaba import ABARegressor
from skaba.attribution import IBA, Gradient, InputXGradient, IntegratedGradients, Loss, Occlusion, RandomMap
from skaba.evaluation.ground_truth import Absolute, XORBenchmark, ideal_map


def information(model: Any, x: Tensor, y: Tensor, *, target: Any, criterion: Any, generator: Any) -> Tensor:
    """Return the information bottleneck's map with the source's weight, of the loss and so of either class."""
    return IBA(beta=1e-9)(model, x, y, target=Loss(), criterion=criterion, generator=generator)


def ideal(model: Any, x: Tensor, y: Tensor, **_: Any) -> Tensor:
    """Return the ideal map, whatever the network."""
    return ideal_map(x)


def equal_noise(model: Any, x: Tensor, y: Tensor, *, generator: torch.Generator, **_: Any) -> Tensor:
    """Return the same noise for both inputs, which two of the measures like best."""
    return torch.rand(len(x), 1, generator=generator).expand_as(x)


def network() -> torch.nn.Sequential:
    """Return the source's network."""
    return torch.nn.Sequential(torch.nn.Linear(2, 10), torch.nn.ReLU(), torch.nn.Linear(10, 1), torch.nn.Sigmoid())


def as_the_prototype() -> ABARegressor:
    """Return an estimator that takes ten times as many steps as the default one, of gradient descent."""
    return ABARegressor(
        network,
        augmenter=None,
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
    "IBA of the loss": information,
    "the ideal map": ideal,
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
