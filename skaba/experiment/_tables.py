"""Tables in Markdown, with our figures beside the published ones."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from skaba.experiment._results import Difference


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequence of str

    Returns
    -------
    str
    """
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *rows]) + "\n"


def beside_published(published: Mapping[str, Any], header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown; its last column, the published figures, is left out if there are none."""
    end = None if published else -1
    return markdown(header[:end], [row[:end] for row in rows])


def interval(difference: Difference) -> str:
    """Write a mean difference with its interval, if it has one.

    Parameters
    ----------
    difference : Difference

    Returns
    -------
    str
    """
    mean, low, high = (round(value, 1) + 0.0 for value in difference[:3])  # + 0.0: no minus before a zero
    return f"{mean:+.1f}" if math.isnan(low) else f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def with_interval(difference: Difference) -> str:
    """Write a mean difference with its interval and its p-value, if it has them.

    Parameters
    ----------
    difference : Difference

    Returns
    -------
    str
    """
    return interval(difference) + ("" if math.isnan(difference.p) else f", p {difference.p:.2g}")
