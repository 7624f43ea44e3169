"""Draw all attribution methods side by side: a digit, a photograph, a sentence and an ECG.

    python docs/attribution.py [FOLDER]

FOLDER holds subsets of the real data as the tests use them; without it the data sets are downloaded.
Each network is trained for a few epochs on a small part of its data, which takes a few minutes in all.
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from skaba import ABAClassifier
from skaba.attribution import METHODS
from skaba.datasets import fetch_cifar10, fetch_glove, fetch_newsgroups, fetch_ptbxl, load_digits, read_vectors
from skaba.modules import FCN, ConvNet, TextCNN
from skaba.preprocessing import ECGScaler, WordSequences

mpl.use("Agg")
SENTENCE = "the goalie stopped every shot in the third period of the game last night"
GROUPS = ["rec.sport.hockey", "sci.space", "comp.graphics", "talk.politics.guns"]
SETTINGS: dict[str, Any] = {
    "optimizer": torch.optim.Adam,
    "batch_size": 128,
    "train_split": None,
    "random_state": 0,
    "verbose": 0,
    "iterator_train__shuffle": True,
}
LEAD, TIMES = 1, 250


# Some methods compare the sample with others; surrogate models need fewer and larger pieces than there are features.
OTHERS = 15
PARAMETERS: dict[str, Any] = {
    "HillClimbing": {"iterations": 200},
    "KernelShap": {"samples": 200},
    "Lime": {"samples": 200},
}
COMPARES = {"ExpectedGradients", "GradientShap", "IBA"}


class Panel(NamedTuple):
    """A fitted estimator, samples, the first of which is explained, and how the sample and its map are drawn."""

    title: str
    estimator: ABAClassifier
    samples: np.ndarray
    segments: int | None
    draw: Callable[[Axes, np.ndarray | None], None]


def digit() -> Panel:
    """Return one of scikit-learn's digits."""
    data = load_digits("full")
    clf = ABAClassifier(ConvNet, module__width=16, max_epochs=15, lr=2e-3, **SETTINGS).fit(data.X_train, data.y_train)
    x = data.X_test[: 1 + OTHERS]
    return Panel(f"digit: {clf.predict(x)[0]}", clf, x, None, lambda axes, map_: draw_image(axes, x[0], map_))


def photograph(folder: Path | None) -> Panel:
    """Return an image of CIFAR10."""
    names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    if folder:
        with np.load(folder / "cifar10" / "cifar10_4660.npz") as file:
            X, y = file["X"].astype(np.float32) / 255, file["y"].astype(np.int64)
    else:
        data = fetch_cifar10("tiny")
        X, y = data.X_train, data.y_train
    clf = ABAClassifier(ConvNet, module__channels=3, module__width=24, max_epochs=6, lr=2e-3, **SETTINGS)
    clf.fit(X[50:], y[50:])
    known = np.flatnonzero((clf.predict(X[:50]) == y[:50]) & (y[:50] == names.index("horse")))
    x = np.concatenate([X[known[:1]], X[50 : 50 + OTHERS]])
    return Panel("CIFAR10: horse", clf, x, 8, lambda axes, map_: draw_image(axes, x[0], map_))


def sentence(folder: Path | None) -> Panel:
    """Return a sentence, explained by a network that tells newsgroups apart."""
    if folder:
        vectors = read_vectors(folder / "vectors" / "newsgroups-w2v-100d.txt.gz", limit=8000)
        texts, labels = messages(folder / "newsgroups" / "20news-bydate.tar.gz")
    else:
        vectors = fetch_glove(100)
        data = fetch_newsgroups("tiny", categories=GROUPS)
        texts, labels = data.X_train, data.y_train
    words = WordSequences(vectors, length=80)
    X = words.fit_transform(texts)
    clf = ABAClassifier(
        TextCNN,
        module__vectors=words.embedding_matrix(),
        module__n_classes=4,
        module__channels=32,
        layer="embedding",
        max_epochs=15,
        lr=2e-3,
        **SETTINGS,
    ).fit(X, np.asarray(labels))
    x = np.concatenate([words.transform([SENTENCE]), X[:OTHERS]])
    group = clf.predict(x[:1])[0]
    group = group if isinstance(group, str) else GROUPS[group]
    shown = [word for word in SENTENCE.split() if word in vectors]
    return Panel(f"sentence: {group}", clf, x, 80, lambda axes, map_: draw_words(axes, shown, map_))


def messages(file: Path) -> tuple[list[str], list[str]]:
    """Read a hundred training messages of each group, without their headers."""
    found: dict[str, list[str]] = {group: [] for group in GROUPS}
    with tarfile.open(file) as archive:
        for member in archive:
            half, group, *rest = [*member.name.split("/"), "", ""]
            if "train" in half and group in found and rest[0] and len(found[group]) < 100:
                content: Any = archive.extractfile(member)
                found[group].append(content.read().decode("latin-1").partition("\n\n")[2])
    return [text for texts in found.values() for text in texts], [g for g, texts in found.items() for _ in texts]


