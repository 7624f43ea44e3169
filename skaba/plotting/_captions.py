"""Short descriptions of what maps explain."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.base import is_classifier

from skaba.estimators import ABAMultiLabelClassifier
from skaba.plotting._shown import Shown


def method_name(net: Any, attribution: Any) -> str:
    """Return the name of the attribution method that is used."""
    method = getattr(net.augmenter_, "attribution", "Gradient") if attribution is None else attribution
    return method if isinstance(method, str) else getattr(method, "__name__", type(method).__name__)


def titles(seen: Shown, target: Any) -> list[str]:
    """Return what the map of each sample explains."""
    if target is not None:
        named = isinstance(target, (str, Integral, np.generic))
        return [f"target {target if named else ' '.join(repr(target).split())}"] * len(seen.X)
    has_classes = is_classifier(seen.net) and not isinstance(seen.net, ABAMultiLabelClassifier)
    if seen.y is not None:
        return [f"class {label}" for label in np.ravel(seen.y)] if has_classes else ["loss"] * len(seen.X)
    with torch.random.fork_rng(devices=[]):  # a data loader draws a seed even if nothing is shuffled
        return [f"predicted {label}" for label in seen.net.predict(seen.X)] if has_classes else _highest(seen)


def _highest(seen: Shown) -> list[str]:
    """Return the name of each sample's highest output; with a single output, its value."""
    outputs = seen.net.predict_proba(seen.X).reshape(len(seen.X), -1)
    if outputs.shape[1] == 1:
        return [f"predicted {value:.3g}" for value in outputs[:, 0]]
    names = range(outputs.shape[1]) if seen.net.target_names_ is None else seen.net.target_names_
    return [f"highest: {names[place]}" for place in outputs.argmax(axis=1)]
