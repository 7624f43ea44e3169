"""Does training with holes make attribution maps measurably better? FPA on CIFAR10, at the scale of a CPU.

    python docs/fpa.py [FOLDER]

FOLDER holds subsets of the real data as the tests use them; without it CIFAR10 is downloaded. For each of three seeds
a small residual network is trained with and without FPA on 3,660 images, and the fidelity of the attribution methods
of Brocki and Chung (2023) is measured on 150 others. The results go to docs/fpa.md, beside the published
figures. Takes about half an hour on two cores.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from joblib import Parallel, delayed
from skorch.callbacks import LRScheduler
from torch import Tensor, nn

from skaba import ABAClassifier
from skaba.attribution import (
    AttributionMethod,
    Gradient,
    InputXGradient,
    IntegratedGradients,
    RandomMap,
    SmoothGrad,
    SquaredSmoothGrad,
    TimesInput,
)
from skaba.augmenters import FPA, Compose
from skaba.datasets import fetch_cifar10
from skaba.evaluation.fidelity import fidelity

SEEDS = 3
EPOCHS = 40
N_TRAIN, N_TEST, N_EXPLAINED = 3660, 1000, 150

MAPS: dict[str, AttributionMethod] = {
    "random": RandomMap(),
    "IG": IntegratedGradients(),
    "VG": Gradient(),
    "VG'": InputXGradient(),
    "SG": SmoothGrad(samples=15),
    "SG'": TimesInput(SmoothGrad(samples=15)),
    "SQ-SG": SquaredSmoothGrad(samples=15),
}
# By the paper's name, where a prime says "times the input": the map, how its channels are added up, and the published A
# without and with FPA.
METHODS: dict[str, tuple[str, str, str, str]] = {
    "Random": ("random", "sum", "0.0", "0.0"),
    "IG_sum": ("IG", "sum", "14.0", "59.6"),
    "VG'_sum": ("VG'", "sum", "8.0", "47.0"),
    "SG'_sum": ("SG'", "sum", "34.6", "80.5"),
    "VG_sum": ("VG", "sum", "", ""),
    "IG_abs": ("IG", "abs", "21.9", "34.9"),
    "VG_abs": ("VG", "abs", "5.6", "16.9"),
    "VG'_abs": ("VG'", "abs", "16.1", "25.8"),
    "SG_abs": ("SG", "abs", "18.5", "35.4"),
    "SG'_abs": ("SG'", "abs", "27.0", "39.2"),
    "SQ-SG_sum": ("SQ-SG", "sum", "27.9", "41.1"),
}
SCALES = [
    "### A as published: each sample's curves in units of its own unmasked logit",
    "### A in units of the mean unmasked logit of all samples",
]
TABLES = "<!-- docs/fpa.py writes what follows -->"
Areas = tuple[float, float]
SIGNED = ["IG_sum", "VG'_sum", "SG'_sum"]


class ResNet(nn.Module):
    """ResNet18's four stages for images of 32 x 32 pixels, one block each, a quarter as wide: 0.31 million weights."""

    def __init__(self, n_classes: int = 10) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            Block(16, 16, stride=1),
            Block(16, 32, stride=2),
            Block(32, 64, stride=2),
            Block(64, 128, stride=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(128, n_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return logits."""
        return self.layers(x)


class Block(nn.Module):
    """Two convolutions and a shortcut around them."""

    def __init__(self, channels_in: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 1, stride=stride, bias=False), nn.BatchNorm2d(channels_out)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features."""
        return torch.relu(self.convolutions(x) + self.shortcut(x))


def flipped(x: Tensor) -> Tensor:
    """Mirror half of the images, as the paper does with and without FPA."""
    return torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x.flip(3), x)


ARMS = {"none": Compose([flipped]), "FPA": Compose([flipped, FPA()])}


def images(folder: Path | None) -> tuple[np.ndarray, np.ndarray]:
    """Return images in [-1, 1], as in the paper, and their classes."""
    if folder is None:
        data = fetch_cifar10("full")
        X, y = data.X_train[: N_TRAIN + N_TEST], data.y_train[: N_TRAIN + N_TEST]
    else:
        with np.load(folder / "cifar10" / "cifar10_4660.npz") as file:
            X, y = file["X"].astype(np.float32) / 255, file["y"].astype(np.int64)
    return 2 * X - 1, y


def trained(arm: str, seed: int, X: np.ndarray, y: np.ndarray) -> ABAClassifier:
    """Return a network trained as in the paper, on fewer images."""
    clf = ABAClassifier(
        ResNet,
        augmenter=ARMS[arm],
        strength=1,
        optimizer=torch.optim.SGD,
        optimizer__momentum=0.9,
        optimizer__weight_decay=5e-4,
        lr=0.01,
        callbacks=[LRScheduler("StepLR", step_size=EPOCHS * 3 // 4, gamma=0.1)],
        batch_size=32,
        max_epochs=EPOCHS,
        iterator_train__shuffle=True,
        train_split=None,
        random_state=seed,
        verbose=0,
    )
    return clf.fit(X, y)


def measure(seed: int, arm: str, X: np.ndarray, y: np.ndarray) -> dict[str, Areas]:
    """Return accuracy and areas, with FPA or without."""
    torch.set_num_threads(1)
    order = np.random.default_rng(seed).permutation(len(X))
    train, test = order[:N_TRAIN], order[N_TRAIN : N_TRAIN + N_TEST]
    explained = X[test[:N_EXPLAINED]]
    clf = trained(arm, seed, X[train], y[train])
    maps = {name: clf.attribute(explained, attribution=method) for name, method in MAPS.items()}
    found = {name: areas(clf, explained, maps[kind], reduction) for name, (kind, reduction, *_) in METHODS.items()}
    found["accuracy"] = (100 * clf.score(X[test], y[test]),) * 2
    found["accuracy, a quarter of the pixels set to 0"] = (100 * clf.score(holed(X[test]), y[test]),) * 2
    print(seed, arm, {name: [round(value, 1) for value in pair] for name, pair in found.items()}, flush=True)  # noqa: T201
    return found


def holed(X: np.ndarray) -> np.ndarray:
    """Set a quarter of the pixels to 0, at random."""
    kept = np.random.default_rng(0).random((len(X), 1, *X.shape[2:])) >= 0.25
    return (X * kept).astype(X.dtype)


def areas(clf: ABAClassifier, X: np.ndarray, maps: np.ndarray, reduction: str) -> Areas:
    """Return A as published, which leaves out samples with a logit of 0 or less, and in units of the mean logit."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".* samples are left out")
        found = fidelity(clf, X, maps, reduction=reduction, fill="zero")
    return found.area, float(found.curves.areas().mean() / found.curves.mif[:, 0].mean())


def table(results: list[list[dict[str, Areas]]], scale: int) -> str:
    """Return the areas as a table: medians over the seeds, with their range, beside the published figures."""
    lines = [
        f"| | published: none | FPA | here: none | FPA | seeds in which FPA is above (of {len(results)}) |",
        "|---|---|---|---|---|---|",
    ]
    published = {**{name: row[2:] for name, row in METHODS.items()}, "accuracy": ("93.0", "92.7")}
    for name in results[0][0]:
        none, fpa = published.get(name, ("", ""))
        without, with_fpa = ([arms[arm][name][scale] for arms in results] for arm in range(2))
        above = sum(a < b for a, b in zip(without, with_fpa, strict=True))
        label = f"**{name}**" if name in SIGNED else name
        lines.append(f"| {label} | {none} | {fpa} | {spread(without)} | {spread(with_fpa)} | {above} |")
    return "\n".join(lines)


def spread(values: list[float]) -> str:
    """Return the median and the range."""
    return f"{np.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def main() -> None:
    """Train, judge, and replace the tables at the end of the page."""
    X, y = images(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
    tasks = [delayed(measure)(seed, arm, X, y) for seed in range(SEEDS) for arm in ARMS]
    found = Parallel(n_jobs=-1)(tasks)
    results = [found[start : start + len(ARMS)] for start in range(0, len(found), len(ARMS))]
    page = Path(__file__).with_suffix(".md")
    before = page.read_text().partition(TABLES)[0] if page.exists() else ""
    tables = [f"{title}\n\n{table(results, scale)}\n" for scale, title in enumerate(SCALES)]
    page.write_text("\n".join([f"{before}{TABLES}\n", *tables]))


if __name__ == "__main__":
    main()
