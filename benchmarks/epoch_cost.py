"""The cost of a whole training with augmentation, divided by that of plain skorch's ``fit``.

    python benchmarks/epoch_cost.py [--domains image text ecg] [--epochs 3] [--repetitions 15] [--json FILE]
    python benchmarks/epoch_cost.py --quick

What is timed is a whole ``fit`` of a new net: initialisation, checks, loading and shuffling of data, epochs and
callbacks, without validation, with nothing printed. Images are scikit-learn's digits through ConvNet, texts are
synthetic messages through TextCNN augmented at its embedding, ECGs are synthetic through FCN. One thread. The
augmented and the plain fit take turns, and the one that goes first changes; each ratio is of two neighbouring
measurements.

Fair: the same module, data, batch size, epochs and optimizer on both sides. The last row compares plain skorch with a
loop in plain PyTorch on a ``DataLoader`` of tensors, which reports no loss. "free_aba" does not augment in the first
epoch, because it has no maps yet. These networks are small, so costs that do not depend on their size weigh more than
in ``step_cost.py``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from turns import in_turns

from skaba import ABAClassifier
from skaba.datasets import load_digits, make_ecg, make_messages
from skaba.modules import FCN, ConvNet, TextCNN
from skaba.preprocessing import ECGScaler, WordSequences

BATCH_SIZE = 32
LR = 0.01
AUGMENTED: dict[str, dict[str, Any]] = {
    "challenger": {"augmenter": "challenger"},
    "fast_aba": {"augmenter": "fast_aba"},
    "mend_aba": {"augmenter": "mend_aba"},
    "fgsm": {"augmenter": "fgsm"},
    "free_aba": {"augmenter": "free_aba"},
    "strength=0": {"strength": 0},
}


class Domain(NamedTuple):
    """Samples, a network for them, and where it is augmented."""

    X: np.ndarray
    y: np.ndarray
    make: Callable[[], nn.Module]
    layer: str | None = None


def image(quick: bool) -> Domain:
    """Return the digits."""
    digits = load_digits("tiny" if quick else "medium")
    return Domain(digits.X_train, digits.y_train, ConvNet)


def text(quick: bool) -> Domain:
    """Return messages as word ids."""
    messages, y, vectors = make_messages(32 if quick else 192, dimension=50, random_state=0)
    words = WordSequences(vectors, length=40)
    X = words.fit_transform(messages)
    return Domain(X, y, lambda: TextCNN(words.embedding_matrix(), n_classes=3), layer="embedding")


def ecg(quick: bool) -> Domain:
    """Return electrocardiograms of one second."""
    X, y = make_ecg(16 if quick else 64, n_times=100, random_state=0)
    return Domain(ECGScaler().fit_transform(X), y, lambda: FCN(n_classes=3))


DOMAINS: dict[str, Callable[[bool], Domain]] = {"image": image, "text": text, "ecg": ecg}


def fitter(kind: type, domain: Domain, epochs: int, **own: Any) -> Callable[[], Any]:
    """Return a function that fits a new net."""
    shared = {"criterion": nn.CrossEntropyLoss, "lr": LR, "max_epochs": epochs, "batch_size": BATCH_SIZE}
    shared |= {"optimizer": torch.optim.SGD, "iterator_train__shuffle": True, "train_split": None, "verbose": 0}
    return lambda: kind(domain.make, **shared, **own).fit(domain.X, domain.y)


def loop(domain: Domain, epochs: int) -> Callable[[], Any]:
    """Return a function that trains a new network in plain PyTorch."""

    def train() -> None:
        module, criterion = domain.make(), nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(module.parameters(), lr=LR)
        samples = TensorDataset(torch.as_tensor(domain.X), torch.as_tensor(domain.y))
        loader = DataLoader(samples, batch_size=BATCH_SIZE, shuffle=True)
        for _ in range(epochs):
            for x, y in loader:
                optimizer.zero_grad()
                criterion(module(x), y).backward()
                optimizer.step()

    return train


def measure(domain: Domain, epochs: int, repetitions: int) -> dict[str, np.ndarray]:
    """Return the ratios of a domain, one per repetition."""
    plain = fitter(NeuralNetClassifier, domain, epochs)
    found = {}
    for name, own in AUGMENTED.items():
        augmented = fitter(ABAClassifier, domain, epochs, layer=domain.layer, **own)
        found[f"{name} / skorch"] = in_turns(augmented, plain, repetitions)
    found["skorch / PyTorch loop"] = in_turns(plain, loop(domain, epochs), repetitions)
    return found


def show(tables: dict[str, dict[str, np.ndarray]]) -> None:
    """Print medians and ranges, one row per contestant and one column per domain."""
    print(f"{'':24}" + "".join(f"{name:>20}" for name in tables))
    for contestant in next(iter(tables.values())):
        cells = [
            f"{np.median(t[contestant]):.2f} ({t[contestant].min():.2f}-{t[contestant].max():.2f})"
            for t in tables.values()
        ]
        print(f"{contestant:24}" + "".join(f"{cell:>20}" for cell in cells))


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--domains", nargs="+", choices=DOMAINS, default=list(DOMAINS))
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--quick", action="store_true", help="few samples, once: to see that it runs")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    repetitions = 1 if arguments.quick else arguments.repetitions
    tables = {
        name: measure(DOMAINS[name](arguments.quick), arguments.epochs, repetitions) for name in arguments.domains
    }
    print(
        f"time of fit, {arguments.epochs} epochs, batch {BATCH_SIZE}, 1 thread: median (range) of {repetitions} ratios"
    )
    show(tables)
    if arguments.json:
        arguments.json.write_text(json.dumps(tables, default=np.ndarray.tolist))


if __name__ == "__main__":
    main()
