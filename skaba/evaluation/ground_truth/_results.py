"""Results of a benchmark: one value per seed."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from skaba.evaluation._tables import markdown_table


@dataclass(frozen=True, eq=False)
class GroundTruthScores:
    """The scores of one attribution method's maps, one value per seed. Made by :class:`XORBenchmark`.

    Parameters
    ----------
    d : ndarray of shape (n_seeds,)
        The :func:`dimensional_difference` per step, ``d / S``: from 0 to 1 on any grid. Lower is meant to be better.
    r_C, r_DB, r_ideal, nonzero_C, nonzero_DB : ndarray of shape (n_seeds,)
        See :func:`masked_dimension_correlation`; NaN where that is NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from skaba.evaluation.ground_truth import GroundTruthScores
    >>> nan = np.full(3, np.nan)
    >>> scores = GroundTruthScores(np.array([0.3, 0.2, 0.4]), nan, np.array([0.9, np.nan, 0.7]), nan, nan, nan)
    >>> scores.summary()["d"], scores.summary()["r_DB"]
    ('0.30 [0.20, 0.40]', '0.80 [0.70, 0.90] (2 of 3)')
    """

    d: NDArray[np.float64]
    r_C: NDArray[np.float64]  # noqa: N815 (as the source writes it)
    r_DB: NDArray[np.float64]  # noqa: N815 (as the source writes it)
    r_ideal: NDArray[np.float64]
    nonzero_C: NDArray[np.float64]  # noqa: N815 (as the source writes it)
    nonzero_DB: NDArray[np.float64]  # noqa: N815 (as the source writes it)

    def summary(self) -> dict[str, str]:
        """Return the median and the range of each measure.

        Returns
        -------
        dict of str to str
            Such as ``"0.30 [0.20, 0.40]"``. Seeds for which a measure is not defined are left out, which is noted as
            ``"(2 of 3)"``; if there is no other seed, ``"not defined"``.
        """
        return {field.name: _median_and_range(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True, eq=False)
class GroundTruthComparison:
    """The scores of several methods on the same networks. Made by :meth:`XORBenchmark.compare`.

    Parameters
    ----------
    scores : dict of str to GroundTruthScores
    """

    scores: dict[str, GroundTruthScores]

    def table(self) -> str:
        """Return the comparison as a Markdown table.

        Returns
        -------
        str
            One row per method, with median and range over the seeds.
        """
        header = ["method", "d / S", "r_C", "r_DB", "r_ideal", "nonzero_C", "nonzero_DB"]
        rows = [[name, *scores.summary().values()] for name, scores in self.scores.items()]
        return markdown_table(header, rows)


def _median_and_range(values: NDArray[np.float64]) -> str:
    known = values[~np.isnan(values)]
    if not len(known):
        return "not defined"
    low, middle, high = (_rounded(value) for value in (known.min(), np.median(known), known.max()))
    several = f"{middle} [{low}, {high}]" if len(values) > 1 else middle
    return several if len(known) == len(values) else f"{several} ({len(known)} of {len(values)})"


def _rounded(value: float) -> str:
    # Small negative values would be printed as -0.00.
    return f"{value + 0:.2f}".replace("-0.00", "0.00")
