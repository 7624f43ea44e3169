"""The one place where matplotlib is imported."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def matplotlib(module: str = "pyplot") -> Any:
    """Import a module of matplotlib, which is optional and slow to import.

    Parameters
    ----------
    module : str, default="pyplot"
        Its name inside matplotlib.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        return import_module(f"matplotlib.{module}")  # unlike __import__, it returns the inner module
    except ImportError as error:
        raise ImportError('Plots need matplotlib: pip install "skaba[plotting]"') from error
