"""Short names for augmenters."""

from __future__ import annotations

import textwrap
from typing import Any

from skaba.augmenters import ABA, PRESETS, FreeABA

_LEGEND_WIDTH = 44
_STILL_ALIKE = 2


def augmenter_name(augmenter: Any) -> str:
    """Return what an augmenter is called in a legend.

    Parameters
    ----------
    augmenter : str or callable

    Returns
    -------
    str
        Its own name, or of an ABA the nearest preset's with the parameters that differ, written as a search
        would write them. Where more than two differ it is called ABA.

    Examples
    --------
    >>> from skaba.augmenters import challenger, fast_aba
    >>> from skaba.plotting._names import augmenter_name
    >>> augmenter_name(challenger()), augmenter_name(fast_aba(k=6, share=0.5))
    ('challenger', 'fast_aba(share=0.5, target__k=6)')
    """
    if isinstance(augmenter, str):
        return augmenter
    if type(augmenter) in (ABA, FreeABA):
        return _preset_name(augmenter)
    name: str = getattr(augmenter, "__name__", None) or " ".join(str(augmenter).split())
    return name.removesuffix("()")


def _preset_name(augmenter: ABA | FreeABA) -> str:
    kind = type(augmenter)
    made = {name: make() for name, make in PRESETS.items()}
    differences = {name: _differences(augmenter, own) for name, own in made.items() if type(own) is kind}
    name = min(differences, key=lambda name: len(differences[name]))
    parameters = differences[name]
    if len(parameters) > _STILL_ALIKE:
        name, parameters = kind.__name__, _differences(augmenter, kind())
    return f"{name}({', '.join(parameters)})" if parameters else name


def wrapped(label: str) -> str:
    """Break a label into lines that a legend has room for."""
    return textwrap.fill(label, _LEGEND_WIDTH, subsequent_indent="    ", break_long_words=False)


def _differences(component: Any, other: Any) -> list[str]:
    """Return the parameters in which two components of one class differ, those of parts one by one."""
    found = []
    others = other.get_params(deep=False)
    for name, value in component.get_params(deep=False).items():
        if repr(value) == repr(others[name]):
            continue
        if type(value) is type(others[name]) and hasattr(value, "get_params"):
            found += [f"{name}__{part}" for part in _differences(value, others[name])]
        else:
            found.append(f"{name}={' '.join(repr(value).split())}")
    return found
