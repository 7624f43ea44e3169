"""Timing of two functions that take turns, shared by the benchmarks."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SHORTEST = 0.2
"""Seconds that a measurement takes at least: quick functions are called several times."""

Function = Callable[[], Any]


def in_turns(first: Function, second: Function, repetitions: int) -> np.ndarray:
    """Time two functions in turns, after one untimed run of each, and return the ratios."""
    first(), second()
    ratios = []
    for repetition in range(repetitions):
        if repetition % 2:
            base, time_of = seconds(second), seconds(first)
        else:
            time_of, base = seconds(first), seconds(second)
        ratios.append(time_of / base)
    return np.array(ratios)


def seconds(function: Function) -> float:
    """Return the time of one call: the mean of as many as make a measurement."""
    gc.collect()  # so that garbage of the function before is not counted
    calls, start = 0, time.perf_counter()
    while True:
        function()
        calls += 1
        if (elapsed := time.perf_counter() - start) > SHORTEST:
            return elapsed / calls
