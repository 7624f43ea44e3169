"""The results of single fits, collected into a comparison."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

import numpy as np
from sklearn.exceptions import FitFailedWarning

from skaba.evaluation._comparison import Comparison, Values
from skaba.evaluation._folds import Result


def collected(
    by_name: dict[str, list[Result]],
    reference: str,
    *,
    score_name: str,
    n_folds: int = 1,
    attacks: Iterable[str] = (),
    test_ratio: float = 0.0,
) -> Comparison:
    """Return the results of all fits as a comparison.

    Parameters
    ----------
    by_name : dict of str to list of Result
        By method, seed by seed.
    reference, score_name, n_folds, test_ratio
        See :class:`Comparison`.
    attacks : iterable of str
        The names of the attacks.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If every fit failed.

    Warns
    -----
    FitFailedWarning
        If a fit failed.
    """
    return Comparison(
        scores={name: np.array([result.score for result in runs]) for name, runs in by_name.items()},
        reference=reference,
        n_folds=n_folds,
        calibration=_collect(by_name, lambda result: result.calibration),
        attacked={attack: _collect(by_name, _attacked_by(attack)) for attack in attacks},
        score_name=score_name,
        fit_seconds={name: np.array([result.seconds for result in runs]) for name, runs in by_name.items()},
        operations={name: runs[0].operations for name, runs in by_name.items() if runs[0].operations is not None},
        failures=_failures(by_name, n_folds),
        test_ratio=test_ratio,
    )


def _collect(by_name: dict[str, list[Result]], value_of: Callable[[Result], float | None]) -> Values:
    """Return the values of the methods that have them; NaN where a fit failed."""
    values = {
        name: [np.nan if result.failure else value_of(result) for result in results]
        for name, results in by_name.items()
        if not all(result.failure for result in results)
    }
    # None: the method has no such value, for example no probabilities.
    return {name: np.array(every) for name, every in values.items() if None not in every}


def _attacked_by(attack: str) -> Callable[[Result], float | None]:
    return lambda result: result.attacked.get(attack)


def _failures(by_name: dict[str, list[Result]], n_folds: int) -> dict[str, str]:
    """Return per method how many fits failed and why, and warn of them; raise a ValueError if all fits failed."""
    found = {}
    for name, results in by_name.items():
        failed = [place for place, result in enumerate(results) if result.failure]
        if failed:
            seed, fold = divmod(failed[0], n_folds)
            found[name] = (
                f"{len(failed)} of {len(results)} fits failed, the first at seed {seed}, fold {fold}: "
                f"{results[failed[0]].failure}"
            )
    text = "; ".join(f"{name}: {failure}" for name, failure in found.items())
    if all(result.failure for results in by_name.values() for result in results):
        raise ValueError(f"All fits failed. {text}")
    if found:
        warnings.warn(f"Some fits failed, and the others are kept. {text}", FitFailedWarning, stacklevel=4)
    return found
