"""What ``worth`` advises on three kinds of data, in five minutes each.

    python benchmarks/worth.py [--sets digits breast_cancer messages] [--minutes 5] [--data FOLDER] [--out FOLDER]

The numbers of training samples, networks and epochs are those of the experiments E4, at the scale "cpu": 100 digits of
8 x 8 pixels, and 20 tumours. To fit into the time, messages are fewer than there, 200 of 5 groups, and shorter, 60
words; the network has a quarter of the channels, and 30 epochs. Pools are training and validation sets; test sets are
left alone. FOLDER holds 20 Newsgroups and word vectors, as for ``skaba experiment``. With --out, tables and pictures
are kept.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaba import ABAClassifier
from skaba.datasets import load_digits
from skaba.evaluation import worth
from skaba.experiment import load_data, write_worth
from skaba.modules import MLP, ConvNet, TextCNN

Task = tuple[Any, Any, Any, int]
"""Estimator, samples, classes, and the number of training samples."""


def digits(folder: Path) -> Task:
    """Return the task of E4 on digits."""
    bunch = load_digits("full", random_state=0)
    net = ABAClassifier(ConvNet, module__width=16, max_epochs=150, batch_size=20, lr=3e-3, verbose=0)
    X, y = (np.concatenate([bunch[f"{name}_train"], bunch[f"{name}_valid"]]) for name in "Xy")
    return net, X, y, 100


def breast_cancer(folder: Path) -> Task:
    """Return the task of E4 on 569 tumours; 150 are left alone as a test set."""
    X, y = load_breast_cancer(return_X_y=True)
    X, _, y, _ = train_test_split(X.astype(np.float32), y, test_size=150, stratify=y, random_state=0)
    net = ABAClassifier(MLP, module__n_features=30, max_epochs=100, batch_size=20, lr=3e-3, verbose=0)
    return make_pipeline(StandardScaler(), net), X, y, 20


def messages(folder: Path) -> Task:
    """Return five groups of 20 Newsgroups under a convolutional network."""
    files = {"archive": "newsgroups/20news-bydate.tar.gz", "vectors": "vectors/newsgroups-w2v-100d.txt.gz"}
    data = load_data({"name": "newsgroups", "n_words": 20000, "length": 60, **files}, folder)
    chosen = data.bunch.y_train % 4 == 0
    X, classes = data.bunch.X_train[chosen][:1250], data.bunch.y_train[chosen][:1250]  # in random order
    net = ABAClassifier(
        TextCNN, module__vectors=data.module["vectors"], module__n_classes=5, module__channels=16, layer="embedding",
        max_epochs=30, lr=3e-3, verbose=0,
    )  # fmt: skip
    return net, X, np.unique(classes, return_inverse=True)[1], 200


SETS = {"digits": digits, "breast_cancer": breast_cancer, "messages": messages}


def main() -> None:
    """Print the advice and the table of each data set."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", choices=SETS, default=["digits", "breast_cancer"])
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.sets:
        estimator, X, y, train_size = SETS[name](arguments.data)
        start = time.perf_counter()
        found = worth(estimator, X, y, minutes=arguments.minutes, train_size=train_size)
        print(f"## {name}, {(time.perf_counter() - start) / 60:.1f} minutes\n\n{found}\n", flush=True)
        if arguments.out is not None:
            write_worth(found, arguments.out / name)


if __name__ == "__main__":
    main()
