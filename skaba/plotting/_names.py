"""Short names for augmenters."""

from __future__ import annotations

import textwrap
from typing import Any

from skaba.augmenters import PRESETS

_LEGEND_WIDTH = 44
_MOST_DIFFERENCES = 2


def augmenter_name(augmenter: Any) -> str:
    """Return the name of an augmenter for a legend.

    Parameters
    ----------
    augmenter : str or callable

    Returns
    -------
    str
        The name of the most similar preset, and up to two parameters that differ from it, written as in a search.
        Without such a preset, the augmenter's own name with all parameters that differ from their defaults.

    Examples
    --------
    >>> from skaba.augmenters import challenger, fast_aba
    >>> from skaba.plotting._names import augmenter_name
    >>> augmenter_name(challenger()), augmenter_name(fast_aba(k=6, share=0.5))
    ('challenger', 'fast_aba(share=0.5, target__k=6)')
    """
    if isinstance(augmenter, str):
        return augmenter
    presets = {name: make() for name, make in PRESETS.items()}
    differences = {
        name: _differences(augmenter, preset) for name, preset in presets.items() if type(preset) is type(augmenter)
    }
    name = min(differences, key=lambda name: len(differences[name]), default="")
    parameters = differences.get(name, [])
    if not name or len(parameters) > _MOST_DIFFERENCES:
        own: str = getattr(augmenter, "__name__", None) or " ".join(str(augmenter).split())
        return own.removesuffix("()")
    return f"{name}({', '.join(parameters)})" if parameters else name


def wrapped(label: str) -> str:
    """Break a label into lines that fit into a legend."""
    return textwrap.fill(label, _LEGEND_WIDTH, subsequent_indent="    ", break_long_words=False)


def _differences(component: Any, other: Any) -> list[str]:
    """Return the parameters in which two components of one class differ, also inside their parts."""
    found = []
    others = other.get_params(deep=False)
    for name, value in component.get_params(deep=False).items():
        if repr(value) == repr(others[name]):  # components do not define ==
            continue
        if type(value) is type(others[name]) and hasattr(value, "get_params"):
            found += [f"{name}__{part}" for part in _differences(value, others[name])]
        else:
            found.append(f"{name}={' '.join(repr(value).split())}")
    return found
