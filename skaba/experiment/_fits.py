"""One fit of an experiment, and what is measured on it."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone

from skaba import ABAClassifier, ABAMultiLabelClassifier, modules
from skaba._validation import unknown_name
from skaba.attribution import Loss
from skaba.augmenters import ABA, AdjustmentSet, Percentiles, fgsm
from skaba.evaluation import PGD, expected_calibration_error, score_under_attack, size_of_changes
from skaba.experiment._arms import Arm
from skaba.experiment._data import Data, load_data
from skaba.experiment._settings import Settings

# E1's two adjustments (Kinkel 2023, section 3.3.2).
TEST_TIME = {
    name: ABA(target=Loss(), selection=Percentiles(0.1, 0.9), adjustments=AdjustmentSet([adjustment]), randomize=False)
    for name, adjustment in (("Delta", (1, 0, -1)), ("Epsilon", (-1, 0, 1)))
}


@dataclass(frozen=True)
class Fit:
    """One training of one arm.

    Parameters
    ----------
    stage : {"learning rate", "strength", "test"}
        Only a fit of the last stage looks at the test set.
    arm : str
    learning_rate, strength : float
    epochs : int
    seed : int
        Decides the training samples, the initialisation and every draw.
    """

    stage: str
    arm: str
    learning_rate: float
    strength: float
    epochs: int
    seed: int

    @property
    def key(self) -> str:
        """A name that tells this fit from all others of its experiment."""
        return json.dumps(asdict(self))


def run_fit(settings: Settings, arm: Arm, fit: Fit, folder: Path | None = None, device: str = "cpu") -> dict[str, Any]:
    """Train, and measure what the fit's stage asks for.

    Parameters
    ----------
    settings : Settings
    arm : Arm
        The one that ``fit`` names.
    fit : Fit
    folder : Path, default=None
        Where the data are.
    device : str, default="cpu"

    Returns
    -------
    dict
        ``valid`` and ``seconds``; in the stage "test" also ``test`` and whatever the settings name: ``ece``, ``FGSM``,
        ``PGD``, ``curve``, and ``norm``, the root mean square of a method's change, for the noise that controls it.
    """
    data = load_data(settings.data, folder)
    net = make_net(settings, data, arm, fit).set_params(device=device)
    start = time.perf_counter()
    net.fit(*data.train(fit.seed))
    result: dict[str, Any] = {"seconds": round(time.perf_counter() - start, 2)}
    result["valid"] = valid_score(net, data)
    if fit.stage == "test":
        result |= _on_test_set(settings, data, net)
        if arm.name in settings.controls_of:
            result["norm"] = size_of_changes(net, *data.train(fit.seed), random_state=fit.seed)
    return result


def valid_score(net: Any, data: Data) -> float:
    """Return the score on the validation set: 0 for a network that training has driven to infinity."""
    X, y = data.bunch.X_valid, data.bunch.y_valid
    return float(net.score(X, y)) if np.isfinite(net.predict_proba(X)).all() else 0.0


def make_net(settings: Settings, data: Data, arm: Arm, fit: Fit) -> Any:
    """Return the estimator that a fit trains, unfitted."""
    parameters = dict(settings.module)
    name = parameters.pop("name")
    if name not in modules.__all__:
        raise ValueError(unknown_name("network of skaba.modules", name, modules.__all__))
    y = data.bunch.y_train
    kind = ABAMultiLabelClassifier if y.ndim == 2 else ABAClassifier
    parameters |= {**data.module, "n_classes": y.shape[1] if y.ndim == 2 else len(data.bunch.target_names)}
    return kind(
        getattr(modules, name),
        **{f"module__{key}": value for key, value in parameters.items()},
        augmenter=arm.augmenter if arm.augmenter is None else clone(arm.augmenter),
        strength=fit.strength,
        layer=data.layer,
        optimizer=torch.optim.Adam,
        **{f"optimizer__{key}": value for key, value in settings.optimizer.items()},
        lr=fit.learning_rate,
        max_epochs=fit.epochs,
        batch_size=settings.batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        random_state=fit.seed,
        verbose=0,
    )


def _on_test_set(settings: Settings, data: Data, net: Any) -> dict[str, Any]:
    X, y = data.bunch.X_test, data.bunch.y_test
    result: dict[str, Any] = {"test": float(net.score(X, y))}
    if y.ndim == 1:
        result["ece"] = expected_calibration_error(y, net.predict_proba(X))
    X, y = X[: settings.n_attacked], y[: settings.n_attacked]
    if settings.attack:
        result["FGSM"] = score_under_attack(net, X, y, fgsm(), settings.attack)
        result["PGD"] = score_under_attack(net, X, y, PGD(), settings.attack)
    if settings.test_strengths:
        strengths = [0.0, *settings.test_strengths]
        result["curve"] = {
            name: [score_under_attack(net, X, y, adjustment, strength) for strength in strengths]
            for name, adjustment in TEST_TIME.items()
        }
    return result
