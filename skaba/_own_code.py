"""A user's own code, given on the command line or in a settings file as ``module:function``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any


def own_function(name: str, makes: str) -> Callable[..., Any]:
    """Import a function of the user.

    Parameters
    ----------
    name : str
        ``"module:function"``. The current folder is searched too.
    makes : str
        What the function returns, for the error message: ``"a network"``.

    Returns
    -------
    callable

    Raises
    ------
    ValueError
        If it cannot be imported or is not callable.

    Examples
    --------
    >>> from skaba._own_code import own_function
    >>> own_function("math:sqrt", "a number")(9.0)
    3.0
    """
    module, _, function = name.partition(":")
    try:
        with on_path(Path.cwd()):
            found = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{name} cannot be imported: {error}. Write it as in 'from module import function'; the current folder is "
            "searched too."
        ) from error
    if not callable(found):
        raise ValueError(f"{name} is a {type(found).__name__}, not a function that makes {makes}.")
    return found  # type: ignore[no-any-return]  # getattr of a module is untyped


@contextmanager
def on_path(folder: Path) -> Iterator[None]:
    """Make the modules of a folder importable inside the block."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
