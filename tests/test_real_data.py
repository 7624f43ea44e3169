"""The main job on real data: load, fit with a preset, search the strength, predict, score."""

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline

from skaba import ABAClassifier, ABAMultiLabelClassifier
from skaba.datasets import fetch_mnist, fetch_newsgroups, fetch_ptbxl, read_vectors
from skaba.modules import FCN, ConvNet, TextCNN
from skaba.preprocessing import ECGScaler, WordSequences

pytestmark = pytest.mark.slow

STRENGTHS = [0.05, 0.2, 0.5]
SETTINGS: dict[str, Any] = {
    "random_state": 0,
    "verbose": 0,
    "train_split": None,
    "optimizer": torch.optim.Adam,
    "iterator_train__shuffle": True,
}


def test_mnist_tiny(real_data: Path) -> None:
    mnist = fetch_mnist("tiny", pool="test", data_home=real_data)
    clf = ABAClassifier(ConvNet, augmenter="mend_aba", max_epochs=12, lr=3e-3, batch_size=20, **SETTINGS)
    search = GridSearchCV(clf, {"strength": STRENGTHS}, cv=2, error_score="raise")
    search.fit(mnist.X_train, mnist.y_train)
    assert search.predict(mnist.X_test[:5]).shape == (5,)
    assert search.score(mnist.X_test[:1000], mnist.y_test[:1000]) > 0.6


@pytest.fixture(scope="module")
def newsgroups(real_data: Path) -> Any:
    """Four groups of the archive."""
    archive = real_data / "newsgroups" / "20news-bydate.tar.gz"
    groups = ["comp.graphics", "rec.autos", "sci.space", "talk.politics.guns"]
    return fetch_newsgroups("tiny", categories=groups, remove=("headers", "footers", "quotes"), archive=archive)


@pytest.mark.parametrize("length", [50, 120])
def test_newsgroups(newsgroups: Any, real_data: Path, length: int) -> None:
    vectors = read_vectors(real_data / "vectors" / "newsgroups-w2v-100d.txt.gz", limit=8000)
    words = WordSequences(vectors, length=length)
    clf = ABAClassifier(
        TextCNN,
        module__vectors=words.embedding_matrix(),
        module__n_classes=4,
        module__channels=24,
        layer="embedding",
        augmenter="fast_aba",
        max_epochs=16,
        lr=2e-3,
        batch_size=32,
        **SETTINGS,
    )
    pipeline = Pipeline([("words", words), ("clf", clf)])
    search = GridSearchCV(pipeline, {"clf__strength": STRENGTHS}, cv=2, error_score="raise")
    search.fit(newsgroups.X_train, newsgroups.y_train)
    assert search.predict(newsgroups.X_test[:5]).shape == (5,)
    assert search.score(newsgroups.X_test, newsgroups.y_test) > 0.4  # chance is 0.25


def test_ptbxl(real_data: Path, tmp_path: Path) -> None:
    with tarfile.open(real_data / "ptbxl" / "ptbxl-first500-100hz.tar.gz") as archive:
        archive.extractall(tmp_path / "ptbxl", filter="data")
    ecg = fetch_ptbxl(labels="superclass", data_home=tmp_path)
    clf = ABAMultiLabelClassifier(
        FCN, module__n_classes=5, augmenter="mend_aba", max_epochs=4, lr=1e-3, batch_size=32, **SETTINGS
    )
    pipeline = Pipeline([("scale", ECGScaler()), ("clf", clf)])
    search = GridSearchCV(pipeline, {"clf__strength": STRENGTHS}, cv=2, error_score="raise")
    search.fit(ecg.X_train[:120, :, :250], ecg.y_train[:120])
    X_test, y_test = np.concatenate([ecg.X_valid, ecg.X_test])[:, :, :250], np.concatenate([ecg.y_valid, ecg.y_test])
    assert search.predict(X_test[:5]).shape == (5, 5)
    assert search.score(X_test, y_test) > 0.6  # chance is 0.5
