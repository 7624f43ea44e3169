"""Results as Markdown tables and as data frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table of cells that are text already."""
    return "\n".join([_row(header), "|" + "---|" * len(header), *map(_row, rows)])


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


def _row(cells: Sequence[str]) -> str:
    # A bare | would end the cell.
    escaped = (cell.replace("|", r"\|") for cell in cells)
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in escaped)
