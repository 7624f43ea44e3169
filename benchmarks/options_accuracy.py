"""The share of the full method's gain in accuracy that the cheaper variants keep.

    python benchmarks/options_accuracy.py [--seeds 5] [--data FOLDER] [--json FILE]

Trains skaba's networks on digits (100 training images) and on four groups of 20 Newsgroups (100 messages each). Each
method gets the strength with the best mean validation accuracy over the seeds, and its test accuracy at this strength
is reported. "kept" is the gain in mean test accuracy over plain training, as a share of the full method's: FastABA-CE
for free_aba, MendABA for its options. FOLDER holds subsets of the real data as the tests use them; without it they
are downloaded.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skaba import ABAClassifier
from skaba.attribution import Loss
from skaba.augmenters import fast_aba, free_aba, mend_aba
from skaba.datasets import fetch_glove, fetch_newsgroups, load_digits, read_vectors
from skaba.modules import ConvNet, TextCNN
from skaba.preprocessing import WordSequences

METHODS: dict[str, Any] = {
    "plain": None,
    "fast_aba(target=Loss())": fast_aba(target=Loss()),
    "free_aba(renew=1)": free_aba(renew=1),
    "free_aba(renew=0.2)": free_aba(renew=0.2),
    "fast_aba on a random map": fast_aba(target=Loss()).random_map(),
    "mend_aba": mend_aba(),
    "mend_aba(share=0.5)": mend_aba(share=0.5),
    "mend_aba(resolution=0.5)": mend_aba(resolution=0.5),
}
FULL = {name: "mend_aba" for name in METHODS if name.startswith("mend_aba(")}
FULL |= {name: "fast_aba(target=Loss())" for name in METHODS if name.startswith("free_aba")}
GROUPS = ["comp.graphics", "rec.autos", "sci.space", "talk.politics.guns"]
SETTINGS: dict[str, Any] = {
    "optimizer": torch.optim.Adam,
    "train_split": None,
    "verbose": 0,
    "iterator_train__shuffle": True,
    "lr": 2e-3,
}


def digits(folder: Path | None) -> tuple[Any, Any, list[float]]:
    """Return the data, a network without augmentation, and the strengths to choose from."""
    net = ABAClassifier(ConvNet, module__width=16, augmenter=None, max_epochs=60, batch_size=20, **SETTINGS)
    return load_digits("tiny"), net, [0.1, 0.3, 1.0]


def newsgroups(folder: Path | None) -> tuple[Any, Any, list[float]]:
    """Return the same for text."""
    if folder:
        vectors = read_vectors(folder / "vectors" / "newsgroups-w2v-100d.txt.gz", limit=8000)
    else:
        vectors = fetch_glove(100)
    cut = ("headers", "footers", "quotes")
    archive = folder / "newsgroups" / "20news-bydate.tar.gz" if folder else None
    data = fetch_newsgroups("tiny", categories=GROUPS, remove=cut, archive=archive)
    words = WordSequences(vectors, length=100).fit(data.X_train)
    for part in ("X_train", "X_valid", "X_test"):
        data[part] = words.transform(data[part])
    net = ABAClassifier(
        TextCNN,
        module__vectors=words.embedding_matrix(),
        module__n_classes=4,
        module__channels=24,
        layer="embedding",
        augmenter=None,
        max_epochs=15,
        batch_size=32,
        **SETTINGS,
    )
    return data, net, [0.05, 0.2]


def scores(data: Any, net: Any, seeds: int, augmenter: Any, strength: float) -> tuple[list[float], list[float]]:
    """Return validation and test accuracies in percent, one per seed."""
    valid, test = [], []
    for seed in range(seeds):
        fitted = net.set_params(augmenter=augmenter, strength=strength, random_state=seed).fit(
            data.X_train, data.y_train
        )
        valid.append(100 * fitted.score(data.X_valid, data.y_valid))
        test.append(100 * fitted.score(data.X_test, data.y_test))
    return valid, test


def measure(name: str, seeds: int, folder: Path | None) -> dict[str, Any]:
    """Return, for every method, the strength chosen and the test accuracies."""
    data, net, strengths = {"digits": digits, "newsgroups": newsgroups}[name](folder)
    found: dict[str, Any] = {}
    print(f"{name}: test accuracy, mean and standard deviation over {seeds} seeds")
    for method, augmenter in METHODS.items():
        runs = {s: scores(data, net, seeds, augmenter, s) for s in (strengths if augmenter else [0.0])}
        best = max(runs, key=lambda strength: np.mean(runs[strength][0]))
        found[method] = {"strength": best, "test": runs[best][1]}
        test = np.array(runs[best][1])
        line = f"  {method:28} {test.mean():5.1f} +- {test.std():.1f}  strength {best}"
        if method in FULL:
            plain, full = (np.mean(found[other]["test"]) for other in ("plain", FULL[method]))
            line += f"  kept {100 * (test.mean() - plain) / (full - plain):.0f} % of {full - plain:+.1f}"
        print(line, flush=True)
    return found


def main() -> None:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    results = {name: measure(name, arguments.seeds, arguments.data) for name in ("digits", "newsgroups")}
    if arguments.json:
        arguments.json.write_text(json.dumps(results))


if __name__ == "__main__":
    main()
