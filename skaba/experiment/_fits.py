"""One fit of an experiment: its network, and what is measured on it."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from skaba import ABAClassifier, ABAMultiLabelClassifier, modules
from skaba._own_code import own_function
from skaba._validation import unknown_name
from skaba.evaluation import expected_calibration_error
from skaba.experiment._data import Data
from skaba.experiment._experiment import Experiment
from skaba.experiment._fit import TEST, Fit
from skaba.experiment._milestones import Milestones, milestones_of, valid_score


def run_fit(experiment: Experiment, fit: Fit, folder: Path | None = None, device: str = "cpu") -> dict[str, Any]:
    """Train, and measure what belongs to the stage of the fit.

    Parameters
    ----------
    experiment : Experiment
    fit : Fit
    folder : Path, default=None
        Where the data are; by default in the data home.
    device : str, default="cpu"

    Returns
    -------
    dict
        ``seconds`` of training; ``valid`` and ``train``, the scores on the validation set and on the training samples;
        for networks the validation scores at the milestones; in the stage "test" also what the experiment measures
        there.
    """
    data = experiment.load(fit, folder)
    X, y = data.train(fit.seed)
    net = make_net(experiment, data, fit, device)
    start = time.perf_counter()  # loading the data is not counted
    net.fit(X, y)
    result = {"seconds": round(time.perf_counter() - start, 2), **milestones_of(net)}
    if callable(strength := getattr(net, "strength_", None)):
        result["strength"] = strength.strength_  # where a rule ended
    result["valid"] = valid_score(net, data.bunch.X_valid, data.bunch.y_valid)
    result["train"] = valid_score(net, X[: experiment.n_scored], y[: experiment.n_scored])
    return result | experiment.measure(net, data, fit) if fit.stage == TEST else result


def scores_on_test(net: Any, data: Data) -> dict[str, float]:
    """Return the score on the test set, and the calibration error where there are probabilities of single classes."""
    X, y = data.bunch.X_test, data.bunch.y_test
    scores = {"test": float(net.score(X, y))}
    if y.ndim == 2 or not hasattr(net, "predict_proba"):
        return scores
    return {**scores, "ece": expected_calibration_error(y, net.predict_proba(X))}


def make_net(experiment: Experiment, data: Data, fit: Fit, device: str = "cpu") -> Any:
    """Return the estimator that a fit trains, unfitted.

    Every parameter that decides the result is given here, so that kept results do not depend on defaults.
    """
    module, parameters = _network(experiment, data)
    estimator = ABAMultiLabelClassifier if data.bunch.y_train.ndim == 2 else ABAClassifier
    check_keywords("setting of the optimizer", torch.optim.Adam, experiment.optimizer, {"params", "lr"})
    net = estimator(
        module,
        **{f"module__{key}": value for key, value in parameters.items()},
        augmenter=None,
        strength=0.0,
        layer=data.layer,
        optimizer=torch.optim.Adam,
        **{f"optimizer__{key}": value for key, value in experiment.optimizer.items()},
        lr=fit.learning_rate,
        max_epochs=fit.epochs,
        batch_size=experiment.batch_size,
        iterator_train__shuffle=experiment.shuffle,
        **data.in_training(fit.seed),
        train_split=None,  # the data have a validation set; none of the training samples is held out for another one
        callbacks=[("milestones", Milestones(data.bunch.X_valid, data.bunch.y_valid))],
        random_state=fit.seed,
        device=device,
        verbose=0,
    )
    return experiment.arm(fit.arm).applied_to(net, data, fit)


def _network(experiment: Experiment, data: Data) -> tuple[Any, dict[str, Any]]:
    """Return the network's class, or a function that makes one, and its parameters."""
    own = dict(experiment.module)
    name = own.pop("name")
    if ":" in name:
        module = own_function(name, "a network")
    elif name in modules.__all__:
        module = getattr(modules, name)
    else:
        known = unknown_name("network of skaba.modules", name, modules.__all__)
        raise ValueError(f"{known} One of your own is named as module:function.")
    given = {**data.module, "n_classes": len(data.bunch.target_names)}
    check_keywords(f"setting of the network {name}", module, own, set(given))
    return data.network(module, own | given)


def check_keywords(what: str, function: Callable[..., Any], given: Mapping[str, Any], taken: set[str]) -> None:
    """Refuse settings that a function does not have, or that the experiment decides itself."""
    parameters = inspect.signature(function).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    for name in given:
        if name in taken:
            raise ValueError(f"The {what} {name} is decided by the experiment: leave it out.")
        if name not in parameters and not takes_any:
            raise ValueError(unknown_name(what, name, parameters.keys() - taken))
