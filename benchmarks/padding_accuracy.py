"""Whether padding should count where percentiles are taken: validation accuracy on 20 Newsgroups.

    python benchmarks/padding_accuracy.py RUNS.jsonl [--data FOLDER] [--seeds 3] [--epochs 60]

TextCNN on 200 words, 100 training messages per group, Challenger and MendABA at a strength of 0.1, with both rules of
``Percentiles(padding=)``. Training and validation messages are of the training half of the "bydate" version, and none
of them is in the test set of ``fetch_newsgroups``. The validation set, 50 messages per group, is the same for all
fits; each seed draws its own training messages.

Every fit adds a line of JSON to RUNS.jsonl; fits that are already there are not repeated. FOLDER holds the
archive and the word vectors as the tests use them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import _twenty_newsgroups as rules

from skaba import ABAClassifier
from skaba.augmenters import Percentiles, challenger, mend_aba
from skaba.datasets import fetch_newsgroups, read_vectors
from skaba.modules import TextCNN
from skaba.preprocessing import WordSequences

METHODS = {"challenger": challenger, "mend_aba": mend_aba}
RULES = ("include", "exclude")
PER_CLASS = {"train": 100, "valid": 50}
LENGTH = 200
ARCHIVE = "newsgroups/20news-bydate.tar.gz"
VECTORS = "vectors/newsgroups-w2v-100d.txt.gz"


def pool(folder: Path) -> tuple[list[str], np.ndarray]:
    """Return the messages of the published training half that are in no test or validation set, and their groups.

    Headers, footers and quotations are removed.
    """
    with tarfile.open(folder / ARCHIVE) as archive:
        files = [archive.extractfile(member) for member in archive if member.isfile() and "-train/" in member.name]
        half = {file.read().decode("latin1") for file in files if file}
    news = fetch_newsgroups("full", archive=folder / ARCHIVE)
    kept = [number for number, text in enumerate(news.X_train) if text in half]
    texts = [news.X_train[number] for number in kept]
    for strip in ("header", "footer", "quoting"):
        texts = [getattr(rules, f"strip_newsgroup_{strip}")(text) for text in texts]
    return texts, news.y_train[kept]


def splits(y: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return the indices of a seed's training messages and of the validation messages."""
    fixed, own = np.random.default_rng(0), np.random.default_rng(seed + 1)
    drawn: dict[str, list[np.ndarray]] = {"train": [], "valid": []}
    for group in np.unique(y):
        members = fixed.permutation(np.flatnonzero(y == group))
        valid, rest = np.split(members, [PER_CLASS["valid"]])
        drawn["valid"].append(valid)
        drawn["train"].append(own.permutation(rest)[: PER_CLASS["train"]])
    return {name: np.concatenate(parts) for name, parts in drawn.items()}


def fit(texts: list[str], y: np.ndarray, vectors: Any, run: dict[str, Any]) -> dict[str, Any]:
    """Train a network and return what it scores."""
    drawn = splits(y, run["seed"])
    words = WordSequences(vectors, length=LENGTH).fit([texts[number] for number in drawn["train"]])
    X = {name: words.transform([texts[number] for number in numbers]) for name, numbers in drawn.items()}
    selection = Percentiles(0.1, 0.9, padding=run["padding"])
    net = ABAClassifier(
        TextCNN,
        module__vectors=words.embedding_matrix(),
        layer="embedding",
        augmenter=METHODS[run["method"]](k=6, selection=selection),
        strength=0.1,
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=32,
        iterator_train__shuffle=True,
        max_epochs=run["epochs"],
        train_split=None,
        random_state=run["seed"],
        verbose=0,
    )
    start = time.perf_counter()
    net.fit(X["train"], y[drawn["train"]])
    return {
        **run,
        "train_accuracy": net.score(X["train"], y[drawn["train"]]),
        "valid_accuracy": net.score(X["valid"], y[drawn["valid"]]),
        "train_loss": net.history[-1]["train_loss"],
        "share_of_padding": float((X["train"] == 0).mean()),
        "n_train": len(X["train"]),
        "n_valid": len(X["valid"]),
        "seconds": round(time.perf_counter() - start),
    }


def planned(seeds: int, epochs: int) -> Iterator[dict[str, Any]]:
    """Return what each fit is, seed by seed."""
    for seed, method, padding in itertools.product(range(seeds), METHODS, RULES):
        yield {"seed": seed, "method": method, "padding": padding, "epochs": epochs}


def report(runs: list[dict[str, Any]]) -> None:
    """Print the mean accuracies."""
    for method, padding in itertools.product(METHODS, RULES):
        found = [100 * run["valid_accuracy"] for run in runs if (run["method"], run["padding"]) == (method, padding)]
        if found:
            print(f"{method:12} {padding:8} {np.mean(found):5.1f}  {[round(accuracy, 1) for accuracy in found]}")


def main() -> None:
    """Fit what is missing, print the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    done = [json.loads(line) for line in arguments.runs.read_text().splitlines()] if arguments.runs.exists() else []
    plan = list(planned(arguments.seeds, arguments.epochs))
    missing = [run for run in plan if not any(run.items() <= other.items() for other in done)]
    if missing:
        texts, y = pool(arguments.data)
        vectors = read_vectors(arguments.data / VECTORS, limit=20_000)
    for run in missing:
        done.append(fit(texts, y, vectors, run))
        with arguments.runs.open("a") as file:
            file.write(json.dumps(done[-1]) + "\n")
        print(json.dumps(done[-1]), flush=True)
    report([run for run in done if run["epochs"] == arguments.epochs])


if __name__ == "__main__":
    main()
