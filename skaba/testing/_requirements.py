"""Requirements of the checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def require(condition: bool, message: str) -> None:
    """Raise an AssertionError unless a condition holds; ``assert`` would vanish under ``python -O``."""
    if not condition:
        raise AssertionError(message)


def raises(kinds: Any, call: Callable[[], Any]) -> bool:
    """Return whether a call raises one of the given errors; other errors are passed on."""
    try:
        call()
    except kinds:
        return True
    return False
