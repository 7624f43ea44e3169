"""Whether StrengthSearchCV finds what a full grid finds, at 40 % of its epochs: validation accuracy.

    python benchmarks/search_accuracy.py RUNS.jsonl [--sets digits breast_cancer] [--data FOLDER] [--seeds 5]

Per data set, augmenter and seed: GridSearchCV and StrengthSearchCV with the same estimator, strengths and folds. Each
then trains on all training samples at the strength that it chose, and is scored on validation samples that neither
saw. The full grid is scored twice, at the strength with the best mean and at that of the one-standard-error rule. No
test set is used. The epochs of the searches do not include the last training, which both need.

Every search adds a line of JSON to RUNS.jsonl; searches that are already there are not repeated. FOLDER holds MNIST.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn

from skaba import ABAClassifier, StrengthSearchCV
from skaba.datasets import fetch_mnist, load_digits
from skaba.modules import ConvNet

AUGMENTERS = ("mend_aba", "fast_aba")
STRENGTHS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""The defaults of StrengthSearchCV for these augmenters."""
FOLDS = 3
N_TEST = 150  # of breast_cancer, left alone


class TableNet(nn.Sequential):
    """One hidden layer for 30 features and 2 classes."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 2))


def breast_cancer(seed: int) -> tuple[np.ndarray, ...]:
    """Return 60 scaled training samples, the validation samples, and their classes."""
    X, y = load_breast_cancer(return_X_y=True)
    X, _, y, _ = train_test_split(X, y, test_size=N_TEST, stratify=y, random_state=seed)
    X_train, X_valid, y_train, y_valid = train_test_split(X, y, train_size=60, stratify=y, random_state=seed)
    scale = StandardScaler().fit(X_train).transform
    return scale(X_train).astype(np.float32), y_train, scale(X_valid).astype(np.float32), y_valid


def data_of(run: dict[str, Any], folder: Path) -> tuple[np.ndarray, ...]:
    """Return X and y for training, X and y for validation."""
    if run["data"] == "breast_cancer":
        return breast_cancer(run["seed"])
    if run["data"] == "digits":
        bunch = load_digits("tiny", random_state=run["seed"])
    else:
        bunch = fetch_mnist("tiny", pool="test", data_home=folder, random_state=run["seed"])
    return bunch.X_train, bunch.y_train, bunch.X_valid, bunch.y_valid


def estimator_of(run: dict[str, Any]) -> ABAClassifier:
    """Return the unfitted net of a run."""
    module = {"module": TableNet} if run["data"] == "breast_cancer" else {"module": ConvNet, "module__width": 16}
    return ABAClassifier(
        **module,
        augmenter=run["augmenter"],
        max_epochs=run["epochs"],
        batch_size=20,
        lr=3e-3,
        random_state=run["seed"],
        verbose=0,
    )


def one_standard_error(results: dict[str, Any]) -> float:
    """Return the smallest strength within one standard error, of paired differences, of the best of a grid."""
    scores = np.array([results[f"split{fold}_test_score"] for fold in range(FOLDS)])
    behind = scores[:, [scores.mean(axis=0).argmax()]] - scores
    return float(min(results["param_strength"][behind.mean(axis=0) <= stats.sem(behind) + 1e-12]))


def search(run: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return what a search chose, what that scores, and what it cost."""
    X, y, X_valid, y_valid = data_of(run, folder)
    net, folds = estimator_of(run), StratifiedKFold(FOLDS, shuffle=True, random_state=run["seed"])
    if run["search"] == "grid":
        tuned = GridSearchCV(net, {"strength": STRENGTHS}, cv=folds)
    else:
        tuned = StrengthSearchCV(net, STRENGTHS, cv=folds)
    start = time.perf_counter()
    tuned.fit(X, y)
    results = tuned.cv_results_
    epochs = results.get("n_resources", np.full(len(STRENGTHS), run["epochs"]))
    found = {
        **run,
        "strength": tuned.best_params_["strength"],
        "valid_accuracy": tuned.score(X_valid, y_valid),
        "epochs_of_search": int(epochs.sum()),
        "seconds": round(time.perf_counter() - start),
        "fold_scores": [list(results[f"split{fold}_test_score"]) for fold in range(FOLDS)],
    }
    if run["search"] == "grid":
        found["strength_1se"] = one_standard_error(results)
        found["valid_accuracy_1se"] = (
            clone(net).set_params(strength=found["strength_1se"]).fit(X, y).score(X_valid, y_valid)
        )
    return found


def planned(sets: list[str], seeds: int, epochs: int) -> Iterator[dict[str, Any]]:
    """Return what each search is, seed by seed."""
    for data, seed, augmenter, kind in itertools.product(sets, range(seeds), AUGMENTERS, ("grid", "halving")):
        yield {"data": data, "seed": seed, "augmenter": augmenter, "search": kind, "epochs": epochs}


def report(runs: list[dict[str, Any]]) -> None:
    """Print one line per data set and augmenter that has pairs of searches."""
    print("| data, augmenter | pairs | grid | grid, one standard error | StrengthSearchCV | share of epochs |")
    print("|---|---|---|---|---|---|")
    for data, augmenter in sorted({(run["data"], run["augmenter"]) for run in runs}):
        mine = [run for run in runs if (run["data"], run["augmenter"]) == (data, augmenter)]
        grids, halvings = ({run["seed"]: run for run in mine if run["search"] == kind} for kind in ("grid", "halving"))
        pairs = [(grids[seed], halvings[seed]) for seed in sorted(grids.keys() & halvings.keys())]
        if not pairs:
            continue
        accuracies = [
            100 * np.mean([grid["valid_accuracy"] for grid, _ in pairs]),
            100 * np.mean([grid["valid_accuracy_1se"] for grid, _ in pairs]),
            100 * np.mean([halving["valid_accuracy"] for _, halving in pairs]),
        ]
        share = np.mean([halving["epochs_of_search"] / grid["epochs_of_search"] for grid, halving in pairs])
        cells = " | ".join(f"{accuracy:.1f}" for accuracy in accuracies)
        print(f"| {data}, {augmenter} | {len(pairs)} | {cells} | {share:.2f} |")


def main() -> None:
    """Search what is missing, print the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--sets", nargs="+", choices=["digits", "breast_cancer", "mnist"], default=["digits"])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=150)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    done = [json.loads(line) for line in arguments.runs.read_text().splitlines()] if arguments.runs.exists() else []
    for run in planned(arguments.sets, arguments.seeds, arguments.epochs):
        if any(run.items() <= other.items() for other in done):
            continue
        done.append(search(run, arguments.data))
        with arguments.runs.open("a") as file:
            file.write(json.dumps(done[-1]) + "\n")
        print(json.dumps(done[-1]), flush=True)
    report([run for run in done if run["epochs"] == arguments.epochs])


if __name__ == "__main__":
    main()
