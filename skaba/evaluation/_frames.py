"""Results as data frames."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def frame_of(rows: Sequence[dict[str, Any]]) -> Any:
    """Return rows as a pandas data frame.

    Raises
    ------
    ImportError
        If pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415 (optional, and heavy)
    except ImportError as error:
        raise ImportError("to_frame needs pandas, which is not installed: pip install pandas") from error
    return pd.DataFrame(list(rows))