def ecg(folder: Path | None) -> Panel:
    """Return an ECG, explained by a network that tells normal ones from all others."""
    with tempfile.TemporaryDirectory() as home:
        if folder:
            with tarfile.open(folder / "ptbxl" / "ptbxl-first500-100hz.tar.gz") as archive:
                archive.extractall(Path(home) / "ptbxl", filter="data")
        data = fetch_ptbxl(labels="superclass", data_home=home if folder else None)
    X = ECGScaler().fit_transform(data.X_train[:400])[:, :, :TIMES]
    y = np.where(data.y_train[:400, data.target_names.index("NORM")] > 0, "normal", "not normal")
    clf = ABAClassifier(FCN, module__channels=12, max_epochs=8, lr=1e-3, module__n_classes=2, **SETTINGS).fit(X, y)
    known = np.flatnonzero((clf.predict(X) == y) & (y == "not normal"))
    x = np.concatenate([X[known[:1]], X[:OTHERS]])
    return Panel("ECG, lead II: not normal", clf, x, 25, lambda axes, map_: draw_trace(axes, x[0], map_))


def draw_image(axes: Axes, x: np.ndarray, map_: np.ndarray | None) -> None:
    """Draw an image, or the sum of its map over the channels."""
    if map_ is None:
        axes.imshow(x[0] if len(x) == 1 else np.moveaxis(x, 0, -1), cmap="gray")
    else:
        axes.imshow(map_.sum(0), cmap="RdBu_r", norm=centred(map_.sum(0)))


def draw_words(axes: Axes, words: list[str], map_: np.ndarray | None) -> None:
    """Write a sentence, each word on the colour of its map, summed over the dimensions."""
    values = np.zeros(len(words)) if map_ is None else map_.sum(1)[: len(words)]
    colours = mpl.colormaps["RdBu_r"](centred(values)(values)) if map_ is not None else np.ones((len(words), 4))
    axes.set(xlim=(0, sum(len(word) + 1.2 for word in words)), ylim=(-1, 1))
    start = 0.0
    for word, colour in zip(words, colours, strict=True):
        dark = map_ is not None and colour[:3].mean() < 0.45
        axes.axvspan(start, start + len(word) + 0.9, 0.25, 0.75, color=colour)
        ink = "white" if dark else "black"
        axes.text(start + len(word) / 2 + 0.45, 0, word, ha="center", va="center", size=7, color=ink)
        start += len(word) + 1.2


def draw_trace(axes: Axes, x: np.ndarray, map_: np.ndarray | None) -> None:
    """Draw one lead, coloured by its map."""
    time = np.arange(x.shape[1]) / 100
    points = np.column_stack([time, x[LEAD]])
    line = LineCollection(np.stack([points[:-1], points[1:]], axis=1), linewidths=1.2, colors="black")
    if map_ is not None:
        line.set(array=map_[LEAD][:-1], cmap="coolwarm", norm=centred(map_[LEAD]), linewidths=2, color=None)
    axes.add_collection(line)
    axes.autoscale()


def centred(values: np.ndarray) -> mpl.colors.CenteredNorm:
    """Return a norm with 0 in the middle; a few outliers do not decide the range."""
    return mpl.colors.CenteredNorm(0, float(np.quantile(np.abs(values), 0.995)) or 1.0)


def main() -> None:
    """Fit, attribute, draw."""
    from matplotlib import pyplot as plt  # noqa: PLC0415

    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else None
    panels = [digit(), photograph(folder), sentence(folder), ecg(folder)]
    rows = ["input", *METHODS]
    figure, axes = plt.subplots(
        len(rows), 4, figsize=(14, 0.72 * len(rows)), width_ratios=[1, 1, 7, 5], layout="constrained"
    )
    for row, name in zip(axes, rows, strict=True):
        for axis, panel in zip(row, panels, strict=True):
            axis.set(xticks=[], yticks=[])
            axis.spines[:].set_visible(False)
            draw(axis, panel, name)
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for axis, panel in zip(axes[0], panels, strict=True):
        axis.set_title(panel.title, fontsize="medium")
    figure.supxlabel(
        "red speaks for the class that the network predicts, blue against it (unsigned methods: red is important); "
        "each map has a scale of its own"
    )
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=80)


def draw(axis: Axes, panel: Panel, name: str) -> None:
    """Draw one cell: the input, a map, or why there is none."""
    if name == "input":
        panel.draw(axis, None)
        return
    method = METHODS[name](**PARAMETERS.get(name, {}))
    if "segments" in method.get_params():
        method.set_params(segments=panel.segments)
    try:
        map_ = panel.estimator.attribute(panel.samples[: 1 + OTHERS if name in COMPARES else 1], attribution=method)[0]
    except ValueError:
        axis.text(0.5, 0.5, "does not fit the network", transform=axis.transAxes, ha="center", va="center", size=7)
        return
    panel.draw(axis, map_)


if __name__ == "__main__":
    main()
