"""Small networks on which extensions are checked, in a state that a careless call would change."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from skaba._random_state import random_state_kept
from skaba.network import FromLayer, Model, rows_of

N_SAMPLES = 4
_N_CLASSES = 3
_N_WORDS = 11


class Case(NamedTuple):
    """A model, a batch that it takes, and labels.

    ``network`` is the whole network; ``model`` is the same object, or a view of it from a layer.
    """

    network: nn.Module
    model: Model
    x: Tensor
    y: Tensor

    def rows(self, index: Tensor) -> tuple[Model, Tensor, Tensor]:
        """Return model, batch and labels for some of the samples."""
        return rows_of(self.model, index), self.x[index], self.y[index]


def table(activation: type[nn.Module] = nn.ReLU) -> Case:
    """Return a network of dense layers."""
    hidden = [nn.Linear(5, 6), nn.BatchNorm1d(6), activation(), nn.Dropout(0.3), nn.Linear(6, 4), nn.BatchNorm1d(4)]
    return _plain(nn.Sequential(*hidden, activation(), nn.Linear(4, _N_CLASSES)), torch.randn(N_SAMPLES, 5))


def image(activation: type[nn.Module] = nn.ReLU) -> Case:
    """Return a convolutional network."""
    hidden = [nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3), activation(), nn.Dropout(0.3), nn.Conv2d(3, 2, 3)]
    net = nn.Sequential(*hidden, nn.BatchNorm2d(2), activation(), nn.Flatten(), nn.Linear(18, _N_CLASSES))
    return _plain(net, torch.randn(N_SAMPLES, 2, 5, 5))


def text(activation: type[nn.Module] = nn.ReLU) -> Case:
    """Return a network of word ids, seen from its embedding."""
    net = _TextNet(activation)
    view = FromLayer(net, "embedding", torch.randint(1, _N_WORDS, (N_SAMPLES, 6)))
    return Case(net, view, view.features(), _labels())


def _plain(net: nn.Module, x: Tensor) -> Case:
    return Case(net, net, x, _labels())


def _labels() -> Tensor:
    return torch.arange(N_SAMPLES) % _N_CLASSES


class _TextNet(nn.Module):
    def __init__(self, activation: type[nn.Module]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_N_WORDS, 3)
        self.convolution = nn.Conv1d(3, 4, 3)
        self.norm = nn.BatchNorm1d(4)
        self.activation = activation()
        self.dropout = nn.Dropout(0.3)
        self.flatten = nn.Flatten()
        self.output = nn.Linear(16, _N_CLASSES)

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.norm(self.convolution(self.embedding(ids).transpose(1, 2)))
        logits: Tensor = self.output(self.flatten(self.dropout(self.activation(hidden))))
        return logits


NETWORKS: dict[str, Callable[..., Case]] = {"table": table, "image": image, "text": text}


def made(name: str, activation: type[nn.Module] = nn.ReLU) -> Case:
    """Return a built-in network, the same in each call, in training mode and in a state that can be disturbed.

    The training flags are mixed, BatchNorm has statistics, one parameter is frozen, one has a gradient, and there is a
    hook of the user.
    """
    with random_state_kept():
        torch.manual_seed(0)
        case = NETWORKS[name](activation)
        network = case.network.train()
        norms = [module for module in network.modules() if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d))]
        # With the initial statistics, 0 and 1, evaluation mode would normalise nothing.
        for norm in norms:
            norm.running_mean, norm.running_var = torch.randn(norm.num_features), torch.rand(norm.num_features) + 0.5
        norms[0].eval()  # a call of train() at the end would change this flag
        first, *_, last = network.parameters()
        last.requires_grad_(False)
        first.grad = torch.randn_like(first)
        list(network.children())[-1].register_forward_pre_hook(_do_nothing)
        return case


def _do_nothing(*_: Any) -> None:
    """Stand for a hook of the user."""


@contextmanager
def another_random_state() -> Iterator[None]:
    """Change the global random states inside the block."""
    numpy_state, python_state = np.random.get_state(), random.getstate()
    with random_state_kept():
        torch.manual_seed(1)
        np.random.seed(1)
        random.seed(1)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)


class NetworkError(RuntimeError):
    """The error of a network that fails."""


@contextmanager
def failing(network: nn.Module, on_pass: int) -> Iterator[list[int]]:
    """Let the n-th forward pass of a network fail; the yielded list has one entry per call."""
    calls: list[int] = []

    def fail(*_: Any) -> None:
        calls.append(len(calls) + 1)
        if calls[-1] == on_pass:
            raise NetworkError

    hook = network.register_forward_pre_hook(fail)
    try:
        yield calls
    finally:
        hook.remove()


@contextmanager
def with_weights(network: nn.Module, weights: dict[str, Tensor]) -> Iterator[None]:
    """Put tensors in the place of a network's parameters inside the block."""
    originals: list[tuple[nn.Module, str, Any]] = []
    for name, weight in weights.items():
        owner, _, key = name.rpartition(".")
        module = network.get_submodule(owner)
        originals.append((module, key, module._parameters[key]))
        # torch.func.functional_call does the same for one call, but methods need a module that they can call.
        module._parameters[key] = weight  # type: ignore[assignment]
    try:
        yield
    finally:
        for module, key, parameter in originals:
            module._parameters[key] = parameter
