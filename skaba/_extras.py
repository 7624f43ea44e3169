"""Libraries that only parts of skaba need: each belongs to an extra, such as ``skaba[plotting]``."""

from __future__ import annotations

from importlib.util import find_spec


def require(extra: str, purpose: str, *libraries: str) -> None:
    """Raise an error that names the extra to install, unless all its libraries are installed.

    Nothing is imported, so the check takes almost no time.

    Parameters
    ----------
    extra : str
        The extra, as ``pyproject.toml`` declares it.
    purpose : str
        What the libraries are needed for; the message starts with it.
    *libraries : str
        The libraries, by the names under which they are imported.

    Raises
    ------
    ImportError
        If a library is not installed.

    Examples
    --------
    >>> from skaba._extras import require
    >>> require("plotting", "Drawing", "math")
    >>> require("plotting", "Drawing", "math", "a_library_that_is_missing")
    Traceback (most recent call last):
    ImportError: Drawing needs a_library_that_is_missing; install it with: pip install "skaba[plotting]"
    """
    missing = [library for library in libraries if find_spec(library) is None]
    if missing:
        it = "it" if len(missing) == 1 else "them"
        raise ImportError(
            f'{purpose} needs {" and ".join(missing)}; install {it} with: pip install "skaba[{extra}]"', name=missing[0]
        )
