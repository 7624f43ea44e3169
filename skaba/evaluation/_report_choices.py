"""What a report measures: checks of what it is given, and choices of what applies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import _safe_indexing
from torch import Tensor

from skaba._samples import check_length, check_samples
from skaba._targets import check_targets
from skaba.augmenters import as_augmenter, fgsm
from skaba.estimators import ABAClassifier, ABAMultiLabelClassifier, as_seen_by_net, find_net, fitted_net
from skaba.evaluation.calibration._predictions import column_numbers
from skaba.evaluation.robustness import PGD, GaussianCorruption, ImpulseCorruption, ShotCorruption
from skaba.evaluation.robustness._bounds import as_bounds
from skaba.evaluation.robustness._corruptions import bounds_of
from skaba.evaluation.robustness._occlusion import check_size, cover_of, default_size
from skaba.evaluation.robustness._samples import as_array, as_floats
from skaba.evaluation.robustness._under_attack import checked_attacks
from skaba.evaluation.robustness._under_corruption import check_corruption

Corruptions = Mapping[str, Callable[..., NDArray[Any]]]


def check_given(estimator: Any, X: Any, y: Any) -> None:
    """Raise a ValueError unless X and y are samples with targets of the kind that the estimator was fitted on."""
    for name, value in (("X", X), ("y", y)):
        if value is None:
            raise ValueError(f"{name}=None: a report needs samples with their targets, report(estimator, X, y).")
    targets = check_targets(y)
    _check_one_target_per_sample(estimator, X, y)
    net = find_net(estimator)
    if isinstance(net, ABAMultiLabelClassifier) and hasattr(X, "shape"):
        n_labels = estimator.predict_proba(_safe_indexing(X, [0])).shape[1]
        if targets.shape[1:] != (n_labels,):
            raise ValueError(
                f"y has shape {targets.shape}, but the estimator was fitted on {n_labels} labels per sample, shape "
                f"(n, {n_labels})."
            )
    elif isinstance(net, ABAClassifier) and targets.ndim != 1:
        raise ValueError(
            f"y has shape {targets.shape}, but the estimator was fitted on one class per sample, shape (n,). Of "
            "one-hot rows pass y.argmax(1)."
        )
    elif is_classifier(estimator) and targets.ndim == 1 and np.ndim(getattr(estimator, "classes_", ())) == 1:
        column_numbers(estimator, targets)
    elif is_regressor(estimator) and targets.dtype.kind not in "biuf":
        raise ValueError(f"y holds {targets.dtype} values, but the estimator is a regressor: pass numbers.")


def _check_one_target_per_sample(estimator: Any, X: Any, y: Any) -> None:
    """Raise a ValueError unless there is one target per sample; what X holds is left to those who read it."""
    # To a net a list of arrays is several inputs; any other list holds samples.
    if isinstance(X, (list, tuple)) and (find_net(estimator) is None or not all(hasattr(part, "shape") for part in X)):
        X = np.asarray(X, dtype=object)
    check_length(X, y)


def choose_attacks(estimator: Any, X: Any, attacks: Any) -> tuple[dict[str, tuple[Any, float]], list[str]]:
    """Return the attacks, and what is to be said about them."""
    if attacks is not None:
        checked = checked_attacks(attacks)
        if checked:
            fitted_net(estimator)  # which says so if there is none
        return checked, []
    net = find_net(estimator)
    if net is None:
        return {}, ["No attacks: they need the gradient of one of skaba's estimators."]
    if net.layer is None and (reason := _why_unattackable(as_seen_by_net(estimator, X))):
        return {}, [f"No attacks: {reason}"]
    strength = _attack_strength(net)
    if strength == 0:
        raise ValueError(
            'The estimator has strength=0, which is no attack: pass attacks={"FGSM": (fgsm(), 0.1)}, or {} for none.'
        )
    return {"FGSM": (fgsm(), strength), "PGD": (PGD(), strength)}, []


def _attack_strength(net: Any) -> float:
    """Return the default strength of attacks: the estimator's if it is in units of the input, else FGSM's."""
    has_unit_of_input = net.augmenter_ is None or as_augmenter(net.augmenter_).is_attribution_based
    return float(net.strength) if has_unit_of_input and net.strength is not None else fgsm().default_strength


def _why_unattackable(X: Any) -> str:
    """Return why an input can not be attacked; empty if it can, as far as can be told without reading a Dataset."""
    X = check_samples(X, floats=False)
    if isinstance(X, (Mapping, list, tuple)):
        return "the network has several inputs; fit the estimator with layer=, whose output is attacked."
    if not isinstance(X, (np.ndarray, Tensor)) or torch.as_tensor(X[:1]).is_floating_point():
        return ""
    return (
        f"the network sees {X.dtype} values, to which nothing can be added; scale images to floats, and of word ids "
        'fit the estimator with layer="embedding", whose output is attacked.'
    )


def choose_noises(X: Any, y: Any, corruptions: Any, bounds: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the corruptions, and what is to be said about them."""
    if corruptions is not None:
        return _checked_corruptions(X, y, corruptions, bounds), []
    if bounds is not None:
        bounds_of(bounds, as_floats(X, y))
        return _noises(bounds), []
    try:
        values = as_floats(X, y)
    except (TypeError, ValueError) as error:
        return {}, [f"No noise: {error}"]
    axis = 0 if values.ndim == 2 else None
    measured: Any = values.min(axis=axis), values.max(axis=axis)
    if np.all(measured[0] == measured[1]):
        return {}, ["No noise: X does not vary, so that there is no range to measure it by; give bounds."]
    if values.ndim == 2:
        return _noises(measured), ["Noise keeps between the lowest and the highest value of each column of X."]
    low, high = map(float, measured)
    return _noises((low, high)), [
        f"Noise keeps between the lowest and the highest value of X, {low:.4g} and {high:.4g}."
    ]


def _checked_corruptions(X: Any, y: Any, corruptions: Any, bounds: Any) -> dict[str, Any]:
    if bounds is not None:
        raise ValueError("bounds are those of the noise by default: give them to the corruptions themselves.")
    if not isinstance(corruptions, Mapping):
        raise TypeError(
            f'corruptions={corruptions!r} must map names to them, for example {{"shot noise": ShotCorruption()}}.'
        )
    for corruption in corruptions.values():
        check_corruption(corruption)
    if corruptions:
        as_floats(X, y)
    return dict(corruptions)


def _noises(bounds: tuple[ArrayLike, ArrayLike]) -> dict[str, Any]:
    as_bounds(bounds)
    return {
        "Gaussian noise": GaussianCorruption(bounds),
        "shot noise": ShotCorruption(bounds),
        "impulse noise": ImpulseCorruption(bounds),
    }


def choose_size(X: Any, y: Any, size: Any) -> tuple[Any, list[str]]:
    """Return the square's size, None for no square, and what is to be said about it."""
    try:
        values = as_array(X, y)
        cover_of(values, "mean")
    except (TypeError, ValueError) as error:
        if size is not None:
            raise
        return None, [f"No occlusion: {error}"]
    if size is None:
        return default_size(values.shape[1:]), []
    check_size(size, values.shape[1:])
    return size, []
