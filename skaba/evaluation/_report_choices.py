"""Checks of the arguments of a report, and the choice of its measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import _safe_indexing
from torch import Tensor

from skaba._samples import check_length, check_samples
from skaba._targets import check_targets
from skaba.augmenters import fgsm
from skaba.estimators import ABAClassifier, ABAMultiLabelClassifier, as_seen_by_net, find_net, fitted_net
from skaba.evaluation._components import has_unit_of_input
from skaba.evaluation.calibration._predictions import column_numbers
from skaba.evaluation.robustness import PGD, GaussianCorruption, ImpulseCorruption, ShotCorruption
from skaba.evaluation.robustness._corruptions import bounds_of
from skaba.evaluation.robustness._occlusion import check_size, cover_of, default_size
from skaba.evaluation.robustness._samples import as_array, as_floats
from skaba.evaluation.robustness._under_attack import checked_attacks
from skaba.evaluation.robustness._under_corruption import check_corruption

Corruptions = Mapping[str, Callable[..., NDArray[Any]]]


def check_given(estimator: Any, X: Any, y: Any) -> None:
    """Raise a ValueError unless X and y are samples with targets like those that the estimator was fitted on."""
    for name, value in (("X", X), ("y", y)):
        if value is None:
            raise ValueError(f"{name}=None: a report needs samples with their targets, report(estimator, X, y).")
    targets = check_targets(y)
    _check_one_target_per_sample(estimator, X, y)
    net = find_net(estimator)
    if isinstance(net, ABAMultiLabelClassifier) and hasattr(X, "shape"):
        # Only the network's output shows the number of labels, so one sample is predicted.
        n_labels = estimator.predict_proba(_safe_indexing(X, [0])).shape[1]
        if targets.shape[1:] != (n_labels,):
            raise ValueError(
                f"y has shape {targets.shape}, but the estimator was fitted on {n_labels} labels per sample, shape "
                f"(n, {n_labels})."
            )
    elif isinstance(net, ABAClassifier) and targets.ndim != 1:
        raise ValueError(
            f"y has shape {targets.shape}, but the estimator was fitted on one class per sample, shape (n,). For "
            "one-hot rows pass y.argmax(1)."
        )
    elif is_classifier(estimator) and targets.ndim == 1 and np.ndim(getattr(estimator, "classes_", ())) == 1:
        column_numbers(estimator, targets)
    elif is_regressor(estimator) and targets.dtype.kind not in "biuf":
        raise ValueError(f"y holds {targets.dtype} values, but the estimator is a regressor: pass numbers.")


def _check_one_target_per_sample(estimator: Any, X: Any, y: Any) -> None:
    """Raise a ValueError unless there is one target per sample; the values of X are checked where they are used."""
    # A net takes a list of arrays as several inputs; any other list holds samples.
    if isinstance(X, (list, tuple)) and (find_net(estimator) is None or not all(hasattr(part, "shape") for part in X)):
        X = np.asarray(X, dtype=object)
    check_length(X, y)


def choose_attacks(estimator: Any, X: Any, attacks: Any) -> tuple[dict[str, tuple[Any, float]], list[str]]:
    """Return the attacks, and notes about them."""
    if attacks is not None:
        checked = checked_attacks(attacks)
        if checked:
            fitted_net(estimator)  # raises an error if there is none
        return checked, []
    net = find_net(estimator)
    if net is None:
        return {}, ["No attacks: they need the gradient of a skaba estimator."]
    if net.layer is None and (reason := _why_unattackable(as_seen_by_net(estimator, X))):
        return {}, [f"No attacks: {reason}"]
    # "auto" and rules are no numbers, and the strengths of other augmenters are not in units of the input.
    attack = fgsm()
    usable = has_unit_of_input(net.augmenter_) and isinstance(net.strength, Real)
    strength = float(net.strength) if usable else attack.default_strength
    if strength == 0:
        raise ValueError(
            'The estimator has strength=0, which is no attack: pass attacks={"FGSM": (fgsm(), 0.1)}, or {} for none.'
        )
    return {"FGSM": (attack, strength), "PGD": (PGD(), strength)}, []


def _why_unattackable(X: Any) -> str:
    """Return why an input cannot be attacked, or "" if it can; a Dataset is not read to find out."""
    X = check_samples(X, floats=False)
    if isinstance(X, (Mapping, list, tuple)):
        return "the network has several inputs; fit the estimator with layer=, whose output is attacked."
    if not isinstance(X, (np.ndarray, Tensor)) or torch.as_tensor(X[:1]).is_floating_point():
        return ""
    return (
        f"the network sees {X.dtype} values, to which nothing can be added; scale images to floats, and for word ids "
        'fit the estimator with layer="embedding", whose output is attacked.'
    )


def choose_noises(X: Any, y: Any, corruptions: Any, bounds: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the corruptions, and notes about them."""
    if corruptions is not None:
        return _checked_corruptions(X, y, corruptions, bounds), []
    notes = []
    if bounds is not None:
        bounds_of(bounds, as_floats(X, y))
    else:
        try:
            values = as_floats(X, y)
        except (TypeError, ValueError) as error:
            return {}, [f"No noise: {error}"]
        # Each column of a table has its unit; all pixels, or all time steps, share one.
        axis = 0 if values.ndim == 2 else None
        bounds = values.min(axis=axis), values.max(axis=axis)
        if np.all(bounds[0] == bounds[1]):
            return {}, ["No noise: X does not vary, so the noise cannot be scaled to its range; pass bounds."]
        notes.append("Noise stays between the lowest and the highest value of each column of X.")
        if axis is None:
            bounds = tuple(map(float, bounds))
            notes = [f"Noise stays between the lowest and the highest value of X, {bounds[0]:.4g} and {bounds[1]:.4g}."]
    kinds = {"Gaussian noise": GaussianCorruption, "shot noise": ShotCorruption, "impulse noise": ImpulseCorruption}
    return {name: kind(bounds) for name, kind in kinds.items()}, notes


def _checked_corruptions(X: Any, y: Any, corruptions: Any, bounds: Any) -> dict[str, Any]:
    if bounds is not None:
        raise ValueError("bounds are for the default noise: pass them to the given corruptions themselves.")
    if not isinstance(corruptions, Mapping):
        raise TypeError(
            f'corruptions={corruptions!r} must map names to corruptions, such as {{"shot noise": ShotCorruption()}}.'
        )
    for corruption in corruptions.values():
        check_corruption(corruption)
    if corruptions:
        as_floats(X, y)
    return dict(corruptions)


def choose_size(X: Any, y: Any, size: Any) -> tuple[Any, list[str]]:
    """Return the size of the square, None for no square, and notes about it."""
    # By default, occlusion is left out where it does not apply. With a given size, the caller wants it or the error.
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
