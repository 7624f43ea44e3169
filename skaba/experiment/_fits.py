"""One fit of an experiment, and what is measured on it."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.base import clone

from skaba import ABAClassifier, ABAMultiLabelClassifier, modules
from skaba._own_code import own_function
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
        ``PGD``, ``Delta at 0.1`` and so on for the strengths at test time, and ``norm``, the root mean square of a
        method's change, for the noise that controls it.
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
    module, parameters = _network(settings, data)
    kind = ABAMultiLabelClassifier if data.bunch.y_train.ndim == 2 else ABAClassifier
    _check_keywords("setting of the optimizer", torch.optim.Adam, settings.optimizer, {"params", "lr"})
    return kind(
        module,
        **{f"module__{key}": value for key, value in parameters.items()},
        augmenter=clone(arm.augmenter, safe=False),
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


def _network(settings: Settings, data: Data) -> tuple[Any, dict[str, Any]]:
    """Return the network's class, or a function that makes one, and its parameters."""
    own = dict(settings.module)
    name = own.pop("name")
    if ":" in name:
        module = own_function(name, "a network")
    elif name in modules.__all__:
        module = getattr(modules, name)
    else:
        known = unknown_name("network of skaba.modules", name, modules.__all__)
        raise ValueError(f"{known} One of your own is named as module:function.")
    given = {**data.module, "n_classes": len(data.bunch.target_names)}
    _check_keywords(f"setting of the network {name}", module, own, set(given))
    return module, own | given


def _check_keywords(what: str, function: Callable[..., Any], given: Mapping[str, Any], taken: set[str]) -> None:
    """Refuse settings that a function does not know, or that the experiment decides itself."""
    parameters = inspect.signature(function).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for name in given:
        if name in taken:
            raise ValueError(f"The {what} {name} is decided by the experiment: leave it out.")
        if name not in parameters and not takes_any:
            raise ValueError(unknown_name(what, name, parameters.keys() - taken))


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
        for name, adjustment in TEST_TIME.items():
            for strength in (0.0, *settings.test_strengths):
                result[f"{name} at {strength:g}"] = score_under_attack(net, X, y, adjustment, strength)
    return result
