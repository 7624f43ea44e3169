"""What the value of a setting may be, by the type that declares it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin


def check_value(what: str, value: Any, hint: Any) -> None:
    """Check a value that TOML gave against the declared type of its setting.

    Parameters
    ----------
    what : str
        What is set, for the message.
    value : object
    hint : type
        One of ``ALLOWED``, or a ``Literal`` of texts.

    Raises
    ------
    ValueError
        If the value is not allowed. The message says what is.
    """
    words, is_allowed = _choice(get_args(hint)) if get_origin(hint) is Literal else ALLOWED[hint]
    if not is_allowed(value):
        raise ValueError(f"{what} must be {words}, got {value!r}.")


def _choice(names: tuple[str, ...]) -> tuple[str, Callable[[Any], bool]]:
    return " or ".join(f'"{name}"' for name in names), lambda value: value in names


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    # TOML has true, which is an int in Python, and inf and nan, which are floats.
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _are_positive(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(_is_number(one) and one > 0 for one in value)


_COUNT = "a whole number of at least 1"

ALLOWED: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    str: ("a text", _is_text),
    str | None: ("a text", lambda value: value is None or _is_text(value)),
    int: (_COUNT, _is_count),
    int | None: (_COUNT, lambda value: value is None or _is_count(value)),
    float: ("a number of at least 0", _is_number),
    dict[str, Any]: ("a table", lambda value: isinstance(value, dict)),
    list[str]: ("a list of texts", lambda value: isinstance(value, list) and all(map(_is_text, value))),
    list[float]: ("a list of positive numbers", _are_positive),
}
