"""The tables of an experiment: ours beside the published figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from skaba.augmenters import ADJUSTMENTS, GROUPS, group_of
from skaba.evaluation import paired_interval
from skaba.experiment._arms import LONGER, NOISE, PLAIN, RANDOM_MAP, SETS, members_of
from skaba.experiment._fits import TEST_TIME
from skaba.experiment._results import Results
from skaba.experiment._settings import Settings


def scores_of(results: Results, name: str, what: str = "test") -> NDArray[Any]:
    """Return an arm's scores in percent, one a seed."""
    return 100 * np.array([fit[what] for fit in results["fits"][name]])


def difference(results: Results, name: str, other: str) -> tuple[float, float, float]:
    """Return the mean paired difference in points, and its 95 % interval: Student's t over the seeds.

    The ends are NaN if there is a single seed.
    """
    paired = scores_of(results, name) - scores_of(results, other)
    interval = paired_interval(paired) if len(paired) > 1 else (math.nan, math.nan)
    return (float(paired.mean()), *interval)


EQUAL = (
    "An interval of no width comes from seeds with equal differences. It tells little about other seeds: such scores "
    "have few distinct values."
)
"""The note under a table with such an interval."""


def is_equal(difference: tuple[float, float, float]) -> bool:
    """Return whether all seeds have the same difference, up to rounding."""
    _, low, high = difference
    return high - low < 1e-9


def written(difference: tuple[float, float, float]) -> str:
    """Write a difference with its interval, if it has one."""
    mean, low, high = (round(value, 1) + 0.0 for value in difference)  # no minus before a zero
    return f"{mean:+.1f}" if math.isnan(low) else f"{mean:+.1f} [{low:+.1f}, {high:+.1f}]"


def benchmark_table(settings: Settings, results: Results) -> str:
    """Return E4's table as Markdown: every method against plain training and against its controls.

    All of our figures are means over the seeds, so that each row adds up; the published ones are medians.
    """
    others = {PLAIN: "plain", LONGER: "plain, longer"}
    extra = [name for name in ("ece", "FGSM", "PGD") if name in results["fits"][PLAIN][0]]
    header = ["", "strength", "mean (std)", *(f"vs {label}" for label in others.values() if label in results["fits"])]
    header += ["vs its random map", "vs its noise", *_names(extra, settings), "published, median (std)"]
    rows = [_benchmark_row(settings, results, name, others, extra) for name in results["fits"]]
    table = _beside_published(settings, header, rows)
    pairs = [(name, other) for name in results["fits"] for other in _others(results, name, others)]
    return f"{table}\n{EQUAL}\n" if any(is_equal(difference(results, *pair)) for pair in pairs) else table


def _others(results: Results, name: str, others: Iterable[str]) -> list[str]:
    """Return what a method's row compares it with."""
    controls = [control.format(name) for control in (RANDOM_MAP, NOISE)]
    return [other for other in (*others, *controls) if other in results["fits"] and other != name]


def _beside_published(settings: Settings, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, without its last column where nothing is published that could fill it."""
    end = None if settings.published else -1
    return markdown(header[:end], [row[:end] for row in rows])


def _names(extra: Sequence[str], settings: Settings) -> list[str]:
    return ["ECE" if name == "ece" else f"{name}, r = {settings.attack:g}" for name in extra]


def _benchmark_row(
    settings: Settings, results: Results, name: str, others: Mapping[str, str], extra: Sequence[str]
) -> list[str]:
    scores = scores_of(results, name)
    strength = results["strengths"][name]
    row = [name, f"{strength:.2g}" if strength else "", f"{scores.mean():.1f} ({scores.std():.1f})"]
    known = [other for other in others if other in results["fits"]]
    controls = [control.format(name) for control in (RANDOM_MAP, NOISE)]
    row += [_difference(results, name, other) for other in [*known, *controls]]
    row += [f"{scores_of(results, name, what).mean():.1f}" for what in extra]
    return [*row, str(settings.published.get(name, ""))]


def _difference(results: Results, name: str, other: str) -> str:
    if name == other or other not in results["fits"]:
        return ""
    return written(difference(results, name, other))


def strength_table(settings: Settings, results: Results) -> str:
    """Return E1's table: mean accuracy of frozen networks against the strength at test time."""
    header = ["training", "adjustment", "0", *(f"{strength:g}" for strength in settings.test_strengths)]
    rows = [
        [name, adjustment, *(f"{mean:.1f}" for mean in means)]
        for name in results["fits"]
        for adjustment, means in curves_of(results, name).items()
    ]
    return markdown(header, rows)


def curves_of(results: Results, name: str) -> dict[str, NDArray[Any]]:
    """Return the mean curves of an arm in percent, by adjustment, from strength 0 on."""
    curves = {
        adjustment: [
            [score for what, score in fit.items() if what.startswith(f"{adjustment} at ")]
            for fit in results["fits"][name]
        ]
        for adjustment in TEST_TIME
    }
    return {adjustment: 100 * np.mean(scores, axis=0) for adjustment, scores in curves.items()}


def adjustments_table(settings: Settings, results: Results) -> str:
    """Return E2's table: validation accuracy of each adjustment alone, and the groups' means."""
    published = settings.published
    rows = []
    for index, adjustment in enumerate(ADJUSTMENTS):
        scores = scores_of(results, str(index), "valid")
        row = [str(index), _signs(adjustment), group_of(adjustment), f"{results['strengths'][str(index)]:g}"]
        rows.append([*row, f"{scores.max():.1f}", f"{scores.mean():.1f}", str(published.get(str(index), ""))])
    header = ["index", "low, middle, high", "group", "strength", "max", "mean", "published mean"]
    groups = [[group, f"{group_mean(results, group):.1f}", _published_mean(published, group)] for group in GROUPS]
    by_group = _beside_published(settings, ["group", "mean", "published mean"], groups)
    return _beside_published(settings, header, rows) + "\n" + by_group


def group_mean(results: Results, group: str) -> float:
    """Return the mean validation accuracy of a group's nine adjustments, in percent."""
    members = [str(index) for index, adjustment in enumerate(ADJUSTMENTS) if group_of(adjustment) == group]
    return float(np.mean([scores_of(results, name, "valid").mean() for name in members]))


def _published_mean(published: Mapping[str, Any], group: str) -> str:
    found = [published.get(str(index)) for index, adjustment in enumerate(ADJUSTMENTS) if group_of(adjustment) == group]
    known = [float(value) for value in found if value is not None]
    return f"{np.mean(known):.1f}" if known else ""


def groups_table(settings: Settings, results: Results, single: Results) -> str:
    """Return E3's table: one network on all adjustments of a set, against the mean of networks on one each."""
    rows = []
    for name in SETS:
        scores = scores_of(results, name, "valid")
        members = [scores_of(single, str(index), "valid").mean() for index in members_of(name)]
        cells = [f"{scores.mean():.1f} ({scores.std():.1f})", f"{np.mean(members):.1f}"]
        rows.append([name, f"{results['strengths'][name]:g}", *cells, str(settings.published.get(name, ""))])
    header = ["set", "strength", "all of it, mean (std)", "mean of single ones", "published: all / mean"]
    return _beside_published(settings, header, rows)


def _signs(adjustment: Sequence[float]) -> str:
    return ", ".join({1: "+", -1: "-", 0: "0"}[int(value)] for value in adjustment)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *rows]) + "\n"
